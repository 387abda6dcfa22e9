/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that may not come back: a file system of another machine that is silent holds whoever asks
 * it anything, for hours, and no signal helps. Whoever must go on asks in a thread that may be left
 * behind.
 */
#ifndef LODGE_LIB_PATIENCE_H
#define LODGE_LIB_PATIENCE_H

#include <stdbool.h>
#include <stddef.h>

#define PATIENCE_MS 1000 /* for what a machine that is there answers in a few ms */

struct patience {
	void (*run)(void *item);
	/* NULL, or what becomes of an item that is done when nobody waits for it any more. */
	void (*late)(void *item);
	size_t size; /* of an item, in bytes */
	/* For all items together; a tenth of it for some seconds after a call was left behind. */
	unsigned int ms;
};

/*
 * Calls @how->run with a copy of each of the @n items, all at once, each in a thread of its own,
 * and waits for them. ret_done[i]: the item is what was made of it. Else time was up: the item is
 * as it was, and its thread goes on with the copy, by itself. What an item points to must last for
 * that long. The threads have no capability but CAP_DAC_OVERRIDE, since they may still be there
 * when a sandbox has been closed. Where no thread can be made, the call is made here and waited
 * for. Any thread.
 */
void patience_call(const struct patience *how, void *items, size_t n, bool *ret_done);

#endif

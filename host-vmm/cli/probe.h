/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds out whether this host's KVM runs an unmodified Linux kernel, by running one. */
#ifndef LODGE_VMM_CLI_PROBE_H
#define LODGE_VMM_CLI_PROBE_H

#include <stdbool.h>

struct probe {
	bool runs;
	char *tried; /* what was run last: "kernel 6.1.0-18-amd64" */
	char *why; /* where it does not run: the reason, on one line; else NULL */
	unsigned int ms; /* from the start to the end */
};

/*
 * Runs a guest of a few instructions, and where that works starts the kernel of kernel_find() with
 * an initramfs that says hello, for PROBE_LIMIT_MS at most, in a run-time folder that is removed
 * again. 0 once something was tried; a negative errno and *ret_message where nothing could be.
 */
int probe_guest(struct probe *ret_probe, char **ret_message);
void probe_clear(struct probe *probe);

#define PROBE_LIMIT_MS 60000 /* far above the slowest host that is of use */

#endif

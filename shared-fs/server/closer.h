/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closing files of other machines. close(2) of a file on NFS sends what was written to it, and
 * waits for the answer, for as long as that takes: only threads that wait for other machines anyway
 * (workers.h) may do that themselves.
 */
#ifndef LODGE_FSD_CLOSER_H
#define LODGE_FSD_CLOSER_H

#include <stdbool.h>

/* From here on the calling thread closes such files itself, and waits. */
void closer_may_wait(void);
/* Takes @fd, a file that is @remote or not. Any thread. A local one is closed here, and another one
 * where there is no memory or no thread for it. */
void closer_close(int fd, bool remote);

#endif

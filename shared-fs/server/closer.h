/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Closing files of other machines. close(2) of a file on NFS sends what was written to it, and
 * waits for the answer, for as long as that takes: only threads that wait for other machines anyway
 * (workers.h) may do that themselves.
 */
#ifndef LODGE_FSD_CLOSER_H
#define LODGE_FSD_CLOSER_H

/* From here on the calling thread closes such files itself, and waits. */
void closer_may_wait(void);
/* Takes @fd. Any thread. Where there is no memory or no thread for it, it is closed here. */
void closer_close(int fd);

#endif

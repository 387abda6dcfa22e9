/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that makes 2 MiB pages of the guest's memory as the guest comes to use it.
 *
 * The host's own means do not do it: shared memory gets huge pages only where the administrator
 * changed shmem_enabled, and Linux's default is never. Where the host cannot collapse pages on
 * request (before Linux 6.1), memory stays in 4 KiB pages.
 */
#ifndef LODGE_VMM_HUGEPAGES_H
#define LODGE_VMM_HUGEPAGES_H

struct hugepages;
struct memory;

/* Starts the thread; @memory must outlive it. */
int hugepages_start(struct memory *memory, struct hugepages **ret_hugepages);
/* The guest starts anew: look often again. Any thread. NULL is fine. */
void hugepages_hurry(struct hugepages *hugepages);
/* Stops and joins it. NULL is fine. */
void hugepages_stop(struct hugepages *hugepages);

#endif

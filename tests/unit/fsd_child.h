/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A real lodge-fsd that a device under test has started: where its program is, and its death. */
#ifndef LODGE_TESTS_FSD_CHILD_H
#define LODGE_TESTS_FSD_CHILD_H

#include <sys/types.h>

/* Before the device is made; fails where lodge-fsd is not built. */
void fsd_child_find(void);
/* The youngest child process of @pid, or 0. */
pid_t fsd_child_of(pid_t pid);
/* What serves. */
pid_t fsd_child_server(void);
/* Its keeper and its guard, too, which would start another one. */
void fsd_child_kill_whole(void);

#endif

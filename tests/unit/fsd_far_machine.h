/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another machine, whose file system is mounted here: a second server of ours in a process of its
 * own, behind this kernel's FUSE driver. A SIGSTOP makes it one that does not answer.
 */
#ifndef LODGE_TESTS_FSD_FAR_MACHINE_H
#define LODGE_TESTS_FSD_FAR_MACHINE_H

#include <stdbool.h>
#include <sys/types.h>

struct fs;

struct far_machine {
	char own[80]; /* what it shares */
	char place[80]; /* where that is mounted here */
	int fuse_fd;
	int orders[2];
	pid_t pid;
	struct fs *fs;
};

/* With both folders in @top. False where nothing can be mounted. */
bool far_machine_start(struct far_machine *machine, const char *top);
/* '-' takes the share away, '+' gives it back. */
void far_machine_order(const struct far_machine *machine, char what);
/* It hangs up. */
void far_machine_stop(struct far_machine *machine);
/* The same, where it has not yet, and its file system goes. */
void far_machine_end(struct far_machine *machine);

#endif

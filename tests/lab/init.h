/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of lab-init: the job that it is given, and the world that it makes for it. */
#ifndef LODGE_TESTS_LAB_INIT_H
#define LODGE_TESTS_LAB_INIT_H

#include <sys/types.h>

#define LAB_SEE_MAX    16
#define LAB_GROUPS_MAX 64

struct lab_job {
	uid_t uid;
	gid_t gid;
	gid_t groups[LAB_GROUPS_MAX];
	size_t n_groups;
	const char *cwd;
	const char *results; /* NULL: none */
	const char *see[LAB_SEE_MAX]; /* host folders that the fresh /tmp and /run would hide */
	size_t n_see;
	char **env;
	char **argv;
};

/* Says why on the console and stops the machine. */
void die(const char *what, const char *name) __attribute__((noreturn));

void mount_initramfs(void);
void enter_root(const struct lab_job *job);
void leave_results(const struct lab_job *job);

#endif

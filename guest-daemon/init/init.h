/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lodge-init: process 1 of an instant VM (`lodge run`). What its parts give each other.
 *
 * It runs alone in a fresh guest, so errors have one end: a line on the console that begins
 * "lodge-init: error: ", and power off. Functions that cannot fail softly call die() themselves.
 */
#ifndef LODGE_GUEST_INIT_H
#define LODGE_GUEST_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The values of one key that may stand several times; ends with NULL. They point into the file. */
struct words {
	char **list;
	size_t n;
};

struct run_conf {
	bool hello;
	struct words modules, late_modules;
	struct words shares, read_only_shares;
	struct words env, args;
	char *root; /* or NULL, as the rest */
	char *hostname;
	char *terminal;
	char *user;
	char *cwd;
	char *tools;
};

/* conf.c: reads LODGE_RUN_CONF_PATH's records from @text, which it cuts up. A negative errno and
 * *ret_bad, the record that is at fault, where it is malformed. */
int conf_parse(char *text, size_t len, struct run_conf *ret_conf, const char **ret_bad);

/* main.c. die() tells the console and powers off; with @error 0 no errno text is added. */
void die(int error, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
void warn(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * modules.c: opens @file of the initramfs, and loads what was opened, which closes @fd. They are
 * two, because late modules are loaded when the initramfs is out of reach. 0 too where the kernel
 * has the module already; @fd may be module_open()'s error, which is then handed back.
 */
int module_open(const char *file);
int module_load(const char *file, int fd);

/* mounts.c */
void mount_kernel(void); /* /dev, /proc and /sys, of the initramfs */
void mount_root(const struct run_conf *conf); /* and makes it "/" */
void mount_rest(const struct run_conf *conf); /* /run, /dev/pts, cgroup2, shares */

/* ports.c: a virtio port's descriptor, waiting for it to appear; -ENODEV after a few seconds. */
int port_open(const char *name);
/* Waits until the host's end is open: false where it is not after @patience_ms. */
bool port_wait_host(int fd, int patience_ms);
/* Waits for a device node to appear and opens it. */
int device_open(const char *path, int flags);

/* child.c */
struct streams {
	int in, out, err; /* the command's; copies, still to be closed by the caller */
	bool terminal; /* they are a terminal, to be the command's own */
};
/* Starts the command: its pid, or -errno. What goes wrong in the child is told on its stderr, and
 * its status is then 126 or 127. */
pid_t child_start(const struct run_conf *conf, const struct streams *streams);

/* tools.c: starts lodged where the host named it; without it the command runs all the same. */
void tools_start(const struct run_conf *conf);

/* users.c: user and groups, from the guest's files. */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[64];
	size_t n_groups;
	char home[256]; /* "" where unknown */
};
int user_find(const char *user, struct identity *ret_identity);

/* pump.c: carries the streams between ports and the command's pipes and waits for it to end: the
 * status for the host (0 to 255). */
struct pump;
int pump_run(pid_t child, int signals, int power_button, const int ports[3], const int pipes[3]);

/* power.c: the ACPI power button's input device, or -ENODEV; and whether it was pressed. */
int power_button_open(void);
bool power_button_pressed(int fd);

#endif

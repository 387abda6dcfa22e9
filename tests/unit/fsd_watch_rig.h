/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server with a watcher, and somebody who listens to it: one at a time. */
#ifndef LODGE_TESTS_FSD_WATCH_RIG_H
#define LODGE_TESTS_FSD_WATCH_RIG_H

#include "tests/unit/fsd_harness.h"

#define CHANGES_MAX 4096
#define LAST_MS	    5000 /* what must come has come by then */

struct seen {
	uint32_t kinds, cookie;
	uint64_t folder, folder_ino, child, child_ino;
	char path[256];
	char name[256];
};

extern struct fsd_rig watch_rig;
extern int watch_ours, watch_theirs; /* the ends of the watcher's socket */
extern struct seen watch_seen[CHANGES_MAX];
extern size_t watch_n_seen;

void watch_rig_start(const struct fsd_rig_options *options);
/* The same without options, and the root is watched. */
void watch_rig_setup(void);
void watch_rig_teardown(void);
void watch_rig_say(uint8_t word);
/* One more batch, within @ms. */
bool watch_rig_take(int ms);
/* What was told of @name, of one of these kinds; or NULL. */
const struct seen *watch_rig_find(const char *name, uint32_t kind);
/* Makes a change of its own and reads up to its record: what came before it has come. */
void watch_rig_drain(void);
/* The same, where markers may be lost among others. */
void watch_rig_settle(void);
void watch_rig_forget(void);
/* Until folder @nodeid is watched, or @n of them are. */
void watch_rig_await(uint64_t nodeid);
void watch_rig_await_all(uint32_t n);
/* A new folder that the guest knows, once it is watched. */
uint64_t watch_rig_folder(const char *name);

#endif

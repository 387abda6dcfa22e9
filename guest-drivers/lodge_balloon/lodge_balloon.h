/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of lodge_balloon among themselves.
 *
 *	main.c     the module, and the host's coming and going
 *	pages.c    taking pages from this system and giving them back, towards the target
 *	move.c     another page in the place of one that the kernel moves
 *	talk.c     one request to the host and its answer
 *	stats.c    statistics, when the host asks
 *	relief.c   giving back before the OOM killer runs, to the shrinker, and to hibernation
 *	report.c   free page reporting
 *
 * Locks: talk is held from the filling of a request until the host has answered it, and nothing is
 * allocated under it that could wait for memory: who is out of memory may wait for it. lock is that
 * of the lists of pages. The work alone inflates; anybody deflates.
 */
#ifndef LODGE_BALLOON_DRIVER_H
#define LODGE_BALLOON_DRIVER_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <lodge/balloon.h>

#include "compat/memory.h"
#include "compat/movable.h"
#include "include/lodge_backdoor.h"

/* A request fills a kmalloc'ed 8 KiB. */
#define LODGE_BALLOON_RANGES 511u
#define LODGE_BLOCK_ORDER    (21 - PAGE_SHIFT)
#define LODGE_BLOCK_PAGES    (1ul << LODGE_BLOCK_ORDER)

struct lodge_balloon_message {
	struct lodge_balloon_request head;
	struct lodge_balloon_range ranges[LODGE_BALLOON_RANGES];
};

struct lodge_balloon_stats {
	struct lodge_balloon_request head;
	__le64 values[LODGE_BALLOON_STATS_MAX];
};

struct lodge_balloon {
	struct lodge_client client;
	struct workqueue_struct *queue;

	struct mutex talk;
	struct lodge_session *session; /* NULL: no host. Under talk */
	struct lodge_balloon_job job;
	struct completion answered;
	unsigned int used; /* bytes of the answer */
	struct lodge_balloon_message *message;
	struct lodge_balloon_reply *reply;

	spinlock_t lock; /* the rest of this group */
	struct list_head blocks; /* the first pages of 2 MiB, by lru */
	struct lodge_movable small; /* single pages; taken under talk, too */
	unsigned long n_blocks, n_small; /* also those that are on the move */
	unsigned long returned; /* pages that this system needed back */
	bool stopping; /* there is no host, or it goes: everything is given back */
	bool hibernating; /* the same for as long as it takes */
	bool held; /* nothing is taken until held_until (jiffies) */
	unsigned long held_until;

	u32 target; /* pages; written by whoever hears of it, read by the work */
	struct delayed_work work;

	struct lodge_balloon_job stats_job;
	struct completion stats_back; /* the device does not have stats_job */
	struct lodge_balloon_stats *stats;
	struct lodge_balloon_reply *stats_reply;
	struct work_struct stats_work;

	struct notifier_block oom, sleep;
	struct lodge_shrinker shrinker;
	struct lodge_reporting reporting;
};

/* talk.c; talk is held. */
/* Bytes of a range behind those of @message; joins it to the last one where they touch. False:
 * there is no room. */
bool lodge_balloon_add(struct lodge_balloon *balloon, phys_addr_t address, unsigned long pages);
void lodge_balloon_begin(struct lodge_balloon *balloon);
/* Sends what was added, and waits. 0: the host has taken it (but for ranges that it refused).
 * -ENODEV: there is no host any more. */
int lodge_balloon_ask(struct lodge_balloon *balloon, unsigned int op);
/* Jiffies that a host may take to answer. One that takes longer is reset: its device ends all jobs.
 */
unsigned long lodge_balloon_patience(void);
int lodge_balloon_talk_create(struct lodge_balloon *balloon);
void lodge_balloon_talk_destroy(struct lodge_balloon *balloon);

/* pages.c */
void lodge_balloon_work(struct work_struct *work);
void lodge_balloon_wake(struct lodge_balloon *balloon);
/* Gives back up to @pages of 4 KiB, whether the host answers or not: how many. */
unsigned long lodge_balloon_deflate(struct lodge_balloon *balloon, unsigned long pages);
/* Gives back all of them; nothing is taken meanwhile. */
void lodge_balloon_empty(struct lodge_balloon *balloon);
/* The same because this system needs them: nothing is taken for a while. */
unsigned long lodge_balloon_relieve(struct lodge_balloon *balloon, unsigned long pages);
/* Everything is given back when it returns, and nothing is taken until it is called with false. */
void lodge_balloon_hibernate(struct lodge_balloon *balloon, bool begins);
unsigned long lodge_balloon_pages(struct lodge_balloon *balloon);
/* Pages of 4 KiB that are left available to this system. */
unsigned long lodge_balloon_floor(void);

/* move.c */
int lodge_balloon_move(struct lodge_movable *movable, struct page *to, struct page *from);

/* stats.c */
int lodge_balloon_stats_create(struct lodge_balloon *balloon);
void lodge_balloon_stats_destroy(struct lodge_balloon *balloon);
void lodge_balloon_stats_send(struct lodge_balloon *balloon);
/* The device has no job of statistics any more when it returns. */
void lodge_balloon_stats_end(struct lodge_balloon *balloon);

/* relief.c */
int lodge_balloon_relief_begin(struct lodge_balloon *balloon);
void lodge_balloon_relief_end(struct lodge_balloon *balloon);

/* report.c */
void lodge_balloon_report_begin(struct lodge_balloon *balloon);
void lodge_balloon_report_end(struct lodge_balloon *balloon);

#endif

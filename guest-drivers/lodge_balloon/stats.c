// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics, in one message, when the host asks: it keeps the request until it wants the next.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

static void set(struct lodge_balloon *balloon, unsigned int place, u64 value)
{
	balloon->stats->values[place] = cpu_to_le64(value);
}

static void set_pages(struct lodge_balloon *balloon, unsigned int place, u64 pages)
{
	set(balloon, place, pages << PAGE_SHIFT);
}

static void set_events(struct lodge_balloon *balloon)
{
#ifdef CONFIG_VM_EVENT_COUNTERS
	unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	set_pages(balloon, LODGE_BALLOON_STAT_SWAP_IN, events[PSWPIN]);
	set_pages(balloon, LODGE_BALLOON_STAT_SWAP_OUT, events[PSWPOUT]);
	set(balloon, LODGE_BALLOON_STAT_MAJOR, events[PGMAJFAULT]);
	set(balloon, LODGE_BALLOON_STAT_MINOR, events[PGFAULT]);
#ifdef LODGE_HAVE_OOM_KILL_EVENT
	set(balloon, LODGE_BALLOON_STAT_OOM_KILLS, events[OOM_KILL]);
#endif
#endif
}

static void collect(struct lodge_balloon *balloon)
{
	struct sysinfo info;

	si_meminfo(&info);
	memset(balloon->stats->values, 0xff, sizeof(balloon->stats->values));
	set_pages(balloon, LODGE_BALLOON_STAT_TOTAL, info.totalram);
	set_pages(balloon, LODGE_BALLOON_STAT_FREE, info.freeram);
	set_pages(balloon, LODGE_BALLOON_STAT_AVAILABLE, lodge_available_pages());
	set_pages(balloon, LODGE_BALLOON_STAT_CACHED, lodge_file_pages());
	set_events(balloon);
	spin_lock(&balloon->lock);
	set_pages(balloon, LODGE_BALLOON_STAT_SMALL, balloon->n_small);
	set_pages(balloon, LODGE_BALLOON_STAT_RETURNED, balloon->returned);
	spin_unlock(&balloon->lock);
}

/* The host wants the next ones, or the device is gone. */
static void came_back(struct lodge_balloon_job *job, unsigned int used)
{
	struct lodge_balloon *balloon = container_of(job, struct lodge_balloon, stats_job);

	complete_all(&balloon->stats_back);
	if (used == sizeof(*balloon->stats_reply))
		queue_work(balloon->queue, &balloon->stats_work);
}

void lodge_balloon_stats_send(struct lodge_balloon *balloon)
{
	int err;

	collect(balloon);
	reinit_completion(&balloon->stats_back);
	mutex_lock(&balloon->talk);
	err = balloon->session ? lodge_session_balloon(balloon->session, &balloon->stats_job)
			       : -ENODEV;
	mutex_unlock(&balloon->talk);
	if (!err)
		return;
	complete_all(&balloon->stats_back);
	if (err == -EOPNOTSUPP)
		pr_info("lodge_balloon: this host has no balloon\n");
}

static void stats_work(struct work_struct *work)
{
	struct lodge_balloon *balloon = container_of(work, struct lodge_balloon, stats_work);
	bool stopping;

	spin_lock(&balloon->lock);
	stopping = balloon->stopping;
	spin_unlock(&balloon->lock);
	if (!stopping)
		lodge_balloon_stats_send(balloon);
}

void lodge_balloon_stats_end(struct lodge_balloon *balloon)
{
	cancel_work_sync(&balloon->stats_work);
	if (!try_wait_for_completion(&balloon->stats_back)) {
		/* Statistics without any: there are no more, and the host gives back what it has.
		 */
		mutex_lock(&balloon->talk);
		lodge_balloon_begin(balloon);
		(void)lodge_balloon_ask(balloon, LODGE_BALLOON_STATS);
		if (!wait_for_completion_timeout(&balloon->stats_back, lodge_balloon_patience())) {
			lodge_session_renew(balloon->session);
			wait_for_completion(&balloon->stats_back);
		}
		mutex_unlock(&balloon->talk);
	}
	cancel_work_sync(&balloon->stats_work);
}

int lodge_balloon_stats_create(struct lodge_balloon *balloon)
{
	init_completion(&balloon->stats_back);
	complete_all(&balloon->stats_back);
	INIT_WORK(&balloon->stats_work, stats_work);
	balloon->stats = kzalloc(sizeof(*balloon->stats), GFP_KERNEL);
	balloon->stats_reply = kzalloc(sizeof(*balloon->stats_reply), GFP_KERNEL);
	if (!balloon->stats || !balloon->stats_reply)
		return -ENOMEM;
	balloon->stats->head.op = cpu_to_le16(LODGE_BALLOON_STATS);
	balloon->stats->head.count = cpu_to_le16(LODGE_BALLOON_STATS_MAX);
	balloon->stats_job.out = balloon->stats;
	balloon->stats_job.out_size = sizeof(*balloon->stats);
	balloon->stats_job.in = balloon->stats_reply;
	balloon->stats_job.in_size = sizeof(*balloon->stats_reply);
	balloon->stats_job.done = came_back;
	return 0;
}

void lodge_balloon_stats_destroy(struct lodge_balloon *balloon)
{
	kfree(balloon->stats);
	kfree(balloon->stats_reply);
}

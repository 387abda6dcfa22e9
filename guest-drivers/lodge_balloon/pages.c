// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages in the balloon, and the work that brings their number to the target.
 *
 * Memory is taken by 2 MiB where there are such pieces, without making others wait for it: neither
 * reserves nor the OOM killer are touched. Where fragmentation leaves none, by single pages, and
 * later for each 512 of these one block is taken in their place when there is one, so that the
 * balloon itself does not keep the system fragmented.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

#define MIB_PAGES  (1ul << (20 - PAGE_SHIFT))
#define RETRY	   (1 * HZ) /* where nothing could be had */
#define TIDY_DELAY (10 * HZ) /* between blocks in place of single pages */

#define TAKE_FLAGS (__GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC)

static unsigned int floor_mib;
module_param_named(floor, floor_mib, uint, 0644);
MODULE_PARM_DESC(floor, "MiB that stay available to this system (default: a 16th of its memory)");

static unsigned int hold = 30;
module_param(hold, uint, 0644);
MODULE_PARM_DESC(hold, "seconds that nothing is taken after this system needed memory back (30)");

static unsigned long hold_time(void)
{
	return clamp_t(unsigned long, READ_ONCE(hold), 1, 3600) * HZ;
}

unsigned long lodge_balloon_floor(void)
{
	struct sysinfo info;

	if (floor_mib)
		return floor_mib * MIB_PAGES;
	si_meminfo(&info);
	return clamp_t(unsigned long, info.totalram / 16, 32 * MIB_PAGES, 512 * MIB_PAGES);
}

unsigned long lodge_balloon_pages(struct lodge_balloon *balloon)
{
	unsigned long pages;

	spin_lock(&balloon->lock);
	pages = balloon->n_blocks * LODGE_BLOCK_PAGES + balloon->n_small;
	spin_unlock(&balloon->lock);
	return pages;
}

static void free_pages_of(struct list_head *list, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
		cond_resched();
	}
}

/* ---- giving back ---- */

static struct page *pick_one(struct lodge_balloon *balloon, bool block)
{
	struct page *page = NULL;

	spin_lock(&balloon->lock);
	if (block && balloon->n_blocks) {
		page = list_first_entry(&balloon->blocks, struct page, lru);
		list_del(&page->lru);
		balloon->n_blocks--;
	} else if (!block && balloon->n_small) {
		page = lodge_movable_take(&balloon->small);
		balloon->n_small -= page ? 1 : 0;
	}
	spin_unlock(&balloon->lock);
	return page;
}

/*
 * Moves up to @pages of one kind to @list and into the request, which has room for each: how many.
 * Talk is held.
 */
static unsigned long pick(struct lodge_balloon *balloon, bool blocks, unsigned long pages,
			  struct list_head *list)
{
	unsigned long each = blocks ? LODGE_BLOCK_PAGES : 1, picked = 0, n;
	struct page *page;

	lodge_balloon_begin(balloon);
	for (n = 0; n < LODGE_BALLOON_RANGES && picked < pages; n++) {
		page = pick_one(balloon, blocks);
		if (!page)
			break;
		(void)lodge_balloon_add(balloon, page_to_phys(page), each);
		list_add_tail(&page->lru, list);
		picked += each;
	}
	return picked;
}

static unsigned long deflate_kind(struct lodge_balloon *balloon, bool blocks, unsigned long pages)
{
	unsigned long picked;
	LIST_HEAD(list);

	mutex_lock(&balloon->talk);
	picked = pick(balloon, blocks, pages, &list);
	/* Told before they are used again. Without a host nobody else has them. */
	if (picked)
		(void)lodge_balloon_ask(balloon, LODGE_BALLOON_DEFLATE);
	mutex_unlock(&balloon->talk);
	free_pages_of(&list, blocks ? LODGE_BLOCK_ORDER : 0);
	return picked;
}

unsigned long lodge_balloon_deflate(struct lodge_balloon *balloon, unsigned long pages)
{
	unsigned long given = 0, part;

	/* Single pages first: they are what keeps the system fragmented. Who has nothing to give
	 * does not wait for those who talk. */
	while (given < pages && lodge_balloon_pages(balloon)) {
		part = deflate_kind(balloon, false, pages - given);
		if (!part)
			part = deflate_kind(balloon, true, pages - given);
		if (!part)
			break;
		given += part;
	}
	return given;
}

void lodge_balloon_empty(struct lodge_balloon *balloon)
{
	/* Pages that are on the move come back, where they were or elsewhere. */
	while (lodge_balloon_deflate(balloon, ULONG_MAX), lodge_balloon_pages(balloon))
		msleep(1);
}

unsigned long lodge_balloon_relieve(struct lodge_balloon *balloon, unsigned long pages)
{
	unsigned long given;

	spin_lock(&balloon->lock);
	balloon->held = true;
	balloon->held_until = jiffies + hold_time();
	spin_unlock(&balloon->lock);
	given = lodge_balloon_deflate(balloon, pages);
	spin_lock(&balloon->lock);
	balloon->returned += given;
	/* The host has its word kept later: it need not say it again. */
	if (given && !balloon->stopping)
		queue_delayed_work(balloon->queue, &balloon->work, hold_time());
	spin_unlock(&balloon->lock);
	return given;
}

void lodge_balloon_hibernate(struct lodge_balloon *balloon, bool begins)
{
	bool stopping;

	spin_lock(&balloon->lock);
	balloon->hibernating = begins;
	stopping = balloon->stopping;
	spin_unlock(&balloon->lock);
	if (stopping)
		return;
	lodge_balloon_wake(balloon);
	if (begins)
		flush_delayed_work(&balloon->work);
}

/* ---- taking ---- */

static bool has_room(void)
{
	return lodge_available_pages() > lodge_balloon_floor() + LODGE_BLOCK_PAGES;
}

/* Pages of one kind, at most what a request names: how many were had. */
static unsigned long take(bool blocks, unsigned long pages, struct list_head *list)
{
	unsigned int order = blocks ? LODGE_BLOCK_ORDER : 0, n;
	gfp_t flags = TAKE_FLAGS | (blocks ? GFP_HIGHUSER : LODGE_MOVABLE_FLAGS);
	unsigned long each = 1ul << order, taken = 0;
	struct page *page;

	for (n = 0; n < LODGE_BALLOON_RANGES && pages - taken >= each; n++) {
		if (n % 64 == 0 || blocks) {
			cond_resched();
			if (!has_room())
				break;
		}
		page = alloc_pages(flags, order);
		if (!page)
			break;
		list_add_tail(&page->lru, list);
		taken += each;
	}
	return taken;
}

/* They are the host's. Talk is held. */
static void keep(struct lodge_balloon *balloon, bool blocks, unsigned long pages,
		 struct list_head *list)
{
	struct page *page, *next;

	spin_lock(&balloon->lock);
	if (blocks) {
		list_splice(list, &balloon->blocks);
		balloon->n_blocks += pages / LODGE_BLOCK_PAGES;
	} else {
		list_for_each_entry_safe(page, next, list, lru) {
			list_del_init(&page->lru);
			lodge_movable_put(&balloon->small, page);
		}
		balloon->n_small += pages;
	}
	spin_unlock(&balloon->lock);
}

/* Tells the host of @list, and keeps it. False: there is no host, and @list is free again. */
static bool hand_over(struct lodge_balloon *balloon, bool blocks, unsigned long pages,
		      struct list_head *list)
{
	unsigned long each = blocks ? LODGE_BLOCK_PAGES : 1;
	struct page *page;
	int err;

	mutex_lock(&balloon->talk);
	lodge_balloon_begin(balloon);
	list_for_each_entry(page, list, lru)
		(void)lodge_balloon_add(balloon, page_to_phys(page), each);
	err = lodge_balloon_ask(balloon, LODGE_BALLOON_INFLATE);
	if (!err)
		keep(balloon, blocks, pages, list);
	mutex_unlock(&balloon->talk);
	if (err)
		free_pages_of(list, blocks ? LODGE_BLOCK_ORDER : 0);
	return !err;
}

static bool inflate(struct lodge_balloon *balloon, unsigned long pages)
{
	bool blocks = true;
	unsigned long taken;
	LIST_HEAD(list);

	taken = take(true, pages, &list);
	if (!taken) {
		blocks = false;
		taken = take(false, min(pages, LODGE_BLOCK_PAGES), &list);
	}
	return taken && hand_over(balloon, blocks, taken, &list);
}

/* One block in the place of as many single pages. */
static bool tidy(struct lodge_balloon *balloon)
{
	LIST_HEAD(list);

	if (!take(true, LODGE_BLOCK_PAGES, &list) ||
	    !hand_over(balloon, true, LODGE_BLOCK_PAGES, &list))
		return false;
	(void)deflate_kind(balloon, false, LODGE_BLOCK_PAGES);
	return true;
}

/* ---- the work ---- */

/* What is missing to the target; negative: too much. 0 also while nothing may be taken. */
static long missing(struct lodge_balloon *balloon)
{
	long target = READ_ONCE(balloon->target);
	long diff;

	spin_lock(&balloon->lock);
	if (balloon->held && time_after(jiffies, balloon->held_until))
		balloon->held = false;
	if (balloon->stopping || balloon->hibernating)
		target = 0;
	diff = target - (long)(balloon->n_blocks * LODGE_BLOCK_PAGES + balloon->n_small);
	if (diff > 0 && balloon->held)
		diff = 0;
	spin_unlock(&balloon->lock);
	return diff;
}

/* When to look again, or 0. */
static unsigned long next_look(struct lodge_balloon *balloon, bool stuck)
{
	unsigned long delay = stuck ? RETRY : 0;

	spin_lock(&balloon->lock);
	if (balloon->held)
		delay = hold_time();
	else if (!delay && balloon->n_small >= LODGE_BLOCK_PAGES)
		delay = TIDY_DELAY;
	if (balloon->stopping)
		delay = 0;
	spin_unlock(&balloon->lock);
	return delay;
}

void lodge_balloon_work(struct work_struct *work)
{
	struct lodge_balloon *balloon =
		container_of(to_delayed_work(work), struct lodge_balloon, work);
	unsigned long delay;
	bool stuck = false;
	long diff;

	while (!stuck && (diff = missing(balloon))) {
		if (diff > 0)
			stuck = !inflate(balloon, diff);
		else
			stuck = !lodge_balloon_deflate(balloon, -diff);
	}
	delay = next_look(balloon, stuck);
	if (!stuck && delay == TIDY_DELAY && tidy(balloon))
		delay = 1;
	if (delay)
		queue_delayed_work(balloon->queue, &balloon->work, delay);
}

void lodge_balloon_wake(struct lodge_balloon *balloon)
{
	/* What was to be looked at later is looked at now. */
	cancel_delayed_work(&balloon->work);
	queue_delayed_work(balloon->queue, &balloon->work, 0);
}

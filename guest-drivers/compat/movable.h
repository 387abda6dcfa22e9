/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Single pages of a balloon, which the kernel may move to make larger pieces of free memory: what
 * it calls balloon compaction, from Linux 4.15 on. Where it cannot (before, a page is taken and
 * made movable in one step, under the locks that its move takes), they stay where they are.
 */
#ifndef LODGE_COMPAT_MOVABLE_H
#define LODGE_COMPAT_MOVABLE_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "compat/compat.h"

#if defined(CONFIG_BALLOON_MIGRATION) || defined(CONFIG_BALLOON_COMPACTION)
#if defined(LODGE_HAVE_BALLOON_PAGES)
#include <linux/balloon.h>
#define LODGE_MOVES_PAGES
#elif defined(LODGE_HAVE_BALLOON_COMPACTION)
#include <linux/balloon_compaction.h>
#define LODGE_MOVES_PAGES
#endif
#endif

struct lodge_movable;

/* Has @to in the balloon in place of @from: 0; -EAGAIN, later perhaps; -EBUSY, it cannot. May wait
 * for the host. */
typedef int lodge_move_function(struct lodge_movable *movable, struct page *to, struct page *from);

#ifdef LODGE_MOVES_PAGES

#define LODGE_MOVABLE_FLAGS GFP_HIGHUSER_MOVABLE

struct lodge_movable {
	struct balloon_dev_info info;
#ifdef LODGE_HAVE_BALLOON_INODE
	struct inode inode; /* whose mapping leads from a page to what moves it, and no more */
#endif
	lodge_move_function *move;
};

/* The kernel has taken @from out of the list. */
static inline int lodge_movable_migrate(struct balloon_dev_info *info, struct page *to,
					struct page *from, enum migrate_mode mode)
{
	struct lodge_movable *movable = container_of(info, struct lodge_movable, info);
#ifdef LODGE_HAVE_BALLOON_COMPACTION
	unsigned long flags;
#endif
	int err;

	if (mode == MIGRATE_ASYNC)
		return -EBUSY;
	err = movable->move(movable, to, from);
#ifdef LODGE_HAVE_BALLOON_COMPACTION
	if (err)
		return err;
	get_page(to);
	spin_lock_irqsave(&info->pages_lock, flags);
	balloon_page_insert(info, to);
	info->isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
#ifdef LODGE_HAVE_BALLOON_FINALIZE
	balloon_page_finalize(from);
#else
	balloon_page_delete(from);
#endif
	spin_unlock_irqrestore(&info->pages_lock, flags);
	put_page(from);
#endif
	return err;
}

/* @movable is zeroed. */
static inline void lodge_movable_init(struct lodge_movable *movable, lodge_move_function *move)
{
	balloon_devinfo_init(&movable->info);
	movable->info.migratepage = lodge_movable_migrate;
	movable->move = move;
#ifdef LODGE_HAVE_BALLOON_INODE
	address_space_init_once(&movable->inode.i_data);
	movable->inode.i_data.host = &movable->inode;
	movable->inode.i_data.a_ops = &balloon_aops;
	movable->inode.i_mapping = &movable->inode.i_data;
	movable->info.inode = &movable->inode;
#endif
}

/* @page is in no list, and was taken with LODGE_MOVABLE_FLAGS. */
static inline void lodge_movable_put(struct lodge_movable *movable, struct page *page)
{
	balloon_page_enqueue(&movable->info, page);
}

/* NULL: all of them are on the move. The caller knows that there is one. */
static inline struct page *lodge_movable_take(struct lodge_movable *movable)
{
	return balloon_page_dequeue(&movable->info);
}

#else

#define LODGE_MOVABLE_FLAGS GFP_HIGHUSER

struct lodge_movable {
	struct list_head pages;
};

static inline void lodge_movable_init(struct lodge_movable *movable, lodge_move_function *move)
{
	INIT_LIST_HEAD(&movable->pages);
}

static inline void lodge_movable_put(struct lodge_movable *movable, struct page *page)
{
	list_add(&page->lru, &movable->pages);
}

static inline struct page *lodge_movable_take(struct lodge_movable *movable)
{
	struct page *page = list_first_entry(&movable->pages, struct page, lru);

	list_del(&page->lru);
	return page;
}

#endif
#endif

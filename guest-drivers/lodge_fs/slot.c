// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots: memory of ours that a program maps and the device reads and writes, so that messages are
 * copied nowhere between the two.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <linux/fuse.h>

#include "compat/compat.h"
#include "lodge_fs/lodge_fs.h"

#define UNIT_ORDER get_order(LODGE_FS_SLOT_UNIT)
#define UNIT_PAGES (1u << UNIT_ORDER)

/* All slots together are at most this part of the guest's memory. */
#define MEMORY_SHARE 8

void lodge_fs_slots_init(struct lodge_fs_session *session)
{
	unsigned int i;

	mutex_init(&session->slots_lock);
	for (i = 0; i < LODGE_FS_SLOTS_MAX; i++) {
		session->slots[i].token.kind = LODGE_FS_SLOT;
		session->slots[i].state = LODGE_FS_SLOT_UNMAPPED;
		spin_lock_init(&session->slots[i].lock);
		init_waitqueue_head(&session->slots[i].wait);
	}
}

int lodge_fs_slots_set(struct lodge_fs_session *session, const struct lodge_fs_slots *wanted)
{
	struct sysinfo info;
	u64 limit;
	int err = 0;

	if (!wanted->slots || wanted->slots > LODGE_FS_SLOTS_MAX || !wanted->slot_size ||
	    wanted->slot_size > LODGE_FS_SLOT_SIZE_MAX || wanted->slot_size % LODGE_FS_SLOT_UNIT)
		return -EINVAL;
	si_meminfo(&info);
	limit = (u64)info.totalram * info.mem_unit / MEMORY_SHARE;
	if ((u64)wanted->slots * wanted->slot_size > limit)
		return -EINVAL;
	mutex_lock(&session->slots_lock);
	if (session->n_slots) {
		err = -EBUSY;
	} else {
		session->slot_size = wanted->slot_size;
		session->n_slots = wanted->slots;
	}
	mutex_unlock(&session->slots_lock);
	return err;
}

static void free_pages_of(struct page **pages, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && pages[i]; i++)
		put_page(pages[i]);
}

/* Few descriptors where memory is not in pieces: 64 KiB in one. Pages of their own all the same, as
 * they are mapped one by one. */
static bool alloc_unit(struct page **pages)
{
	struct page *page =
		alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_NORETRY | __GFP_NOWARN, UNIT_ORDER);
	unsigned int i;

	if (page)
		split_page(page, UNIT_ORDER);
	for (i = 0; i < UNIT_PAGES; i++) {
		pages[i] = page ? page + i : alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!pages[i])
			return false;
	}
	return true;
}

static int alloc_slot(struct lodge_fs_slot *slot, unsigned int n_pages)
{
	unsigned int i;

	slot->pages = kcalloc(n_pages, sizeof(*slot->pages), GFP_KERNEL);
	/* Request and reply share no byte, but may share a page. */
	slot->sg = kcalloc(n_pages + 1, sizeof(*slot->sg), GFP_KERNEL);
	if (!slot->pages || !slot->sg)
		goto free_slot;
	for (i = 0; i < n_pages; i += UNIT_PAGES) {
		if (!alloc_unit(slot->pages + i))
			goto free_slot;
	}
	return 0;
free_slot:
	if (slot->pages)
		free_pages_of(slot->pages, n_pages);
	kfree(slot->pages);
	kfree(slot->sg);
	slot->pages = NULL;
	slot->sg = NULL;
	return -ENOMEM;
}

static int take_slot(struct lodge_fs_slot *slot)
{
	int err = 0;

	spin_lock_irq(&slot->lock);
	if (slot->state == LODGE_FS_SLOT_UNMAPPED)
		err = -EINVAL;
	else if (slot->state != LODGE_FS_SLOT_IDLE)
		err = -EBUSY;
	else
		slot->state = LODGE_FS_SLOT_TAKEN;
	spin_unlock_irq(&slot->lock);
	return err;
}

static void release_slot(struct lodge_fs_slot *slot)
{
	spin_lock_irq(&slot->lock);
	slot->state = LODGE_FS_SLOT_IDLE;
	spin_unlock_irq(&slot->lock);
}

static int map_pages(struct vm_area_struct *vma, struct page **pages)
{
	unsigned long at;
	int err = 0;

	for (at = vma->vm_start; at < vma->vm_end && !err; at += PAGE_SIZE)
		err = vm_insert_page(vma, at, *pages++);
	return err;
}

int lodge_fs_slot_map(struct lodge_fs_session *session, struct vm_area_struct *vma)
{
	size_t size = vma->vm_end - vma->vm_start;
	struct lodge_fs_slot *slot;
	unsigned long number;
	int err;

	mutex_lock(&session->slots_lock);
	err = -EINVAL;
	if (!session->n_slots || size != session->slot_size || !(vma->vm_flags & VM_SHARED))
		goto unlock;
	number = vma->vm_pgoff / (size >> PAGE_SHIFT);
	if (number >= session->n_slots || vma->vm_pgoff % (size >> PAGE_SHIFT))
		goto unlock;
	slot = &session->slots[number];
	err = -EBUSY;
	if (slot->pages)
		goto unlock;
	err = alloc_slot(slot, size >> PAGE_SHIFT);
	if (err)
		goto unlock;
	err = map_pages(vma, slot->pages);
	/* What was mapped before a failure goes with the mapping; the slot is there either way. */
	release_slot(slot);
unlock:
	mutex_unlock(&session->slots_lock);
	return err;
}

static int check_exchange(const struct lodge_fs_session *session, const struct lodge_fs_exchange *x)
{
	u32 size = session->slot_size;

	if (x->slot >= session->n_slots || x->reserved[0] || x->reserved[1])
		return -EINVAL;
	if (x->request_size < sizeof(struct fuse_in_header) || x->request_size > size ||
	    x->request_offset > size - x->request_size)
		return -EINVAL;
	if (x->reply_max < sizeof(struct fuse_out_header) || x->reply_max > size ||
	    x->reply_offset > size - x->reply_max)
		return -EINVAL;
	if (x->request_offset < x->reply_offset + x->reply_max &&
	    x->reply_offset < x->request_offset + x->request_size)
		return -EINVAL;
	return 0;
}

static unsigned int pages_in(u32 offset, u32 size)
{
	return DIV_ROUND_UP(offset % PAGE_SIZE + size, PAGE_SIZE);
}

/* Pages that lie behind each other are one entry, up to a size that any IOMMU maps. The number of
 * entries. */
static unsigned int fill_table(struct scatterlist *sg, struct page **pages, u32 offset, u32 size)
{
	struct page **page = pages + (offset >> PAGE_SHIFT);
	unsigned int n = 0;

	offset &= ~PAGE_MASK;
	while (size) {
		struct page *first = *page;
		u32 start = offset;
		u32 length = 0;

		do {
			u32 part = min_t(u32, size, PAGE_SIZE - offset);

			length += part;
			size -= part;
			offset = 0;
			page++;
		} while (size && length < LODGE_FS_SLOT_UNIT &&
			 page_to_pfn(*page) == page_to_pfn(page[-1]) + 1);
		sg_set_page(&sg[n++], first, length, start);
	}
	sg_mark_end(&sg[n - 1]);
	return n;
}

void lodge_fs_slot_done(struct lodge_fs_slot *slot, u32 used)
{
	unsigned long flags;

	atomic_dec(&slot->queue->slots);
	spin_lock_irqsave(&slot->lock, flags);
	slot->used = used;
	slot->state = LODGE_FS_SLOT_DONE;
	wake_up(&slot->wait);
	spin_unlock_irqrestore(&slot->lock, flags);
}

/* 0 and *ret_used; the slot is idle then. Else it stays taken: the device may write to it. */
static int wait_for_reply(struct lodge_fs_session *session, struct lodge_fs_slot *slot,
			  u32 *ret_used)
{
	int err = wait_event_killable(slot->wait,
				      slot->state == LODGE_FS_SLOT_DONE || session->error);

	spin_lock_irq(&slot->lock);
	if (slot->state == LODGE_FS_SLOT_DONE) {
		*ret_used = slot->used;
		slot->state = LODGE_FS_SLOT_IDLE;
		err = 0;
	} else {
		err = err ? -EINTR : session->error;
	}
	spin_unlock_irq(&slot->lock);
	return err;
}

/* This processor's, whose interrupt comes to it; but the host serves one thing of a queue at a
 * time, and an idle queue is better than one where something is slow. */
static struct lodge_fs_queue *choose_queue(struct lodge_fs_session *session)
{
	unsigned int n = session->n_queues - LODGE_FS_QUEUE_REQUEST;
	unsigned int own = raw_smp_processor_id();
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct lodge_fs_queue *queue = lodge_fs_request_queue(session, own + i);

		if (!atomic_read(&queue->slots))
			return queue;
	}
	return lodge_fs_request_queue(session, own);
}

/* The slot is taken. */
static int give_to_device(struct lodge_fs_session *session, struct lodge_fs_slot *slot,
			  const struct lodge_fs_exchange *x)
{
	struct lodge_fs_buffers buffers;
	unsigned int n;
	int err;

	sg_init_table(slot->sg, pages_in(x->request_offset, x->request_size) +
					pages_in(x->reply_offset, x->reply_max));
	n = fill_table(slot->sg, slot->pages, x->request_offset, x->request_size);
	buffers.out = slot->sg;
	buffers.in = slot->sg + n;
	n += fill_table(slot->sg + n, slot->pages, x->reply_offset, x->reply_max);
	buffers.segments = n;
	slot->queue = choose_queue(session);
	atomic_inc(&slot->queue->slots);
	err = lodge_fs_queue_add(session, slot->queue, &buffers, &slot->token, true);
	if (err)
		atomic_dec(&slot->queue->slots);
	return err;
}

int lodge_fs_slot_exchange(struct lodge_fs_session *session, struct lodge_fs_exchange *x)
{
	struct lodge_fs_slot *slot;
	u32 used = 0;
	int err;

	err = check_exchange(session, x);
	if (err)
		return err;
	slot = &session->slots[x->slot];
	err = take_slot(slot);
	if (err)
		return err;
	err = give_to_device(session, slot, x);
	if (err) {
		release_slot(slot);
		return err;
	}
	err = wait_for_reply(session, slot, &used);
	if (!err)
		x->reply_size = min(used, x->reply_max);
	return err;
}

void lodge_fs_slots_free(struct lodge_fs_session *session)
{
	unsigned int i;

	for (i = 0; i < LODGE_FS_SLOTS_MAX; i++) {
		struct lodge_fs_slot *slot = &session->slots[i];

		if (!slot->pages)
			continue;
		free_pages_of(slot->pages, session->slot_size >> PAGE_SHIFT);
		kfree(slot->pages);
		kfree(slot->sg);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* A virtio device whose other side is a module: what the fake devices of the tests have in common.
 */
#ifndef LODGE_TEST_FAKE_H
#define LODGE_TEST_FAKE_H

#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/wait.h>

#define FAKE_QUEUES_MAX 3
#define FAKE_RING_SIZE	64

struct fake;

struct fake_type {
	const char *name; /* of its thread and its parent in sysfs */
	u32 id; /* of virtio */
	unsigned int queues; /* FAKE_QUEUES_MAX at most */
	unsigned int period; /* in jiffies: it works that often, and whenever it is notified */
	/* The driver reads or writes (NULL: in vain) its configuration. */
	void (*get)(struct fake *fake, unsigned int offset, void *to, unsigned int len);
	void (*set)(struct fake *fake, unsigned int offset, const void *from, unsigned int len);
	/* While the driver is there; its lock is held. Interrupts come behind it. */
	void (*work)(struct fake *fake);
	/* What it remembers of the driver is over; its lock is held. */
	void (*reset)(struct fake *fake);
};

struct fake {
	struct virtio_device vdev;
	const struct fake_type *type;
	u64 features; /* beside VIRTIO_F_VERSION_1 and indirect descriptors */
	struct device *parent;
	struct task_struct *thread;
	struct mutex lock; /* queues come and go */
	struct virtqueue *vqs[FAKE_QUEUES_MAX]; /* NULL where the driver has none */
	u16 seen[FAKE_QUEUES_MAX];
	u8 status;
	bool kicked;
	bool lame; /* it gives out no queues */
	wait_queue_head_t wake;
};

/*
 * @fake is zeroed, and the first member of what kmalloc() gave: it is freed with the device, also
 * where this fails.
 */
int fake_begin(struct fake *fake, const struct fake_type *type, u64 features);
void fake_end(struct fake *fake);

/* A chain of the driver's, if there is one. */
bool fake_pop(struct fake *fake, unsigned int queue, u16 *ret_head);
/* Any numbers, also of no chain. */
void fake_push(struct fake *fake, unsigned int queue, u32 head, u32 len);
/* The first descriptor of a chain that the device writes (or reads) and that is at least @least
 * long, and how long, or NULL. */
void *fake_find(struct fake *fake, unsigned int queue, u16 head, bool write, u32 least,
		u32 *ret_len);

/* The configuration has changed; the device asks to be reset. */
void fake_change(struct fake *fake);
void fake_want_reset(struct fake *fake);
/* The machine sleeps and wakes, and the device does not: the driver's restore() fails. What
 * freezing it gave, or 0. */
int fake_sleep_for_good(struct fake *fake);

static inline u32 fake_draw(u32 below)
{
	return get_random_u32() % below;
}

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A host that misbehaves, for tests of lodge_backdoor: a virtio device of its kind whose other side
 * is this module. Requests come back late, damaged, too long or too short, in any order, never, or
 * twice; events are noise, for any session; at times the device breaks and asks to be reset.
 * Nothing of it may be a program's or the kernel's harm, but for errors. With calm=1 it
 * answers every request at once and says nothing by itself; writing to reset has it ask for one.
 *
 * With balloon=1 it has a balloon, whose pages stay where they are: target is what it asks for,
 * given what it was given and did not give back, back all that it gave back. cycles=N asks N times
 * for cycle_pages and then for nothing, each as soon as the other is done. With mute=1 it takes the
 * balloon's requests and never answers.
 */
#include <linux/device.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <lodge/backdoor.h>
#include <lodge/balloon.h>
#include <lodge/rpc.h>

#define RING_SIZE  64
#define HELD_MOST  16
#define RARELY	   400 /* breaks of the ring: one in so many requests */
#define REPLY_TEXT "1 fine"

struct fake {
	struct virtio_device vdev;
	struct device *parent;
	struct task_struct *thread;
	struct mutex lock; /* queues come and go */
	struct virtqueue *vqs[LODGE_BACKDOOR_QUEUES];
	u16 seen[LODGE_BACKDOOR_QUEUES];
	u16 held[HELD_MOST]; /* requests that are not returned yet */
	unsigned int n_held;
	u16 stats; /* the balloon's request that is kept, if has_stats */
	bool has_stats;
	u8 status;
	bool kicked;
	wait_queue_head_t wake;
};

static bool calm;
module_param(calm, bool, 0644);
static bool balloon;
module_param(balloon, bool, 0444);
static bool mute;
module_param(mute, bool, 0644);
static unsigned int target, cycles, cycle_pages = 4096;
module_param(cycles, uint, 0644);
module_param(cycle_pages, uint, 0644);
static int given, back;
module_param(given, int, 0444);
module_param(back, int, 0444);

static u32 draw(u32 below)
{
	return get_random_u32() % below;
}

/* ---- the device's side of the rings ---- */

static void push(struct virtqueue *vq, u32 head, u32 len)
{
	struct vring *vring = (struct vring *)virtqueue_get_vring(vq);
	u16 idx = le16_to_cpu((__force __le16)vring->used->idx);

	vring->used->ring[idx % RING_SIZE].id = (__force __virtio32)cpu_to_le32(head);
	vring->used->ring[idx % RING_SIZE].len = (__force __virtio32)cpu_to_le32(len);
	smp_wmb();
	vring->used->idx = (__force __virtio16)cpu_to_le16(idx + 1);
}

static bool pop(struct fake *fake, unsigned int queue, u16 *ret_head)
{
	const struct vring *vring = virtqueue_get_vring(fake->vqs[queue]);

	if (fake->seen[queue] == le16_to_cpu((__force __le16)vring->avail->idx))
		return false;
	smp_rmb();
	*ret_head =
		le16_to_cpu((__force __le16)vring->avail->ring[fake->seen[queue]++ % RING_SIZE]);
	return true;
}

/* The first descriptor of a chain that the device writes (or reads), at least @least long, or NULL.
 */
static void *find(struct virtqueue *vq, u16 head, bool write, u32 least)
{
	const struct vring *vring = virtqueue_get_vring(vq);
	const struct vring_desc *desc = &vring->desc[head];
	const struct vring_desc *table = vring->desc;
	u16 flags = le16_to_cpu((__force __le16)desc->flags);

	if (flags & VRING_DESC_F_INDIRECT) {
		table = phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
		desc = table;
	}
	for (;; desc = &table[le16_to_cpu((__force __le16)desc->next)]) {
		flags = le16_to_cpu((__force __le16)desc->flags);
		if (!(flags & VRING_DESC_F_WRITE) == !write &&
		    le32_to_cpu((__force __le32)desc->len) >= least)
			return phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
		if (!(flags & VRING_DESC_F_NEXT))
			return NULL;
	}
}

/* ---- what it says ---- */

static u32 good_reply(struct virtqueue *vq, u16 head)
{
	const struct lodge_rpc_header *request = find(vq, head, false, sizeof(*request));
	struct lodge_rpc_header *reply = find(vq, head, true, sizeof(*reply) + sizeof(REPLY_TEXT));

	if (!request || !reply)
		return 0;
	*reply = *request;
	reply->type = cpu_to_le16(LODGE_RPC_REPLY);
	reply->flags = 0;
	reply->reply_max = 0;
	reply->size = cpu_to_le32(strlen(REPLY_TEXT));
	memcpy(reply + 1, REPLY_TEXT, strlen(REPLY_TEXT));
	return sizeof(*reply) + strlen(REPLY_TEXT);
}

static void damage(struct virtqueue *vq, u16 head)
{
	u8 *bytes = find(vq, head, true, LODGE_RPC_HEADER_SIZE);

	if (bytes)
		bytes[draw(LODGE_RPC_HEADER_SIZE)] = get_random_u32();
}

static void break_something(struct fake *fake, u16 head)
{
	struct virtqueue *vq = fake->vqs[LODGE_BACKDOOR_QUEUE_REQUEST];

	switch (draw(3)) {
	case 0:
		push(vq, head, 24);
		push(vq, head, 24);
		break;
	case 1:
		push(vq, 40000, 24);
		break;
	case 2:
		fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		virtio_config_changed(&fake->vdev);
		break;
	}
}

static void answer(struct fake *fake, u16 head)
{
	struct virtqueue *vq = fake->vqs[LODGE_BACKDOOR_QUEUE_REQUEST];
	u32 good = good_reply(vq, head);

	if (calm) {
		push(vq, head, good);
		return;
	}
	if (draw(RARELY) == 0) {
		break_something(fake, head);
		return;
	}
	switch (draw(8)) {
	case 0:
		push(vq, head, get_random_u32());
		break;
	case 1:
		push(vq, head, draw(64));
		break;
	case 2:
	case 3:
		damage(vq, head);
		push(vq, head, good);
		break;
	case 4:
		if (fake->n_held < HELD_MOST) {
			fake->held[fake->n_held++] = head;
			break;
		}
		fallthrough;
	default:
		push(vq, head, good);
	}
	if (fake->n_held && draw(4) == 0)
		push(vq, fake->held[--fake->n_held], good);
}

static void say_something(struct fake *fake)
{
	struct virtqueue *vq = fake->vqs[LODGE_BACKDOOR_QUEUE_EVENT];
	struct lodge_rpc_header *header;
	u32 len = LODGE_RPC_HEADER_SIZE + draw(4) * draw(1000);
	u16 head;

	if (!pop(fake, LODGE_BACKDOOR_QUEUE_EVENT, &head))
		return;
	header = find(vq, head, true, sizeof(*header));
	if (header) {
		header->magic = cpu_to_le32(LODGE_RPC_MAGIC);
		header->size = cpu_to_le32(len - LODGE_RPC_HEADER_SIZE);
		header->type = cpu_to_le16(draw(20) ? LODGE_RPC_COMMAND + draw(4) : draw(12));
		header->flags = 0;
		header->session = cpu_to_le32(draw(20) ? draw(8) : get_random_u32());
		header->tag = cpu_to_le32(get_random_u32());
		header->reply_max = 0;
		if (draw(8) == 0)
			((u8 *)header)[draw(LODGE_RPC_HEADER_SIZE)] = get_random_u32();
	}
	push(vq, head, draw(30) ? len : get_random_u32());
}

/* ---- the balloon ---- */

static void answer_balloon(struct fake *fake, u16 head, u16 refused)
{
	struct virtqueue *vq = fake->vqs[LODGE_BACKDOOR_QUEUE_BALLOON];
	struct lodge_balloon_reply *reply = find(vq, head, true, sizeof(*reply));

	if (reply) {
		reply->refused = cpu_to_le16(refused);
		reply->reserved = 0;
		reply->target = cpu_to_le32(target);
	}
	if (calm || draw(8)) {
		push(vq, head, sizeof(*reply));
		return;
	}
	switch (draw(4)) {
	case 0:
		push(vq, head, draw(16));
		break;
	case 1:
		push(vq, head, get_random_u32());
		break;
	case 2:
		push(vq, head, sizeof(*reply));
		push(vq, draw(20) ? head : get_random_u32(), sizeof(*reply));
		break;
	}
}

/* What it keeps goes back when there is something newer, or the module goes. */
static void release_stats(struct fake *fake)
{
	if (fake->has_stats)
		answer_balloon(fake, fake->stats, 0);
	fake->has_stats = false;
}

static void take_pages(const struct lodge_balloon_request *request, int sign)
{
	const struct lodge_balloon_range *range = (const void *)(request + 1);
	unsigned int i;

	for (i = 0; i < le16_to_cpu(request->count); i++) {
		given += sign * (int)le32_to_cpu(range[i].pages);
		back += sign < 0 ? (int)le32_to_cpu(range[i].pages) : 0;
	}
}

static void serve_balloon(struct fake *fake, u16 head)
{
	struct virtqueue *vq = fake->vqs[LODGE_BACKDOOR_QUEUE_BALLOON];
	const struct lodge_balloon_request *request = find(vq, head, false, sizeof(*request));

	if (mute || !request)
		return;
	switch (le16_to_cpu(request->op)) {
	case LODGE_BALLOON_STATS:
		release_stats(fake);
		if (request->count) {
			fake->stats = head;
			fake->has_stats = true;
			return;
		}
		break;
	case LODGE_BALLOON_INFLATE:
		take_pages(request, 1);
		break;
	case LODGE_BALLOON_DEFLATE:
		take_pages(request, -1);
		break;
	}
	answer_balloon(fake, head, calm ? 0 : draw(4) * draw(1000));
}

static void ask_for_pages(struct fake *fake, unsigned int pages)
{
	WRITE_ONCE(target, pages);
	virtio_config_changed(&fake->vdev);
}

static void work_on_balloon(struct fake *fake)
{
	u16 head;

	while (pop(fake, LODGE_BACKDOOR_QUEUE_BALLOON, &head))
		serve_balloon(fake, head);
	if (!mute && draw(calm ? 20 : 3) == 0)
		release_stats(fake);
	if (!calm && draw(10) == 0)
		ask_for_pages(fake, draw(4) ? draw(40000) : get_random_u32());
	if (cycles && given == (int)target) {
		if (target)
			cycles--;
		ask_for_pages(fake, target ? 0 : cycle_pages);
	}
}

static int host(void *opaque)
{
	struct fake *fake = opaque;
	unsigned int i;
	u16 head;

	while (!kthread_should_stop()) {
		wait_event_interruptible_timeout(fake->wake, fake->kicked || kthread_should_stop(),
						 HZ / 20);
		mutex_lock(&fake->lock);
		fake->kicked = false;
		if (fake->vqs[0] && fake->status & VIRTIO_CONFIG_S_DRIVER_OK) {
			while (pop(fake, LODGE_BACKDOOR_QUEUE_REQUEST, &head))
				answer(fake, head);
			for (i = calm ? 0 : draw(6); i; i--)
				say_something(fake);
			if (balloon && fake->vqs[LODGE_BACKDOOR_QUEUE_BALLOON])
				work_on_balloon(fake);
			for (i = 0; i < LODGE_BACKDOOR_QUEUES && fake->vqs[i]; i++)
				vring_interrupt(0, fake->vqs[i]);
		}
		mutex_unlock(&fake->lock);
	}
	return 0;
}

/* ---- the transport ---- */

static struct fake *fake_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct fake, vdev);
}

static void get(struct virtio_device *vdev, unsigned int offset, void *to, unsigned int len)
{
	const struct lodge_backdoor_config config = {
		.payload_max = cpu_to_le32(LODGE_RPC_PAYLOAD_MAX),
		.sessions_max = cpu_to_le32(LODGE_RPC_SESSIONS_MAX),
		.event_size = cpu_to_le32(LODGE_BACKDOOR_EVENT_SIZE),
		.balloon_target = cpu_to_le32(READ_ONCE(target)),
	};

	memcpy(to, (const u8 *)&config + offset, len);
}

static u8 get_status(struct virtio_device *vdev)
{
	return fake_of(vdev)->status;
}

static void set_status(struct virtio_device *vdev, u8 status)
{
	fake_of(vdev)->status = status;
}

static void reset(struct virtio_device *vdev)
{
	struct fake *fake = fake_of(vdev);

	mutex_lock(&fake->lock);
	fake->status = 0;
	fake->n_held = 0;
	fake->has_stats = false;
	given = 0;
	mutex_unlock(&fake->lock);
}

static bool notify(struct virtqueue *vq)
{
	struct fake *fake = fake_of(vq->vdev);

	fake->kicked = true;
	wake_up(&fake->wake);
	return true;
}

static void del_vqs(struct virtio_device *vdev)
{
	struct fake *fake = fake_of(vdev);
	unsigned int i;

	mutex_lock(&fake->lock);
	for (i = 0; i < LODGE_BACKDOOR_QUEUES; i++) {
		if (fake->vqs[i])
			vring_del_virtqueue(fake->vqs[i]);
		fake->vqs[i] = NULL;
	}
	mutex_unlock(&fake->lock);
}

static int find_vqs(struct virtio_device *vdev, unsigned int n, struct virtqueue **vqs,
		    vq_callback_t **callbacks, const char *const *names, const bool *ctx,
		    struct irq_affinity *desc)
{
	struct fake *fake = fake_of(vdev);
	struct virtqueue *made[LODGE_BACKDOOR_QUEUES] = {};
	unsigned int i;

	for (i = 0; i < n && i < LODGE_BACKDOOR_QUEUES; i++) {
		made[i] = vring_create_virtqueue(i, RING_SIZE, SMP_CACHE_BYTES, vdev, true, false,
						 false, notify, callbacks[i], names[i]);
		if (!made[i])
			return -ENOMEM;
		vqs[i] = made[i];
	}
	mutex_lock(&fake->lock);
	memcpy(fake->vqs, made, sizeof(made));
	memset(fake->seen, 0, sizeof(fake->seen));
	mutex_unlock(&fake->lock);
	return 0;
}

static u64 get_features(struct virtio_device *vdev)
{
	return BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
	       (balloon ? BIT_ULL(LODGE_BACKDOOR_F_BALLOON) : 0);
}

static int finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const struct virtio_config_ops ops = {
	.get = get,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.find_vqs = find_vqs,
	.del_vqs = del_vqs,
	.get_features = get_features,
	.finalize_features = finalize_features,
};

/* ---- life ---- */

static struct fake *fake;

static int ask_for_reset(const char *value, const struct kernel_param *param)
{
	if (!fake)
		return -ENODEV;
	fake->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	virtio_config_changed(&fake->vdev);
	return 0;
}

static const struct kernel_param_ops reset_ops = { .set = ask_for_reset };
module_param_cb(reset, &reset_ops, NULL, 0200);

static int set_target(const char *value, const struct kernel_param *param)
{
	unsigned int pages;
	int err = kstrtouint(value, 0, &pages);

	if (!err && !fake)
		target = pages;
	else if (!err)
		ask_for_pages(fake, pages);
	return err;
}

static int get_target(char *buffer, const struct kernel_param *param)
{
	return sprintf(buffer, "%u\n", target);
}

static const struct kernel_param_ops target_ops = { .set = set_target, .get = get_target };
module_param_cb(target, &target_ops, NULL, 0644);

static void release(struct device *device)
{
	kfree(fake);
}

static int __init host_init(void)
{
	int err;

	fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	mutex_init(&fake->lock);
	init_waitqueue_head(&fake->wake);
	fake->parent = root_device_register("lodge-test-host");
	if (IS_ERR(fake->parent)) {
		err = PTR_ERR(fake->parent);
		kfree(fake);
		return err;
	}
	fake->thread = kthread_run(host, fake, "lodge-test-host");
	fake->vdev.dev.parent = fake->parent;
	fake->vdev.dev.release = release;
	fake->vdev.id.device = LODGE_BACKDOOR_VIRTIO_ID;
	fake->vdev.id.vendor = 0x1af4;
	fake->vdev.config = &ops;
	err = IS_ERR(fake->thread) ? PTR_ERR(fake->thread) : register_virtio_device(&fake->vdev);
	if (err) {
		if (!IS_ERR(fake->thread))
			kthread_stop(fake->thread);
		root_device_unregister(fake->parent);
		put_device(&fake->vdev.dev);
	}
	return err;
}

static void __exit host_exit(void)
{
	struct device *parent = fake->parent;
	struct task_struct *thread = fake->thread;

	get_device(&fake->vdev.dev);
	unregister_virtio_device(&fake->vdev);
	kthread_stop(thread);
	put_device(&fake->vdev.dev);
	root_device_unregister(parent);
}

module_init(host_init);
module_exit(host_exit);
MODULE_DESCRIPTION("tests of lodge_backdoor: a host that misbehaves");
MODULE_LICENSE("GPL v2");

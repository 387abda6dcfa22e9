// SPDX-License-Identifier: GPL-2.0-only
/*
 * A graphics card that misbehaves, for tests of lodge_display: a virtio-gpu device whose other side
 * is this module. It says that it has 17 screens, and answers by its mood: as it should (fine);
 * with screens and EDIDs that are none (garbage); with less than an answer (short); with another
 * request's answer (wrong); with errors; never (silent); or all of it, late, in any order, with
 * answers to nothing, and asking for resets (mixed). Writing to change tells that screens changed,
 * writing to reset asks for one.
 */
#include <linux/device.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#define QUEUES	  2
#define RING_SIZE 64
#define HELD_MOST 8
#define HEADS	  17

enum mood { FINE, GARBAGE, SHORT, WRONG, ERRORS, SILENT, MIXED, MOODS };

static const char *const mood_names[MOODS] = {
	"fine", "garbage", "short", "wrong", "errors", "silent", "mixed",
};

struct fake {
	struct virtio_device vdev;
	struct device *parent;
	struct task_struct *thread;
	struct mutex lock; /* queues come and go */
	struct virtqueue *vqs[QUEUES];
	u16 seen[QUEUES];
	u16 held[HELD_MOST]; /* control requests that are not returned yet */
	unsigned int n_held;
	u32 events;
	u8 status;
	bool kicked;
	wait_queue_head_t wake;
};

static char *mood = "fine";
module_param(mood, charp, 0444);
static int chosen;

static u32 draw(u32 below)
{
	return get_random_u32() % below;
}

/* ---- the device's side of the rings ---- */

static void give_back(struct fake *fake, unsigned int queue, u32 head, u32 len)
{
	struct vring *vring = (struct vring *)virtqueue_get_vring(fake->vqs[queue]);
	u16 idx = le16_to_cpu((__force __le16)vring->used->idx);
	struct vring_used_elem *elem = &vring->used->ring[idx % RING_SIZE];

	elem->id = (__force __virtio32)cpu_to_le32(head);
	elem->len = (__force __virtio32)cpu_to_le32(len);
	smp_wmb();
	vring->used->idx = (__force __virtio16)cpu_to_le16(idx + 1);
}

static bool take(struct fake *fake, unsigned int queue, u16 *ret_head)
{
	const struct vring *vring = virtqueue_get_vring(fake->vqs[queue]);
	u16 seen = fake->seen[queue];

	if (seen == le16_to_cpu((__force __le16)vring->avail->idx))
		return false;
	smp_rmb();
	*ret_head = le16_to_cpu((__force __le16)vring->avail->ring[seen % RING_SIZE]);
	fake->seen[queue] = seen + 1;
	return true;
}

/* The request's header, and the answer's memory with its size. */
static const struct virtio_gpu_ctrl_hdr *look_at(struct virtqueue *vq, u16 head, void **ret_answer,
						 u32 *ret_size)
{
	const struct vring_desc *table = virtqueue_get_vring(vq)->desc, *desc = &table[head];
	const struct virtio_gpu_ctrl_hdr *request;
	u16 flags = le16_to_cpu((__force __le16)desc->flags);

	if (flags & VRING_DESC_F_INDIRECT)
		desc = table = phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
	request = phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
	for (;;) {
		flags = le16_to_cpu((__force __le16)desc->flags);
		if (flags & VRING_DESC_F_WRITE || !(flags & VRING_DESC_F_NEXT))
			break;
		desc = &table[le16_to_cpu((__force __le16)desc->next)];
	}
	*ret_size = flags & VRING_DESC_F_WRITE ? le32_to_cpu((__force __le32)desc->len) : 0;
	*ret_answer = phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
	return request;
}

/* ---- what it says ---- */

static void say_screens(struct virtio_gpu_resp_display_info *info, bool garbage)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(info->pmodes); i++) {
		struct virtio_gpu_display_one *one = &info->pmodes[i];

		if (garbage) {
			get_random_bytes(one, sizeof(*one));
			if (draw(2))
				one->r.width = one->r.height = cpu_to_le32(U32_MAX >> draw(32));
			continue;
		}
		one->enabled = cpu_to_le32(i < 2);
		one->r.width = cpu_to_le32(640 + 8 * draw(8));
		one->r.height = cpu_to_le32(480);
	}
}

/* With a sum that is right, at times, so that somebody reads the rest. */
static void say_edid(struct virtio_gpu_resp_edid *edid)
{
	static const u8 header[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	unsigned int block, i;

	get_random_bytes(edid->edid, sizeof(edid->edid));
	edid->size = cpu_to_le32(draw(2) ? sizeof(edid->edid) : get_random_u32() >> draw(32));
	if (!draw(3))
		return;
	memcpy(edid->edid, header, sizeof(header));
	edid->edid[18] = 1;
	edid->edid[126] = draw(9);
	for (block = 0; block < sizeof(edid->edid); block += 128) {
		u8 sum = 0;

		if (block)
			edid->edid[block] = draw(2) ? 2 : 0x70;
		for (i = 0; i < 127; i++)
			sum += edid->edid[block + i];
		edid->edid[block + 127] = -sum;
	}
}

static u32 answer(u32 type, void *memory, u32 size, enum mood how)
{
	struct virtio_gpu_ctrl_hdr *header = memory;
	u32 good = VIRTIO_GPU_RESP_OK_NODATA;

	memset(memory, 0, size);
	if (type == VIRTIO_GPU_CMD_GET_DISPLAY_INFO &&
	    size >= sizeof(struct virtio_gpu_resp_display_info)) {
		good = VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
		say_screens(memory, how == GARBAGE);
	} else if (type == VIRTIO_GPU_CMD_GET_EDID && size >= sizeof(struct virtio_gpu_resp_edid)) {
		good = VIRTIO_GPU_RESP_OK_EDID;
		say_edid(memory);
	}
	header->type = cpu_to_le32(good);
	if (how == WRONG)
		header->type = cpu_to_le32(good == VIRTIO_GPU_RESP_OK_NODATA
						   ? VIRTIO_GPU_RESP_OK_EDID
						   : VIRTIO_GPU_RESP_OK_NODATA);
	if (how == ERRORS)
		header->type = cpu_to_le32(draw(8) ? VIRTIO_GPU_RESP_ERR_UNSPEC + draw(8)
						   : get_random_u32());
	return how == SHORT ? draw(size) : size;
}

static void serve(struct fake *fake, u16 head, enum mood how)
{
	const struct virtio_gpu_ctrl_hdr *request;
	void *memory;
	u32 size, len = 0;

	request = look_at(fake->vqs[0], head, &memory, &size);
	if (size >= sizeof(*request))
		len = answer(le32_to_cpu(request->type), memory, size, how);
	give_back(fake, 0, head, len);
}

static enum mood mood_now(void)
{
	if (chosen != MIXED)
		return chosen;
	return draw(2) ? FINE : draw(SILENT);
}

static void work_on_requests(struct fake *fake)
{
	u16 head;

	while (take(fake, 0, &head)) {
		if (chosen == SILENT || (chosen == MIXED && !draw(200)))
			continue;
		if (chosen == MIXED && !draw(3) && fake->n_held < HELD_MOST)
			fake->held[fake->n_held++] = head;
		else
			serve(fake, head, mood_now());
	}
	while (fake->n_held && !draw(3)) {
		unsigned int which = draw(fake->n_held);

		serve(fake, fake->held[which], mood_now());
		fake->held[which] = fake->held[--fake->n_held];
	}
	while (take(fake, 1, &head)) {
		if (chosen != SILENT)
			give_back(fake, 1, head, 0);
	}
	if (chosen == MIXED && !draw(500))
		give_back(fake, draw(QUEUES), get_random_u32(), get_random_u32());
}

static void tell_change(struct fake *fake)
{
	WRITE_ONCE(fake->events, VIRTIO_GPU_EVENT_DISPLAY);
	virtio_config_changed(&fake->vdev);
}

static void want_reset(struct fake *fake)
{
	WRITE_ONCE(fake->status, READ_ONCE(fake->status) | VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_config_changed(&fake->vdev);
}

static int host(void *opaque)
{
	struct fake *fake = opaque;
	bool working;
	unsigned int i;

	while (!kthread_should_stop()) {
		wait_event_interruptible_timeout(fake->wake, fake->kicked || kthread_should_stop(),
						 HZ / 50);
		mutex_lock(&fake->lock);
		fake->kicked = false;
		working = fake->vqs[0] && fake->status & VIRTIO_CONFIG_S_DRIVER_OK;
		if (working) {
			work_on_requests(fake);
			for (i = 0; i < QUEUES; i++)
				vring_interrupt(0, fake->vqs[i]);
		}
		mutex_unlock(&fake->lock);
		if (working && chosen == MIXED && !draw(20))
			tell_change(fake);
		if (working && chosen == MIXED && !draw(100))
			want_reset(fake);
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
	const struct virtio_gpu_config config = {
		.events_read = cpu_to_le32(READ_ONCE(fake_of(vdev)->events)),
		.num_scanouts = cpu_to_le32(HEADS),
	};

	memcpy(to, (const u8 *)&config + offset, len);
}

static void set(struct virtio_device *vdev, unsigned int offset, const void *from, unsigned int len)
{
	if (offset == offsetof(struct virtio_gpu_config, events_clear))
		WRITE_ONCE(fake_of(vdev)->events, 0);
}

static u8 get_status(struct virtio_device *vdev)
{
	return READ_ONCE(fake_of(vdev)->status);
}

static void set_status(struct virtio_device *vdev, u8 status)
{
	WRITE_ONCE(fake_of(vdev)->status, status);
}

static void reset(struct virtio_device *vdev)
{
	struct fake *fake = fake_of(vdev);

	mutex_lock(&fake->lock);
	fake->status = 0;
	fake->n_held = 0;
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
	for (i = 0; i < QUEUES; i++) {
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
	unsigned int i;

	for (i = 0; i < n && i < QUEUES; i++) {
		vqs[i] = vring_create_virtqueue(i, RING_SIZE, SMP_CACHE_BYTES, vdev, true, false,
						false, notify, callbacks[i], names[i]);
		if (!vqs[i])
			return -ENOMEM;
	}
	mutex_lock(&fake->lock);
	memcpy(fake->vqs, vqs, sizeof(fake->vqs));
	memset(fake->seen, 0, sizeof(fake->seen));
	mutex_unlock(&fake->lock);
	return 0;
}

static u64 get_features(struct virtio_device *vdev)
{
	return BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
	       BIT_ULL(VIRTIO_GPU_F_EDID);
}

static int finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const struct virtio_config_ops ops = {
	.get = get,
	.set = set,
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

static int set_change(const char *value, const struct kernel_param *param)
{
	if (!fake)
		return -ENODEV;
	tell_change(fake);
	return 0;
}

static int set_reset(const char *value, const struct kernel_param *param)
{
	if (!fake)
		return -ENODEV;
	want_reset(fake);
	return 0;
}

static const struct kernel_param_ops change_ops = { .set = set_change };
module_param_cb(change, &change_ops, NULL, 0200);
static const struct kernel_param_ops reset_ops = { .set = set_reset };
module_param_cb(reset, &reset_ops, NULL, 0200);

static void release(struct device *device)
{
	kfree(fake);
}

static int __init gpu_init(void)
{
	int err;

	chosen = match_string(mood_names, MOODS, mood);
	if (chosen < 0)
		return chosen;
	fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	if (!fake)
		return -ENOMEM;
	mutex_init(&fake->lock);
	init_waitqueue_head(&fake->wake);
	fake->parent = root_device_register("lodge-test-gpu");
	if (IS_ERR(fake->parent)) {
		err = PTR_ERR(fake->parent);
		kfree(fake);
		return err;
	}
	fake->thread = kthread_run(host, fake, "lodge-test-gpu");
	fake->vdev.dev.parent = fake->parent;
	fake->vdev.dev.release = release;
	fake->vdev.id.device = VIRTIO_ID_GPU;
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

static void __exit gpu_exit(void)
{
	struct device *parent = fake->parent;
	struct task_struct *thread = fake->thread;

	get_device(&fake->vdev.dev);
	unregister_virtio_device(&fake->vdev);
	kthread_stop(thread);
	put_device(&fake->vdev.dev);
	root_device_unregister(parent);
}

module_init(gpu_init);
module_exit(gpu_exit);
MODULE_DESCRIPTION("tests of lodge_display: a graphics card that misbehaves");
MODULE_LICENSE("GPL v2");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands on their way: into a ring or, where that is full, behind it; and back, each exactly
 * once.
 */
#include <linux/kernel.h>
#include <linux/slab.h>

#include "lodge_display/lodge_display.h"

/* Entries behind a request lie in chunks that the allocator always has. A chain is not longer than
 * the smallest queue: one request, chunks, one answer. */
#define CHUNK_SIZE    (32u << 10)
#define CHUNK_ENTRIES (CHUNK_SIZE / sizeof(struct virtio_gpu_mem_entry))
#define CHUNKS_MAX    60

void lodge_command_init(struct lodge_command *command, u32 type, u32 size)
{
	memset(command, 0, sizeof(*command));
	INIT_LIST_HEAD(&command->link);
	command->size = size;
	command->request.header.type = cpu_to_le32(type);
	command->answer = &command->header;
	command->answer_size = sizeof(command->header);
}

static int add_to_ring(struct lodge_ring *ring, struct lodge_command *command)
{
	struct scatterlist request, answer, *sgs[3];
	unsigned int n = 0, n_in = 0;

	sg_init_one(&request, &command->request, command->size);
	sgs[n++] = &request;
	if (command->more)
		sgs[n++] = command->more;
	if (command->answer) {
		sg_init_one(&answer, command->answer, command->answer_size);
		sgs[n] = &answer;
		n_in = 1;
	}
	return virtqueue_add_sgs(ring->vq, sgs, n, n_in, command, GFP_ATOMIC);
}

/* Moves what waits into the ring. Locked. True: ring the bell. */
static bool pump(struct lodge_ring *ring, struct list_head *done)
{
	struct lodge_command *command, *next;
	bool added = false;
	int err;

	list_for_each_entry_safe(command, next, &ring->backlog, link) {
		err = add_to_ring(ring, command);
		/* Room comes with the next answer, if there will be one. */
		if ((err == -ENOSPC || err == -ENOMEM) && ring->in_flight)
			break;
		if (err) {
			command->error = err;
			list_move_tail(&command->link, done);
			continue;
		}
		list_del_init(&command->link);
		ring->in_flight++;
		added = true;
	}
	return added && virtqueue_kick_prepare(ring->vq);
}

static void finish(struct list_head *done)
{
	struct lodge_command *command, *next;

	list_for_each_entry_safe(command, next, done, link) {
		list_del_init(&command->link);
		command->done(command);
	}
}

int lodge_commands_post(struct lodge_display *display, enum lodge_ring_number number,
			struct lodge_command *commands, unsigned int n)
{
	struct lodge_ring *ring = &display->rings[number];
	unsigned long flags;
	LIST_HEAD(done);
	unsigned int i;
	int err = 0;

	spin_lock_irqsave(&ring->lock, flags);
	if (ring->live) {
		for (i = 0; i < n; i++)
			list_add_tail(&commands[i].link, &ring->backlog);
		/* The bell is an exit: under the lock, which keeps the queue there. */
		if (pump(ring, &done))
			virtqueue_notify(ring->vq);
	} else {
		err = -ENODEV;
	}
	spin_unlock_irqrestore(&ring->lock, flags);
	finish(&done);
	return err;
}

static u32 good_answer(const struct lodge_command *command)
{
	switch (le32_to_cpu(command->request.header.type)) {
	case VIRTIO_GPU_CMD_GET_DISPLAY_INFO:
		return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
	case VIRTIO_GPU_CMD_GET_EDID:
		return VIRTIO_GPU_RESP_OK_EDID;
	default:
		return VIRTIO_GPU_RESP_OK_NODATA;
	}
}

/* virtio 1.2 section 5.7.6.7 */
static int answer_error(const struct lodge_command *command)
{
	const struct virtio_gpu_ctrl_hdr *header = command->answer;
	u32 type;

	if (!header)
		return 0;
	if (command->used < sizeof(*header))
		return -EPROTO;
	type = le32_to_cpu(READ_ONCE(header->type));
	if (type == good_answer(command))
		return command->used < command->answer_size ? -EPROTO : 0;
	switch (type) {
	case VIRTIO_GPU_RESP_OK_NODATA:
	case VIRTIO_GPU_RESP_OK_DISPLAY_INFO:
	case VIRTIO_GPU_RESP_OK_EDID:
		return -EPROTO;
	case VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY:
		return -ENOMEM;
	case VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID:
	case VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID:
	case VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID:
	case VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static void answers_came(struct virtqueue *vq)
{
	struct lodge_display *display = vq->vdev->priv;
	struct lodge_ring *ring = &display->rings[vq->index];
	struct lodge_command *command;
	unsigned long flags;
	unsigned int used;
	LIST_HEAD(done);

	spin_lock_irqsave(&ring->lock, flags);
	if (ring->live) {
		do {
			virtqueue_disable_cb(vq);
			while ((command = virtqueue_get_buf(vq, &used))) {
				command->used = used;
				command->error = answer_error(command);
				ring->in_flight--;
				list_add_tail(&command->link, &done);
			}
		} while (!virtqueue_enable_cb(vq) && !virtqueue_is_broken(vq));
		if (pump(ring, &done))
			virtqueue_notify(vq);
	}
	spin_unlock_irqrestore(&ring->lock, flags);
	if (!list_empty(&done))
		WRITE_ONCE(display->silent, false);
	finish(&done);
}

void lodge_rings_init(struct lodge_display *display)
{
	unsigned int i;

	for (i = 0; i < LODGE_RINGS; i++) {
		spin_lock_init(&display->rings[i].lock);
		INIT_LIST_HEAD(&display->rings[i].backlog);
	}
}

int lodge_rings_start(struct lodge_display *display)
{
	static const char *names[LODGE_RINGS] = { "control", "cursor" };
	vq_callback_t *callbacks[LODGE_RINGS] = { answers_came, answers_came };
	struct virtqueue *vqs[LODGE_RINGS];
	unsigned int i;
	int err;

	err = lodge_find_vqs(display->vdev, LODGE_RINGS, vqs, callbacks, names);
	if (err)
		return err;
	for (i = 0; i < LODGE_RINGS; i++) {
		struct lodge_ring *ring = &display->rings[i];

		spin_lock_irq(&ring->lock);
		ring->vq = vqs[i];
		ring->in_flight = 0;
		ring->live = true;
		spin_unlock_irq(&ring->lock);
	}
	display->silent = false;
	virtio_device_ready(display->vdev);
	return 0;
}

void lodge_rings_stop(struct lodge_display *display)
{
	struct lodge_command *command;
	bool had_rings = false;
	LIST_HEAD(done);
	unsigned int i;

	for (i = 0; i < LODGE_RINGS; i++) {
		spin_lock_irq(&display->rings[i].lock);
		display->rings[i].live = false;
		spin_unlock_irq(&display->rings[i].lock);
	}
	virtio_reset_device(display->vdev);
	for (i = 0; i < LODGE_RINGS; i++) {
		struct lodge_ring *ring = &display->rings[i];

		if (!ring->vq)
			continue;
		while ((command = virtqueue_detach_unused_buf(ring->vq)))
			list_add_tail(&command->link, &done);
		list_splice_tail_init(&ring->backlog, &done);
		ring->vq = NULL;
		had_rings = true;
	}
	list_for_each_entry(command, &done, link)
		command->error = -ENODEV;
	finish(&done);
	/* A device that could not be started again is stopped twice. */
	if (had_rings)
		display->vdev->config->del_vqs(display->vdev);
}

static void call_free(struct kref *ref)
{
	struct lodge_call *call = container_of(ref, struct lodge_call, ref);
	unsigned int i;

	for (i = 0; i < call->n_chunks; i++)
		kfree(call->chunks[i]);
	kfree(call->chunks);
	kfree(call->table);
	kfree(call);
}

void lodge_call_put(struct lodge_call *call)
{
	kref_put(&call->ref, call_free);
}

static void call_done(struct lodge_command *command)
{
	struct lodge_call *call = container_of(command, struct lodge_call, command);

	complete(&call->done);
	lodge_call_put(call);
}

struct lodge_call *lodge_call_create(u32 type, u32 size, u32 answer_size)
{
	struct lodge_call *call = kzalloc(sizeof(*call) + answer_size, GFP_KERNEL);

	if (!call)
		return NULL;
	kref_init(&call->ref);
	init_completion(&call->done);
	lodge_command_init(&call->command, type, size);
	call->command.done = call_done;
	if (answer_size) {
		call->command.answer = call->answer;
		call->command.answer_size = answer_size;
	}
	return call;
}

static int make_chunks(struct lodge_call *call, u32 n)
{
	unsigned int n_chunks = DIV_ROUND_UP(n, CHUNK_ENTRIES);

	if (!n || n_chunks > CHUNKS_MAX)
		return -E2BIG;
	call->chunks = kcalloc(n_chunks, sizeof(*call->chunks), GFP_KERNEL);
	call->table = kcalloc(n_chunks, sizeof(*call->table), GFP_KERNEL);
	if (!call->chunks || !call->table)
		return -ENOMEM;
	sg_init_table(call->table, n_chunks);
	for (; call->n_chunks < n_chunks; call->n_chunks++) {
		u32 left = n - call->n_chunks * CHUNK_ENTRIES;
		size_t size =
			min_t(size_t, left, CHUNK_ENTRIES) * sizeof(struct virtio_gpu_mem_entry);
		void *chunk = kmalloc(size, GFP_KERNEL);

		if (!chunk)
			return -ENOMEM;
		call->chunks[call->n_chunks] = chunk;
		sg_set_buf(&call->table[call->n_chunks], chunk, size);
	}
	call->command.more = call->table;
	return 0;
}

int lodge_call_add_entries(struct lodge_call *call, struct sg_table *table, bool mapped, u32 *ret_n)
{
	u32 n = mapped ? table->nents : table->orig_nents;
	struct scatterlist *sg;
	unsigned int i;
	int err;

	err = make_chunks(call, n);
	if (err)
		return err;
	for_each_sg(table->sgl, sg, n, i)
	{
		struct virtio_gpu_mem_entry *entries = call->chunks[i / CHUNK_ENTRIES];

		entries[i % CHUNK_ENTRIES] = (struct virtio_gpu_mem_entry){
			.addr = cpu_to_le64(mapped ? sg_dma_address(sg) : sg_phys(sg)),
			.length = cpu_to_le32(mapped ? sg_dma_len(sg) : sg->length),
		};
	}
	*ret_n = n;
	return 0;
}

int lodge_call_post(struct lodge_display *display, struct lodge_call *call)
{
	int err = READ_ONCE(display->silent) ? -EIO : 0;

	call->deadline = jiffies + msecs_to_jiffies(LODGE_CALL_TIMEOUT_MS);
	kref_get(&call->ref);
	if (!err)
		err = lodge_commands_post(display, LODGE_RING_CONTROL, &call->command, 1);
	if (err) {
		call->command.error = err;
		call_done(&call->command);
	}
	return err;
}

int lodge_call_wait(struct lodge_display *display, struct lodge_call *call)
{
	long left = call->deadline - jiffies;

	if (!wait_for_completion_timeout(&call->done, max(left, 0L))) {
		if (!READ_ONCE(display->silent))
			dev_err_ratelimited(&display->vdev->dev, "the device does not answer\n");
		WRITE_ONCE(display->silent, true);
		return -ETIMEDOUT;
	}
	return call->command.error;
}

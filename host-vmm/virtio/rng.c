// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-rng: the host's random numbers for the guest (virtio 1.2 section 5.4).
 *
 * getrandom(2) never runs dry, but it costs time; so a chain gets at most RNG_CHUNK bytes, which
 * the section allows, and after RNG_BATCH chains the loop's other devices have their turn.
 */
#include <linux/virtio_ids.h>
#include <sys/random.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"

#define RNG_QUEUE_SIZE 64
#define RNG_IOV_MAX    64
#define RNG_CHUNK      1024 /* bytes */
#define RNG_BATCH      64 /* chains */
#define RNG_CLASS      0xff0000 /* PCI: fits no defined class */

struct virtio_rng {
	struct virtio_model model;
	struct iovec iov[RNG_IOV_MAX];
};

static struct virtio_rng *rng_of(struct virtio_device *vdev)
{
	return (struct virtio_rng *)vdev->device;
}

static int rng_start(struct virtio_device *vdev)
{
	(void)vdev;
	return 0;
}

static void rng_stop(struct virtio_device *vdev)
{
	(void)vdev;
}

static size_t fill(const struct virtq_chain *chain)
{
	uint8_t bytes[RNG_CHUNK];
	size_t want = chain->in_len < sizeof(bytes) ? chain->in_len : sizeof(bytes);
	ssize_t got = want > 0 ? getrandom(bytes, want, 0) : 0;

	if (got <= 0)
		return 0;
	return memory_iov_write(chain->iov + chain->n_out, chain->n_in, 0, bytes, (size_t)got);
}

static void rng_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_rng *rng = rng_of(vdev);
	struct virtq_chain chain = { .iov = rng->iov, .iov_max = RNG_IOV_MAX };
	unsigned int served = 0;
	int ret;

	do {
		virtqueue_disable_kicks(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0) {
			virtqueue_push(vq, chain.head, (uint32_t)fill(&chain));
			if (++served == RNG_BATCH) {
				virtqueue_kick(vq);
				virtqueue_notify(vq);
				return;
			}
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
}

static const struct virtio_ops rng_ops = {
	.id = VIRTIO_ID_RNG,
	.class_code = RNG_CLASS,
	.start = rng_start,
	.stop = rng_stop,
	.kick = rng_kick,
};

static size_t rng_count(const struct vm_config *config)
{
	return config->rng ? 1 : 0;
}

static int rng_create(struct device *device)
{
	struct virtio_model *model = (struct virtio_model *)device;

	model->vdev.ops = &rng_ops;
	model->vdev.loop = device->machine->loop;
	model->vdev.n_queues = 1;
	model->vdev.queue_size = RNG_QUEUE_SIZE;
	return virtio_model_register(model);
}

const struct device_type virtio_rng_type = {
	.name = "virtio-rng",
	.help = "random numbers of the host",
	.size = sizeof(struct virtio_rng),
	.count = rng_count,
	.create = rng_create,
	.reset = virtio_model_reset,
	.destroy = virtio_model_destroy,
	.save = virtio_model_save,
	.load = virtio_model_load,
};

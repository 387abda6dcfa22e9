// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a virtio device behind its registers: negotiation, start, doorbells, failure, reset,
 * save and load.
 *
 * Everything that touches a device model runs on its loop. A vCPU that resets a device waits in
 * loop_call() until the model has no request in flight; then nothing reads or writes guest memory
 * on the device's behalf any more, and the queues can be forgotten.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "host-vmm/irq.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/virtio_private.h"
#include "protocol/lib/fd.h"

#define RING_FEATURES (1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX)

static struct irq_msi *message(struct virtio_pci *pci, uint16_t vector)
{
	return vector == VIRTIO_MSI_NO_VECTOR ? NULL : pci_msix_message(&pci->function, vector);
}

static bool has_status(struct virtio_pci *pci, uint8_t bit)
{
	return __atomic_load_n(&pci->status, __ATOMIC_ACQUIRE) & bit;
}

static void set_status(struct virtio_pci *pci, uint8_t bits)
{
	__atomic_or_fetch(&pci->status, bits, __ATOMIC_ACQ_REL);
}

/* ---- what the loop's thread may do ---- */

static void raise_config(struct virtio_pci *pci)
{
	struct irq_msi *msi = message(pci, __atomic_load_n(&pci->config_vector, __ATOMIC_ACQUIRE));

	__atomic_or_fetch(&pci->isr, VIRTIO_PCI_ISR_CONFIG, __ATOMIC_ACQ_REL);
	if (msi)
		irq_msi_fire(msi);
}

void virtio_config_changed(struct virtio_device *vdev)
{
	struct virtio_pci *pci = vdev->transport;

	__atomic_add_fetch(&pci->generation, 1, __ATOMIC_ACQ_REL);
	if (has_status(pci, VIRTIO_CONFIG_S_DRIVER_OK))
		raise_config(pci);
}

static void remove_doorbells(struct virtio_pci *pci)
{
	for (unsigned int i = 0; i < pci->vdev->n_queues; i++) {
		loop_remove(pci->doorbells[i].source);
		pci->doorbells[i].source = NULL;
	}
}

/* Also for vCPU threads, before the device runs: it has no doorbells then. */
void virtio_device_fail(struct virtio_device *vdev, const char *why)
{
	struct virtio_pci *pci = vdev->transport;

	if (has_status(pci, VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	set_status(pci, VIRTIO_CONFIG_S_NEEDS_RESET);
	log_ratelimited(&pci->log_limit, LOG_LEVEL_WARN,
			"%s: %s: stopped until the guest resets it", vdev->device->name, why);
	remove_doorbells(pci);
	if (has_status(pci, VIRTIO_CONFIG_S_DRIVER_OK))
		raise_config(pci);
}

static void serve(struct virtio_doorbell *doorbell)
{
	doorbell->vq->kicks++;
	doorbell->vdev->ops->kick(doorbell->vdev, doorbell->vq);
	if (doorbell->vq->broken)
		virtio_device_fail(doorbell->vdev, doorbell->vq->broken_why);
}

/* Edge-triggered, so that the eventfd need not be read: one system call less for each kick. */
static void doorbell_rang(void *opaque, uint32_t epoll_events)
{
	(void)epoll_events;
	serve(opaque);
}

static int add_doorbells(struct virtio_device *vdev)
{
	struct virtio_pci *pci = vdev->transport;

	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		struct virtio_doorbell *doorbell = &pci->doorbells[i];
		int ret;

		if (!vdev->queues[i].enabled)
			continue;
		ret = loop_add(vdev->loop, vdev->queues[i].kick_fd, EPOLLIN | EPOLLET,
			       doorbell_rang, doorbell, &doorbell->source);
		if (ret < 0)
			return ret;
	}
	/* Chains may have come before the doorbells were there. */
	for (unsigned int i = 0; i < vdev->n_queues; i++)
		if (pci->doorbells[i].source)
			serve(&pci->doorbells[i]);
	return 0;
}

static void start_here(void *opaque)
{
	struct virtio_device *vdev = opaque;
	struct virtio_pci *pci = vdev->transport;
	int ret;

	vdev->driver_features = pci->driver_features;
	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		vdev->queues[i].event_idx = virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX);
		vdev->queues[i].indirect = virtio_has_feature(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	}
	ret = vdev->ops->start(vdev);
	if (ret < 0) {
		virtio_device_fail(vdev, strerror(-ret));
		return;
	}
	vdev->running = true;
	if (!vdev->ops->kick)
		return;
	ret = add_doorbells(vdev);
	if (ret < 0)
		virtio_device_fail(vdev, strerror(-ret));
}

static void stop_here(void *opaque)
{
	struct virtio_device *vdev = opaque;

	remove_doorbells(vdev->transport);
	vdev->ops->stop(vdev);
	vdev->running = false;
}

static void reset_here(void *opaque)
{
	struct virtio_device *vdev = opaque;

	vdev->ops->reset(vdev);
}

struct config_write {
	struct virtio_device *vdev;
	size_t offset, len;
	const void *data;
};

static void config_written_here(void *opaque)
{
	struct config_write *write = opaque;

	write->vdev->ops->config_written(write->vdev, write->offset, write->data, write->len);
}

static void vectors_changed_here(void *opaque)
{
	struct virtio_device *vdev = opaque;

	vdev->ops->vectors_changed(vdev);
}

/* ---- what registers ask for; under lock ---- */

static void stop(struct virtio_device *vdev)
{
	if (vdev->running)
		loop_call(vdev->loop, stop_here, vdev);
}

static void reset_registers(struct virtio_pci *pci)
{
	struct virtio_device *vdev = pci->vdev;

	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		uint64_t kicks;

		virtqueue_reset(&vdev->queues[i]);
		pci->queue_vectors[i] = VIRTIO_MSI_NO_VECTOR;
		(void)!read(vdev->queues[i].kick_fd, &kicks, sizeof(kicks));
	}
	pci->device_feature_select = 0;
	pci->driver_feature_select = 0;
	pci->driver_features = 0;
	vdev->driver_features = 0;
	pci->queue_select = 0;
	__atomic_store_n(&pci->config_vector, VIRTIO_MSI_NO_VECTOR, __ATOMIC_RELEASE);
	__atomic_store_n(&pci->isr, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&pci->status, 0, __ATOMIC_RELEASE);
}

static void reset(struct virtio_pci *pci)
{
	stop(pci->vdev);
	if (pci->vdev->ops->reset)
		loop_call(pci->vdev->loop, reset_here, pci->vdev);
	reset_registers(pci);
}

/* Sections 2.2 and 6.1: a subset of what is offered, and VERSION_1 in it. */
static bool features_acceptable(const struct virtio_pci *pci)
{
	return !(pci->driver_features & ~pci->device_features) &&
	       (pci->driver_features & 1ull << VIRTIO_F_VERSION_1);
}

void virtio_status_write(struct virtio_pci *pci, uint8_t value)
{
	const uint8_t writable = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				 VIRTIO_CONFIG_S_FAILED;

	if (value == 0) {
		reset(pci);
		return;
	}
	/* Section 2.1.1: a driver sets bits, only reset clears them. */
	set_status(pci, value & writable);
	if ((value & VIRTIO_CONFIG_S_FEATURES_OK) && features_acceptable(pci))
		set_status(pci, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(value & VIRTIO_CONFIG_S_DRIVER_OK) || !has_status(pci, VIRTIO_CONFIG_S_FEATURES_OK) ||
	    has_status(pci, VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	set_status(pci, VIRTIO_CONFIG_S_DRIVER_OK);
	if (has_status(pci, VIRTIO_CONFIG_S_NEEDS_RESET))
		raise_config(pci);
	else
		loop_call(pci->vdev->loop, start_here, pci->vdev);
}

void virtio_queue_enable(struct virtio_pci *pci, struct virtqueue *vq)
{
	/* Section 4.1.4.3.2: before DRIVER_OK, and once. */
	if (vq->enabled || has_status(pci, VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	if (virtqueue_enable(vq) < 0)
		virtio_device_fail(pci->vdev, vq->broken_why);
}

static void vectors_changed(struct virtio_device *vdev)
{
	if (vdev->running && vdev->ops->vectors_changed)
		loop_call(vdev->loop, vectors_changed_here, vdev);
}

void virtio_set_config_vector(struct virtio_pci *pci, uint16_t vector)
{
	if (!message(pci, vector))
		vector = VIRTIO_MSI_NO_VECTOR;
	__atomic_store_n(&pci->config_vector, vector, __ATOMIC_RELEASE);
}

void virtio_set_queue_vector(struct virtio_pci *pci, struct virtqueue *vq, uint16_t vector)
{
	struct irq_msi *msi = message(pci, vector);

	pci->queue_vectors[vq->index] = msi ? vector : VIRTIO_MSI_NO_VECTOR;
	__atomic_store_n(&vq->msi, msi, __ATOMIC_RELEASE);
	vectors_changed(pci->vdev);
}

void virtio_msix_changed(struct pci_function *function, unsigned int vector)
{
	struct virtio_pci *pci = virtio_pci_of(function);

	(void)vector;
	if (!pci->vdev->ops->vectors_changed)
		return;
	pthread_mutex_lock(&pci->lock);
	vectors_changed(pci->vdev);
	pthread_mutex_unlock(&pci->lock);
}

void virtio_config_write(struct virtio_pci *pci, size_t offset, const void *data, size_t len)
{
	struct config_write write = {
		.vdev = pci->vdev, .offset = offset, .len = len, .data = data
	};

	if (pci->vdev->ops->config_written)
		loop_call(pci->vdev->loop, config_written_here, &write);
}

/* ---- register and unregister ---- */

static void destroy(struct virtio_pci *pci)
{
	struct virtio_device *vdev = pci->vdev;

	for (unsigned int i = 0; i < vdev->n_queues; i++)
		fd_close(&vdev->queues[i].kick_fd);
	pthread_mutex_destroy(&pci->lock);
	free(pci);
	vdev->transport = NULL;
}

int virtio_device_register(struct virtio_device *vdev)
{
	struct virtio_pci *pci;
	int ret;

	if (vdev->n_queues == 0 || vdev->n_queues > VIRTIO_QUEUES_MAX)
		return -EINVAL;
	pci = calloc(1, sizeof(*pci));
	if (!pci)
		return -ENOMEM;
	pci->vdev = vdev;
	vdev->transport = pci;
	pthread_mutex_init(&pci->lock, NULL);
	pci->device_features = 1ull << VIRTIO_F_VERSION_1;
	if (!vdev->ops->no_ring_features)
		pci->device_features |= RING_FEATURES;
	if (vdev->ops->features)
		pci->device_features |= vdev->ops->features(vdev);
	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		vdev->queues[i].memory = vdev->device->machine->memory;
		vdev->queues[i].index = (uint16_t)i;
		vdev->queues[i].max_size = vdev->queue_sizes ? vdev->queue_sizes[i]
							     : vdev->queue_size;
		vdev->queues[i].kick_fd = -1;
		pci->doorbells[i] =
			(struct virtio_doorbell){ .vdev = vdev, .vq = &vdev->queues[i] };
	}
	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		vdev->queues[i].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vdev->queues[i].kick_fd < 0) {
			ret = -errno;
			goto fail;
		}
	}
	reset_registers(pci);
	ret = virtio_pci_create(pci);
	if (ret < 0)
		goto fail;
	return 0;

fail:
	destroy(pci);
	return ret;
}

void virtio_device_unregister(struct virtio_device *vdev)
{
	struct virtio_pci *pci = vdev->transport;

	if (!pci)
		return;
	virtio_device_reset(vdev);
	virtio_pci_destroy(pci);
	destroy(pci);
}

void virtio_device_reset(struct virtio_device *vdev)
{
	struct virtio_pci *pci = vdev->transport;

	pthread_mutex_lock(&pci->lock);
	reset(pci);
	pthread_mutex_unlock(&pci->lock);
	pci_function_reset(&pci->function);
}

/* ---- save and load ---- */

struct model_state {
	struct virtio_device *vdev;
	struct state *state;
	int ret;
};

static void save_here(void *opaque)
{
	struct model_state *model = opaque;

	model->ret = model->vdev->ops->save(model->vdev, model->state);
}

static void load_here(void *opaque)
{
	struct model_state *model = opaque;

	model->ret = model->vdev->ops->load(model->vdev, model->state);
}

static void put_registers(struct virtio_pci *pci, struct state *state)
{
	state_put_u32(state, pci->device_feature_select);
	state_put_u32(state, pci->driver_feature_select);
	state_put_u64(state, pci->driver_features);
	state_put_u16(state, pci->queue_select);
	state_put_u16(state, pci->config_vector);
	state_put_u8(state, __atomic_load_n(&pci->status, __ATOMIC_ACQUIRE));
	state_put_u8(state, __atomic_load_n(&pci->generation, __ATOMIC_ACQUIRE));
	state_put_u8(state, __atomic_load_n(&pci->isr, __ATOMIC_ACQUIRE));
	for (unsigned int i = 0; i < pci->vdev->n_queues; i++) {
		state_put_u16(state, pci->queue_vectors[i]);
		(void)virtqueue_save(&pci->vdev->queues[i], state);
	}
}

int virtio_device_save(struct virtio_device *vdev, struct state *state)
{
	struct virtio_pci *pci = vdev->transport;
	struct model_state model = { .vdev = vdev, .state = state };
	bool was_running;
	int ret;

	pthread_mutex_lock(&pci->lock);
	was_running = vdev->running;
	stop(vdev);
	put_registers(pci, state);
	if (vdev->ops->save)
		loop_call(vdev->loop, save_here, &model);
	if (was_running && !has_status(pci, VIRTIO_CONFIG_S_NEEDS_RESET))
		loop_call(vdev->loop, start_here, vdev);
	pthread_mutex_unlock(&pci->lock);
	ret = pci_function_save(&pci->function, state);
	return model.ret < 0 ? model.ret : ret;
}

static int get_registers(struct virtio_pci *pci, struct state *state)
{
	pci->device_feature_select = state_get_u32(state);
	pci->driver_feature_select = state_get_u32(state);
	pci->driver_features = state_get_u64(state);
	pci->queue_select = state_get_u16(state);
	virtio_set_config_vector(pci, state_get_u16(state));
	pci->status = state_get_u8(state);
	pci->generation = state_get_u8(state);
	pci->isr = state_get_u8(state);
	for (unsigned int i = 0; i < pci->vdev->n_queues; i++) {
		uint16_t vector = state_get_u16(state);
		int ret = virtqueue_load(&pci->vdev->queues[i], state);

		if (ret < 0)
			return ret;
		virtio_set_queue_vector(pci, &pci->vdev->queues[i], vector);
	}
	if (state_error(state) < 0 ||
	    (has_status(pci, VIRTIO_CONFIG_S_DRIVER_OK) && !features_acceptable(pci)))
		return -EBADMSG;
	pci->vdev->driver_features = pci->driver_features;
	return 0;
}

int virtio_device_load(struct virtio_device *vdev, struct state *state)
{
	struct virtio_pci *pci = vdev->transport;
	struct model_state model = { .vdev = vdev, .state = state };
	int ret;

	pthread_mutex_lock(&pci->lock);
	reset(pci);
	ret = get_registers(pci, state);
	if (ret == 0 && vdev->ops->load) {
		loop_call(vdev->loop, load_here, &model);
		ret = model.ret;
	}
	pthread_mutex_unlock(&pci->lock);
	if (ret == 0)
		ret = pci_function_load(&pci->function, state);
	pthread_mutex_lock(&pci->lock);
	if (ret < 0)
		reset(pci);
	else if (has_status(pci, VIRTIO_CONFIG_S_DRIVER_OK) &&
		 !has_status(pci, VIRTIO_CONFIG_S_NEEDS_RESET))
		loop_call(vdev->loop, start_here, vdev);
	pthread_mutex_unlock(&pci->lock);
	return ret;
}

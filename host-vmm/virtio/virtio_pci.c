// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Registers of a virtio device on PCI (virtio 1.2 section 4.1), modern interface only.
 *
 *	BAR 0  I/O ports: a doorbell for each queue, DOORBELL_STRIDE bytes apart. A port's exit
 *	       needs no instruction decoding, so it costs less than a memory exit. Each has an
 *	       ioeventfd.
 *	BAR 1  MSI-X, the bus's making
 *	BAR 2  memory: common configuration, ISR status, device configuration
 *	BAR 4  64 bits: the shared memory region of a device that has one
 *
 * A model with a BAR 0 of its own has its doorbells in BAR 4.
 *
 * Common configuration is served as an image: a read builds the whole structure and copies bytes of
 * it, a write lays its bytes over the image and applies every field that it touched. So any width
 * at any offset does something defined.
 */
#include <endian.h>
#include <errno.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/ioctl.h>

#include "host-vmm/machine.h"
#include "host-vmm/virtio/virtio_private.h"

#define BAR_DOORBELLS	    0u
#define BAR_OWN		    0u /* of a model that brings one */
#define BAR_MSIX	    1u
#define BAR_REGISTERS	    2u
#define BAR_SHM		    4u /* and 5: it has 64 bits */
#define BAR_DOORBELLS_MOVED 4u

#define SHM_ID 0u /* the one that any device of ours has */

#define DOORBELL_STRIDE 4u /* notify_off_multiplier */
#define DOORBELL_LEN	2u /* bytes that a driver writes (section 4.1.5.2) */

/* Offsets in BAR_REGISTERS. */
#define REGISTERS_SIZE 0x1000u
#define COMMON_OFFSET  0x0u
#define ISR_OFFSET     0x200u
#define ISR_LEN	       1u
#define CONFIG_OFFSET  0x400u
#define CONFIG_LEN     (REGISTERS_SIZE - CONFIG_OFFSET)

/* Section 4.1.2: ids of a device without a transitional interface. */
#define VIRTIO_PCI_VENDOR    0x1af4
#define VIRTIO_PCI_DEVICE(i) (0x1040 + (i))
#define VIRTIO_PCI_SUBSYSTEM 0x0040
#define VIRTIO_PCI_REVISION  1

/* struct virtio_pci_common_cfg with its 64-bit fields whole. All little-endian. */
struct common {
	uint32_t device_feature_select, device_feature;
	uint32_t driver_feature_select, driver_feature;
	uint16_t config_vector, num_queues;
	uint8_t status, generation;
	uint16_t queue_select, queue_size, queue_vector, queue_enable, queue_notify_off;
	uint64_t queue_desc, queue_driver, queue_device;
};
_Static_assert(sizeof(struct common) == sizeof(struct virtio_pci_common_cfg), "virtio 4.1.4.3");

static struct virtqueue *selected(struct virtio_pci *pci)
{
	if (pci->queue_select >= pci->vdev->n_queues)
		return NULL;
	return &pci->vdev->queues[pci->queue_select];
}

/* ---- common configuration; under lock ---- */

static void common_image(struct virtio_pci *pci, struct common *image)
{
	const struct virtqueue *vq = selected(pci);
	uint32_t device_select = pci->device_feature_select;
	uint32_t driver_select = pci->driver_feature_select;

	*image = (struct common){
		.device_feature_select = device_select,
		.driver_feature_select = driver_select,
		.config_vector = pci->config_vector,
		.num_queues = (uint16_t)pci->vdev->n_queues,
		.status = __atomic_load_n(&pci->status, __ATOMIC_ACQUIRE),
		.generation = __atomic_load_n(&pci->generation, __ATOMIC_ACQUIRE),
		.queue_select = pci->queue_select,
	};
	if (device_select < 2)
		image->device_feature = (uint32_t)(pci->device_features >> (32 * device_select));
	if (driver_select < 2)
		image->driver_feature = (uint32_t)(pci->driver_features >> (32 * driver_select));
	if (!vq)
		return;
	image->queue_size = vq->size;
	image->queue_vector = pci->queue_vectors[vq->index];
	image->queue_enable = vq->enabled;
	image->queue_notify_off = vq->index;
	image->queue_desc = vq->desc;
	image->queue_driver = vq->driver;
	image->queue_device = vq->device;
}

static void set_device_select(struct virtio_pci *pci, const struct common *image)
{
	pci->device_feature_select = image->device_feature_select;
}

static void set_driver_select(struct virtio_pci *pci, const struct common *image)
{
	pci->driver_feature_select = image->driver_feature_select;
}

static void set_driver_feature(struct virtio_pci *pci, const struct common *image)
{
	unsigned int shift = 32 * pci->driver_feature_select;
	uint8_t status = __atomic_load_n(&pci->status, __ATOMIC_ACQUIRE);

	/* Section 3.1.1: what was agreed on stays. */
	if (pci->driver_feature_select >= 2 || (status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	pci->driver_features = (pci->driver_features & ~(0xffffffffull << shift)) |
			       (uint64_t)image->driver_feature << shift;
}

static void set_config_vector(struct virtio_pci *pci, const struct common *image)
{
	virtio_set_config_vector(pci, image->config_vector);
}

static void set_status(struct virtio_pci *pci, const struct common *image)
{
	virtio_status_write(pci, image->status);
}

static void set_queue_select(struct virtio_pci *pci, const struct common *image)
{
	pci->queue_select = image->queue_select;
}

static void set_queue_vector(struct virtio_pci *pci, const struct common *image)
{
	struct virtqueue *vq = selected(pci);

	if (vq)
		virtio_set_queue_vector(pci, vq, image->queue_vector);
}

/* Size and addresses are checked when the queue is enabled, and frozen then. */
static void set_queue_shape(struct virtio_pci *pci, const struct common *image)
{
	struct virtqueue *vq = selected(pci);

	if (!vq || vq->enabled)
		return;
	vq->size = image->queue_size;
	vq->desc = image->queue_desc;
	vq->driver = image->queue_driver;
	vq->device = image->queue_device;
}

static void set_queue_enable(struct virtio_pci *pci, const struct common *image)
{
	struct virtqueue *vq = selected(pci);

	if (vq && image->queue_enable == 1)
		virtio_queue_enable(pci, vq);
}

#define FIELD(name) offsetof(struct common, name), sizeof(((struct common *)0)->name)

/* Fields that a driver may write, in the order in which one wide write applies them. */
static const struct {
	size_t offset, size;
	void (*set)(struct virtio_pci *pci, const struct common *image);
} common_fields[] = {
	{ FIELD(device_feature_select), set_device_select },
	{ FIELD(driver_feature_select), set_driver_select },
	{ FIELD(driver_feature), set_driver_feature },
	{ FIELD(config_vector), set_config_vector },
	{ FIELD(status), set_status },
	{ FIELD(queue_select), set_queue_select },
	{ FIELD(queue_size), set_queue_shape },
	{ FIELD(queue_vector), set_queue_vector },
	{ FIELD(queue_enable), set_queue_enable },
	{ FIELD(queue_desc), set_queue_shape },
	{ FIELD(queue_driver), set_queue_shape },
	{ FIELD(queue_device), set_queue_shape },
};

static void common_write(struct virtio_pci *pci, size_t offset, const void *data, size_t size)
{
	struct common image;

	common_image(pci, &image);
	memcpy((uint8_t *)&image + offset, data, size);
	for (size_t i = 0; i < sizeof(common_fields) / sizeof(common_fields[0]); i++)
		if (offset < common_fields[i].offset + common_fields[i].size &&
		    common_fields[i].offset < offset + size)
			common_fields[i].set(pci, &image);
}

/* ---- BAR_REGISTERS ---- */

static uint64_t registers_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct virtio_pci *pci = opaque;
	uint64_t value = 0;
	struct common image;

	if (offset + size <= COMMON_OFFSET + sizeof(image)) {
		pthread_mutex_lock(&pci->lock);
		common_image(pci, &image);
		pthread_mutex_unlock(&pci->lock);
		memcpy(&value, (const uint8_t *)&image + offset - COMMON_OFFSET, size);
	} else if (offset == ISR_OFFSET) {
		value = __atomic_exchange_n(&pci->isr, 0, __ATOMIC_ACQ_REL);
	} else if (offset >= CONFIG_OFFSET && pci->vdev->ops->config_read) {
		pthread_mutex_lock(&pci->lock);
		pci->vdev->ops->config_read(pci->vdev, offset - CONFIG_OFFSET, &value, size);
		pthread_mutex_unlock(&pci->lock);
	}
	return value;
}

static void registers_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct virtio_pci *pci = opaque;

	pthread_mutex_lock(&pci->lock);
	if (offset + size <= COMMON_OFFSET + sizeof(struct common))
		common_write(pci, offset - COMMON_OFFSET, &value, size);
	else if (offset >= CONFIG_OFFSET)
		virtio_config_write(pci, offset - CONFIG_OFFSET, &value, size);
	pthread_mutex_unlock(&pci->lock);
}

static const struct io_ops registers_ops = { .read = registers_read, .write = registers_write };

/* ---- doorbells ---- */

static uint64_t doorbells_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

/* Only for writes that no ioeventfd took: of another width, or while the BAR moves. */
static void doorbells_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct virtio_pci *pci = opaque;
	uint64_t queue = offset / DOORBELL_STRIDE;

	(void)value;
	(void)size;
	if (offset % DOORBELL_STRIDE == 0 && queue < pci->vdev->n_queues)
		virtqueue_kick(&pci->vdev->queues[queue]);
}

static const struct io_ops doorbells_ops = { .read = doorbells_read, .write = doorbells_write };

static void doorbells_mapped(void *opaque, bool enabled, uint64_t base)
{
	struct virtio_pci *pci = opaque;
	struct virtio_device *vdev = pci->vdev;
	int vm_fd = vdev->device->machine->vm_fd;

	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		struct kvm_ioeventfd ioeventfd = {
			.addr = base + (uint64_t)i * DOORBELL_STRIDE,
			.len = DOORBELL_LEN,
			.fd = vdev->queues[i].kick_fd,
			.flags = KVM_IOEVENTFD_FLAG_PIO |
				 (enabled ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
		};

		/* Without it the exit reaches doorbells_write(): slower, not wrong. */
		if (vm_fd >= 0 && ioctl(vm_fd, KVM_IOEVENTFD, &ioeventfd) < 0 && enabled)
			log_ratelimited(&pci->log_limit, LOG_LEVEL_WARN,
					"%s: no ioeventfd at port 0x%llx: %s", vdev->device->name,
					(unsigned long long)ioeventfd.addr, strerror(errno));
	}
}

/* ---- BAR_SHM ---- */

/* Only where the model has put no memory (yet): like a device's memory that nobody wrote to. */
static uint64_t shm_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void shm_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)value;
	(void)size;
}

static const struct io_ops shm_ops = { .read = shm_read, .write = shm_write };

static void shm_mapped(void *opaque, bool enabled, uint64_t base)
{
	struct virtio_pci *pci = opaque;

	pci->vdev->ops->shm_placed(pci->vdev, enabled, base);
}

/* ---- capabilities ---- */

/* The window of VIRTIO_PCI_CAP_PCI_CFG: what it points at, or false where that is nothing. */
static bool window_target(struct virtio_pci *pci, uint64_t *ret_offset, unsigned int *ret_len,
			  const struct io_ops **ret_ops)
{
	struct virtio_pci_cap cap;
	uint32_t offset, len;

	pci_config_get(&pci->function, pci->cfg_capability, &cap, sizeof(cap));
	offset = le32toh(cap.offset);
	len = le32toh(cap.length);
	if (cap.bar != pci->doorbells_bar && cap.bar != BAR_REGISTERS)
		return false;
	if ((len != 1 && len != 2 && len != 4) || offset % len != 0 ||
	    offset > pci->function.bars[cap.bar].region.size - len)
		return false;
	*ret_offset = offset;
	*ret_len = len;
	*ret_ops = pci->function.bars[cap.bar].region.ops;
	return true;
}

static void window_refresh(struct pci_function *function)
{
	struct virtio_pci *pci = virtio_pci_of(function);
	const struct io_ops *ops;
	unsigned int len;
	uint64_t offset;
	uint32_t value;

	if (!window_target(pci, &offset, &len, &ops))
		return;
	value = htole32((uint32_t)ops->read(pci, offset, len));
	pci_config_put(function, function->window, &value, len);
}

static void window_written(struct pci_function *function)
{
	struct virtio_pci *pci = virtio_pci_of(function);
	const struct io_ops *ops;
	unsigned int len;
	uint64_t offset;
	uint32_t value = 0;

	if (!window_target(pci, &offset, &len, &ops))
		return;
	pci_config_get(function, function->window, &value, len);
	ops->write(pci, offset, le32toh(value), len);
}

/* @extra follows the 16 bytes that all have: multiplier or data. */
static int add_capability(struct virtio_pci *pci, uint8_t type, uint8_t bar, uint32_t offset,
			  uint32_t length, const uint32_t *extra)
{
	struct {
		struct virtio_pci_cap cap;
		uint32_t extra;
	} body = {
		.cap = {
			.cap_len = (uint8_t)(sizeof(body.cap) + (extra ? sizeof(*extra) : 0)),
			.cfg_type = type,
			.bar = bar,
			.offset = htole32(offset),
			.length = htole32(length),
		},
		.extra = extra ? htole32(*extra) : 0,
	};

	/* Id and link are the bus's. */
	return pci_add_capability(&pci->function, PCI_CAP_ID_VNDR,
				  (const uint8_t *)&body + PCI_CAP_FLAGS,
				  body.cap.cap_len - PCI_CAP_FLAGS);
}

/* Section 4.1.4.7: offset and length have 64 bits. */
static int add_shm_capability(struct virtio_pci *pci)
{
	uint64_t size = pci->vdev->shm_size;
	struct virtio_pci_cap64 body = {
		.cap = {
			.cap_len = sizeof(body),
			.cfg_type = VIRTIO_PCI_CAP_SHARED_MEMORY_CFG,
			.bar = BAR_SHM,
			.id = SHM_ID,
			.length = htole32((uint32_t)size),
		},
		.length_hi = htole32((uint32_t)(size >> 32)),
	};

	if (!size)
		return 0;
	return pci_add_capability(&pci->function, PCI_CAP_ID_VNDR,
				  (const uint8_t *)&body + PCI_CAP_FLAGS,
				  sizeof(body) - PCI_CAP_FLAGS);
}

static int add_capabilities(struct virtio_pci *pci)
{
	const uint32_t stride = DOORBELL_STRIDE, no_data = 0;
	struct pci_function *function = &pci->function;
	int ret;

	ret = add_capability(pci, VIRTIO_PCI_CAP_COMMON_CFG, BAR_REGISTERS, COMMON_OFFSET,
			     sizeof(struct common), NULL);
	if (ret < 0)
		return ret;
	ret = add_capability(pci, VIRTIO_PCI_CAP_ISR_CFG, BAR_REGISTERS, ISR_OFFSET, ISR_LEN, NULL);
	if (ret < 0)
		return ret;
	ret = add_capability(pci, VIRTIO_PCI_CAP_DEVICE_CFG, BAR_REGISTERS, CONFIG_OFFSET,
			     CONFIG_LEN, NULL);
	if (ret < 0)
		return ret;
	ret = add_capability(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, (uint8_t)pci->doorbells_bar, 0,
			     pci->vdev->n_queues * DOORBELL_STRIDE, &stride);
	if (ret < 0)
		return ret;
	ret = add_shm_capability(pci);
	if (ret < 0)
		return ret;
	ret = add_capability(pci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, &no_data);
	if (ret < 0)
		return ret;
	pci->cfg_capability = (unsigned int)ret;
	function->writable[ret + VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(function->writable + ret + VIRTIO_PCI_CAP_OFFSET, 0xff, 12); /* data too */
	function->window = (uint8_t)(ret + sizeof(struct virtio_pci_cap));
	function->window_len = sizeof(no_data);
	return 0;
}

static void fill_bars(struct virtio_pci *pci)
{
	struct virtio_device *vdev = pci->vdev;
	struct pci_bar *bars = pci->function.bars;
	uint64_t doorbells = DOORBELL_STRIDE;

	while (doorbells < (uint64_t)vdev->n_queues * DOORBELL_STRIDE)
		doorbells *= 2;
	bars[BAR_REGISTERS] = (struct pci_bar){
		.kind = PCI_BAR_MEM32,
		.region = { .size = REGISTERS_SIZE, .ops = &registers_ops, .opaque = pci },
	};
	if (vdev->own_bar.kind != PCI_BAR_NONE) {
		bars[BAR_OWN] = vdev->own_bar;
		pci->doorbells_bar = BAR_DOORBELLS_MOVED;
	} else {
		pci->doorbells_bar = BAR_DOORBELLS;
	}
	bars[pci->doorbells_bar] = (struct pci_bar){
		.kind = PCI_BAR_IO,
		.region = { .size = doorbells, .ops = &doorbells_ops, .opaque = pci },
		.mapped = doorbells_mapped,
	};
	if (vdev->shm_size)
		bars[BAR_SHM] = (struct pci_bar){
			.kind = PCI_BAR_MEM64_PREFETCH,
			.region = { .size = vdev->shm_size, .ops = &shm_ops, .opaque = pci },
			.mapped = shm_mapped,
		};
	for (unsigned int i = 0; i < PCI_BARS; i++)
		if (bars[i].kind != PCI_BAR_NONE && !bars[i].region.name)
			bars[i].region.name = vdev->device->name;
}

int virtio_pci_create(struct virtio_pci *pci)
{
	struct virtio_device *vdev = pci->vdev;
	int ret;

	if (vdev->own_bar.kind != PCI_BAR_NONE && vdev->shm_size)
		return -EINVAL;
	pci->function = (struct pci_function){
		.name = vdev->device->name,
		.vendor = VIRTIO_PCI_VENDOR,
		.device = VIRTIO_PCI_DEVICE(vdev->ops->id),
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = VIRTIO_PCI_SUBSYSTEM,
		.revision = VIRTIO_PCI_REVISION,
		.class_code = vdev->ops->class_code,
		.n_vectors = vdev->n_queues + 1,
		.msix_bar = BAR_MSIX,
		.msix_changed = virtio_msix_changed,
		.window_refresh = window_refresh,
		.window_written = window_written,
	};
	fill_bars(pci);
	ret = pci_register(vdev->device->machine->pci, &pci->function);
	if (ret < 0)
		return ret;
	ret = add_capabilities(pci);
	if (ret < 0)
		pci_unregister(&pci->function);
	return ret;
}

void virtio_pci_destroy(struct virtio_pci *pci)
{
	pci_unregister(&pci->function);
}

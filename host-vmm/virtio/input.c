// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-input (virtio 1.2 section 5.8): a keyboard, and a tablet, whose place is a place on the
 * screen.
 *
 * They are sinks of the machine's input. An event waits in a queue under the device's lock, and the
 * doorbell of the event queue, rung from our side, brings it into the guest's next buffer on the
 * loop. The guest's doorbell is wanted only while it is short of buffers.
 */
#include <endian.h>
#include <errno.h>
#include <linux/input.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_input.h>
#include <pthread.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/input/input.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/input_queue.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"

#define KEYBOARD_CLASS 0x090000 /* PCI: input device, keyboard */
#define POINTER_CLASS  0x098000 /* PCI: input device, other */
#define VENDOR	       0x1af4 /* of virtio devices on PCI */
#define INPUT_IOV_MAX  16
#define CHAIN_BATCH    64u
#define LEDS	       (1u << LED_NUML | 1u << LED_CAPSL | 1u << LED_SCROLLL)

enum {
	QUEUE_EVENT = 0,
	QUEUE_STATUS = 1,
	N_QUEUES = 2,
};

enum {
	KEYBOARD = 0,
	TABLET = 1,
	N_DEVICES = 2,
};

struct virtio_input {
	struct virtio_model model;
	struct input_sink sink;
	struct iovec iov[INPUT_IOV_MAX];

	pthread_mutex_t lock; /* what follows */
	bool ready; /* the driver runs */
	uint8_t select, subsel;
	uint32_t leds;
	struct input_queue queue;
};

static struct virtio_input *input_of(struct virtio_device *vdev)
{
	return (struct virtio_input *)vdev->device;
}

static bool is_tablet(const struct virtio_input *input)
{
	return input->model.device.index == TABLET;
}

/* ---- configuration space ---- */

static size_t put_string(struct virtio_input_config *config, const char *string)
{
	size_t len = strlen(string);

	memcpy(config->u.string, string, len);
	return len;
}

static size_t set_bits(struct virtio_input_config *config, unsigned int first, unsigned int last)
{
	for (unsigned int bit = first; bit <= last; bit++)
		config->u.bitmap[bit / 8] |= (uint8_t)(1u << bit % 8);
	return last / 8 + 1;
}

/* The size has one answer for all events of a type: the bytes that hold its highest bit. */
static size_t put_event_bits(struct virtio_input_config *config, const struct virtio_input *input)
{
	bool tablet = is_tablet(input);

	switch (config->subsel) {
	case EV_KEY:
		return tablet ? set_bits(config, INPUT_BUTTON_FIRST, INPUT_BUTTON_LAST)
			      : set_bits(config, INPUT_KEY_FIRST, INPUT_KEY_LAST);
	case EV_ABS:
		return tablet ? set_bits(config, ABS_X, ABS_Y) : 0;
	case EV_REL:
		if (!tablet)
			return 0;
		(void)set_bits(config, REL_HWHEEL, REL_HWHEEL);
		(void)set_bits(config, REL_WHEEL, REL_WHEEL);
		return set_bits(config, REL_WHEEL_HI_RES, REL_HWHEEL_HI_RES);
	case EV_LED:
		return tablet ? 0 : set_bits(config, LED_NUML, LED_SCROLLL);
	case EV_REP: /* the guest repeats keys that stay down: the type's bit is all it asks */
		return tablet ? 0 : set_bits(config, REP_DELAY, REP_PERIOD);
	default:
		return 0;
	}
}

static size_t answer(struct virtio_input_config *config, const struct virtio_input *input)
{
	switch (config->select) {
	case VIRTIO_INPUT_CFG_ID_NAME:
		return put_string(config, is_tablet(input) ? "Lodge tablet" : "Lodge keyboard");
	case VIRTIO_INPUT_CFG_ID_SERIAL:
		return put_string(config, is_tablet(input) ? "tablet0" : "keyboard0");
	case VIRTIO_INPUT_CFG_ID_DEVIDS:
		config->u.ids = (struct virtio_input_devids){
			.bustype = htole16(BUS_VIRTUAL),
			.vendor = htole16(VENDOR),
			.product = htole16((uint16_t)(input->model.device.index + 1)),
			.version = htole16(1),
		};
		return sizeof(config->u.ids);
	case VIRTIO_INPUT_CFG_EV_BITS:
		return put_event_bits(config, input);
	case VIRTIO_INPUT_CFG_ABS_INFO:
		if (!is_tablet(input) || config->subsel > ABS_Y)
			return 0;
		config->u.abs.max = htole32(INPUT_POINT_MAX);
		return sizeof(config->u.abs);
	default: /* no property of <linux/input-event-codes.h> fits either of them */
		return 0;
	}
}

static void input_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	struct virtio_input *input = input_of(vdev);
	struct virtio_input_config config = { 0 };

	pthread_mutex_lock(&input->lock);
	config.select = input->select;
	config.subsel = input->subsel;
	pthread_mutex_unlock(&input->lock);
	config.size = (uint8_t)answer(&config, input);
	if (offset < sizeof(config))
		memcpy(data, (const uint8_t *)&config + offset,
		       len < sizeof(config) - offset ? len : sizeof(config) - offset);
}

static void input_config_written(struct virtio_device *vdev, size_t offset, const void *data,
				 size_t len)
{
	struct virtio_input *input = input_of(vdev);
	const uint8_t *bytes = data;

	pthread_mutex_lock(&input->lock);
	for (size_t i = 0; i < len && offset + i <= offsetof(struct virtio_input_config, subsel);
	     i++)
		*(offset + i == 0 ? &input->select : &input->subsel) = bytes[i];
	pthread_mutex_unlock(&input->lock);
}

/* ---- queues ---- */

static bool waits(struct virtio_input *input)
{
	bool is;

	pthread_mutex_lock(&input->lock);
	is = input_queue_waits(&input->queue);
	pthread_mutex_unlock(&input->lock);
	return is;
}

/* False where nothing waits after all. */
static bool give(struct virtio_input *input, struct virtqueue *vq, const struct virtq_chain *chain)
{
	struct input_queue_event event;
	struct virtio_input_event wire;
	bool taken;

	if (chain->in_len < sizeof(wire)) {
		virtqueue_push(vq, chain->head, 0);
		return true;
	}
	pthread_mutex_lock(&input->lock);
	taken = input_queue_take(&input->queue, &event);
	pthread_mutex_unlock(&input->lock);
	if (!taken) {
		virtqueue_unpop(vq);
		return false;
	}
	wire.type = htole16(event.type);
	wire.code = htole16(event.code);
	wire.value = htole32((uint32_t)event.value);
	(void)memory_iov_write(chain->iov + chain->n_out, chain->n_in, 0, &wire, sizeof(wire));
	virtqueue_push(vq, chain->head, sizeof(wire));
	return true;
}

static void serve_events(struct virtio_input *input, struct virtqueue *vq)
{
	struct virtq_chain chain = { .iov = input->iov, .iov_max = INPUT_IOV_MAX };
	unsigned int served = 0;
	int ret = 0;

	virtqueue_disable_kicks(vq);
	while (waits(input)) {
		ret = virtqueue_pop(vq, &chain);
		if (ret < 0 || (ret == 0 && !virtqueue_enable_kicks(vq)))
			break;
		if (ret > 0 && !give(input, vq, &chain))
			break;
		if (++served == CHAIN_BATCH) {
			virtqueue_kick(vq);
			break;
		}
	}
	virtqueue_notify(vq);
}

static void take_status(struct virtio_input *input, const struct virtq_chain *chain)
{
	struct virtio_input_event event;
	uint32_t bit;

	if (memory_iov_read(chain->iov, chain->n_out, 0, &event, sizeof(event)) != sizeof(event) ||
	    le16toh(event.type) != EV_LED || le16toh(event.code) > LED_SCROLLL)
		return;
	bit = 1u << le16toh(event.code);
	pthread_mutex_lock(&input->lock);
	input->leds = event.value != 0 ? input->leds | bit : input->leds & ~bit;
	pthread_mutex_unlock(&input->lock);
}

/* Without the device's lock: the machine's input calls sinks under its own. */
static void tell_state(struct virtio_input *input)
{
	uint32_t leds;

	pthread_mutex_lock(&input->lock);
	leds = input->leds;
	pthread_mutex_unlock(&input->lock);
	input_sink_changed(input->model.device.machine->input, &input->sink, leds);
}

static void serve_status(struct virtio_input *input, struct virtqueue *vq)
{
	struct virtq_chain chain = { .iov = input->iov, .iov_max = INPUT_IOV_MAX };
	unsigned int served = 0;
	int ret;

	do {
		virtqueue_disable_kicks(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0 && served < CHAIN_BATCH) {
			take_status(input, &chain);
			virtqueue_push(vq, chain.head, 0);
			served++;
		}
		if (ret > 0) {
			virtqueue_unpop(vq);
			virtqueue_kick(vq);
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
	if (served > 0)
		tell_state(input);
}

static void input_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_input *input = input_of(vdev);

	if (vq->index == QUEUE_EVENT)
		serve_events(input, vq);
	else
		serve_status(input, vq);
}

/* ---- the sink ---- */

static bool sink_ready(void *opaque)
{
	struct virtio_input *input = opaque;
	bool ready;

	pthread_mutex_lock(&input->lock);
	ready = input->ready;
	pthread_mutex_unlock(&input->lock);
	return ready;
}

static void sink_key(void *opaque, uint16_t code, bool down)
{
	struct virtio_input *input = opaque;

	pthread_mutex_lock(&input->lock);
	input_queue_key(&input->queue, code, down);
	pthread_mutex_unlock(&input->lock);
}

static void sink_point(void *opaque, uint16_t x, uint16_t y)
{
	struct virtio_input *input = opaque;

	pthread_mutex_lock(&input->lock);
	input_queue_point(&input->queue, x, y);
	pthread_mutex_unlock(&input->lock);
}

static void sink_wheel(void *opaque, int32_t dx, int32_t dy)
{
	struct virtio_input *input = opaque;

	pthread_mutex_lock(&input->lock);
	input_queue_wheel(&input->queue, dx, dy);
	pthread_mutex_unlock(&input->lock);
}

static void sink_sync(void *opaque)
{
	struct virtio_input *input = opaque;
	bool ring;

	pthread_mutex_lock(&input->lock);
	input_queue_sync(&input->queue);
	ring = input->ready && input_queue_waits(&input->queue);
	pthread_mutex_unlock(&input->lock);
	if (ring)
		virtqueue_kick(&input->model.vdev.queues[QUEUE_EVENT]);
}

static const struct input_sink_ops keyboard_sink = {
	.ready = sink_ready,
	.key = sink_key,
	.sync = sink_sync,
};

static const struct input_sink_ops tablet_sink = {
	.ready = sink_ready,
	.button = sink_key,
	.point = sink_point,
	.wheel = sink_wheel,
	.sync = sink_sync,
};

/* ---- life ---- */

static void set_ready(struct virtio_input *input, bool ready)
{
	pthread_mutex_lock(&input->lock);
	input->ready = ready;
	pthread_mutex_unlock(&input->lock);
	tell_state(input);
}

static int input_start(struct virtio_device *vdev)
{
	set_ready(input_of(vdev), true);
	return 0;
}

/* Events wait while a device is saved; that the driver is gone is reset()'s to say. */
static void input_stop(struct virtio_device *vdev)
{
	(void)vdev;
}

static void input_reset(struct virtio_device *vdev)
{
	struct virtio_input *input = input_of(vdev);

	/* First, so that what is held is released before it is forgotten. */
	set_ready(input, false);
	pthread_mutex_lock(&input->lock);
	input_queue_clear(&input->queue);
	input->select = input->subsel = 0;
	input->leds = 0;
	pthread_mutex_unlock(&input->lock);
	tell_state(input);
}

static int input_save(struct virtio_device *vdev, struct state *state)
{
	struct virtio_input *input = input_of(vdev);

	pthread_mutex_lock(&input->lock);
	state_put_u8(state, input->select);
	state_put_u8(state, input->subsel);
	state_put_u32(state, input->leds);
	input_queue_save(&input->queue, state);
	pthread_mutex_unlock(&input->lock);
	return state_error(state);
}

static int input_load(struct virtio_device *vdev, struct state *state)
{
	struct virtio_input *input = input_of(vdev);

	pthread_mutex_lock(&input->lock);
	input->select = state_get_u8(state);
	input->subsel = state_get_u8(state);
	input->leds = state_get_u32(state) & LEDS;
	input_queue_load(&input->queue, state);
	pthread_mutex_unlock(&input->lock);
	return state_error(state);
}

#define INPUT_OPS(class)                                                                          \
	{                                                                                         \
		.id = VIRTIO_ID_INPUT, .class_code = (class), .config_read = input_config_read,   \
		.config_written = input_config_written, .start = input_start, .stop = input_stop, \
		.reset = input_reset, .kick = input_kick, .save = input_save, .load = input_load, \
	}

static const struct virtio_ops input_ops[N_DEVICES] = {
	[KEYBOARD] = INPUT_OPS(KEYBOARD_CLASS),
	[TABLET] = INPUT_OPS(POINTER_CLASS),
};

static size_t input_count(const struct vm_config *config)
{
	return config->heads > 0 ? N_DEVICES : 0;
}

static int input_create_device(struct device *device)
{
	struct virtio_input *input = (struct virtio_input *)device;
	struct virtio_device *vdev = &input->model.vdev;
	int ret;

	pthread_mutex_init(&input->lock, NULL);
	vdev->ops = &input_ops[device->index];
	vdev->loop = device->machine->loop;
	vdev->n_queues = N_QUEUES;
	vdev->queue_size = 64;
	input->sink = (struct input_sink){
		.rank = INPUT_RANK_VIRTIO,
		.ops = is_tablet(input) ? &tablet_sink : &keyboard_sink,
		.opaque = input,
	};
	ret = virtio_model_register(&input->model);
	if (ret < 0)
		pthread_mutex_destroy(&input->lock);
	else
		input_add_sink(device->machine->input, &input->sink);
	return ret;
}

static void input_destroy_device(struct device *device)
{
	struct virtio_input *input = (struct virtio_input *)device;

	input_remove_sink(device->machine->input, &input->sink);
	virtio_model_destroy(device);
	pthread_mutex_destroy(&input->lock);
}

const struct device_type virtio_input_type = {
	.name = "virtio-input",
	.help = "keyboard and tablet ([display] heads)",
	.size = sizeof(struct virtio_input),
	.count = input_count,
	.create = input_create_device,
	.reset = virtio_model_reset,
	.destroy = input_destroy_device,
	.save = virtio_model_save,
	.load = virtio_model_load,
};

// SPDX-License-Identifier: GPL-2.0-or-later
// The virtio PCI transport: negotiation, set-up, reset at any time, failure, every register access.
#include <check.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/devices/pci.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/virtio.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define RING	  0x100000ull
#define DATA	  0x200000ull
#define V1	  (1ull << VIRTIO_F_VERSION_1)
#define MODEL_BIT (1ull << 7)
#define QUEUES	  3

/* A model that keeps chains until it is told to finish them, as a disk does. */
struct keeper {
	struct virtio_model model;
	struct iovec iov[8];
	uint16_t heads[256];
	unsigned int kept;
	unsigned int started, stopped, kicked, vectors_changes;
	int start_result;
	uint8_t config[16];
};

static struct rig rig;
static struct keeper *keeper;
static struct rig_driver driver;
static struct rig_ring ring;

static struct keeper *keeper_of(struct virtio_device *vdev)
{
	return (struct keeper *)vdev->device;
}

static uint64_t features(struct virtio_device *vdev)
{
	(void)vdev;
	return MODEL_BIT;
}

static void config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = offset + i < 16 ? keeper_of(vdev)->config[offset + i] : 0;
}

static void config_written(struct virtio_device *vdev, size_t offset, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (offset + i < 16)
			keeper_of(vdev)->config[offset + i] = ((const uint8_t *)data)[i];
}

static int start(struct virtio_device *vdev)
{
	keeper_of(vdev)->started++;
	return keeper_of(vdev)->start_result;
}

static void finish(struct virtio_device *vdev)
{
	struct keeper *self = keeper_of(vdev);

	while (self->kept > 0)
		virtqueue_push(&vdev->queues[0], self->heads[--self->kept], 0);
	virtqueue_notify(&vdev->queues[0]);
}

static void stop(struct virtio_device *vdev)
{
	keeper_of(vdev)->stopped++;
	finish(vdev);
}

static void kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct keeper *self = keeper_of(vdev);
	struct virtq_chain chain = { .iov = self->iov, .iov_max = 8 };

	self->kicked++;
	while (vq->index == 0 && self->kept < 256 && virtqueue_pop(vq, &chain) > 0)
		self->heads[self->kept++] = chain.head;
	virtqueue_enable_kicks(vq);
}

static void vectors_changed(struct virtio_device *vdev)
{
	keeper_of(vdev)->vectors_changes++;
}

static const struct virtio_ops keeper_ops = {
	.id = 42,
	.class_code = 0xff0000,
	.features = features,
	.config_read = config_read,
	.config_written = config_written,
	.start = start,
	.stop = stop,
	.kick = kick,
	.vectors_changed = vectors_changed,
};

static int keeper_create(struct device *device)
{
	struct virtio_model *model = (struct virtio_model *)device;

	model->vdev.ops = &keeper_ops;
	model->vdev.loop = device->machine->loop;
	model->vdev.n_queues = QUEUES;
	model->vdev.queue_size = 256;
	return virtio_model_register(model);
}

static const struct device_type keeper_type = {
	.name = "keeper",
	.size = sizeof(struct keeper),
	.create = keeper_create,
	.destroy = virtio_model_destroy,
	.reset = virtio_model_reset,
	.save = virtio_model_save,
	.load = virtio_model_load,
};

static void setup(void)
{
	rig = (struct rig){ 0 };
	rig_create(&rig);
	keeper = (struct keeper *)rig_add_device(&rig, &keeper_type, 0);
	ck_assert_ptr_nonnull(keeper);
	rig_probe(&rig, 1, &driver);
}

static void teardown(void)
{
	rig_remove_device(&keeper->model.device);
	rig_destroy(&rig);
}

static void bring_up(uint64_t extra)
{
	ck_assert(rig_negotiate(&driver, V1 | extra));
	rig_queue(&ring, &driver, 0, RING, 256);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	ck_assert(keeper->model.vdev.running);
}

static void offer(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		rig_add(&ring, (struct rig_buffer[]){ { DATA, 16, true } }, 1);
	rig_kick(&ring);
	rig_settle(rig.machine.loop);
}

START_TEST(identity)
{
	ck_assert_uint_eq(rig_config_read(&rig, 1, 0, 4), 0x106a1af4);
	ck_assert_uint_ge(rig_config_read(&rig, 1, PCI_REVISION_ID, 1), 1);
	ck_assert_uint_ge(rig_config_read(&rig, 1, PCI_SUBSYSTEM_ID, 2), 0x40);
	ck_assert(driver.common && driver.isr && driver.config && driver.doorbells);
	ck_assert_uint_eq(driver.doorbell_stride % 2, 0);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
	ck_assert_uint_eq(rig_offered(&driver), V1 | MODEL_BIT | 1ull << VIRTIO_RING_F_EVENT_IDX |
							1ull << VIRTIO_RING_F_INDIRECT_DESC);
	rig_write(&driver, VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_DF, 4), 0);
}
END_TEST

START_TEST(negotiation)
{
	ck_assert(!rig_negotiate(&driver, 0)); /* no VERSION_1 */
	ck_assert(!rig_negotiate(&driver, V1 | 1ull << 50)); /* not offered */
	rig_driver_ok(&driver); /* too early: DRIVER_OK is refused with FEATURES_OK */
	ck_assert_uint_eq(rig_status(&driver), 3);
	ck_assert_uint_eq(keeper->started, 0);
	bring_up(MODEL_BIT);
	ck_assert_uint_eq(keeper->model.vdev.driver_features, V1 | MODEL_BIT);
	/* T06: features after they were agreed on. */
	rig_write(&driver, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	rig_write(&driver, VIRTIO_PCI_COMMON_GF, 0, 4);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_GF, 4), MODEL_BIT);
	/* DRIVER_OK twice starts once; bits are never taken back but by reset. */
	rig_driver_ok(&driver);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	ck_assert_uint_eq(keeper->started, 1);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert_uint_eq(rig_status(&driver), 0);
	ck_assert_uint_eq(keeper->stopped, 1);
}
END_TEST

START_TEST(doorbell_and_interrupt)
{
	bring_up(0);
	offer(1);
	ck_assert_uint_eq(keeper->kept, 1);
	ck_assert_uint_eq(rig_used(&ring), 0);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1); /* stop finishes it */
	ck_assert_uint_eq(rig_used(&ring), 1);
	ck_assert(rig_raised(&driver, 1));
	/* Again after the reset, with a chain that was there before the start. */
	ck_assert(rig_negotiate(&driver, V1));
	rig_queue(&ring, &driver, 0, RING, 64);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 16, true } }, 1);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(keeper->kept, 1);
}
END_TEST

START_TEST(queue_registers)
{
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_NOFF, 2), 1);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 3, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), 3);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_MSIX, QUEUES + 1, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	rig_write(&driver, VIRTIO_PCI_COMMON_MSIX, 0x8000, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	/* By halves and bytes. */
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1122334455667788, 8);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0x11223344);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_DESCLO + 1, 0xee, 1);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x5566ee88);
	/* A queue that is not there. */
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, QUEUES, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SIZE, 16, 2);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 0xffff, 2);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}
END_TEST

START_TEST(t06_bad_set_up_needs_reset)
{
	static const uint16_t sizes[] = { 0, 3, 32768, 65535 };
	static const uint64_t addresses[] = { 0, 1, 0xffffffff, RIG_MEMORY };

	for (size_t i = 0; i < 4; i++) {
		ck_assert(rig_negotiate(&driver, V1));
		rig_queue(&ring, &driver, 0, RING, 256);
		ck_assert_uint_eq(rig_status(&driver), 0xb);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, addresses[i], 8);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_AVAILLO, ring.avail, 8);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_USEDLO, ring.used, 8);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
		ck_assert_uint_eq(rig_status(&driver), 0x4b);
		rig_driver_ok(&driver);
		ck_assert_uint_eq(rig_status(&driver), 0x4f);
		ck_assert(!keeper->model.vdev.running);

		ck_assert(rig_negotiate(&driver, V1));
		rig_queue(&ring, &driver, 0, RING, sizes[i] ? sizes[i] & 255 : 0);
		rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_SIZE, sizes[i], 2);
		rig_write(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
		ck_assert_uint_eq(rig_status(&driver), VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	bring_up(0);
	/* Enabled twice and moved while running: nothing happens. */
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 0x5000, 4);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_DESCLO, 4), RING);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 1, 2);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	offer(3);
	ck_assert_uint_eq(keeper->kept, 3);
}
END_TEST

START_TEST(broken_ring_stops_this_device_only)
{
	struct keeper *other = (struct keeper *)rig_add_device(&rig, &keeper_type, 1);
	struct rig_driver other_driver;
	struct rig_ring other_ring;

	rig_probe(&rig, 2, &other_driver);
	ck_assert(rig_negotiate(&other_driver, V1));
	rig_queue(&other_ring, &other_driver, 0, RING + 0x80000, 16);
	rig_driver_ok(&other_driver);

	bring_up(0);
	(void)rig_raised(&driver, 0);
	rig_offer(&ring, 0xffff);
	rig_kick(&ring);
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(rig_status(&driver), 0x4f);
	ck_assert(rig_raised(&driver, 0));
	ck_assert_uint_eq(bus_read(rig.machine.mmio, driver.isr, 1), VIRTIO_PCI_ISR_CONFIG);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, driver.isr, 1), 0);
	/* Kicks do nothing now. */
	keeper->kicked = 0;
	offer(2);
	ck_assert_uint_eq(keeper->kicked, 0);

	ck_assert_uint_eq(rig_status(&other_driver), 0xf);
	rig_add(&other_ring, (struct rig_buffer[]){ { DATA, 16, true } }, 1);
	rig_kick(&other_ring);
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(other->kept, 1);

	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	bring_up(0);
	offer(2);
	ck_assert_uint_eq(keeper->kept, 2);
	rig_remove_device(&other->model.device);
}
END_TEST

START_TEST(start_fails)
{
	keeper->start_result = -ENOMEM;
	ck_assert(rig_negotiate(&driver, V1));
	rig_queue(&ring, &driver, 0, RING, 256);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0x4f);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert_uint_eq(keeper->stopped, 0);
	keeper->start_result = 0;
	bring_up(0);
}
END_TEST

START_TEST(reset_in_flight)
{
	for (unsigned int round = 0; round < 1000; round++) {
		bring_up(round & 1 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0);
		for (unsigned int i = 0; i < 64; i++)
			rig_add(&ring, (struct rig_buffer[]){ { DATA, 16, true } }, 1);
		rig_kick(&ring);
		if (round & 2)
			rig_settle(rig.machine.loop);
		if (round & 4)
			virtio_model_reset(&keeper->model.device);
		else
			rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		if (round & 4)
			ck_assert_int_eq(pci_bus_assign(rig.machine.pci), 0);
		ck_assert_uint_eq(rig_status(&driver), 0);
		ck_assert_uint_eq(keeper->kept, 0);
	}
	ck_assert_uint_eq(keeper->started, keeper->stopped);
}
END_TEST

static void *hammer_doorbells(void *opaque)
{
	int *go = opaque;

	while (__atomic_load_n(go, __ATOMIC_RELAXED)) {
		bus_write(rig.machine.ports, driver.doorbells, 0, 2);
		bus_write(rig.machine.ports, driver.doorbells + driver.doorbell_stride, 1, 2);
		(void)rig_status(&driver);
	}
	return NULL;
}

START_TEST(reset_under_kicks)
{
	pthread_t thread;
	int go = 1;

	ck_assert_int_eq(pthread_create(&thread, NULL, hammer_doorbells, &go), 0);
	for (unsigned int round = 0; round < 300; round++) {
		bring_up(0);
		for (unsigned int i = 0; i < 8; i++)
			rig_add(&ring, (struct rig_buffer[]){ { DATA, 16, true } }, 1);
		rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	}
	__atomic_store_n(&go, 0, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(configuration)
{
	uint64_t generation = rig_read(&driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	bring_up(0);
	(void)rig_raised(&driver, 0);
	bus_write(rig.machine.mmio, driver.config + 4, 0x11223344, 4);
	ck_assert_uint_eq(rig_config(&driver, 4, 4), 0x11223344);
	ck_assert_uint_eq(rig_config(&driver, 5, 2), 0x2233);
	ck_assert_uint_eq(rig_config(&driver, 0x800, 8), 0);
	virtio_config_changed(&keeper->model.vdev);
	ck_assert_uint_ne(rig_read(&driver, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	ck_assert(rig_raised(&driver, 0));
}
END_TEST

static unsigned int find_window(void)
{
	unsigned int at = rig_config_read(&rig, 1, PCI_CAPABILITY_LIST, 1);

	while (at && (rig_config_read(&rig, 1, at, 1) != PCI_CAP_ID_VNDR ||
		      rig_config_read(&rig, 1, at + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG))
		at = rig_config_read(&rig, 1, at + 1, 1);
	return at;
}

static uint32_t through_window(unsigned int at, uint8_t bar, uint32_t offset, uint32_t len)
{
	rig_config_write(&rig, 1, at + 4, bar, 1);
	rig_config_write(&rig, 1, at + 8, offset, 4);
	rig_config_write(&rig, 1, at + 12, len, 4);
	return rig_config_read(&rig, 1, at + 16, 4);
}

START_TEST(configuration_window)
{
	unsigned int at = find_window();

	ck_assert_uint_ne(at, 0);
	ck_assert_uint_eq(through_window(at, 2, VIRTIO_PCI_COMMON_NUMQ, 2) & 0xffff, QUEUES);
	through_window(at, 2, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	rig_config_write(&rig, 1, at + 16, 2, 4);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 2), 2);
	/* Rubbish in it. */
	for (unsigned int bar = 0; bar < 256; bar += 1)
		for (unsigned int len = 0; len < 6; len++) {
			through_window(at, (uint8_t)bar, 0xffffffff, len);
			through_window(at, (uint8_t)bar, 0xffc, len);
			rig_config_write(&rig, 1, at + 16, 0, 4);
			through_window(at, (uint8_t)bar, 4, len);
			rig_config_write(&rig, 1, at + 17, 0, 2);
		}
	through_window(at, 2, 0, 0x80000000);
	ck_assert_uint_eq(rig_status(&driver), 0);
}
END_TEST

START_TEST(every_offset_and_width)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	static const uint64_t values[] = { 0, ~0ull, 0x0101010101010101, 0x0f0f0f0f0f0f0f0f };

	for (unsigned int round = 0; round < 2; round++) {
		if (round)
			bring_up(0);
		for (unsigned int s = 0; s < 4; s++)
			for (unsigned int v = 0; v < 4; v++)
				for (unsigned int offset = 0; offset < 0x1000 + 8; offset++) {
					uint64_t at = driver.common - 4 + offset;

					(void)bus_read(rig.machine.mmio, at, sizes[s]);
					bus_write(rig.machine.mmio, at, values[v], sizes[s]);
				}
		for (unsigned int s = 0; s < 3; s++)
			for (unsigned int port = 0; port < 24; port++) {
				(void)bus_read(rig.machine.ports, driver.doorbells - 4 + port,
					       sizes[s]);
				bus_write(rig.machine.ports, driver.doorbells - 4 + port, port,
					  sizes[s]);
			}
	}
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert_uint_eq(rig_status(&driver), 0);
	bring_up(0);
}
END_TEST

START_TEST(vectors_move_while_running)
{
	bring_up(0);
	keeper->vectors_changes = 0;
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	rig_write(&driver, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	ck_assert_uint_eq(keeper->vectors_changes, 1);
	offer(1);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert(!rig_raised(&driver, 1));
	ck_assert(rig_raised(&driver, 2));
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct state saved = { 0 }, reader;

	bring_up(1ull << VIRTIO_RING_F_EVENT_IDX);
	offer(3);
	ck_assert_int_eq(virtio_model_save(&keeper->model.device, &saved), 0);
	ck_assert_uint_eq(rig_used(&ring), 3);
	ck_assert(keeper->model.vdev.running);
	virtio_model_reset(&keeper->model.device);
	state_read_from(&reader, saved.bytes, saved.len);
	ck_assert_int_eq(virtio_model_load(&keeper->model.device, &reader), 0);
	rig_probe(&rig, 1, &driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	offer(2);
	ck_assert_uint_eq(keeper->kept, 2);
	for (size_t len = 0; len < saved.len; len++) {
		state_read_from(&reader, saved.bytes, len);
		ck_assert_int_lt(virtio_model_load(&keeper->model.device, &reader), 0);
		saved.bytes[len] ^= 0x55;
		state_read_from(&reader, saved.bytes, saved.len);
		(void)virtio_model_load(&keeper->model.device, &reader);
		saved.bytes[len] ^= 0x55;
	}
	state_finish(&saved);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_transport");
	TCase *tcase = tcase_create("transport");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, identity);
	tcase_add_test(tcase, negotiation);
	tcase_add_test(tcase, doorbell_and_interrupt);
	tcase_add_test(tcase, queue_registers);
	tcase_add_test(tcase, t06_bad_set_up_needs_reset);
	tcase_add_test(tcase, broken_ring_stops_this_device_only);
	tcase_add_test(tcase, start_fails);
	tcase_add_test(tcase, reset_in_flight);
	tcase_add_test(tcase, reset_under_kicks);
	tcase_add_test(tcase, configuration);
	tcase_add_test(tcase, configuration_window);
	tcase_add_test(tcase, every_offset_and_width);
	tcase_add_test(tcase, vectors_move_while_running);
	tcase_add_test(tcase, saved_and_loaded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

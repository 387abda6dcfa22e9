// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-blk on a file (io_uring) and on tmpfs (at once): data, bad requests (T05), resets.
#include <check.h>
#include <endian.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_blk_rig.h"

START_TEST(configuration)
{
	uint8_t id[21] = { 0 };

	open_disk(_i);
	ck_assert_uint_eq(rig_config(&driver, offsetof(struct virtio_blk_config, capacity), 8),
			  SECTORS);
	ck_assert_uint_eq(rig_config(&driver, offsetof(struct virtio_blk_config, blk_size), 4),
			  512);
	ck_assert_uint_eq(rig_config(&driver, offsetof(struct virtio_blk_config, seg_max), 4), 254);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_GET_ID, 0, DATA, 20, true), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(memory_read(rig.machine.memory, DATA, id, 20), 0);
	ck_assert_str_eq((char *)id, "SERIAL-0123456789ABC");
	ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, DATA, 0, false), VIRTIO_BLK_S_OK);
	close_disk();
}
END_TEST

START_TEST(write_and_read)
{
	uint8_t bytes[65536], back[65536];

	open_disk(_i);
	pattern(bytes, sizeof(bytes), 3);
	ck_assert_int_eq(memory_write(rig.machine.memory, DATA, bytes, sizeof(bytes)), 0);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 100, DATA, sizeof(bytes), false), 0);
	check_image(100 * 512, bytes, sizeof(bytes));
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 100, DATA + 0x100000, sizeof(bytes), true), 0);
	ck_assert_int_eq(memory_read(rig.machine.memory, DATA + 0x100000, back, sizeof(back)), 0);
	ck_assert_mem_eq(bytes, back, sizeof(back));
	/* First and last sector. */
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, SECTORS - 1, DATA, 512, false), 0);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 0, DATA, 512, false), 0);
	check_image(DISK - 512, bytes, 512);
	check_image(0, bytes, 512);
	close_disk();
}
END_TEST

/* Header in 16 pieces, data in pieces of odd sizes, the status byte behind data in one buffer. */
START_TEST(cut_anywhere)
{
	struct rig_buffer buffers[40];
	uint8_t bytes[4096], status = 0xee;
	uint32_t left = sizeof(bytes), at = 0, len;
	size_t n = 0;

	open_disk(_i);
	pattern(bytes, sizeof(bytes), 9);
	ck_assert_int_eq(pwrite(image_fd, bytes, sizeof(bytes), 512), sizeof(bytes));
	put_header(HEADER, VIRTIO_BLK_T_IN, 1);
	for (unsigned int i = 0; i < 16; i++)
		buffers[n++] = (struct rig_buffer){ HEADER + i, 1, false };
	for (unsigned int i = 1; left > 0; i++) {
		uint32_t part = 37 * i < left ? 37 * i : left + 1; /* the last one with status */

		buffers[n++] = (struct rig_buffer){ DATA + at, part, true };
		at += part;
		left = part > left ? 0 : left - part;
		if (left == 0 && part == 37 * i)
			buffers[n++] = (struct rig_buffer){ DATA + at, 1, true };
	}
	rig_add(&ring, buffers, n);
	rig_kick(&ring);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, sizeof(bytes) + 1);
	ck_assert_int_eq(memory_read(rig.machine.memory, DATA + sizeof(bytes), &status, 1), 0);
	ck_assert_uint_eq(status, VIRTIO_BLK_S_OK);
	memset(bytes, 0, sizeof(bytes));
	ck_assert_int_eq(memory_read(rig.machine.memory, DATA, bytes, sizeof(bytes)), 0);
	check_image(512, bytes, sizeof(bytes));
	/* Header and data to write in one buffer. */
	put_header(DATA, VIRTIO_BLK_T_OUT, 77);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 16 + 512, false }, { STATUS, 1, true } }, 2);
	ck_assert_uint_eq(wait_status(), 0);
	check_image(77 * 512, bytes + 16, 512);
	close_disk();
}
END_TEST

START_TEST(t05_statuses)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t len;
		bool in;
		uint8_t status;
	} rows[] = {
		{ VIRTIO_BLK_T_IN, 0, 511, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 513, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 0, 511, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 0, 513, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, ~0ull, 512, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, ~0ull >> 9, 512, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 1ull << 55, 512, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS, 512, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS - 1, 1024, true, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, SECTORS, 512, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS, 0, true, VIRTIO_BLK_S_OK },
		{ VIRTIO_BLK_T_OUT, 0, 0, false, VIRTIO_BLK_S_OK },
		/* Data on the wrong side: nothing to move. */
		{ VIRTIO_BLK_T_IN, 0, 512, false, VIRTIO_BLK_S_OK },
		{ 0xffffffff, 0, 512, true, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_SCSI_CMD, 0, 512, true, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_SECURE_ERASE, 0, 16, false, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, 0, 0, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 15, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 32, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 17, false, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_GET_ID, 0, 3, true, VIRTIO_BLK_S_OK },
	};
	struct stat before, after;

	open_disk(_i);
	ck_assert_int_eq(fstat(image_fd, &before), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(request(rows[i].type, rows[i].sector, DATA, rows[i].len,
				      rows[i].in) == rows[i].status,
			      "row %zu", i);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	ck_assert_int_eq(fstat(image_fd, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	close_disk();
}
END_TEST

START_TEST(t05_shapes_that_break_the_queue)
{
	struct rig_buffer short_header[] = { { HEADER, 15, false }, { STATUS, 1, true } };
	struct rig_buffer no_status[] = { { HEADER, 16, false }, { DATA, 512, false } };
	struct rig_buffer backwards[] = { { DATA, 512, true }, { HEADER, 16, false } };
	struct rig_buffer *const shapes[] = { short_header, no_status, backwards };

	open_disk(_i);
	for (unsigned int i = 0; i < 3; i++) {
		put_header(HEADER, VIRTIO_BLK_T_OUT, 0);
		rig_add(&ring, shapes[i], 2);
		rig_kick(&ring);
		rig_settle(((struct virtio_model *)device)->vdev.loop);
		ck_assert_uint_eq(rig_status(&driver), 0x4f);
		bring_up(FEATURES);
		ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, DATA, 0, false), 0);
	}
	/* 1024 segments of one byte, by an indirect table. */
	bring_up(FEATURES | 1ull << VIRTIO_RING_F_INDIRECT_DESC);
	for (unsigned int i = 0; i < 1024; i++) {
		struct vring_desc desc = { .addr = DATA + i,
					   .len = 1,
					   .flags = i < 1023 ? VRING_DESC_F_NEXT : 0,
					   .next = (uint16_t)(i + 1) };

		ck_assert_int_eq(memory_write(rig.machine.memory, DATA + 0x10000 + 16 * i, &desc,
					      sizeof(desc)),
				 0);
	}
	rig_desc(&ring, 0, DATA + 0x10000, 16 * 1024, VRING_DESC_F_INDIRECT, 0);
	rig_offer(&ring, 0);
	rig_kick(&ring);
	rig_settle(((struct virtio_model *)device)->vdev.loop);
	ck_assert_uint_eq(rig_status(&driver), 0x4f);
	close_disk();
}
END_TEST

START_TEST(discard_and_zeroes)
{
	uint8_t *full = malloc(DISK), *zeroes = calloc(1, DISK);

	open_disk(_i);
	memset(full, 0x5a, DISK);
	ck_assert_int_eq(pwrite(image_fd, full, DISK, 0), DISK);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_DISCARD, 8, 8, 0), 0);
	check_image(0, full, 4096);
	check_image(4096, zeroes, 4096);
	check_image(8192, full, 4096);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 17, 3, 0), 0);
	check_image(16 * 512, full, 512);
	check_image(17 * 512, zeroes, 3 * 512);
	check_image(20 * 512, full, 512);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 1024, 4096, 1), 0);
	check_image(1024 * 512, zeroes, 4096 * 512);
	check_image((1024 + 4096) * 512, full, 512);
	/* Two in a row, for the second knows what the image lacks. */
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, SECTORS, 0), 0);
	check_image(0, zeroes, DISK);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_DISCARD, 0, 0, 0), 0);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_DISCARD, SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, ~0ull, 8, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 1, 0xffffffff, 1), VIRTIO_BLK_S_IOERR);
	close_disk();
	free(full);
	free(zeroes);
}
END_TEST

/* T29: what is in flight at a reset is waited for, and nothing is written afterwards. */
START_TEST(t29_reset_in_flight)
{
	uint8_t *poison = malloc(256 * 4096), *back = malloc(256 * 4096);

	open_disk(_i);
	memset(poison, 0xa5, 256 * 4096);
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < SIZE / 3; i++) {
			struct rig_buffer buffers[] = { { HEADER, 16, false },
							{ DATA + 4096ull * i, 4096, true },
							{ STATUS, 1, true } };

			put_header(HEADER, VIRTIO_BLK_T_IN, (i * 8 + round) % (SECTORS - 8));
			rig_add(&ring, buffers, 3);
		}
		rig_kick(&ring);
		if (round & 1)
			(void)rig_take(&ring, NULL, NULL);
		rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		ck_assert_int_eq(memory_write(rig.machine.memory, DATA, poison, 256 * 4096), 0);
		bring_up(FEATURES);
		ck_assert_uint_eq(request(VIRTIO_BLK_T_FLUSH, 0, DATA, 0, false), 0);
		ck_assert_int_eq(memory_read(rig.machine.memory, DATA, back, 256 * 4096), 0);
		ck_assert_mem_eq(poison, back, 256 * 4096);
	}
	close_disk();
	free(poison);
	free(back);
}
END_TEST

START_TEST(many_at_once)
{
	unsigned int done = 0;

	open_disk(_i);
	bring_up(FEATURES | 1ull << VIRTIO_RING_F_INDIRECT_DESC);
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 64; i++) {
			struct rig_buffer buffers[] = { { HEADER, 16, false },
							{ DATA + 4096ull * i, 4096, false },
							{ STATUS, 1, true } };

			put_header(HEADER, VIRTIO_BLK_T_OUT, i * 8);
			rig_add(&ring, buffers, 3);
		}
		rig_kick(&ring);
		for (unsigned int i = 0; i < 64; i++)
			done += rig_take(&ring, NULL, NULL);
	}
	ck_assert_uint_eq(done, 50 * 64);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	/* One kick and few interrupts for 64 requests. */
	ck_assert_uint_le(((struct virtio_model *)device)->vdev.queues[0].kicks, 50 * 2 + 1);
	close_disk();
}
END_TEST

START_TEST(several_queues)
{
	struct rig_ring second;

	rig.config.cpus = 1;
	make_image(folder_of(_i));
	rig = (struct rig){ .config.cpus = 9 };
	disk.name = (char *)"a disk with a name that is longer than twenty bytes";
	disk.file = path;
	rig.config.disks = &disk;
	rig.config.n_disks = 1;
	rig_create(&rig);
	device = rig_add_device(&rig, &virtio_blk_type, 0);
	rig_probe(&rig, 1, &driver);
	ck_assert_uint_eq(rig_config(&driver, offsetof(struct virtio_blk_config, num_queues), 2),
			  4);
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&second, &driver, 3, RING + 0x80000, SIZE);
	rig_queue(&ring, &driver, 0, RING, SIZE);
	rig_driver_ok(&driver);
	for (unsigned int i = 0; i < 100; i++) {
		struct rig_buffer buffers[] = { { HEADER, 16, false },
						{ DATA, 4096, true },
						{ STATUS, 1, true } };

		put_header(HEADER, VIRTIO_BLK_T_IN, i);
		rig_add(&second, buffers, 3);
		rig_add(&ring, buffers, 3);
		rig_kick(&second);
		rig_kick(&ring);
		ck_assert(rig_take(&second, NULL, NULL));
		ck_assert(rig_take(&ring, NULL, NULL));
	}
	close_disk();
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct state saved = { 0 }, reader;

	open_disk(_i);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, DATA, 512, true), 0);
	ck_assert_int_eq(virtio_model_save(device, &saved), 0);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, DATA, 512, true), 0);
	virtio_model_reset(device);
	state_read_from(&reader, saved.bytes, saved.len);
	ck_assert_int_eq(virtio_model_load(device, &reader), 0);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	state_finish(&saved);
	close_disk();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_blk");
	TCase *tcase = tcase_create("blk");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, configuration, 0, 2);
	tcase_add_loop_test(tcase, write_and_read, 0, 2);
	tcase_add_loop_test(tcase, cut_anywhere, 0, 2);
	tcase_add_loop_test(tcase, t05_statuses, 0, 2);
	tcase_add_loop_test(tcase, t05_shapes_that_break_the_queue, 0, 2);
	tcase_add_loop_test(tcase, discard_and_zeroes, 0, 2);
	tcase_add_loop_test(tcase, t29_reset_in_flight, 0, 2);
	tcase_add_loop_test(tcase, many_at_once, 0, 2);
	tcase_add_loop_test(tcase, several_queues, 0, 2);
	tcase_add_loop_test(tcase, saved_and_loaded, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

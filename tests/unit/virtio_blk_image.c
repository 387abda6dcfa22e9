// SPDX-License-Identifier: GPL-2.0-or-later
// Images of virtio-blk: read-only, direct I/O, durable writes, files that are cut or are no images.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host-vmm/memory.h"
#include "host-vmm/virtio/models.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_blk_rig.h"

START_TEST(read_only)
{
	disk.read_only = true;
	open_disk(_i);
	ck_assert(rig_offered(&driver) & 1ull << VIRTIO_BLK_F_RO);
	ck_assert(!(rig_offered(&driver) & 1ull << VIRTIO_BLK_F_DISCARD));
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, DATA, 512, true), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 0, DATA, 512, false), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_IOERR);
	close_disk();
}
END_TEST

START_TEST(direct_with_any_buffer)
{
	uint8_t bytes[8192], back[8192];
	uint32_t block;
	int fd;

	/* Nothing to test where the file system has no direct I/O. */
	make_image(folder_of(0));
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	close(image_fd);
	unlink(path);
	if (fd < 0)
		return;
	close(fd);
	disk.direct = true;
	open_disk(0);
	block = (uint32_t)rig_config(&driver, offsetof(struct virtio_blk_config, blk_size), 4);
	pattern(bytes, sizeof(bytes), 1);
	/* Aligned, then a buffer at an odd address, which goes by way of one of ours. */
	for (uint64_t data = DATA; data < DATA + 8; data += 7) {
		ck_assert_int_eq(memory_write(rig.machine.memory, data, bytes, sizeof(bytes)), 0);
		ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 4096 / 512, data, 8192, false), 0);
		check_image(4096, bytes, sizeof(bytes));
		ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 8, data + 0x10000, 8192, true), 0);
		ck_assert_int_eq(memory_read(rig.machine.memory, data + 0x10000, back, 8192), 0);
		ck_assert_mem_eq(bytes, back, 8192);
	}
	if (block > 512)
		ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 1, DATA, 512, true), VIRTIO_BLK_S_IOERR);
	/* Too long to go through us. */
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, DATA + 1, DISK, true), VIRTIO_BLK_S_OK);
	close_disk();
}
END_TEST

/* In place of the C library's, to see that it is called. */
static unsigned int n_synced;

int fdatasync(int fd)
{
	n_synced++;
	return (int)syscall(SYS_fdatasync, fd);
}

/* The kernel's ring does by itself what a disk in memory does by calls, which can be counted. */
static void check_synced(unsigned int times)
{
	struct statfs about;

	ck_assert_int_eq(fstatfs(image_fd, &about), 0);
	if (about.f_type == TMPFS_MAGIC)
		ck_assert_uint_eq(n_synced, times);
}

START_TEST(without_flush_written_is_safe)
{
	open_disk(_i);
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1), VIRTIO_BLK_S_OK);
	check_synced(0);
	bring_up(FEATURES & ~(1ull << VIRTIO_BLK_F_FLUSH));
	ck_assert_uint_eq(request(VIRTIO_BLK_T_OUT, 0, DATA, 4096, false), VIRTIO_BLK_S_OK);
	check_synced(0); /* by a flag of the write */
	ck_assert_uint_eq(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1), VIRTIO_BLK_S_OK);
	check_synced(1);
	/* What was discarded may be anything. */
	ck_assert_uint_eq(range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_OK);
	check_synced(1);
	close_disk();
}
END_TEST

START_TEST(file_cut_short)
{
	open_disk(_i);
	ck_assert_int_eq(ftruncate(image_fd, 4096), 0);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 100, DATA, 512, true), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, DATA, 8192, true), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(request(VIRTIO_BLK_T_IN, 0, DATA, 4096, true), VIRTIO_BLK_S_OK);
	close_disk();
}
END_TEST

static void fails(const char *file, bool direct, int expected)
{
	struct vm_disk other = { .name = (char *)"other", .file = (char *)file, .direct = direct };
	struct vm_config config = rig.config;
	struct device *second = calloc(1, virtio_blk_type.size);

	config.disks = &other;
	rig.machine.config = &config;
	second->type = &virtio_blk_type;
	second->machine = &rig.machine;
	snprintf(second->name, sizeof(second->name), "virtio-blk.1");
	ck_assert_int_eq(virtio_blk_type.create(second), expected);
	rig.machine.config = &rig.config;
	free(second);
}

START_TEST(images_that_are_none)
{
	char empty[80];
	int fd;

	open_disk(_i);
	fails(path, false, -EBUSY); /* locked by the first */
	fails("/nowhere/there.img", false, -ENOENT);
	fails("/tmp", false, -EISDIR);
	fails("/dev/null", false, -EINVAL);
	snprintf(empty, sizeof(empty), "%s.empty", path);
	fd = open(empty, O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	fails(empty, false, -EINVAL);
	ck_assert_int_eq(ftruncate(fd, 511), 0);
	fails(empty, false, -EINVAL);
	close(fd);
	unlink(empty);
	close_disk();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_blk_image");
	TCase *tcase = tcase_create("blk");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, read_only, 0, 2);
	tcase_add_test(tcase, direct_with_any_buffer);
	tcase_add_loop_test(tcase, without_flush_written_is_safe, 0, 2);
	tcase_add_loop_test(tcase, file_cut_short, 0, 2);
	tcase_add_loop_test(tcase, images_that_are_none, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

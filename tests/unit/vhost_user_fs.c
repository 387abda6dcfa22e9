// SPDX-License-Identifier: GPL-2.0-or-later
/* The virtio-fs device with back ends that come, serve, die and come back. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/irq.h"
#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/fs.h"
#include "host-vmm/virtio/fs_orphans.h"
#include "host-vmm/virtio/queue.h"
#include "protocol/lib/fd.h"
#include "tests/unit/virtio_rig.h"

#define SIZE	 128
#define RING	 0x100000ull
#define REQUESTS 0x200000ull
#define ANSWERS	 0x300000ull
#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

static struct rig rig;
static struct rig_ring ring;
static char folder[64];

static void setup(void)
{
	rig = (struct rig){ 0 };
	strcpy(folder, "/tmp/lodge-fs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	rig_create(&rig);
}

static void teardown(void)
{
	rig_destroy(&rig);
	rmdir(folder);
}

/* ---- requests ---- */

static uint64_t request_at(unsigned int i)
{
	return REQUESTS + 256ull * i;
}

static uint64_t answer_at(unsigned int i)
{
	return ANSWERS + 256ull * i;
}

/* A request number @i with @opcode on the root and @len bytes of body: its head. */
static uint16_t ask(unsigned int i, uint32_t opcode, const void *body, size_t len)
{
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len),
				     .opcode = opcode,
				     .unique = 1000 + i,
				     .nodeid = FUSE_ROOT_ID };
	struct rig_buffer buffers[] = { { request_at(i), sizeof(in), false },
					{ request_at(i) + sizeof(in), (uint32_t)len, false },
					{ answer_at(i), 256, true } };

	ck_assert_int_eq(memory_write(rig.machine.memory, request_at(i), &in, sizeof(in)), 0);
	ck_assert_int_eq(memory_write(rig.machine.memory, request_at(i) + sizeof(in), body, len),
			 0);
	if (!len) {
		buffers[1] = buffers[2];
		return rig_add(&ring, buffers, 2);
	}
	return rig_add(&ring, buffers, 3);
}

static struct fuse_out_header answer(unsigned int i)
{
	struct fuse_out_header out;

	ck_assert_int_eq(memory_read(rig.machine.memory, answer_at(i), &out, sizeof(out)), 0);
	return out;
}

static void assert_answer(unsigned int i, int error)
{
	struct fuse_out_header out = answer(i);

	ck_assert_int_eq(out.error, error);
	ck_assert_uint_eq(out.unique, 1000 + i);
	if (error)
		ck_assert_uint_eq(out.len, sizeof(out));
}

/* ---- requests whose server is gone ---- */

static struct virtqueue vq;
static struct vhost_user *vu;
static struct irq_msi *msi;

static void setup_orphans(void)
{
	int pair[2];

	setup();
	rig_ring_init(&ring, &rig, RING, SIZE);
	ck_assert_int_eq(irq_msi_create(rig.machine.irq, &msi), 0);
	vq = (struct virtqueue){ .memory = rig.machine.memory,
				 .max_size = SIZE,
				 .size = SIZE,
				 .desc = ring.desc,
				 .driver = ring.avail,
				 .device = ring.used,
				 .indirect = true,
				 .kick_fd = -1,
				 .msi = msi };
	ck_assert_int_eq(virtqueue_enable(&vq), 0);
	/* A connection without a record of requests in flight. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	ck_assert_int_eq(vhost_user_create(pair[0], 0, &vu), 0);
}

static void teardown_orphans(void)
{
	vhost_user_destroy(vu);
	irq_msi_destroy(msi);
	teardown();
}

/* What a back end does: gives @head back. */
static uint16_t given;

static void give_back(uint16_t head)
{
	rig_store16(&rig, ring.used + 4 + 8ull * (given % SIZE), head);
	rig_store16(&rig, ring.used + 2, ++given);
	ring.used_idx++;
}

static void assert_taken(uint16_t head)
{
	uint32_t id;

	ck_assert(rig_take(&ring, &id, NULL));
	ck_assert_uint_eq(id, head);
}

START_TEST(test_orphans_in_order)
{
	uint16_t first, second;

	given = 0;
	give_back(ask(0, FUSE_GETATTR, NULL, 0));
	first = ask(1, FUSE_GETATTR, NULL, 0);
	second = ask(2, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(first);
	assert_taken(second);
	ck_assert_uint_eq(rig_used(&ring), 0);
	assert_answer(1, -EIO);
	assert_answer(2, -EIO);
	ck_assert_int_eq(answer(0).error, 0);
	/* What comes now is for the next server, or for us. */
	first = ask(3, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(fs_orphans_serve(&vq), 0);
	assert_taken(first);
	assert_answer(3, -ENOTCONN);
	ck_assert_uint_eq(vq.last_avail, 4);
	ck_assert_uint_eq(vq.used, 4);
}
END_TEST

/* The oldest request stays out while many others come and go, some of them out of order. */
START_TEST(test_orphans_out_of_order)
{
	uint16_t slow, a, b;

	given = 0;
	slow = ask(0, FUSE_GETATTR, NULL, 0);
	for (unsigned int i = 1; i < SIZE / 2 - 4; i += 2) {
		ring.next_desc = 10;
		a = ask(i, FUSE_GETATTR, NULL, 0);
		b = ask(i + 1, FUSE_GETATTR, NULL, 0);
		give_back(b);
		give_back(a);
	}
	ring.next_desc = 10;
	a = ask(100, FUSE_GETATTR, NULL, 0);
	b = ask(101, FUSE_GETATTR, NULL, 0);
	give_back(b);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(slow);
	assert_taken(a);
	ck_assert_uint_eq(rig_used(&ring), 0);
	assert_answer(0, -EIO);
	assert_answer(100, -EIO);
}
END_TEST

/* Indices that have gone round, and heads that come again and again. */
START_TEST(test_orphans_after_a_while)
{
	uint16_t last;

	given = 0;
	for (unsigned int i = 0; i < 70000; i++) {
		ring.next_desc = 0;
		give_back(ask(0, FUSE_GETATTR, NULL, 0));
	}
	ring.next_desc = 0;
	last = ask(1, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(last);
	ck_assert_uint_eq(rig_used(&ring), 0);
	assert_answer(1, -EIO);
}
END_TEST

START_TEST(test_orphans_forget)
{
	struct rig_buffer buffer = { request_at(0), 48, false };
	uint16_t head;
	uint32_t len;

	given = 0;
	head = rig_add(&ring, &buffer, 1);
	ck_assert_int_eq(fs_orphans_serve(&vq), 0);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, 0);
	(void)head;
}
END_TEST

START_TEST(test_orphans_indirect)
{
	const uint64_t table = 0x400000;
	struct vring_desc inner[] = {
		{ request_at(0), 40, VRING_DESC_F_NEXT, 1 },
		{ answer_at(0), 7, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 },
		{ answer_at(0) + 7, 100, VRING_DESC_F_WRITE, 0 },
	};

	given = 0;
	ask(0, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(memory_write(rig.machine.memory, table, inner, sizeof(inner)), 0);
	rig_desc(&ring, 0, table, sizeof(inner), VRING_DESC_F_INDIRECT, 0);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(0);
	assert_answer(0, -EIO);
}
END_TEST

/* Each is a ring that no back end can have left behind. */
START_TEST(test_orphans_hostile)
{
	given = 0;
	switch (_i) {
	case 0: /* the same head out twice */
		rig_offer(&ring, ask(0, FUSE_GETATTR, NULL, 0));
		break;
	case 1: /* a head beyond the table */
		ask(0, FUSE_GETATTR, NULL, 0);
		rig_offer(&ring, SIZE);
		break;
	case 2: /* more out than the ring holds */
		rig_store16(&rig, ring.avail + 2, SIZE + 1);
		break;
	case 3: /* a loop */
		ask(0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, request_at(0), 40, VRING_DESC_F_NEXT, 0);
		break;
	case 4: /* outside RAM */
		ask(0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, RIG_MEMORY, 40, 0, 0);
		break;
	case 5: /* a table within a table */
		ask(0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, ring.desc, 32, VRING_DESC_F_INDIRECT, 0);
		break;
	case 6: /* an empty table */
		ask(0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, request_at(0), 0, VRING_DESC_F_INDIRECT, 0);
		break;
	}
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), -EPROTO);
	ck_assert(vq.broken);
	ck_assert_ptr_nonnull(vq.broken_why);
	ck_assert_int_eq(fs_orphans_serve(&vq), -EPROTO);
}
END_TEST

/* ---- the device with a real lodge-fsd ---- */

static struct device *device;
static struct rig_driver driver;
static struct rig_ring hiprio;
static struct vm_share share;

static void need_fsd(void)
{
	char *path;

	/* The file server is beside the programs, not beside the tests. */
	if (!getenv("LODGE_LIBEXEC")) {
		char self[4096], *end;
		ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 8);

		ck_assert_int_gt(len, 0);
		self[len] = 0;
		for (int i = 0; i < 2; i++) {
			end = strrchr(self, '/');
			ck_assert_ptr_nonnull(end);
			*end = 0;
		}
		strcat(self, "/bin");
		setenv("LODGE_LIBEXEC", self, 1);
	}
	ck_assert_msg(!spawn_find("lodge-fsd", &path), "build lodge-fsd first");
	free(path);
}

static void setup_device(void)
{
	setup();
	need_fsd();
	share = (struct vm_share){ .name = (char *)"docs", .path = folder, .owner_exact = true };
	rig.config.shares = &share;
	rig.config.n_shares = 1;
	device = rig_add_device(&rig, &virtio_fs_type, 0);
	ck_assert_ptr_nonnull(device);
	rig.machine.devices = &device;
	rig.machine.n_devices = 1;
}

static void teardown_device(void)
{
	rig_remove_device(device);
	teardown();
}

static void drive(void)
{
	rig_probe(&rig, 1, &driver);
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&hiprio, &driver, 0, RING + 0x10000, SIZE);
	rig_queue(&ring, &driver, 1, RING, SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

static void call(unsigned int i, uint32_t opcode, const void *body, size_t len)
{
	uint16_t head = ask(i, opcode, body, len);

	rig_kick(&ring);
	assert_taken(head);
}

static void init_session(unsigned int i)
{
	struct fuse_init_in init = { .major = 7, .minor = 36, .max_readahead = 4096 };

	call(i, FUSE_INIT, &init, sizeof(init));
	assert_answer(i, 0);
}

static void lookup(unsigned int i)
{
	call(i, FUSE_LOOKUP, "docs", 5);
}

/* The only child process of @pid, or 0. */
static pid_t child_of(pid_t pid)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "r");
	if (file && !fgets(text, sizeof(text), file))
		*text = 0;
	if (file)
		fclose(file);
	return atoi(text);
}

/* lodge-fsd is the child of the starter, which is ours; what serves is its child in the sandbox. */
static pid_t server(void)
{
	pid_t pid = child_of(getpid()), child;

	ck_assert_int_gt(pid, 0);
	pid = child_of(pid);
	while ((child = child_of(pid)) > 0)
		pid = child;
	return pid;
}

START_TEST(test_device_serves)
{
	drive();
	ck_assert_uint_eq(rig_config(&driver, 36, 4), 1);
	ck_assert_uint_eq(rig_config(&driver, 0, 4), 'l' | 'o' << 8 | 'd' << 16 | 'g' << 24);
	init_session(0);
	lookup(1);
	assert_answer(1, 0);
	ck_assert(rig_raised(&driver, 2));
	/* Another life of the driver. */
	drive();
	init_session(2);
	lookup(3);
	assert_answer(3, 0);
}
END_TEST

static void note_share(void *opaque, const struct fs_share_info *info)
{
	char *names = opaque;

	ck_assert_str_eq(info->path, folder);
	strcat(strcat(names, info->name), info->read_only ? ":ro " : " ");
}

static void look_for(unsigned int i, const char *name, int error)
{
	call(i, FUSE_LOOKUP, name, strlen(name) + 1);
	assert_answer(i, error);
}

START_TEST(test_shares_come_and_go)
{
	struct fs_share_info later = { .name = "a b%=c", .path = folder, .read_only = true };
	struct fs_share_info bad = { .name = "x\ny", .path = folder };
	char names[256] = "";

	drive();
	init_session(0);
	ck_assert_int_eq(fs_share_add(&rig.machine, &later, open(folder, O_PATH)), 0);
	ck_assert_int_eq(fs_share_add(&rig.machine, &later, open(folder, O_PATH)), -EEXIST);
	ck_assert_int_eq(fs_share_add(&rig.machine, &bad, open(folder, O_PATH)), -EINVAL);
	bad.name = "file";
	ck_assert_int_eq(fs_share_add(&rig.machine, &bad, open("/dev/null", O_PATH)), -ENOTDIR);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "none"), -ENOENT);
	look_for(1, "a b%=c", 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs"), 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs"), -ENOENT);
	look_for(2, "docs", -ENOENT);
	/* A new server knows what changed. */
	kill(server(), SIGKILL);
	lookup(3);
	init_session(4);
	look_for(5, "docs", -ENOENT);
	look_for(6, "a b%=c", 0);
	ck_assert_int_eq(fs_share_each(&rig.machine, note_share, names), 0);
	ck_assert_str_eq(names, "a b%=c:ro ");
	/* The name is free again. */
	later.name = "docs";
	ck_assert_int_eq(fs_share_add(&rig.machine, &later, open(folder, O_PATH)), 0);
	look_for(7, "docs", 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs"), 0);
	look_for(8, "docs", -ENOENT);
}
END_TEST

START_TEST(test_no_shares)
{
	struct fs_share_info info = { .name = "x", .path = folder };

	rig.config.n_shares = 0;
	ck_assert_int_eq(fs_share_add(&rig.machine, &info, open(folder, O_PATH)), -ENODEV);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "x"), -ENODEV);
	ck_assert_int_eq(fs_share_each(&rig.machine, note_share, NULL), -ENODEV);
}
END_TEST

START_TEST(test_device_survives_the_death_of_its_server)
{
	pid_t first, second;

	drive();
	init_session(0);
	first = server();
	ck_assert_int_gt(first, 0);
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	/* Whoever answers, somebody does. */
	lookup(1);
	init_session(2);
	lookup(3);
	assert_answer(3, 0);
	second = server();
	ck_assert_int_gt(second, 0);
	ck_assert_int_ne(first, second);
}
END_TEST

/* Whether a server comes back within a retry or two. */
static bool served_again(unsigned int i)
{
	for (int tries = 0; tries < 25; tries++) {
		lookup(i);
		if (answer(i).error != -ENOTCONN)
			return true;
		poll(NULL, 0, 100);
	}
	return false;
}

START_TEST(test_device_gives_up_on_a_server_that_keeps_dying)
{
	unsigned int deaths = 0;

	drive();
	do {
		pid_t pid = server();

		ck_assert_int_gt(pid, 0);
		kill(pid, SIGKILL);
		/* The first answer tells that the death was seen. */
		lookup(2 * deaths);
	} while (served_again(2 * deaths + 1) && ++deaths < 10);
	/* One that dies before it has said a word counts like the others. */
	ck_assert_uint_ge(deaths, 2);
	ck_assert_uint_le(deaths, FS_RESTARTS_MAX);
	lookup(30);
	assert_answer(30, -ENOTCONN);
	/* A new life of the driver forgives. */
	drive();
	init_session(31);
}
END_TEST

/* Ended, and perhaps not yet waited for by whoever inherited it. */
static bool is_dead(pid_t pid)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return true;
	state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return !state || state[2] == 'Z' || state[2] == 'X';
}

START_TEST(test_device_ends_a_frozen_server)
{
	pid_t pid;

	drive();
	init_session(0);
	pid = server();
	kill(pid, SIGSTOP);
	/* The reset waits its 5 s, then the process is ended for sure. */
	rig_negotiate(&driver, FEATURES);
	ck_assert(is_dead(pid));
	drive();
	init_session(1);
	lookup(2);
	assert_answer(2, 0);
}
END_TEST

/* ---- the device with somebody else's virtiofsd ---- */

/* Debian's qemu-system-common 7.2; runs as root alone. */
#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

static struct vm_fs stranger;
static char socket_path[96];

static struct child start_virtiofsd(void)
{
	char socket_arg[128], source_arg[128];
	char *argv[] = {
		(char *)VIRTIOFSD, socket_arg, (char *)"-o", source_arg, (char *)"-f", NULL
	};
	struct child child;

	unlink(socket_path);
	snprintf(socket_arg, sizeof(socket_arg), "--socket-path=%s", socket_path);
	snprintf(source_arg, sizeof(source_arg), "source=%s", folder);
	ck_assert_int_eq(spawn_child(VIRTIOFSD, argv, NULL, 0, &child), 0);
	for (int i = 0; i < 5000 && access(socket_path, F_OK); i++)
		poll(NULL, 0, 1);
	return child;
}

/* The retry comes each second. */
static void ask_until_served(unsigned int i)
{
	for (int tries = 0; tries < 50; tries++) {
		struct fuse_init_in init = { .major = 7, .minor = 31 };

		call(i, FUSE_INIT, &init, sizeof(init));
		if (!answer(i).error)
			return;
		assert_answer(i, -ENOTCONN);
		poll(NULL, 0, 100);
	}
	ck_abort_msg("nobody serves");
}

START_TEST(test_device_with_virtiofsd)
{
	struct child child;

	if (access(VIRTIOFSD, X_OK) || geteuid())
		return;
	snprintf(socket_path, sizeof(socket_path), "%s/.socket", folder);
	child = start_virtiofsd();
	stranger = (struct vm_fs){ .tag = (char *)"theirs", .socket = socket_path };
	rig.config.fs = &stranger;
	rig.config.n_fs = 1;
	/* The socket is there a moment before anybody listens. */
	for (int tries = 0; !(device = rig_add_device(&rig, &virtio_fs_type, 0)); tries++) {
		ck_assert_int_lt(tries, 100);
		poll(NULL, 0, 20);
	}
	drive();
	ask_until_served(0);
	call(1, FUSE_GETATTR, &(struct fuse_getattr_in){ 0 }, sizeof(struct fuse_getattr_in));
	assert_answer(1, 0);
	/* Another life of the driver on the same connection. */
	drive();
	ask_until_served(2);
	/* It dies: errors, until a new one is there. */
	spawn_end(&child, 0, NULL);
	child = start_virtiofsd();
	ask_until_served(3);
	spawn_end(&child, 0, NULL);
	/* Its child in the sandbox lives a moment longer. */
	do {
		call(4, FUSE_GETATTR, &(struct fuse_getattr_in){ 0 },
		     sizeof(struct fuse_getattr_in));
	} while (!answer(4).error);
	rig_remove_device(device);
	unlink(socket_path);
}
END_TEST

START_TEST(test_device_without_back_end)
{
	char long_tag[64];

	need_fsd();
	memset(long_tag, 'x', sizeof(long_tag) - 1);
	long_tag[sizeof(long_tag) - 1] = 0;
	stranger = (struct vm_fs){ .tag = (char *)"theirs", .socket = (char *)"/nonexistent" };
	rig.config.fs = &stranger;
	rig.config.n_fs = 1;
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	stranger.tag = long_tag;
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	rig.config.n_fs = 0;
	rig.config.shares = &share;
	rig.config.n_shares = 1;
	share = (struct vm_share){ .name = (char *)"x", .path = (char *)"/nonexistent" };
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	share = (struct vm_share){ .name = (char *)"x", .path = (char *)"/dev/null" };
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	share = (struct vm_share){ .name = (char *)"a/b", .path = folder };
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	/* No file server to be found. */
	share = (struct vm_share){ .name = (char *)"x", .path = folder };
	setenv("LODGE_LIBEXEC", "/nonexistent", 1);
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio-fs");
	TCase *orphans = tcase_create("orphans"), *real = tcase_create("device");
	TCase *foreign = tcase_create("foreign");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(orphans, setup_orphans, teardown_orphans);
	tcase_set_timeout(orphans, 60);
	tcase_add_test(orphans, test_orphans_in_order);
	tcase_add_test(orphans, test_orphans_out_of_order);
	tcase_add_test(orphans, test_orphans_after_a_while);
	tcase_add_test(orphans, test_orphans_forget);
	tcase_add_test(orphans, test_orphans_indirect);
	tcase_add_loop_test(orphans, test_orphans_hostile, 0, 7);
	tcase_add_checked_fixture(real, setup_device, teardown_device);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, test_device_serves);
	tcase_add_test(real, test_shares_come_and_go);
	tcase_add_test(real, test_no_shares);
	tcase_add_test(real, test_device_survives_the_death_of_its_server);
	tcase_add_test(real, test_device_gives_up_on_a_server_that_keeps_dying);
	tcase_add_test(real, test_device_ends_a_frozen_server);
	tcase_add_checked_fixture(foreign, setup, teardown);
	tcase_set_timeout(foreign, 60);
	tcase_add_test(foreign, test_device_with_virtiofsd);
	tcase_add_test(foreign, test_device_without_back_end);
	suite_add_tcase(suite, foreign);
	suite_add_tcase(suite, orphans);
	suite_add_tcase(suite, real);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What a hostile guest or front end gets: errors, a stopped queue, never a crash or a hang. The
 * names of the cases say which of the reliability tests (T01 to T22) the inputs are from. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define ROOT FUSE_ROOT_ID
#define RAM  RIG_GUEST_BASE
#define NEXT VRING_DESC_F_NEXT
#define WR   VRING_DESC_F_WRITE
#define IND  VRING_DESC_F_INDIRECT

static void still_answers(struct fsd_rig *rig)
{
	struct fuse_getattr_in in = { 0 };

	ck_assert_int_eq(fsd_call(rig, FUSE_GETATTR, ROOT, &in, sizeof(in), NULL, 0, NULL,
				  sizeof(struct fuse_attr_out)),
			 sizeof(struct fuse_attr_out));
}

static const struct bad_ring {
	const char *what;
	struct raw_desc desc[3];
	size_t n;
} bad_rings[] = {
	{ "T01 a descriptor that follows itself", { { RAM, 16, NEXT, 0 } }, 1 },
	{ "T01 two that follow each other", { { RAM, 16, NEXT, 1 }, { RAM, 16, NEXT, 0 } }, 2 },
	{ "T01 next outside of the table", { { RAM, 16, NEXT, RIG_QUEUE_SIZE } }, 1 },
	{ "T02 an empty indirect table", { { RAM, 0, IND, 0 } }, 1 },
	{ "T02 a table of 15 bytes", { { RAM, 15, IND, 0 } }, 1 },
	{ "T02 a table of 17 bytes", { { RAM, 17, IND, 0 } }, 1 },
	{ "T02 a table longer than the queue", { { RAM, 16 * (RIG_QUEUE_SIZE + 1), IND, 0 } }, 1 },
	{ "T02 an endless table", { { RAM, 0xfffffff0, IND, 0 } }, 1 },
	{ "T02 a table in no memory", { { 0xfec00000, 16, IND, 0 } }, 1 },
	{ "T02 indirect and next", { { RAM, 16, IND | NEXT, 1 }, { RAM, 16, 0, 0 } }, 2 },
	{ "T02 indirect after a plain one", { { RAM, 16, NEXT, 1 }, { RAM, 16, IND, 0 } }, 2 },
	{ "T02 a table that is itself", { { RAM, 16, IND, 0 } }, 1 },
	{ "T03 across the end of memory", { { RAM + RIG_MEMORY - 1, 2, 0, 0 } }, 1 },
	{ "T03 around the end of addresses", { { 0xfffffffffffff000, 0x2000, 0, 0 } }, 1 },
	{ "T03 address 0", { { 0, 16, 0, 0 } }, 1 },
	{ "T03 more than there is", { { RAM, 0xffffffff, 0, 0 } }, 1 },
	{ "T05 writable before readable", { { RAM, 16, WR | NEXT, 1 }, { RAM, 16, 0, 0 } }, 2 },
	{ "T05 a total beyond 32 bits",
	  { { RAM, 0x700000, NEXT, 1 }, { RAM, 0xffffffff, 0, 0 } },
	  2 },
};

START_TEST(a_malformed_ring_stops_its_queue)
{
	struct fsd_rig_options options = { 0 };
	const struct bad_ring *bad = &bad_rings[_i];
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	/* An indirect table at RAM that is indirect itself: the ring of queue 0 is there. */
	fsd_ring_put(&rig, 0, bad->desc, bad->n);
	fsd_ring_kick(&rig, 0);
	ck_assert_msg(fsd_ring_broke(&rig, 0), "%s", bad->what);
	still_answers(&rig); /* the other queue */
	fsd_rig_stop_queues(&rig);
	fsd_rig_start_queues(&rig);
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

/* Returns when it is done. */
static void enable(struct fsd_rig *rig, uint32_t queue, uint32_t on)
{
	struct vhost_user_vring_state state = { queue, on };
	uint64_t features;

	ck_assert_int_eq(fsd_rig_message(rig, VHOST_USER_SET_VRING_ENABLE, &state, sizeof(state),
					 NULL, 0, NULL, 0),
			 0);
	ck_assert_int_eq(fsd_rig_message(rig, VHOST_USER_GET_FEATURES, NULL, 0, NULL, 0, &features,
					 sizeof(features)),
			 0);
}

/* A server died and the guest made rubbish of the descriptors that it had taken: what is left of
 * that is not the next front end's. */
START_TEST(a_ring_that_breaks_as_it_is_resumed_is_forgotten)
{
	struct fsd_rig_options options = { 0 };
	struct vring_record *record;
	struct raw_desc *desc;
	struct fsd_rig rig;
	struct queue *queue;

	fsd_rig_start(&rig, &options);
	enable(&rig, 1, 0);
	queue = &rig.backend->queues[1];
	record = queue->ring.record;
	/* A chain that has no end. */
	desc = (struct raw_desc *)(rig.memory + RIG_RINGS + 0x10000);
	desc[3] = (struct raw_desc){ .addr = RAM, .len = 1, .flags = NEXT, .next = 3 };
	record->order = 2;
	record->slots[3] = (struct vring_slot){ .order = 1, .state = VRING_TAKEN };
	record->slots[5] = (struct vring_slot){ .order = 2, .state = VRING_TAKEN };
	queue->resumed = true;
	enable(&rig, 1, 1);
	ck_assert(fsd_ring_broke(&rig, 1));
	shutdown(rig.socket, SHUT_RDWR);
	/* The last that is done for a front end that is gone. */
	while (__atomic_load_n(&rig.backend->connection, __ATOMIC_ACQUIRE) >= 0)
		(void)!poll(NULL, 0, 1);
	for (unsigned int i = 0; i < VRING_SIZE_MAX; i++)
		ck_assert_uint_eq(record->slots[i].state, VRING_FREE);
	ck_assert_uint_eq(record->order, 0);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t04_indices_that_jump)
{
	static const uint16_t jumps[] = { RIG_QUEUE_SIZE + 1, 0x8000, 0xffff };
	struct fsd_rig_options options = { 0 };
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	fsd_ring_set_avail(&rig, 0, 0, jumps[_i]);
	fsd_ring_kick(&rig, 0);
	ck_assert(fsd_ring_broke(&rig, 0));
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t04_a_head_outside_of_the_queue)
{
	struct fsd_rig_options options = { 0 };
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	fsd_ring_set_avail(&rig, 0, 0xffff, 1);
	fsd_ring_kick(&rig, 0);
	ck_assert(fsd_ring_broke(&rig, 0));
	fsd_rig_stop(&rig);
}
END_TEST

/* A request whose bytes change while it is read: what was checked must be what is used. */
START_TEST(t07_bytes_that_change)
{
	static const struct {
		size_t offset; /* in the request */
		uint32_t value;
	} flips[] = { { 0, 0xfffffff0 }, /* header.len */
		      { 4, FUSE_SETATTR }, /* header.opcode */
		      { 16, 0xffffffff }, /* header.nodeid */
		      { 40, 0xffffffff }, /* the first of the name, or of the body */
		      { 56, 0xffffffff } }; /* WRITE's size */
	struct fsd_rig_options options = { 0 };
	struct {
		struct fuse_in_header in;
		struct fuse_write_in write;
		char data[16];
	} request = { .in = { .len = sizeof(request), .opcode = FUSE_WRITE, .unique = 1 },
		      .write = { .size = 16 } };
	struct fsd_flipper flipper = { .value = flips[_i].value };
	long rounds = unit_rounds(5000);
	struct fsd_rig rig;
	pthread_t thread;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	request.in.nodeid = fsd_lookup(&rig, ROOT, "f", &error);
	memcpy(rig.memory + RIG_OUT, &request, sizeof(request));
	flipper.word = (uint32_t *)(rig.memory + RIG_OUT + flips[_i].offset);
	ck_assert_int_eq(pthread_create(&thread, NULL, fsd_flip, &flipper), 0);
	for (long i = 0; i < rounds; i++) {
		uint32_t used = fsd_raw(&rig, 1, &request, sizeof(request), 512);

		ck_assert_msg(used >= sizeof(struct fuse_out_header) && used <= 512, "%u", used);
	}
	__atomic_store_n(&flipper.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t09_headers)
{
	static const uint32_t opcodes[] = { 0, 7, 19, 37, 40, 52, 4095, 4096, 0xffffffff };
	static const uint32_t lens[] = { 0, 39, 41, 47, 0xffffffff };
	static const uint64_t nodes[] = { 0, 2, 7, UINT64_MAX, 1ULL << 32 | 1 };
	struct fsd_rig_options options = { 0 };
	struct fuse_in_header in = { .nodeid = ROOT };
	struct fuse_out_header head;
	uint8_t bytes[64] = { 0 };
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++)
		ck_assert_int_eq(fsd_call(&rig, opcodes[i], ROOT, NULL, 0, NULL, 0, NULL, 100),
				 -ENOSYS);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		ck_assert_int_eq(
			fsd_call(&rig, FUSE_GETATTR, nodes[i], bytes, 16, NULL, 0, NULL, 200),
			-ESTALE);
	in.opcode = FUSE_GETATTR;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		in.len = lens[i];
		memcpy(bytes, &in, sizeof(in));
		ck_assert_uint_eq(fsd_raw(&rig, 1, bytes, 56, 200), 16);
		memcpy(&head, rig.memory + RIG_IN, sizeof(head));
		ck_assert_int_eq(head.error, -EINVAL);
	}
	in.len = 56;
	memcpy(bytes, &in, sizeof(in));
	ck_assert_uint_eq(fsd_raw(&rig, 1, bytes, 39, 200), 0); /* no header: no reply */
	ck_assert_uint_eq(fsd_raw(&rig, 1, bytes, 56, 0), 0);
	ck_assert_uint_eq(fsd_raw(&rig, 1, bytes, 56, 15), 0);
	ck_assert_uint_eq(fsd_raw(&rig, 1, bytes, 56, 16), 16); /* an error has just room */
	in.opcode = FUSE_FORGET;
	in.len = 48;
	memcpy(bytes, &in, sizeof(in));
	ck_assert_uint_eq(fsd_raw(&rig, 1, bytes, 48, 100), 0); /* no reply, whatever there is */
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t09_a_request_before_init)
{
	struct fsd_rig_options options = { .no_init = true };
	struct fuse_getattr_in in = { 0 };
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(fsd_call(&rig, FUSE_GETATTR, ROOT, &in, sizeof(in), NULL, 0, NULL, 200),
			 -EIO);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t10_bodies)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_write_in write_in = { .size = UINT32_MAX };
	struct fuse_read_in read_in = { .size = UINT32_MAX };
	struct fuse_lseek_in lseek_in = { .whence = 99 };
	struct fuse_fallocate_in space = { .length = 1, .mode = UINT32_MAX };
	struct fuse_getxattr_in value = { .size = 65537 };
	struct fuse_setxattr_in set = { .size = 7 };
	struct fuse_rename2_in rename_in = { .newdir = ROOT, .flags = UINT32_MAX };
	struct fuse_ioctl_in ioctl_in = { .flags = FUSE_IOCTL_UNRESTRICTED };
	struct fuse_copy_file_range_in copy = { .len = 1ULL << 63 };
	static const uint64_t offsets[] = { INT64_MAX, 1ULL << 63, UINT64_MAX };
	struct fsd_rig rig;
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	node = fsd_lookup(&rig, ROOT, "f", &error);
	ck_assert_int_eq(fsd_call(&rig, FUSE_WRITE, node, &write_in, sizeof(write_in),
				  "16 bytes of it..", 16, NULL, 8),
			 -EINVAL);
	for (size_t i = 0; i < 3; i++) {
		int64_t ret;

		read_in.offset = offsets[i];
		ret = fsd_call(&rig, FUSE_READ, node, &read_in, sizeof(read_in), NULL, 0, NULL,
			       4096);
		ck_assert(ret == 0 || ret == -EINVAL || ret == -EOVERFLOW);
	}
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_LSEEK, node, &lseek_in, sizeof(lseek_in), NULL, 0, NULL, 8),
		-EINVAL);
	ck_assert_int_lt(
		fsd_call(&rig, FUSE_FALLOCATE, node, &space, sizeof(space), NULL, 0, NULL, 0), 0);
	ck_assert_int_lt(fsd_call(&rig, FUSE_GETXATTR, node, &value, sizeof(value), "user.none", 10,
				  NULL, 70000),
			 0);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SETXATTR, node, &set, sizeof(set), "user.a\0short", 12,
				  NULL, 0),
			 -EINVAL);
	ck_assert_int_eq(fsd_call(&rig, FUSE_RENAME2, ROOT, &rename_in, sizeof(rename_in), "f\0g",
				  4, NULL, 0),
			 -EINVAL);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_IOCTL, node, &ioctl_in, sizeof(ioctl_in), NULL, 0, NULL, 100),
		-ENOTTY);
	copy.nodeid_out = node;
	ck_assert_int_lt(
		fsd_call(&rig, FUSE_COPY_FILE_RANGE, node, &copy, sizeof(copy), NULL, 0, NULL, 8),
		0); /* onto itself */
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t10_forgets)
{
	struct {
		struct fuse_in_header in;
		struct fuse_batch_forget_in batch;
		struct fuse_forget_one one[2];
	} request = { .in = { .len = sizeof(request), .opcode = FUSE_BATCH_FORGET, .unique = 1 },
		      .batch = { .count = UINT32_MAX } };
	struct fsd_rig_options options = { 0 };
	struct fsd_rig rig;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	request.one[0] = (struct fuse_forget_one){ ROOT, UINT64_MAX };
	request.one[1] =
		(struct fuse_forget_one){ fsd_lookup(&rig, ROOT, "f", &error), UINT64_MAX };
	ck_assert_uint_eq(fsd_raw(&rig, 0, &request, sizeof(request), 0), 0);
	ck_assert_uint_eq(fsd_raw(&rig, 0, &request, sizeof(request), 0), 0); /* freed already */
	ck_assert_uint_eq(rig.fs->n_fds, 0);
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t11_names)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = { { "no-nul", 6 }, { "", 1 },	    { ".", 2 },	   { "..", 3 },
		    { "a/b", 4 },    { "/etc", 5 }, { "../x", 5 }, { "", 0 } };
	struct fsd_rig_options options = { 0 };
	char *name = calloc(1, 65537);
	struct fsd_rig rig;
	int64_t ret;

	fsd_rig_start(&rig, &options);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ret = fsd_call(&rig, FUSE_LOOKUP, ROOT, NULL, 0, bad[i].bytes, bad[i].len, NULL,
			       200);
		ck_assert_msg(ret == -EINVAL, "'%s': %lld", bad[i].bytes, (long long)ret);
		ret = fsd_call(&rig, FUSE_UNLINK, ROOT, NULL, 0, bad[i].bytes, bad[i].len, NULL, 0);
		ck_assert_msg(ret == -EINVAL, "'%s': %lld", bad[i].bytes, (long long)ret);
	}
	memset(name, 'n', 65536);
	ck_assert_int_eq(fsd_call(&rig, FUSE_LOOKUP, ROOT, NULL, 0, name, 65537, NULL, 200),
			 -ENAMETOOLONG);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_LOOKUP, ROOT, NULL, 0, name + 65536 - 256, 257, NULL, 200),
		-ENAMETOOLONG);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_LOOKUP, ROOT, NULL, 0, name + 65536 - 255, 256, NULL, 200),
		-ENOENT);
	free(name);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t13_symbolic_links_lead_nowhere)
{
	static const char *const targets[] = { "/etc/passwd",
					       "../../../../etc/passwd",
					       "/proc/self/root",
					       "/proc/self/fd/3",
					       "loop",
					       "/etc" };
	struct fsd_rig_options options = { .classic = true };
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_create_in create_in = { .flags = O_RDWR | O_CREAT, .mode = 0600 };
	struct fuse_setattr_in size_in = { .valid = FATTR_SIZE };
	struct fsd_rig rig;
	char path[256];
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &options);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char name[8];

		snprintf(name, sizeof(name), "l%zu", i);
		ck_assert_int_eq(symlink(targets[i], fsd_path(&rig, name, path)), 0);
		node = fsd_lookup(&rig, ROOT, name, &error);
		ck_assert_int_eq(error, 0);
		ck_assert_int_eq(fsd_call(&rig, FUSE_OPEN, node, &open_in, sizeof(open_in), NULL, 0,
					  NULL, 100),
				 -ELOOP);
		ck_assert_int_eq(fsd_call(&rig, FUSE_OPENDIR, node, &open_in, sizeof(open_in), NULL,
					  0, NULL, 100),
				 -ENOTDIR);
		ck_assert_int_eq(fsd_call(&rig, FUSE_LOOKUP, node, NULL, 0, "passwd", 7, NULL, 200),
				 -ENOTDIR);
		ck_assert_int_lt(fsd_call(&rig, FUSE_CREATE, ROOT, &create_in, sizeof(create_in),
					  name, strlen(name) + 1, NULL, 300),
				 0);
		ck_assert_int_eq(fsd_call(&rig, FUSE_SETATTR, node, &size_in, sizeof(size_in), NULL,
					  0, NULL, 200),
				 -EINVAL);
		ck_assert_int_eq(fsd_call(&rig, FUSE_CREATE, node, &create_in, sizeof(create_in),
					  "x", 2, NULL, 300),
				 -ENOTDIR);
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t15_special_files_are_never_opened)
{
	struct fsd_rig_options options = { .classic = _i };
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_create_in create_in = { .flags = O_WRONLY | O_CREAT, .mode = 0600 };
	struct fuse_read_in read_in = { .size = 100 };
	struct fsd_rig rig;
	char path[256];
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(mkfifo(fsd_path(&rig, "fifo", path), 0666), 0);
	node = fsd_lookup(&rig, ROOT, "fifo", &error);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_OPEN, node, &open_in, sizeof(open_in), NULL, 0, NULL, 100),
		options.classic ? -ENXIO : -ENOSYS);
	ck_assert_int_eq(fsd_call(&rig, FUSE_CREATE, ROOT, &create_in, sizeof(create_in), "fifo", 5,
				  NULL, 300),
			 -ENXIO);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_READ, node, &read_in, sizeof(read_in), NULL, 0, NULL, 100),
		options.classic ? -EBADF : -ENXIO);
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t18_descriptors_run_out_for_the_guest_alone)
{
	struct fsd_rig_options options = { .config.fd_limit = 50, .classic = true };
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	uint64_t nodes[100];
	struct fsd_rig rig;
	int64_t ret = 0;
	int error = 0;
	int n;

	fsd_rig_start(&rig, &options);
	for (n = 0; n < 100; n++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", n);
		fsd_write_file(&rig, name, "");
		nodes[n] = fsd_lookup(&rig, ROOT, name, &error);
		ck_assert_int_eq(error, 0);
	}
	/* Names are closed for one another, and six left for them; an open file keeps both of its
	 * descriptors. */
	for (n = 0; n < 100 && ret >= 0; n++)
		ret = fsd_call(&rig, FUSE_OPEN, nodes[n], &open_in, sizeof(open_in), NULL, 0, NULL,
			       100);
	ck_assert_int_eq(ret, -ENFILE);
	ck_assert_int_eq(n - 1, 22);
	still_answers(&rig);
	fsd_rig_stop(&rig);
}
END_TEST

static const struct bad_message {
	const char *what;
	struct vhost_user_header header;
	size_t payload;
} bad_messages[] = {
	{ "version 0", { VHOST_USER_GET_FEATURES, 0, 0 }, 0 },
	{ "version 2", { VHOST_USER_GET_FEATURES, 2, 0 }, 0 },
	{ "a huge payload", { VHOST_USER_SET_FEATURES, 1, 0xffffffff }, 0 },
	{ "unknown request", { 999, 1, 0 }, 0 },
	{ "request 0", { 0, 1, 0 }, 0 },
	{ "a payload too short", { VHOST_USER_SET_VRING_ADDR, 1, 8 }, 8 },
	{ "a memory table without descriptors", { VHOST_USER_SET_MEM_TABLE, 1, 40 }, 40 },
	{ "a queue that is not there", { VHOST_USER_SET_VRING_NUM, 1, 8 }, 8 },
	{ "features of the future", { VHOST_USER_SET_FEATURES, 1, 8 }, 8 },
};

#define IN_FLIGHT    16
#define READ_SIZE    65536
#define READ_BUFFERS (RIG_IN + 0x100000) /* in the rig's memory */

/* READs of @node, all at once; nobody waits for them. */
static void read_many(struct fsd_rig *rig, uint64_t node)
{
	struct raw_desc *ring = (struct raw_desc *)(rig->memory + RIG_RINGS + 0x10000);
	struct {
		struct fuse_in_header head;
		struct fuse_read_in body;
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_READ, .nodeid = node },
		 .body = { .size = READ_SIZE - sizeof(struct fuse_out_header) } };

	for (uint16_t i = 0; i < IN_FLIGHT; i++) {
		uint16_t head = 2 * i;
		uint64_t out = RIG_OUT + i * sizeof(in);

		memcpy(rig->memory + out, &in, sizeof(in));
		ring[head] = (struct raw_desc){ RAM + out, sizeof(in), NEXT, head + 1 };
		ring[head + 1] = (struct raw_desc){ RAM + READ_BUFFERS + i * (uint64_t)READ_SIZE,
						    READ_SIZE, WR, 0 };
		fsd_ring_set_avail(rig, 1, head, ++rig->avail[1]);
	}
	fsd_ring_kick(rig, 1);
}

/* Once a queue is stopped, its memory is the driver's: what was in flight is done, or never is. */
START_TEST(t29_stopped_with_reads_in_flight)
{
	static uint8_t poison[IN_FLIGHT * READ_SIZE];
	struct fsd_rig_options options = { 0 };
	struct fsd_rig rig;
	char path[256];
	uint64_t node;
	int error;

	memset(poison, 0xa5, sizeof(poison));
	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "");
	ck_assert_int_eq(truncate(fsd_path(&rig, "f", path), READ_SIZE), 0);
	node = fsd_lookup(&rig, ROOT, "f", &error);
	for (int round = 0; round < 300; round++) {
		read_many(&rig, node);
		if (_i)
			ck_assert_int_eq(fsd_rig_message(&rig, VHOST_USER_RESET_DEVICE, NULL, 0,
							 NULL, 0, NULL, 0),
					 0);
		fsd_rig_stop_queues(&rig);
		memcpy(rig.memory + READ_BUFFERS, poison, sizeof(poison));
		fsd_rig_start_queues(&rig);
		if (!_i)
			still_answers(&rig);
		ck_assert(!memcmp(rig.memory + READ_BUFFERS, poison, sizeof(poison)));
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_bad_message_ends_the_connection)
{
	const struct bad_message *bad = &bad_messages[_i];
	struct fsd_rig_options options = { 0 };
	uint8_t bytes[64];
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, &bad->header, sizeof(bad->header));
	ck_assert_int_eq(send(rig.socket, bytes, 12 + bad->payload, MSG_NOSIGNAL),
			 12 + bad->payload);
	ck_assert_int_eq(recv(rig.socket, bytes, sizeof(bytes), 0), 0);
	fsd_rig_stop(&rig);
	ck_assert_int_ne(rig.end_status, -ECONNRESET);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_hostile");
	TCase *tcase = tcase_create("hostile");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_malformed_ring_stops_its_queue, 0,
			    sizeof(bad_rings) / sizeof(bad_rings[0]));
	tcase_add_test(tcase, a_ring_that_breaks_as_it_is_resumed_is_forgotten);
	tcase_add_loop_test(tcase, t04_indices_that_jump, 0, 3);
	tcase_add_test(tcase, t04_a_head_outside_of_the_queue);
	tcase_add_loop_test(tcase, t07_bytes_that_change, 0, 5);
	tcase_add_test(tcase, t09_headers);
	tcase_add_test(tcase, t09_a_request_before_init);
	tcase_add_test(tcase, t10_bodies);
	tcase_add_test(tcase, t10_forgets);
	tcase_add_test(tcase, t11_names);
	tcase_add_test(tcase, t13_symbolic_links_lead_nowhere);
	tcase_add_loop_test(tcase, t29_stopped_with_reads_in_flight, 0, 2);
	tcase_add_loop_test(tcase, t15_special_files_are_never_opened, 0, 2);
	tcase_add_test(tcase, t18_descriptors_run_out_for_the_guest_alone);
	tcase_add_loop_test(tcase, a_bad_message_ends_the_connection, 0,
			    sizeof(bad_messages) / sizeof(bad_messages[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server is killed with a ring full of requests in hand, of kinds that must not be done twice
 * (T23 of the reliability tests): each is done once, each is answered, and none waits long.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/fsd_tracer.h"
#include "tests/unit/unit.h"

#define IN_FLIGHT (RIG_QUEUE_SIZE / 2) /* each of two descriptors */
#define KINDS	  4
#define OF_A_KIND (IN_FLIGHT / KINDS)
#define ROUNDS	  25 /* more than 64 deaths within 10 s are the end */
#define LINE	  16
#define LONG	  2.0 /* seconds */

static struct fsd_rig rig;
static uint64_t log_node;
static int n_long;

static const struct fuse_in_header *asked(int slot)
{
	return (const struct fuse_in_header *)(rig.memory + RIG_OUT + slot * RIG_SLOT);
}

static void put_mkdir(int slot, int round, int i)
{
	struct fuse_mkdir_in in = { .mode = 0755 };
	char name[32];
	int len = sprintf(name, "dir-%d-%d", round, i) + 1;

	fsd_slot_put(&rig, slot, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), name, (size_t)len);
}

static void put_append(int slot, int round, int i)
{
	struct fuse_write_in in = { .size = LINE, .flags = O_APPEND };
	char line[LINE + 1];

	snprintf(line, sizeof(line), "%7d %7d\n", round, i);
	fsd_slot_put(&rig, slot, FUSE_WRITE, log_node, &in, sizeof(in), line, LINE);
}

static void put_rename(int slot, int round, int i)
{
	struct fuse_rename_in in = { .newdir = FUSE_ROOT_ID };
	char names[64];
	int len = sprintf(names, "file-%d-%d%cfile-%d-%d", round, i, 0, round + 1, i) + 1;

	fsd_slot_put(&rig, slot, FUSE_RENAME, FUSE_ROOT_ID, &in, sizeof(in), names, (size_t)len);
}

static void put_fsync(int slot, int round, int i)
{
	struct fuse_fsync_in in = { .fsync_flags = (uint32_t)(round + i) & 1 };

	fsd_slot_put(&rig, slot, FUSE_FSYNC, log_node, &in, sizeof(in), "", 0);
}

/* All of them at once, and the server's death at some time after. */
static void fly(int round)
{
	static void (*const kinds[KINDS])(int slot, int round, int i) = { put_mkdir, put_append,
									  put_rename, put_fsync };
	struct timespec wait = { .tv_nsec = (round % 5) * 400000 };
	pid_t server = fsd_wait_server(&rig);
	struct fuse_out_header out;
	double began;

	for (int slot = 0; slot < IN_FLIGHT; slot++)
		kinds[slot % KINDS](slot, round, slot / KINDS);
	for (int slot = 0; slot < IN_FLIGHT; slot++)
		fsd_ring_set_avail(&rig, 1, (uint16_t)(2 * slot), ++rig.avail[1]);
	began = fsd_seconds();
	fsd_ring_kick(&rig, 1);
	nanosleep(&wait, NULL);
	kill(server, SIGKILL);
	fsd_ring_wait(&rig, 1, IN_FLIGHT);
	n_long += fsd_seconds() - began > LONG;
	for (int slot = 0; slot < IN_FLIGHT; slot++) {
		memcpy(&out, rig.memory + RIG_IN + slot * RIG_SLOT, sizeof(out));
		ck_assert_uint_eq(out.unique, asked(slot)->unique);
		ck_assert_msg(!out.error, "round %d, opcode %u: %d", round, asked(slot)->opcode,
			      out.error);
	}
	while (fsd_wait_server(&rig) == server)
		;
}

static bool there(const char *format, int round, int i)
{
	char name[32], path[256];
	struct stat st;

	sprintf(name, format, round, i);
	return !lstat(fsd_path(&rig, name, path), &st);
}

/* Each line once, in whatever order. */
static void check_log(void)
{
	static uint8_t seen[ROUNDS][OF_A_KIND];
	char line[LINE + 1], path[256];
	FILE *file = fopen(fsd_path(&rig, "log", path), "re");
	int round, i, n = 0;

	ck_assert_ptr_nonnull(file);
	for (; fgets(line, sizeof(line), file); n++) {
		ck_assert_int_eq(sscanf(line, "%d %d", &round, &i), 2);
		ck_assert(round >= 0 && round < ROUNDS && i >= 0 && i < OF_A_KIND);
		ck_assert_uint_eq(seen[round][i]++, 0);
	}
	fclose(file);
	ck_assert_int_eq(n, ROUNDS * OF_A_KIND);
}

START_TEST(t23_many_in_flight)
{
	struct fsd_rig_options options = { .program = true };
	char name[32];
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "log", "");
	log_node = fsd_lookup(&rig, FUSE_ROOT_ID, "log", &error);
	for (int i = 0; i < OF_A_KIND; i++) {
		sprintf(name, "file-0-%d", i);
		fsd_write_file(&rig, name, "");
	}
	for (int round = 0; round < ROUNDS; round++)
		fly(round);
	check_log();
	/* A busy host's disk may have taken that for an fsync(2). */
	ck_assert_int_le(n_long, 1);
	for (int i = 0; i < OF_A_KIND; i++) {
		ck_assert(there("file-%d-%d", ROUNDS, i));
		for (int round = 0; round < ROUNDS; round++)
			ck_assert(there("dir-%d-%d", round, i) && !there("file-%d-%d", round, i));
	}
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_flight");
	TCase *tcase = tcase_create("flight");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, t23_many_in_flight);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

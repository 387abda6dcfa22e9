// SPDX-License-Identifier: GPL-2.0-or-later
// EDIDs for any size: what they say is read back by a reader of its own, and edid-decode finds
// nothing wrong with a thousand of them (T50).
#include <check.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lodge/display.h>

#include "host-vmm/display/edid.h"
#include "tests/unit/unit.h"

#define SIZES 1000u

struct read_back {
	uint32_t width, height, width_mm, height_mm;
	double hertz;
};

static uint32_t le16(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8;
}

static void check_sum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	ck_assert_uint_eq(sum, 0);
}

static struct read_back read_detailed(const uint8_t *at)
{
	struct read_back got = {
		.width = at[2] | (at[4] >> 4) << 8,
		.height = at[5] | (at[7] >> 4) << 8,
		.width_mm = at[12] | (uint32_t)(at[14] >> 4) << 8,
		.height_mm = at[13] | (uint32_t)(at[14] & 15) << 8,
	};
	uint32_t columns = got.width + (at[3] | (at[4] & 15u) << 8);
	uint32_t lines = got.height + (at[6] | (at[7] & 15u) << 8);

	got.hertz = le16(at) * 10000.0 / columns / lines;
	return got;
}

static struct read_back read_type_i(const uint8_t *at)
{
	struct read_back got = { .width = le16(at + 4) + 1, .height = le16(at + 12) + 1 };
	double clock = (le16(at) | (uint32_t)at[2] << 16) + 1;

	got.hertz =
		clock * 10000 / (got.width + le16(at + 6) + 1) / (got.height + le16(at + 14) + 1);
	return got;
}

/* The preferred timing, wherever it is. */
static struct read_back read_back(const uint8_t *edid, size_t len)
{
	static const uint8_t head[] = { 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00 };
	const uint8_t *block;

	ck_assert_mem_eq(edid, head, sizeof(head));
	check_sum(edid, 128);
	ck_assert_uint_eq(len, (edid[126] + 1u) * 128);
	if (!edid[126])
		return read_detailed(edid + 54);
	check_sum(edid + 128, 128);
	ck_assert_uint_eq(edid[128], 0x70);
	check_sum(edid + 129, 5 + edid[130]);
	for (block = edid + 133; block[0] != 0x03; block += 3 + block[2])
		ck_assert(block < edid + 254);
	ck_assert_uint_eq(block[6] & 0x80, 0x80);
	return read_type_i(block + 3);
}

static void check_size(uint32_t width, uint32_t height)
{
	const struct edid_monitor monitor = { 0, width, height, width / 4, height / 4 };
	uint8_t edid[EDID_BYTES_MAX];
	struct read_back got = read_back(edid, edid_make(&monitor, edid));

	ck_assert_uint_eq(got.width, width);
	ck_assert_uint_eq(got.height, height);
	ck_assert_double_ge(got.hertz, 59.9);
	ck_assert_double_le(got.hertz, 60.01);
}

START_TEST(exact_to_the_pixel)
{
	static const uint32_t sides[] = { 200,	201,  320,  321,  767,	768,  1023,  2159,
					  4094, 4095, 4096, 4097, 8191, 8192, 16383, 16384 };
	const size_t n = sizeof(sides) / sizeof(sides[0]);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			if (sides[i] >= LODGE_DISPLAY_WIDTH_MIN)
				check_size(sides[i], sides[j]);
	for (uint32_t width = LODGE_DISPLAY_WIDTH_MIN; width < 4200; width++)
		check_size(width, width * 9 / 16 + 100);
}
END_TEST

START_TEST(physical_size)
{
	struct edid_monitor monitor = { 1, 1001, 701, 265, 185 };
	uint8_t edid[EDID_BYTES_MAX];
	struct read_back got = read_back(edid, edid_make(&monitor, edid));

	ck_assert_uint_eq(got.width_mm, 265);
	ck_assert_uint_eq(got.height_mm, 185);
	ck_assert_uint_eq(edid[21], 27);
	ck_assert_uint_eq(edid[22], 19);
	/* Not known, or what the base block cannot say: not a word. */
	for (uint32_t mm = 0; mm < 100000; mm = mm < 90 ? mm + 1 : mm * 2) {
		monitor.width_mm = mm > 2550 ? mm : mm % 90;
		got = read_back(edid, edid_make(&monitor, edid));
		ck_assert_uint_eq(edid[21], 0);
		ck_assert_uint_eq(got.width_mm, 0);
	}
}
END_TEST

START_TEST(head_that_is_off)
{
	const struct edid_monitor monitor = { .head = 15 };
	uint8_t edid[EDID_BYTES_MAX];
	struct read_back got = read_back(edid, edid_make(&monitor, edid));

	ck_assert_uint_eq(got.width, 1024);
	ck_assert_uint_eq(got.height, 768);
}
END_TEST

static int decode(const char *edid, const char *said)
{
	char *argv[] = { (char *)"edid-decode", (char *)"--check", (char *)edid, NULL };
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	status = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (status != 0)
		return -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool says(const char *path, const char *wanted)
{
	char text[16384];
	FILE *file = fopen(path, "r");
	size_t len = fread(text, 1, sizeof(text) - 1, file);

	fclose(file);
	text[len] = '\0';
	if (strstr(text, wanted))
		return true;
	fputs(text, stderr);
	return false;
}

START_TEST(t50_edid_decode_finds_no_fault)
{
	char folder[] = "/tmp/edid.XXXXXX", path[64], said[64];
	uint32_t random = 12345;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/edid", folder);
	snprintf(said, sizeof(said), "%s/said", folder);
	for (unsigned int i = 0; i < SIZES; i++) {
		struct edid_monitor monitor = { .head = i % 16 };
		/* A quarter of them larger than a detailed timing can say. */
		uint32_t limit = i % 4 == 0 ? LODGE_DISPLAY_SIDE_MAX : 4095;
		uint8_t edid[EDID_BYTES_MAX];
		FILE *file;
		size_t len;

		random = random * 1103515245 + 12345;
		monitor.width = LODGE_DISPLAY_WIDTH_MIN +
				(random >> 8) % (limit - LODGE_DISPLAY_WIDTH_MIN + 1);
		random = random * 1103515245 + 12345;
		monitor.height = LODGE_DISPLAY_HEIGHT_MIN +
				 (random >> 8) % (limit - LODGE_DISPLAY_HEIGHT_MIN + 1);
		monitor.width_mm = monitor.width * 254 / 960;
		monitor.height_mm = monitor.height * 254 / 960;
		len = edid_make(&monitor, edid);
		file = fopen(path, "w");
		ck_assert_uint_eq(fwrite(edid, 1, len, file), len);
		fclose(file);
		ck_assert_msg(decode(path, said) == 0 && says(said, "EDID conformity: PASS"),
			      "%ux%u", monitor.width, monitor.height);
	}
	unlink(path);
	unlink(said);
	rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("edid");
	TCase *tcase = tcase_create("edid");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, exact_to_the_pixel);
	tcase_add_test(tcase, physical_size);
	tcase_add_test(tcase, head_that_is_off);
	tcase_add_test(tcase, t50_edid_decode_finds_no_fault);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

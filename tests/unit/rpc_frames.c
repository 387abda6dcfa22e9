// SPDX-License-Identifier: GPL-2.0-or-later
// GuestRPC's bytes: headers, the cutter of streams, fields. The golden bytes are the wire format.
#include <check.h>
#include <errno.h>
#include <string.h>

#include <lodge/backdoor.h>
#include <lodge/rpc.h>

#include "protocol/lib/fields.h"
#include "protocol/lib/frame.h"
#include "tests/unit/unit.h"

/* REQUEST of session 3 with tag 0x01020304, "ping", 256 bytes of reply at most. */
static const unsigned char golden[] = {
	'L', 'R', 'P', 'C', 4, 0, 0, 0, 1, 0, 4,   0,	3,   0,
	0,   0,	  4,   3,   2, 1, 0, 1, 0, 0, 'p', 'i', 'n', 'g',
};

START_TEST(golden_bytes)
{
	const struct frame frame = {
		.size = 4,
		.type = LODGE_RPC_REQUEST,
		.flags = LODGE_RPC_F_ROOT,
		.session = 3,
		.tag = 0x01020304,
		.reply_max = 256,
	};
	unsigned char bytes[LODGE_RPC_HEADER_SIZE];
	struct frame back;

	frame_build(&frame, bytes);
	ck_assert_mem_eq(bytes, golden, sizeof(bytes));
	ck_assert_int_eq(frame_parse(golden, FRAMES_FROM_GUEST, &back), 0);
	ck_assert_mem_eq(&back, &frame, sizeof(frame));
	ck_assert_int_eq(LODGE_BACKDOOR_VIRTIO_ID, 63);
}
END_TEST

static int parse(struct frame frame, uint32_t types)
{
	unsigned char bytes[LODGE_RPC_HEADER_SIZE];
	struct frame back = { 0 };
	int ret;

	frame_build(&frame, bytes);
	ret = frame_parse(bytes, types, &back);
	if (ret == 0)
		ck_assert_mem_eq(&back, &frame, sizeof(back));
	return ret;
}

START_TEST(limits_of_headers)
{
	static const struct {
		struct frame frame;
		bool guest, host;
	} rows[] = {
		{ { .type = LODGE_RPC_REQUEST, .reply_max = 64 }, true, false },
		{ { .type = LODGE_RPC_REQUEST, .reply_max = 63 }, false, false },
		{ { .type = LODGE_RPC_REQUEST, .reply_max = 64, .size = 1 << 20 }, true, false },
		{ { .type = LODGE_RPC_REQUEST, .reply_max = 64, .size = (1 << 20) + 1 },
		  false,
		  false },
		{ { .type = LODGE_RPC_REQUEST, .reply_max = 64, .flags = LODGE_RPC_F_BUSY },
		  false,
		  false },
		{ { .type = LODGE_RPC_REPLY, .flags = LODGE_RPC_F_BUSY }, false, true },
		{ { .type = LODGE_RPC_REPLY, .size = UINT32_MAX }, false, false },
		{ { .type = LODGE_RPC_REPLY, .reply_max = 64 }, false, false },
		{ { .type = LODGE_RPC_COMMAND, .size = 64 << 10 }, false, true },
		{ { .type = LODGE_RPC_COMMAND, .size = (64 << 10) + 1 }, false, false },
		{ { .type = LODGE_RPC_COMMAND, .flags = LODGE_RPC_F_ROOT }, false, false },
		{ { .type = LODGE_RPC_RESULT, .size = 1 << 20, .flags = LODGE_RPC_F_ROOT },
		  true,
		  false },
		{ { .type = LODGE_RPC_DATA, .size = 64 << 10, .flags = LODGE_RPC_F_END },
		  true,
		  true },
		{ { .type = LODGE_RPC_DATA, .size = (64 << 10) + 1 }, false, false },
		{ { .type = LODGE_RPC_CREDIT, .size = 4 }, true, true },
		{ { .type = LODGE_RPC_CREDIT, .size = 5 }, false, false },
		{ { .type = LODGE_RPC_RESET, .size = 10 }, true, true },
		{ { .type = LODGE_RPC_CLOSE }, true, true },
		{ { .type = LODGE_RPC_CLOSE, .size = 1 }, false, false },
		{ { .type = 0 }, false, false },
		{ { .type = (enum lodge_rpc_type)9 }, false, false },
		{ { .type = (enum lodge_rpc_type)0xffff }, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(parse(rows[i].frame, FRAMES_FROM_GUEST),
				 rows[i].guest ? 0 : -EBADMSG);
		ck_assert_int_eq(parse(rows[i].frame, FRAMES_FROM_HOST),
				 rows[i].host ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(wrong_magic)
{
	unsigned char bytes[sizeof(golden)];
	struct frame frame;

	for (size_t i = 0; i < 4; i++) {
		memcpy(bytes, golden, sizeof(bytes));
		bytes[i] ^= 1;
		ck_assert_int_eq(frame_parse(bytes, FRAMES_FROM_GUEST, &frame), -EBADMSG);
	}
}
END_TEST

/* ---- the cutter ---- */

struct heard {
	unsigned int frames;
	size_t bytes;
	int error;
};

static int hear(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct heard *heard = opaque;

	heard->frames++;
	heard->bytes += frame->size;
	ck_assert_int_eq(payload[frame->size], '\0');
	return heard->error;
}

START_TEST(cut_anywhere)
{
	unsigned char stream[3 * sizeof(golden) + LODGE_RPC_HEADER_SIZE];
	const struct frame close = { .type = LODGE_RPC_CLOSE };

	memcpy(stream, golden, sizeof(golden));
	frame_build(&close, stream + sizeof(golden));
	memcpy(stream + sizeof(golden) + LODGE_RPC_HEADER_SIZE, golden, sizeof(golden));
	memcpy(stream + 2 * sizeof(golden) + LODGE_RPC_HEADER_SIZE, golden, sizeof(golden));
	for (size_t step = 1; step <= sizeof(stream); step++) {
		struct frame_cutter cutter = { .types = FRAMES_FROM_GUEST };
		struct heard heard = { 0 };

		for (size_t at = 0; at < sizeof(stream); at += step)
			ck_assert_int_eq(frame_cutter_feed(&cutter, stream + at,
							   step < sizeof(stream) - at
								   ? step
								   : sizeof(stream) - at,
							   hear, &heard),
					 0);
		ck_assert_uint_eq(heard.frames, 4);
		ck_assert_uint_eq(heard.bytes, 12);
		frame_cutter_reset(&cutter);
	}
}
END_TEST

/* Of 100 bytes 90 come, and then another frame, or nobody: 10^5 times. */
START_TEST(t39_frames_abandoned_half_way)
{
	unsigned char bytes[LODGE_RPC_HEADER_SIZE + 100] = { 0 };
	const struct frame frame = { .size = 100, .type = LODGE_RPC_DATA, .tag = 1 };
	struct frame_cutter cutter = { .types = FRAMES_FROM_GUEST };
	struct heard heard = { 0 };

	frame_build(&frame, bytes);
	for (unsigned int i = 0; i < 100000; i++) {
		ck_assert_int_eq(
			frame_cutter_feed(&cutter, bytes, sizeof(bytes) - 10, hear, &heard), 0);
		frame_cutter_reset(&cutter);
	}
	ck_assert_uint_eq(heard.frames, 0);
	/* What comes in place of the missing ten is theirs: no length is believed twice. */
	ck_assert_int_eq(frame_cutter_feed(&cutter, bytes, sizeof(bytes) - 10, hear, &heard), 0);
	ck_assert_int_eq(frame_cutter_feed(&cutter, bytes, sizeof(bytes), hear, &heard), -EBADMSG);
	ck_assert_uint_eq(heard.frames, 1);
	ck_assert_uint_eq(heard.bytes, 100);
	frame_cutter_reset(&cutter);
}
END_TEST

START_TEST(cutter_stops_at_faults)
{
	struct frame_cutter cutter = { .types = FRAMES_FROM_HOST };
	struct heard heard = { .error = -ECANCELED };

	ck_assert_int_eq(frame_cutter_feed(&cutter, golden, sizeof(golden), hear, &heard),
			 -EBADMSG);
	frame_cutter_reset(&cutter);
	cutter.types = FRAMES_FROM_GUEST;
	/* A frame that is never finished is dropped whole. */
	ck_assert_int_eq(frame_cutter_feed(&cutter, golden, sizeof(golden) - 1, hear, &heard), 0);
	frame_cutter_reset(&cutter);
	ck_assert_int_eq(frame_cutter_feed(&cutter, golden, sizeof(golden), hear, &heard),
			 -ECANCELED);
	ck_assert_uint_eq(heard.frames, 1);
	frame_cutter_reset(&cutter);
}
END_TEST

/* ---- fields ---- */

START_TEST(fields_are_checked)
{
	static const struct {
		const char *bytes;
		size_t len;
		int ret;
	} rows[] = {
		{ "", 0, 0 },
		{ "a=1", 4, 0 },
		{ "a=", 3, 0 },
		{ "a=1\0b-2=x y", 12, 0 },
		{ "a=1", 3, -EBADMSG }, /* no NUL */
		{ "a=1\0b", 6, -EBADMSG },
		{ "", 1, -EBADMSG },
		{ "=1", 3, -EBADMSG },
		{ "A=1", 4, -EBADMSG },
		{ "a b=1", 6, -EBADMSG },
		{ "abcdefghijklmnopqrstuvwxyz012345=1", 35, 0 }, /* 32 bytes of key */
		{ "abcdefghijklmnopqrstuvwxyz0123456=1", 36, -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(fields_check(rows[i].bytes, rows[i].len), rows[i].ret);
}
END_TEST

START_TEST(fields_are_found)
{
	static const char bytes[] = "arg=ls\0dir=/\0arg=-l\0args=no\0n=12\0m=\0o=1x\0"
				    "p=18446744073709551615\0q=18446744073709551616";
	const size_t len = sizeof(bytes);
	uint64_t number = 7;
	size_t at = 0;

	ck_assert_int_eq(fields_check(bytes, len), 0);
	ck_assert_str_eq(fields_get(bytes, len, "dir"), "/");
	ck_assert_str_eq(fields_get(bytes, len, "arg"), "ls");
	ck_assert_ptr_null(fields_get(bytes, len, "di"));
	ck_assert_ptr_null(fields_get(bytes, 0, "dir"));
	ck_assert_str_eq(fields_next(bytes, len, "arg", &at), "ls");
	ck_assert_str_eq(fields_next(bytes, len, "arg", &at), "-l");
	ck_assert_ptr_null(fields_next(bytes, len, "arg", &at));
	ck_assert_int_eq(fields_number(bytes, len, "n", 12, &number), 0);
	ck_assert_uint_eq(number, 12);
	ck_assert_int_eq(fields_number(bytes, len, "n", 11, &number), -EINVAL);
	ck_assert_int_eq(fields_number(bytes, len, "m", 11, &number), -EINVAL);
	ck_assert_int_eq(fields_number(bytes, len, "o", 11, &number), -EINVAL);
	ck_assert_int_eq(fields_number(bytes, len, "x", 11, &number), -ENOENT);
	ck_assert_int_eq(fields_number(bytes, len, "p", UINT64_MAX, &number), 0);
	ck_assert_int_eq(fields_number(bytes, len, "q", UINT64_MAX, &number), -EINVAL);
	ck_assert_uint_eq(number, UINT64_MAX);
}
END_TEST

START_TEST(fields_are_built)
{
	struct fields_builder builder = FIELDS_BUILDER(20);

	fields_raw(&builder, "w ");
	fields_add(&builder, "a", "b c");
	fields_addf(&builder, "n", "%d", -4);
	ck_assert_int_eq(fields_done(&builder), 0);
	ck_assert_uint_eq(builder.len, 13);
	ck_assert_mem_eq(builder.bytes, "w a=b c\0n=-4\0", 13);
	fields_add(&builder, "too", "long");
	ck_assert_int_eq(fields_done(&builder), -EMSGSIZE);
	/* The error stays. */
	fields_add(&builder, "k", "");
	ck_assert_int_eq(fields_done(&builder), -EMSGSIZE);
	fields_free(&builder);
	ck_assert_int_eq(fields_done(&builder), 0);
	ck_assert_ptr_null(builder.bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rpc_frames");
	TCase *tcase = tcase_create("frames");

	tcase_add_test(tcase, golden_bytes);
	tcase_add_test(tcase, limits_of_headers);
	tcase_add_test(tcase, wrong_magic);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, t39_frames_abandoned_half_way);
	tcase_add_test(tcase, cutter_stops_at_faults);
	tcase_add_test(tcase, fields_are_checked);
	tcase_add_test(tcase, fields_are_found);
	tcase_add_test(tcase, fields_are_built);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge exec` against a monitor played by hand: streams and credits, statuses, signals, and
// answers that break the protocol.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/cli/guest_exec.h"
#include "host-vmm/cli/guest_link.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/frame.h"
#include "tests/unit/unit.h"

#define BULK (10u << 20)

/* The monitor's end of the connection, and the standard streams' other ends. */
struct play {
	int link;
	int in, out, err; /* of the program that is tested */
	void (*script)(struct play *play);
	char said[4096]; /* on stderr, once it is over */
	char message[4096]; /* the last COMMAND */
	size_t len;
};

struct got {
	struct frame frame;
	char payload[LODGE_RPC_DATA_MAX + 1];
};

static void put(const struct play *play, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
		const void *payload, size_t len)
{
	const struct frame frame = {
		.size = (uint32_t)len, .type = type, .flags = flags, .tag = tag
	};
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	frame_build(&frame, header);
	/* The other side may be gone: some scripts are about that. */
	(void)fd_write_all(play->link, header, sizeof(header));
	if (len)
		(void)fd_write_all(play->link, payload, len);
}

static void put_result(const struct play *play, uint32_t tag, const char *text, size_t len)
{
	put(play, LODGE_RPC_RESULT, 0, tag, text, len);
}

static bool get(struct play *play, struct got *got)
{
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	const uint32_t types = FRAME_TYPE(LODGE_RPC_COMMAND) | FRAME_TYPE(LODGE_RPC_DATA) |
			       FRAME_TYPE(LODGE_RPC_CREDIT) | FRAME_TYPE(LODGE_RPC_RESET);

	if (fd_read_all(play->link, header, sizeof(header)) != sizeof(header))
		return false;
	ck_assert_int_eq(frame_parse(header, types, &got->frame), 0);
	ck_assert_int_eq(fd_read_all(play->link, got->payload, got->frame.size), got->frame.size);
	got->payload[got->frame.size] = '\0';
	if (got->frame.type == LODGE_RPC_COMMAND) {
		play->len = MIN(got->frame.size, sizeof(play->message) - 1);
		memcpy(play->message, got->payload, play->len);
	}
	return true;
}

/* The COMMAND that every script begins with. */
static uint32_t get_exec(struct play *play)
{
	struct got got;

	ck_assert(get(play, &got));
	ck_assert_int_eq(got.frame.type, LODGE_RPC_COMMAND);
	ck_assert(g_str_has_prefix(got.payload, "lodge.exec "));
	ck_assert_int_eq(fields_check(got.payload + 11, got.frame.size - 11), 0);
	return got.frame.tag;
}

static const char *field(const struct play *play, const char *key)
{
	return fields_get(play->message + 11, play->len - 11, key);
}

static uint32_t stream(const struct play *play, const char *key)
{
	return (uint32_t)strtoul(field(play, key), NULL, 10);
}

static void *perform(void *opaque)
{
	struct play *play = opaque;

	play->script(play);
	close(play->link);
	return NULL;
}

static size_t waits; /* bytes on standard input before it begins */

static void fill(int in)
{
	g_autofree char *bytes = g_strnfill(waits, 'x');

	ck_assert_int_ge(fcntl(in, F_SETPIPE_SZ, 1 << 20), 0);
	ck_assert_int_eq(fd_write_all(in, bytes, waits), 0);
}

/* Runs `lodge exec` with @spec against @script. Gives back its exit status. */
static int run(struct play *play, void (*script)(struct play *), const struct guest_exec_spec *spec)
{
	struct guest_link *link;
	int pair[2], in[2], out[2], err[2], saved = dup(STDERR_FILENO);
	pthread_t thread;
	sigset_t all, before;
	int status;

	ck_assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ck_assert(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC));
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	dup2(err[1], STDERR_FILENO);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	*play = (struct play){
		.link = pair[1], .in = in[1], .out = out[0], .err = err[0], .script = script
	};
	if (waits)
		fill(in[1]);
	ck_assert_int_eq(guest_link_adopt(pair[0], &link), 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ck_assert(!pthread_create(&thread, NULL, perform, play));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	status = guest_exec(link, spec);
	dup2(saved, STDERR_FILENO);
	ck_assert(!pthread_join(thread, NULL));
	ck_assert_int_ge(fd_read_all(err[0], play->said, sizeof(play->said) - 1), 0);
	return status;
}

static char word[] = "cat";
static char *words[] = { word, NULL };
static const struct guest_exec_spec plain = { .name = "box", .argv = words };

/* Sends back what comes, as far as there is credit for it. */
static void echo_script(struct play *play)
{
	uint32_t tag = get_exec(play), in = stream(play, "stdin"), out = stream(play, "stdout");
	g_autoptr(GByteArray) kept = g_byte_array_new();
	uint64_t room = LODGE_RPC_CREDIT_FIRST;
	struct got got;
	bool end = false;

	while (!end || kept->len) {
		uint32_t more = (uint32_t)MIN(MIN(kept->len, room), LODGE_RPC_DATA_MAX);

		if (more) {
			put(play, LODGE_RPC_DATA, 0, out, kept->data, more);
			room -= more;
			g_byte_array_remove_range(kept, 0, more);
			more = htole32(more);
			put(play, LODGE_RPC_CREDIT, 0, in, &more, sizeof(more));
			continue;
		}
		ck_assert(get(play, &got));
		if (got.frame.type == LODGE_RPC_CREDIT) {
			ck_assert_uint_eq(got.frame.tag, out);
			memcpy(&more, got.payload, sizeof(more));
			room += le32toh(more);
			continue;
		}
		ck_assert_int_eq(got.frame.type, LODGE_RPC_DATA);
		ck_assert_uint_eq(got.frame.tag, in);
		end = got.frame.flags & LODGE_RPC_F_END;
		g_byte_array_append(kept, (guint8 *)got.payload, got.frame.size);
		ck_assert_uint_le(kept->len, LODGE_RPC_CREDIT_FIRST);
	}
	put(play, LODGE_RPC_DATA, LODGE_RPC_F_END, out, "", 0);
	put_result(play, tag, "OK status=7", sizeof("OK status=7"));
}

struct bulk {
	struct play *play;
	size_t back;
	bool same;
};

static void *feed(void *opaque)
{
	const struct bulk *bulk = opaque;
	char block[4096];

	for (size_t at = 0; at < BULK; at += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (char)((at + i) % 253);
		if (fd_write_all(bulk->play->in, block, sizeof(block)))
			break;
	}
	close(bulk->play->in);
	return NULL;
}

static void *drain(void *opaque)
{
	struct bulk *bulk = opaque;
	char block[4096];
	ssize_t got;

	bulk->same = true;
	while ((got = read(bulk->play->out, block, sizeof(block))) > 0) {
		for (ssize_t i = 0; i < got; i++)
			bulk->same &= block[i] == (char)((bulk->back + (size_t)i) % 253);
		bulk->back += (size_t)got;
		if (bulk->back == BULK)
			break;
	}
	return NULL;
}

static void bulk_script(struct play *play)
{
	struct bulk bulk = { .play = play };
	pthread_t threads[2];

	ck_assert(!pthread_create(&threads[0], NULL, feed, &bulk));
	ck_assert(!pthread_create(&threads[1], NULL, drain, &bulk));
	echo_script(play);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ck_assert_uint_eq(bulk.back, BULK);
	ck_assert(bulk.same);
}

START_TEST(bytes_come_back_as_they_went)
{
	struct play play;

	ck_assert_int_eq(run(&play, bulk_script, &plain), 7);
	ck_assert_str_eq(play.said, "");
}
END_TEST

static void result_script(struct play *play)
{
	uint32_t tag = get_exec(play);
	const char *text = *play->said ? play->said : "OK";

	put_result(play, tag, text, strlen(text) + (g_str_has_prefix(text, "OK s") ? 1 : 0));
}

static const char *result;

static void this_result(struct play *play)
{
	strcpy(play->said, result);
	result_script(play);
	memset(play->said, 0, sizeof(play->said));
}

START_TEST(results_are_statuses)
{
	static const struct {
		const char *result;
		int status;
		const char *said;
	} rows[] = {
		{ "OK status=0", 0, "" },
		{ "OK status=255", 255, "" },
		{ "OK status=256", 125, "told no exit status" },
		{ "OK status=-1", 125, "told no exit status" },
		{ "OK", 125, "told no exit status" },
		{ "OKAY", 125, "cannot be understood" },
		{ "", 125, "told no exit status" },
		{ "ERROR 125 no tools: nobody is there", 125, "box: no tools: nobody is there" },
		{ "ERROR 126 it is a folder", 126, "box: it is a folder" },
		{ "ERROR 127 there is none", 127, "box: there is none" },
		{ "ERROR 2", 125, "No such file" },
		{ "ERROR 99999999999999999999 x", 125, "99999" },
		{ "ERROR Unknown Command", 125, "Unknown Command" },
		{ "ERROR 13 \033]0;x\007\n\nyes\xc2\x9b\xff", 125, "box: ?]0;x?  yes?" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct play play;

		result = rows[i].result;
		ck_assert_int_eq(run(&play, this_result, &plain), rows[i].status);
		if (!strstr(play.said, rows[i].said))
			ck_abort_msg("'%s' gives '%s'", result, play.said);
	}
}
END_TEST

static void vanish(struct play *play)
{
	get_exec(play);
}

static void flood(struct play *play)
{
	static const char block[LODGE_RPC_DATA_MAX];

	get_exec(play);
	/* Nobody reads our output: the window fills, and then it is beyond the credit. */
	for (int i = 0; i < 64; i++)
		put(play, LODGE_RPC_DATA, 0, stream(play, "stdout"), block, sizeof(block));
}

static void garbage(struct play *play)
{
	static const char block[64] = "LRPCnothing of the kind";

	get_exec(play);
	(void)fd_write_all(play->link, block, sizeof(block));
}

static void wrong_way(struct play *play)
{
	get_exec(play);
	put(play, LODGE_RPC_DATA, 0, stream(play, "stdin"), "x", 1);
}

START_TEST(broken_monitors_are_told)
{
	struct play play;

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(run(&play, vanish, &plain), 125);
	ck_assert_ptr_nonnull(strstr(play.said, "box: the VM ended before cat did"));
	ck_assert_int_eq(run(&play, garbage, &plain), 125);
	ck_assert_ptr_nonnull(strstr(play.said, "cannot be spoken to"));
	ck_assert_int_eq(run(&play, flood, &plain), 125);
	ck_assert_ptr_nonnull(strstr(play.said, "cannot be spoken to"));
	ck_assert_int_eq(run(&play, wrong_way, &plain), 125);
	ck_assert_ptr_nonnull(strstr(play.said, "cannot be spoken to"));
}
END_TEST

static void signal_script(struct play *play)
{
	uint32_t tag = get_exec(play);
	g_autofree char *job = g_strdup(field(play, "job"));
	struct got got;

	ck_assert_uint_eq(strlen(job), 32);
	kill(getpid(), SIGTERM);
	do {
		ck_assert(get(play, &got));
	} while (got.frame.type != LODGE_RPC_COMMAND);
	ck_assert(g_str_has_prefix(got.payload, "lodge.exec-signal "));
	ck_assert_str_eq(fields_get(got.payload + 18, got.frame.size - 18, "job"), job);
	ck_assert_str_eq(fields_get(got.payload + 18, got.frame.size - 18, "signal"), "15");
	put_result(play, got.frame.tag, "OK ", 3);
	put_result(play, tag, "OK status=143", sizeof("OK status=143"));
}

static void deaf_script(struct play *play)
{
	struct got got;

	get_exec(play);
	/* One at a time: equal signals that wait are one. */
	kill(getpid(), SIGTERM);
	do {
		ck_assert(get(play, &got));
	} while (got.frame.type != LODGE_RPC_COMMAND);
	kill(getpid(), SIGINT);
	kill(getpid(), SIGQUIT);
	while (get(play, &got))
		;
}

START_TEST(signals_are_passed_on)
{
	struct play play;

	ck_assert_int_eq(run(&play, signal_script, &plain), 143);
	/* A guest that does nothing of it does not keep us. */
	ck_assert_int_ge(run(&play, deaf_script, &plain), 128);
}
END_TEST

static void closed_script(struct play *play)
{
	uint32_t tag = get_exec(play), out = stream(play, "stdout");
	struct got got;

	close(play->out);
	put(play, LODGE_RPC_DATA, 0, out, "lost", 4);
	do {
		ck_assert(get(play, &got));
	} while (got.frame.type != LODGE_RPC_RESET);
	ck_assert_uint_eq(got.frame.tag, out);
	/* What was under way is dropped. */
	put(play, LODGE_RPC_DATA, 0, out, "late", 4);
	put_result(play, tag, "OK status=141", sizeof("OK status=141"));
}

START_TEST(output_that_nobody_reads)
{
	struct play play;

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(run(&play, closed_script, &plain), 141);
}
END_TEST

static void spec_script(struct play *play)
{
	uint32_t tag = get_exec(play);

	ck_assert_str_eq(field(play, "arg"), "cat");
	ck_assert_str_eq(field(play, "user"), "me");
	ck_assert_str_eq(field(play, "dir"), "/x");
	ck_assert_str_eq(field(play, "env"), "A=B=C");
	ck_assert_str_eq(field(play, "timeout"), "9");
	ck_assert_ptr_nonnull(field(play, "tty"));
	ck_assert_ptr_nonnull(field(play, "term"));
	ck_assert_ptr_null(field(play, "stdin"));
	ck_assert_ptr_null(field(play, "stderr"));
	put_result(play, tag, "OK status=124", sizeof("OK status=124"));
}

START_TEST(wishes_are_fields)
{
	char wish[] = "A=B=C";
	char *env[] = { wish, NULL };
	struct guest_exec_spec spec = plain;
	struct play play;

	spec.user = "me";
	spec.dir = "/x";
	spec.env = env;
	spec.tty = spec.no_stdin = true;
	spec.timeout_s = 9;
	ck_assert_int_eq(run(&play, spec_script, &spec), 124);
}
END_TEST

/* ---- a full backlog ---- */

#define STDIN_FRAME (16u << 10) /* bytes that `lodge exec` reads at once */
#define WAITS	    (900u << 10) /* in the pipe that is its standard input */

static unsigned int waiting(int fd)
{
	int count = 0;

	ck_assert(!ioctl(fd, FIONREAD, &count));
	return (unsigned int)count;
}

/* CREDIT for @in and, where there are any, bytes of stdout. */
static void put_two(struct play *play, uint32_t in, const uint32_t *credit, const char *out)
{
	const struct frame credits = { .size = sizeof(*credit),
				       .type = LODGE_RPC_CREDIT,
				       .tag = in };
	unsigned char bytes[2 * LODGE_RPC_HEADER_SIZE + sizeof(*credit) + 1];
	size_t len = LODGE_RPC_HEADER_SIZE + sizeof(*credit);

	frame_build(&credits, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, credit, sizeof(*credit));
	if (out) {
		const struct frame data = { .size = 1,
					    .type = LODGE_RPC_DATA,
					    .tag = stream(play, "stdout") };

		frame_build(&data, bytes + len);
		bytes[len + LODGE_RPC_HEADER_SIZE] = (unsigned char)*out;
		len += LODGE_RPC_HEADER_SIZE + 1;
	}
	ck_assert_int_eq(fd_write_all(play->link, bytes, len), 0);
}

/* Until they are taken; where they are not, what is read of the link next tells. */
static void give(struct play *play, uint32_t in, uint32_t bytes, const char *out_bytes)
{
	const uint32_t credit = htole32(bytes);
	unsigned int left = waiting(play->in) - bytes;

	/* In one piece: what it lets happen, happens at once. */
	put_two(play, in, &credit, out_bytes);
	for (int i = 0; i < 2000 && waiting(play->in) != left; i++)
		g_usleep(1000);
}

/* Eight bytes before the backlog is full, both streams go on: the one's credit fills it. */
static void full_script(struct play *play)
{
	const uint32_t frame = STDIN_FRAME + LODGE_RPC_HEADER_SIZE;
	uint32_t tag = get_exec(play), in = stream(play, "stdin"), backlog, room;
	size_t came = 0;
	struct got got;
	bool end = false;

	while (waiting(play->in) != WAITS - LODGE_RPC_CREDIT_FIRST)
		g_usleep(1000);
	backlog = LODGE_RPC_CREDIT_FIRST / STDIN_FRAME * frame - waiting(play->link);
	room = GUEST_BACKLOG_MAX - 8 - backlog;
	ck_assert_uint_gt(room % frame, LODGE_RPC_HEADER_SIZE);
	give(play, in, room / frame * STDIN_FRAME + room % frame - (uint32_t)LODGE_RPC_HEADER_SIZE,
	     NULL);
	give(play, in, 100, "x");
	/* All that there is, and nothing is the end before it. */
	while (!end) {
		uint32_t more = htole32(WAITS);

		ck_assert(get(play, &got));
		if (got.frame.type != LODGE_RPC_DATA)
			continue;
		if (!came)
			put(play, LODGE_RPC_CREDIT, 0, in, &more, sizeof(more));
		came += got.frame.size;
		end = got.frame.flags & LODGE_RPC_F_END;
		if (came == WAITS)
			close(play->in);
	}
	ck_assert_uint_eq(came, WAITS);
	put_result(play, tag, "OK status=0", sizeof("OK status=0"));
}

START_TEST(a_full_backlog_is_not_the_end_of_stdin)
{
	struct play play;

	waits = WAITS;
	ck_assert_int_eq(run(&play, full_script, &plain), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_guest");
	TCase *tcase = tcase_create("exec");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, bytes_come_back_as_they_went);
	tcase_add_test(tcase, results_are_statuses);
	tcase_add_test(tcase, broken_monitors_are_told);
	tcase_add_test(tcase, signals_are_passed_on);
	tcase_add_test(tcase, output_that_nobody_reads);
	tcase_add_test(tcase, wishes_are_fields);
	tcase_add_test(tcase, a_full_backlog_is_not_the_end_of_stdin);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

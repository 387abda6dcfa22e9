// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile guest before the RPC service: more keys, more bytes and more messages than there may be
// (T33, T34), and text that would steer the terminal of whoever reads it on the host (T41).
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/backdoor/private.h"
#include "tests/unit/backdoor_rig.h"
#include "tests/unit/unit.h"

#define BEGIN_MS 1000000u

static uint64_t clock_ms = BEGIN_MS; /* all the time that passes */
static unsigned int n_logged, n_steering;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	uint64_t ms = __atomic_load_n(&clock_ms, __ATOMIC_RELAXED);

	(void)clock;
	*now = (struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
	return 0;
}

static void pass_time(uint64_t ms)
{
	__atomic_add_fetch(&clock_ms, ms, __ATOMIC_RELAXED);
}

/* Control characters: C0, DEL, and C1 in UTF-8. */
static bool steers(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < ' ' || c == 0x7f ||
		    (c >= 0x80 && c < 0xa0 && i > 0 && text[i - 1] == '\xc2'))
			return true;
	}
	return false;
}

static void hear(void *opaque, const struct tools_event *event)
{
	(void)opaque;
	n_logged += strcmp(event->name, "log") == 0;
	/* Fields end with their NULs. */
	for (size_t at = 0; at < event->fields_len; at += strlen(event->fields + at) + 1)
		n_steering += steers(event->fields + at, strlen(event->fields + at));
}

static struct tools_sink *sink;

static void setup(void)
{
	backdoor_setup();
	n_logged = n_steering = 0;
	ck_assert_int_eq(tools_events_add(backdoor, hear, NULL, &sink), 0);
}

static void remove_sink(void *opaque)
{
	tools_events_remove(opaque);
}

static void teardown(void)
{
	loop_call(rig.machine.loop, remove_sink, sink);
	backdoor_teardown();
}

/* Whether the reply begins with @head. */
static bool says(struct rpc_session *session, const char *message, size_t len, const char *head)
{
	struct rpc_reply reply;
	bool same;

	rpc_session_request(session, message, len, &reply);
	same = reply.len >= strlen(head) && memcmp(reply.bytes, head, strlen(head)) == 0;
	rpc_reply_free(&reply);
	return same;
}

/* ---- T33 ---- */

START_TEST(t33_a_million_keys)
{
	struct rpc_session *session = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	struct tools_var *vars;
	unsigned int taken = 0;
	size_t count, bytes = 0;
	char message[64];

	for (unsigned int i = 0; i < 1000000; i++) {
		size_t len =
			(size_t)snprintf(message, sizeof(message), "info-set guestinfo.k%u v", i);

		if (i % 400 == 0)
			pass_time(1000);
		taken += says(session, message, len, "1 ");
	}
	ck_assert_uint_eq(taken, TOOLS_VARS_MAX);
	ck_assert_int_eq(tools_vars_list(backdoor, &vars, &count), 0);
	ck_assert_uint_eq(count, TOOLS_VARS_MAX);
	for (size_t i = 0; i < count; i++)
		bytes += strlen(vars[i].name) + vars[i].len;
	ck_assert_uint_le(bytes, TOOLS_VARS_BYTES);
	tools_vars_free(vars, count);
	rpc_session_close(session);
	/* The library measures how long a test takes, too. */
	clock_ms = BEGIN_MS;
}
END_TEST

START_TEST(t33_a_key_of_64_mib)
{
	static const char set[] = "info-set guestinfo.", get[] = "info-get guestinfo.";
	struct rpc_session *session = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	const size_t len = 64u << 20;
	char *message = malloc(len);
	struct tools_var *vars;
	size_t count;

	memset(message, 'k', len);
	memcpy(message, set, sizeof(set) - 1);
	ck_assert(says(session, message, len, "0 too long"));
	message[100] = ' ';
	ck_assert(says(session, message, len, "0 too long"));
	/* As long as the door takes. */
	ck_assert(says(session, message, 80u << 10, "0 the value is too long"));
	message[100] = 'k';
	ck_assert(says(session, message, 80u << 10, "0 only names of guestinfo."));
	memcpy(message, get, sizeof(get) - 1);
	ck_assert(says(session, message, len, "0 too long"));
	ck_assert_int_eq(tools_vars_list(backdoor, &vars, &count), 0);
	ck_assert_uint_eq(count, 0);
	tools_vars_free(vars, count);
	free(message);
	rpc_session_close(session);
}
END_TEST

/* ---- T34: 10^6 messages within a second ---- */

START_TEST(t34_a_million_messages_a_second)
{
	static const char *const words[] = { "log flood", "info-set guestinfo.x 1",
					     "info-get guestinfo.x", "no.such.word" };
	static const uint32_t costs[] = { RPC_COST_LOG, RPC_COST_WRITE, RPC_COST_READ,
					  RPC_COST_READ };
	struct rpc_session *root = greet(RPC_DOOR_VIRTIO, RPC_ROOT, "lodge.hello app=cli");
	struct rpc_session *other = greet(RPC_DOOR_PORT, RPC_ROOT, "lodge.hello app=cli");
	uint64_t spent = 0;

	for (unsigned int i = 0; i < 1000000; i++) {
		size_t kind = i % 4;

		if (i % 1000 == 0)
			pass_time(1);
		if (!says(root, words[kind], strlen(words[kind]), "0 busy"))
			spent += costs[kind];
	}
	/* What a second has, and what was saved before it. */
	ck_assert_uint_le(spent, 2 * RPC_TOKENS);
	ck_assert_uint_ge(spent, RPC_TOKENS / 2);
	settle();
	ck_assert_uint_le(n_logged, 2 * RPC_TOKENS / RPC_COST_LOG);
	/* It is the sender's own rate. */
	ck_assert(says(other, "info-set guestinfo.y 1", 22, "1 "));
	rpc_session_close(other);
	rpc_session_close(root);
}
END_TEST

/* ---- T41 ---- */

static const char *const sequences[] = {
	"\x1b[8;1;1t", /* resize */
	"\x1b[2J\x1b[H\x1b[31m", /* clear, home, red */
	"\x1b]0;title\x07",
	"\x1b]0;title\x1b\\",
	"\x1b]52;c;cm0gLXJm\x07", /* clipboard */
	"\x1bP+q544e\x1b\\", /* DCS */
	"\x1b[6n\x1b[c\x05", /* it would answer as if typed */
	"\x1b"
	"c",
	"\xc2\x9b"
	"31m",
	"\xc2\x9d"
	"0;title\xc2\x9c",
	"\x9b"
	"31m",
	"a\r\nlodge: a line of its own\b\b\b\x7f",
	"\xe2\x80",
};

static void tell_all(struct rpc_session *session, const char *sequence)
{
	char message[256];
	int len = snprintf(message, sizeof(message), "log %s", sequence);

	ck_assert(says(session, message, (size_t)len, "1 "));
	len = snprintf(message, sizeof(message), "SetGuestInfo  1 %s", sequence);
	ck_assert(says(session, message, (size_t)len, "1 "));
	len = snprintf(message, sizeof(message), "SetGuestInfo  5 %s", sequence);
	ck_assert(says(session, message, (size_t)len, "1 "));
	len = snprintf(message, sizeof(message),
		       "lodge.facts part=system%chostname=%s%cos-name=%s%ckernel=%s%cpart=shares%c"
		       "mount=%s%cwhy=%s",
		       0, sequence, 0, sequence, 0, sequence, 0, 0, sequence, 0, sequence);
	ck_assert(says(session, message, (size_t)len + 1, "1 "));
}

START_TEST(t41_escape_sequences)
{
	struct rpc_session *tools = start_tools();
	struct tools_status status;
	struct tools_facts *facts;

	tell_all(tools, sequences[_i]);
	expect(tools, "tools.capability.statechange ", "1 ");
	/* A refusal's reason. */
	ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT), 0);
	answer(tools, "OS_Halt", sequences[_i]);
	settle();
	ck_assert_uint_eq(n_logged, 1);
	ck_assert_uint_eq(n_steering, 0);
	ck_assert_int_eq(tools_get_facts(backdoor, &facts), 0);
	ck_assert(!steers(facts->hostname, strlen(facts->hostname)));
	ck_assert(!steers(facts->os_name, strlen(facts->os_name)));
	ck_assert(!steers(facts->kernel, strlen(facts->kernel)));
	free(facts);
	rpc_session_close(tools);
	/* Who they are, over the ports, where the answer to `reset` tells it. */
	tools = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	{
		char name[256];

		snprintf(name, sizeof(name), "OK ATR %s", sequences[_i]);
		answer(tools, "reset", name);
	}
	settle();
	tools_get_status(backdoor, &status);
	ck_assert(!steers(status.app, strlen(status.app)));
	ck_assert_uint_eq(n_steering, 0);
	rpc_session_close(tools);
}
END_TEST

START_TEST(t41_a_parameter_of_1_mib)
{
	static const char head[] = "log \x1b[", fact[] = "SetGuestInfo  1 \x1b[";
	struct rpc_session *tools = start_tools();
	const size_t len = 1u << 20;
	char *message = malloc(len);

	memset(message, '1', len);
	message[len - 1] = 'm';
	memcpy(message, head, sizeof(head) - 1);
	ck_assert(says(tools, message, len, "0 too long"));
	ck_assert(says(tools, message, 65000, "1 "));
	memcpy(message, fact, sizeof(fact) - 1);
	ck_assert(says(tools, message, len, "0 too long"));
	ck_assert(says(tools, message, 65000, "1 "));
	settle();
	ck_assert_uint_eq(n_logged, 1);
	ck_assert_uint_eq(n_steering, 0);
	free(message);
	rpc_session_close(tools);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_hostile");
	TCase *tcase = tcase_create("hostile");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, t33_a_million_keys);
	tcase_add_test(tcase, t33_a_key_of_64_mib);
	tcase_add_test(tcase, t34_a_million_messages_a_second);
	tcase_add_loop_test(tcase, t41_escape_sequences, 0,
			    sizeof(sequences) / sizeof(sequences[0]));
	tcase_add_test(tcase, t41_a_parameter_of_1_mib);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

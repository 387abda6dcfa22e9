// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's "keys": what is pressed, in which order, and what is refused.
#include <check.h>
#include <glib.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/control/keys.h"
#include "host-vmm/input/input.h"
#include "host-vmm/machine.h"
#include "tests/unit/unit.h"

static struct machine machine;
static GString *said;
static bool ready;

static bool sink_ready(void *opaque)
{
	(void)opaque;
	return ready;
}

static void sink_key(void *opaque, uint16_t code, bool down)
{
	(void)opaque;
	g_string_append_printf(said, "%c%u", down ? '+' : '-', code);
}

static const struct input_sink_ops ops = { .ready = sink_ready, .key = sink_key };
static struct input_sink sink = { .ops = &ops };
static const struct control_method methods[] = { { "keys", control_keys }, { NULL, NULL } };

static void setup(void)
{
	ck_assert_int_eq(input_create(&machine.input), 0);
	input_add_sink(machine.input, &sink);
	said = g_string_new("");
	ready = true;
}

static void teardown(void)
{
	input_remove_sink(machine.input, &sink);
	input_destroy(machine.input);
	g_string_free(said, TRUE);
}

static bool ask(const char *params)
{
	bool follows;
	g_autofree char *line =
		g_strdup_printf("{\"id\":1,\"method\":\"keys\",\"params\":%s}", params);
	g_autofree char *answer = control_answer(methods, &machine, line, strlen(line), &follows);

	return strstr(answer, "\"error\"") == NULL;
}

START_TEST(keys_are_down_at_once)
{
	ck_assert(ask("{\"codes\":[29,56,111]}"));
	ck_assert_str_eq(said->str, "+29+56+111-111-56-29");
	/* One that is named twice is one key. */
	g_string_truncate(said, 0);
	ck_assert(ask("{\"codes\":[30,30]}"));
	ck_assert_str_eq(said->str, "+30-30");
}
END_TEST

START_TEST(what_a_window_holds_stays_down)
{
	struct input_giver *window = input_giver_create(machine.input);

	(void)input_key(window, KEY_LEFTSHIFT, true);
	ck_assert(ask("{\"codes\":[42,30]}"));
	ck_assert_str_eq(said->str, "+42+30-30");
	input_giver_destroy(window);
	ck_assert_str_eq(said->str, "+42+30-30-42");
}
END_TEST

START_TEST(what_is_no_key_presses_nothing)
{
	static const char *const bad[] = {
		"{}",
		"{\"codes\":7}",
		"{\"codes\":[]}",
		"{\"codes\":[0]}",
		"{\"codes\":[30,249]}",
		"{\"codes\":[30,-1]}",
		"{\"codes\":[30,\"a\"]}",
		"{\"codes\":[30,30.5]}",
		"{\"codes\":[30,4294967326]}",
		"{\"codes\":[272]}",
		"{\"codes\":[1,2,3,4,5,6,7,8,9]}",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		ck_assert_msg(!ask(bad[i]), "%s", bad[i]);
	ck_assert_str_eq(said->str, "");
}
END_TEST

START_TEST(nobody_listens)
{
	struct input *input = machine.input;

	ready = false;
	ck_assert(!ask("{\"codes\":[30]}"));
	machine.input = NULL;
	ck_assert(!ask("{\"codes\":[30]}"));
	machine.input = input;
	ck_assert_str_eq(said->str, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_keys");
	TCase *tcase = tcase_create("keys");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, keys_are_down_at_once);
	tcase_add_test(tcase, what_a_window_holds_stays_down);
	tcase_add_test(tcase, what_is_no_key_presses_nothing);
	tcase_add_test(tcase, nobody_listens);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

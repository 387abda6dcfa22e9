// SPDX-License-Identifier: GPL-2.0-or-later
// Power commands to the guest's tools, and what is told of their answers.
#include <check.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/backdoor_rig.h"
#include "tests/unit/unit.h"

static char events[256];

/* The event's name and its fields, with a comma behind each. */
static void note_event(void *opaque, const struct tools_event *event)
{
	size_t len = strlen(event->name);

	(void)opaque;
	ck_assert_uint_lt(len + event->fields_len + 1, sizeof(events));
	memcpy(events, event->name, len);
	events[len] = ' ';
	for (size_t i = 0; i < event->fields_len; i++)
		events[len + 1 + i] = event->fields[i] ? event->fields[i] : ',';
	events[len + 1 + event->fields_len] = '\0';
}

static void remove_sink(void *opaque)
{
	tools_events_remove(opaque);
}

START_TEST(power_that_is_refused_is_told)
{
	struct rpc_session *session = start_tools();
	struct tools_sink *sink;

	ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT), -EOPNOTSUPP);
	expect(session, "tools.capability.statechange ", "1 ");
	events[0] = '\0';
	ck_assert_int_eq(tools_events_add(backdoor, note_event, NULL, &sink), 0);
	/* What they begin they tell of later, when their scripts have run. */
	ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT), 0);
	answer(session, "OS_Halt", "OK ");
	settle();
	ck_assert_str_eq(events, "");
	ck_assert_int_eq(tools_power(backdoor, TOOLS_REBOOT), 0);
	answer(session, "OS_Reboot", "ERROR 16 a script runs\n");
	settle();
	ck_assert_ptr_nonnull(
		strstr(events, "power what=reboot,ok=no,reason=ERROR 16 a script runs"));
	/* Nor does an end without an answer say that they refused. */
	events[0] = '\0';
	ck_assert_int_eq(tools_power(backdoor, TOOLS_SUSPEND), 0);
	rpc_session_close(session);
	settle();
	ck_assert_ptr_null(strstr(events, "power"));
	loop_call(rig.machine.loop, remove_sink, sink);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_power");
	TCase *tcase = tcase_create("power");

	tcase_add_checked_fixture(tcase, backdoor_setup, backdoor_teardown);
	tcase_add_test(tcase, power_that_is_refused_is_told);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

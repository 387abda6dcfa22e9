// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket makes of a guest's facts and of events: JSON whatever the guest said.
#include <check.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/control/tools.h"
#include "tests/unit/unit.h"

static char *line_of(const char *name, const char *fields, size_t len)
{
	const struct tools_event event = {
		.name = name, .fields = fields, .fields_len = len, .time_ms = 5
	};

	return control_event_line(&event);
}

static void assert_line(const char *name, const char *fields, size_t len, const char *wanted)
{
	g_autofree char *line = line_of(name, fields, len);

	ck_assert_str_eq(line, wanted);
}

START_TEST(events_are_lines)
{
	static const char up[] = "app=toolbox\0version=x \"1\"\0door=port";
	static const char power[] = "what=halt\0ok=no";
	static const char missed[] = "seconds=30";
	static const char odd[] = "text=a\nb\033\xff=c\0rest";

	assert_line("tools-up", up, sizeof(up),
		    "{\"event\":\"tools-up\",\"time_ms\":5,\"app\":\"toolbox\","
		    "\"version\":\"x \\\"1\\\"\",\"door\":\"port\"}\n");
	assert_line("power", power, sizeof(power),
		    "{\"event\":\"power\",\"time_ms\":5,\"what\":\"halt\",\"ok\":false}\n");
	assert_line("heartbeat-missed", missed, sizeof(missed),
		    "{\"event\":\"heartbeat-missed\",\"time_ms\":5,\"seconds\":30}\n");
	assert_line("heartbeat-back", NULL, 0, "{\"event\":\"heartbeat-back\",\"time_ms\":5}\n");
	assert_line("log", odd, sizeof(odd),
		    "{\"event\":\"log\",\"time_ms\":5,\"text\":\"a\\nb\\u001B\xef\xbf\xbd=c\"}\n");
}
END_TEST

START_TEST(facts_are_what_was_told)
{
	struct tools_facts *facts = calloc(1, sizeof(*facts));
	json_t *object, *part;
	json_t *rows;

	object = control_facts_json(facts);
	ck_assert_uint_eq(json_object_size(object), 0);
	json_decref(object);

	facts->told[FACTS_SYSTEM] = facts->told[FACTS_NET] = 1;
	strcpy(facts->hostname, "box");
	facts->n_nics = 1;
	facts->n_routes = 1;
	facts->routes[0].nic = FACTS_NICS_MAX;
	facts->nics[0].up = true;
	facts->nics[0].n_addresses = 1;
	strcpy(facts->nics[0].addresses[0].text, "10.0.2.15");
	facts->nics[0].addresses[0].prefix = 24;
	object = control_facts_json(facts);
	ck_assert_uint_eq(json_object_size(object), 2);
	part = json_object_get(object, "system");
	ck_assert_str_eq(json_string_value(json_object_get(part, "hostname")), "box");
	ck_assert(!json_object_get(part, "kernel"));
	part = json_object_get(object, "net");
	ck_assert_str_eq(json_string_value(json_object_get(part, "address")), "10.0.2.15");
	rows = json_object_get(part, "routes");
	ck_assert(!json_object_get(json_array_get(rows, 0), "nic"));
	json_decref(object);
	free(facts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_tools");
	TCase *tcase = tcase_create("json");

	tcase_add_test(tcase, events_are_lines);
	tcase_add_test(tcase, facts_are_what_was_told);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// timesync, and the host's time for stat.
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/toolbox/toolbox.h"
#include "protocol/lib/fields.h"

static int enable(const struct toolbox *toolbox, bool on)
{
	int ret;

	if (geteuid() != 0)
		return complain(toolbox, EX_NOPERM, "timesync is changed by root");
	ret = toolbox_change_conf(toolbox, "time", "sync", on ? "yes" : "no");
	if (!ret && !toolbox->quiet)
		printf("%s\n", on ? "Enabled" : "Disabled");
	return ret;
}

static void print_status(const struct door_answer *answer, bool on)
{
	const char *owner = fields_get(answer->payload, answer->len, "clock-owner");
	const char *by = fields_get(answer->payload, answer->len, "clock-by");
	uint64_t off;

	printf("%s\n", on ? "Enabled" : "Disabled");
	printf("kept by    %s\n", owner ? owner : "nobody");
	if (by)
		printf("host's by  %s\n", by);
	if (!fields_number(answer->payload, answer->len, "clock-ahead", INT64_MAX, &off))
		printf("offset     %.9f s ahead of the host's\n", (double)off / 1e9);
	else if (!fields_number(answer->payload, answer->len, "clock-behind", INT64_MAX, &off))
		printf("offset     %.9f s behind the host's\n", (double)off / 1e9);
	if (!fields_number(answer->payload, answer->len, "clock-steps", INT64_MAX, &off))
		printf("set        %" PRIu64 " times\n", off);
}

static int status(const struct toolbox *toolbox)
{
	static const char ask[] = "lodged.status";
	struct toolbox daemon = *toolbox;
	struct door_answer answer;
	const char *sync = NULL;
	int ret;
	bool on;

	daemon.only = DOOR_DAEMON;
	ret = toolbox_ask(&daemon, ask, sizeof(ask) - 1, &answer);
	if (ret)
		return toolbox_no_host(&daemon, ret);
	if (answer.ok && !fields_check(answer.payload, answer.len))
		sync = fields_get(answer.payload, answer.len, "clock-sync");
	on = sync && !strcmp(sync, "on");
	if (sync)
		print_status(&answer, on);
	free(answer.payload);
	return on ? 0 : EX_UNAVAILABLE;
}

int verb_timesync(const struct toolbox *toolbox, int argc, char **argv)
{
	if (argc < 1)
		return misused(toolbox, "missing", "subcommand");
	if (!strcmp(argv[0], "enable") || !strcmp(argv[0], "disable"))
		return enable(toolbox, *argv[0] == 'e');
	if (!strcmp(argv[0], "status"))
		return status(toolbox);
	return misused(toolbox, "unknown subcommand", argv[0]);
}

int toolbox_host_time(const struct toolbox *toolbox, int64_t *ret_seconds)
{
	static const char ask[] = "lodge.clock";
	struct door_answer answer;
	uint64_t seconds;
	int ret = toolbox_ask(toolbox, ask, sizeof(ask) - 1, &answer);

	if (ret)
		return ret;
	if (!answer.ok || fields_check(answer.payload, answer.len))
		ret = -EOPNOTSUPP;
	else
		ret = fields_number(answer.payload, answer.len, "seconds", INT64_MAX, &seconds);
	free(answer.payload);
	if (!ret)
		*ret_seconds = (int64_t)seconds;
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// info, and the verbs of VMware's that are not here.
#include <stdlib.h>
#include <string.h>

#include "guest-daemon/toolbox/toolbox.h"

int verb_absent(const struct toolbox *toolbox, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return complain(toolbox, EX_UNAVAILABLE, "not available: these tools have no such verb");
}

int verb_info(const struct toolbox *toolbox, int argc, char **argv)
{
	static const char ask[] = "lodged.update";
	struct toolbox daemon = *toolbox;
	struct door_answer answer;
	int ret;

	if (argc < 1 || strcmp(argv[0], "update") != 0)
		return misused(toolbox, argc < 1 ? "missing" : "unknown subcommand",
			       argc < 1 ? "subcommand" : argv[0]);
	if (argc > 1 && strcmp(argv[1], "network") != 0)
		return misused(toolbox, "unknown class", argv[1]);
	daemon.only = DOOR_DAEMON;
	ret = toolbox_ask(&daemon, ask, sizeof(ask) - 1, &answer);
	if (ret)
		return toolbox_no_host(&daemon, ret);
	if (!answer.ok)
		ret = complain(toolbox, EX_TEMPFAIL, "%s", answer.payload);
	free(answer.payload);
	return ret;
}

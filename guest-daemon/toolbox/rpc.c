// SPDX-License-Identifier: GPL-2.0-or-later
// rpc: one request to the host, its reply on stdout; what vmware-rpctool does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-daemon/toolbox/toolbox.h"

/* Several words are one request: `rpc info-get guestinfo.x` is what people type. */
int verb_rpc(const struct toolbox *toolbox, int argc, char **argv)
{
	g_autofree char *message = NULL;
	struct door_answer answer;
	FILE *to;
	int ret;

	if (argc < 1)
		return misused(toolbox, "missing", "request");
	message = g_strjoinv(" ", argv);
	ret = toolbox_ask(toolbox, message, strlen(message), &answer);
	if (ret)
		return toolbox_no_host(toolbox, ret);
	to = answer.ok ? stdout : stderr;
	(void)fwrite(answer.payload, 1, answer.len, to);
	(void)fputc('\n', to);
	ret = answer.ok ? 0 : answer.busy ? EX_TEMPFAIL : 1;
	free(answer.payload);
	return ret;
}

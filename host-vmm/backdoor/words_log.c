// SPDX-License-Identifier: GPL-2.0-or-later
// log: lines of the guest's tools, in the host's log.
#include <stdio.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

#define TEXT_MAX 512 /* bytes of the guest's text that are shown */

/* Control characters and what is no ASCII become \xNN: nothing steers a terminal or hides. */
static void escape(char *to, size_t room, const char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len && at + 5 <= room; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '\\' || byte < ' ' || byte > '~')
			at += (size_t)snprintf(to + at, room - at, "\\x%02x", byte);
		else
			to[at++] = (char)byte;
	}
	to[at] = '\0';
}

static void log_text(struct rpc_session *session, const char *arg, size_t len,
		     struct rpc_reply *reply)
{
	struct backdoor *backdoor = session->backdoor;
	struct fields_builder fields = FIELDS_BUILDER(2048);
	char text[TEXT_MAX + 1];

	while (len > 0 && (arg[len - 1] == '\0' || arg[len - 1] == '\n'))
		len--;
	escape(text, sizeof(text), arg, len);
	log_ratelimited(&backdoor->guest_log_limit, LOG_LEVEL_INFO, "guest: %s", text);
	fields_add(&fields, "text", text);
	deliver_event(backdoor, "log", &fields);
	reply_static(reply, REPLY_OK);
}

const struct rpc_word words_log[] = {
	{ "log", RPC_BY_ALL, RPC_COST_LOG, 64 << 10, log_text },
	{ NULL, 0, 0, 0, NULL },
};

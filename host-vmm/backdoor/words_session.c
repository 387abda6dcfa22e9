// SPDX-License-Identifier: GPL-2.0-or-later
// lodge.hello: who a session is.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

static bool app_name_ok(const char *app)
{
	size_t len = strlen(app);

	if (len == 0 || len >= sizeof(((struct rpc_session *)0)->app))
		return false;
	return strspn(app, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static void hello(struct rpc_session *session, const char *arg, size_t len, struct rpc_reply *reply)
{
	struct fields_builder fields = FIELDS_BUILDER(1024);
	const char *app, *version, *commands;

	if (session->hello) {
		reply_static(reply, "0 said already");
		return;
	}
	app = fields_check(arg, len) == 0 ? fields_get(arg, len, "app") : NULL;
	if (!app || !app_name_ok(app)) {
		reply_static(reply, "0 malformed lodge.hello");
		return;
	}
	version = fields_get(arg, len, "version");
	commands = fields_get(arg, len, "commands");
	if (strcmp(app, "toolbox") == 0 && session->privilege != RPC_ROOT) {
		reply_static(reply, "0 Permission denied");
		return;
	}
	snprintf(session->app, sizeof(session->app), "%s", app);
	if (version)
		backdoor_clean_text(session->version, sizeof(session->version), version,
				    strlen(version));
	session->hello = true;
	session->commanded = session->privilege == RPC_ROOT && strcmp(app, "cli") != 0 &&
			     commands && strcmp(commands, "1") == 0 && session->ops->send;
	if (session->commanded) {
		if (start_is_toolbox(session))
			start_replace(session);
		/* Behind the reply, which the loop has handed to the door by then. */
		deliver_post(session->backdoor, &session->start_item);
	}
	fields_add(&fields, "version", LODGE_VERSION);
	fields_add(&fields, "door", rpc_door_name(session->door));
	fields_add(&fields, "privilege", session->privilege == RPC_ROOT ? "root" : "user");
	reply_fields(reply, &fields);
}

/* lodge.hello is the first row: dispatch() lets it alone through before hello was said. */
const struct rpc_word words_session[] = {
	{ "lodge.hello", RPC_BY_ROOT | RPC_BY_USER, RPC_COST_READ, 4096, hello },
	{ NULL, 0, 0, 0, NULL },
};

// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the owner of this guest allows what the host asks for: allow-exec of tools.conf.
#include <errno.h>
#include <string.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/task.h"

#define GROUP "guest-ops"

static int as_named_user(struct lodged *lodged, struct task_spec *spec, const char *wanted,
			 const char **ret_why)
{
	g_auto(GStrv) users = g_key_file_get_string_list(conf_keys(lodged->conf), GROUP,
							 "exec-users", NULL, NULL);

	for (char **user = users; user && *user; user++)
		g_strstrip(*user);
	if (!users || !users[0] || !*users[0]) {
		*ret_why = "this guest's tools.conf names no exec-users";
		return -EACCES;
	}
	if (wanted && !g_strv_contains((const char *const *)users, wanted)) {
		*ret_why = "this guest's tools.conf does not have that user among exec-users";
		return -EACCES;
	}
	spec->user = g_strdup(wanted ? wanted : users[0]);
	/* A name of that list may still be root's: the child looks. */
	spec->allow_root = false;
	return 0;
}

int policy_check(struct lodged *lodged, struct task_spec *spec, const char **ret_why)
{
	g_autofree char *policy = conf_string(lodged->conf, GROUP, "allow-exec");
	const char *wanted = fields_get(spec->fields, spec->len, "user");

	if (!g_strcmp0(policy, "root")) {
		spec->user = g_strdup(wanted ? wanted : "root");
		spec->allow_root = true;
		return 0;
	}
	if (!g_strcmp0(policy, "user"))
		return as_named_user(lodged, spec, wanted, ret_why);
	*ret_why = policy && strcmp(policy, "off") != 0
			   ? "allow-exec of this guest's tools.conf is neither off, user nor root"
			   : "switched off in this guest (tools.conf: allow-exec=off)";
	return -EACCES;
}

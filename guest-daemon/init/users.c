// SPDX-License-Identifier: GPL-2.0-or-later
// Users and groups from /etc/passwd and /etc/group: a static program cannot load NSS modules.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_user(const struct passwd *entry, const char *user)
{
	char *end;
	unsigned long uid = strtoul(user, &end, 10);

	if (*user && !*end)
		return entry->pw_uid == uid;
	return !strcmp(entry->pw_name, user);
}

static void add_groups(const char *name, struct identity *identity)
{
	FILE *file = fopen("/etc/group", "re");
	struct group *entry;

	while (file && (entry = fgetgrent(file))) {
		for (char **member = entry->gr_mem; *member; member++) {
			if (!strcmp(*member, name) &&
			    identity->n_groups <
				    sizeof(identity->groups) / sizeof(identity->groups[0]))
				identity->groups[identity->n_groups++] = entry->gr_gid;
		}
	}
	if (file)
		fclose(file);
}

int user_find(const char *user, struct identity *ret_identity)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry = NULL;
	char *end;
	unsigned long uid;

	memset(ret_identity, 0, sizeof(*ret_identity));
	while (file && (entry = fgetpwent(file)) && !is_user(entry, user))
		;
	if (entry) {
		ret_identity->uid = entry->pw_uid;
		ret_identity->gid = entry->pw_gid;
		ret_identity->groups[ret_identity->n_groups++] = entry->pw_gid;
		snprintf(ret_identity->home, sizeof(ret_identity->home), "%s", entry->pw_dir);
		add_groups(entry->pw_name, ret_identity);
	}
	if (file)
		fclose(file);
	if (entry)
		return 0;
	/* A number needs no entry. */
	uid = strtoul(user, &end, 10);
	if (!*user || *end || uid >= (uid_t)-1)
		return -ENOENT;
	ret_identity->uid = (uid_t)uid;
	ret_identity->gid = (gid_t)uid;
	return 0;
}

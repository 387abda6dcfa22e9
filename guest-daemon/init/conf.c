// SPDX-License-Identifier: GPL-2.0-or-later
// Reads run.conf, the records in which the host says what an instant VM is to do.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/run_conf.h>

struct key {
	const char *name;
	size_t offset;
	bool several;
};

#define ONE(key, field)                                      \
	{                                                    \
		key, offsetof(struct run_conf, field), false \
	}
#define ANY(key, field)                                     \
	{                                                   \
		key, offsetof(struct run_conf, field), true \
	}

static const struct key keys[] = {
	ANY(LODGE_RUN_CONF_MODULE, modules),	ANY(LODGE_RUN_CONF_LATE_MODULE, late_modules),
	ANY(LODGE_RUN_CONF_SHARE, shares),	ANY(LODGE_RUN_CONF_SHARE_RO, read_only_shares),
	ANY(LODGE_RUN_CONF_ENV, env),		ANY(LODGE_RUN_CONF_ARG, args),
	ONE(LODGE_RUN_CONF_ROOT, root),		ONE(LODGE_RUN_CONF_HOSTNAME, hostname),
	ONE(LODGE_RUN_CONF_TERMINAL, terminal), ONE(LODGE_RUN_CONF_USER, user),
	ONE(LODGE_RUN_CONF_CWD, cwd),		ONE(LODGE_RUN_CONF_TOOLS, tools),
};

static int add_word(struct words *words, char *word)
{
	/* Room for the word and the NULL at the end. */
	char **grown = realloc(words->list, (words->n + 2) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	grown[words->n++] = word;
	grown[words->n] = NULL;
	words->list = grown;
	return 0;
}

static int set(struct run_conf *conf, const char *name, char *value)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *field = (char *)conf + keys[i].offset;

		if (strcmp(name, keys[i].name))
			continue;
		if (keys[i].several)
			return add_word((struct words *)field, value);
		if (*(char **)field)
			return -EINVAL;
		*(char **)field = value;
		return 0;
	}
	return -EINVAL;
}

static int set_mode(struct run_conf *conf, const char *record)
{
	if (!strcmp(record, LODGE_RUN_CONF_MODE "=run"))
		return 0;
	if (strcmp(record, LODGE_RUN_CONF_MODE "=hello"))
		return -EINVAL;
	conf->hello = true;
	return 0;
}

int conf_parse(char *text, size_t len, struct run_conf *ret_conf, const char **ret_bad)
{
	char *at = text, *end = text + len;
	int ret;

	memset(ret_conf, 0, sizeof(*ret_conf));
	*ret_bad = "";
	if (!len || end[-1])
		return -EINVAL;
	*ret_bad = at;
	ret = set_mode(ret_conf, at);
	for (at += strlen(at) + 1; !ret && at < end;) {
		char *next = at + strlen(at) + 1;
		char *equals = strchr(at, '=');

		*ret_bad = at;
		if (!equals)
			return -EINVAL;
		*equals = '\0';
		ret = set(ret_conf, at, equals + 1);
		at = next;
	}
	if (ret)
		return ret;
	*ret_bad = LODGE_RUN_CONF_ARG;
	return ret_conf->hello || ret_conf->args.n ? 0 : -EINVAL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge wait`: returns when a VM has an address, its tools, a variable, or is off.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/follow.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/var.h"
#include "host-vmm/cli/vm.h"

#define TIMEOUT_S     60
#define TIMEOUT_MAX_S (7 * 24 * 3600)

struct wait {
	const struct vm *vm;
	const char *word; /* of a variable: KEY or KEY=VALUE */
	gint64 end; /* monotonic */
	char *why; /* what is missing */
};

/* 1: it is there, 0: not yet, else a negative errno and ->why. */
typedef int (*check_fn)(struct wait *wait);

static int ask(struct wait *wait, const char *method, const char *params, JsonObject **ret_result)
{
	g_clear_pointer(&wait->why, g_free);
	return client_ask(wait->vm->socket, method, params, ret_result, &wait->why);
}

static int check_tools(struct wait *wait)
{
	JsonObject *result;
	bool up;
	int ret = ask(wait, "tools", NULL, &result);

	if (ret)
		return ret;
	up = json_object_get_boolean_member_with_default(result, "up", FALSE);
	wait->why = g_strdup(json_text(result, "why", ""));
	json_object_unref(result);
	return up;
}

static JsonObject *member(JsonObject *object, const char *key)
{
	JsonNode *node = object ? json_object_get_member(object, key) : NULL;

	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static int check_ip(struct wait *wait)
{
	JsonObject *result, *net;
	const char *address = NULL;
	int ret = ask(wait, "tools", NULL, &result);

	if (ret)
		return ret;
	net = member(member(result, "facts"), "net");
	if (net)
		address = json_text(net, "address", NULL);
	if (address)
		print_shown("%s\n", address);
	else
		wait->why = g_strdup(json_text(result, "why", "the guest has told no address"));
	json_object_unref(result);
	return address != NULL;
}

static int check_var(struct wait *wait)
{
	const char *equals = strchr(wait->word, '=');
	g_autofree char *key = equals ? g_strndup(wait->word, (gsize)(equals - wait->word))
				      : g_strdup(wait->word);
	g_autofree char *params = var_params(key, NULL, 0);
	g_autofree guchar *value = NULL;
	JsonObject *result;
	gsize len;
	bool same;
	int ret = ask(wait, "var-get", params, &result);

	if (ret)
		return ret == -EREMOTEIO ? 0 : ret;
	value = var_value(result, &len);
	same = !equals || (len == strlen(equals + 1) && !memcmp(value, equals + 1, len));
	if (!same)
		wait->why = g_strdup("it has another value");
	json_object_unref(result);
	return same;
}

static const struct {
	const char *name;
	check_fn check;
} conditions[] = {
	{ "tools", check_tools },
	{ "ip", check_ip },
	{ "var", check_var },
};

static int left_ms(const struct wait *wait)
{
	return (int)CLAMP((wait->end - g_get_monotonic_time()) / 1000, 0, G_MAXINT);
}

/* Listens first and looks then, so that nothing falls in between. */
static int await(struct wait *wait, check_fn check, const char *name)
{
	g_autofree char *message = NULL;
	struct follow *follow;
	JsonObject *event;
	int ret = follow_open(wait->vm->socket, &follow, &message);

	if (ret)
		return fail(EX_UNAVAILABLE, "%s: %s", wait->vm->name, message);
	for (;;) {
		ret = check(wait);
		if (ret)
			break;
		ret = follow_next(follow, left_ms(wait), &event);
		if (!ret)
			json_object_unref(event);
		else if (ret != -EINTR)
			break;
	}
	follow_close(follow);
	if (ret > 0)
		return EX_OK;
	if (ret == -ETIMEDOUT)
		return fail(EX_TEMPFAIL, "%s: no %s%s%s in time%s%s; wait longer by --timeout",
			    wait->vm->name, name, wait->word ? " " : "",
			    wait->word ? wait->word : "", wait->why && *wait->why ? ": " : "",
			    wait->why ? wait->why : "");
	return fail(EX_UNAVAILABLE, "%s ended before it had %s", wait->vm->name, name);
}

static int wait_off(const struct vm *vm, int timeout_s)
{
	if (!vm->running || vm_wait_end(vm, timeout_s * 1000))
		return EX_OK;
	return fail(EX_TEMPFAIL, "%s still runs after %d s; wait longer by --timeout", vm->name,
		    timeout_s);
}

static int check_words(int argc, char **argv, int timeout)
{
	int words = argc > 2 && !strcmp(argv[2], "var") ? 4 : 3;

	if (timeout < 0 || timeout > TIMEOUT_MAX_S)
		return fail(EX_USAGE, "--timeout: %d will not do; give 0 to %d seconds", timeout,
			    TIMEOUT_MAX_S);
	if (argc < words)
		return fail(EX_USAGE, "wait: for what? say NAME tools, NAME ip, NAME off, or "
				      "NAME var KEY=VALUE");
	if (argc > words)
		return fail(EX_USAGE, "wait: '%s' is one word too many", argv[words]);
	return 0;
}

static check_fn find_check(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(conditions); i++) {
		if (!strcmp(conditions[i].name, name))
			return conditions[i].check;
	}
	return NULL;
}

static int wait_for(char **argv, int timeout)
{
	bool off = !strcmp(argv[2], "off");
	check_fn check = find_check(argv[2]);
	struct vm vm = { 0 };
	struct wait wait = { .vm = &vm, .word = argv[3] };
	int status;

	if (!off && !check)
		return fail(EX_USAGE,
			    "wait: '%s' is nothing to wait for; say tools, ip, off or var",
			    argv[2]);
	wait.end = g_get_monotonic_time() + timeout * (gint64)G_USEC_PER_SEC;
	status = off ? vm_find(argv[1], &vm) : vm_find_running(argv[1], &vm);
	if (!status)
		status = off ? wait_off(&vm, timeout) : await(&wait, check, argv[2]);
	vm_clear(&vm);
	g_free(wait.why);
	return status;
}

int verb_wait(int argc, char **argv)
{
	int timeout = TIMEOUT_S;
	const GOptionEntry entries[] = {
		{ "timeout", 't', 0, G_OPTION_ARG_INT, &timeout, "60 if not given", "SECONDS" },
		{ 0 },
	};
	int status;

	status = parse_options(&argc, &argv, "NAME tools|ip|off|var KEY[=VALUE]",
			       "Waits until a VM has its tools, an address (which is printed), the "
			       "variable KEY\n(of that VALUE), or is off.",
			       NULL, entries);
	if (!status)
		status = check_words(argc, argv, timeout);
	return status ? status : wait_for(argv, timeout);
}

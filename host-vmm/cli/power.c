// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge shutdown` and `lodge reboot`: the guest's tools first, then the power button, then a word
// on what is left.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/follow.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"

#define TIMEOUT_S     60
#define TIMEOUT_MAX_S 86400
#define TOOLS_MS      20000 /* for the tools to bring the guest down, before the button */
#define AGAIN_MS      5000 /* between presses: who boots does not hear the first */
#define END_MS	      3000 /* from the last event to the monitor's end */

struct power {
	const struct vm *vm;
	const char *verb;
	int timeout_s;
	gint64 end; /* monotonic */
	struct follow *follow;
	bool asked, refused, went; /* the tools; they said no; they went away since */
	bool back; /* and came again */
	bool silent; /* they do not answer their heartbeat */
	bool off;
	bool deaf; /* to what the tools say: the button has been pressed */
	char *reason; /* why they said no, or NULL */
};

static int left_ms(const struct power *power, gint64 end)
{
	gint64 first = MIN(power->end, end);

	return (int)CLAMP((first - g_get_monotonic_time()) / 1000, 0, G_MAXINT);
}

static void take_event(struct power *power, JsonObject *event)
{
	const char *name = json_text(event, "event", "");

	if (!strcmp(name, "power") && !power->deaf) {
		power->refused = !json_object_get_boolean_member_with_default(event, "ok", TRUE);
		g_free(power->reason);
		power->reason = g_strdup(json_text(event, "reason", NULL));
	} else if (!strcmp(name, "tools-down")) {
		power->went = true;
	} else if (!strcmp(name, "tools-up") && power->went) {
		power->back = true;
	} else if (!strcmp(name, "heartbeat-missed")) {
		power->silent = true;
	}
	json_object_unref(event);
}

/* Until the VM ends, @done, or the time is over. */
static void listen_until(struct power *power, const bool *done, int timeout_ms)
{
	gint64 end = g_get_monotonic_time() + timeout_ms * (gint64)1000;
	JsonObject *event;
	int ret = 0;

	while (!*done && !power->refused && (!ret || ret == -EINTR)) {
		ret = follow_next(power->follow, left_ms(power, end), &event);
		if (!ret)
			take_event(power, event);
	}
	/* The socket's end is the monitor's, soon. */
	if (ret && ret != -ETIMEDOUT)
		power->off = vm_wait_end(power->vm, END_MS);
}

static int ask_tools(struct power *power, const char *what)
{
	g_autofree char *params = g_strdup_printf("{\"what\":\"%s\"}", what);
	g_autofree char *message = NULL;
	JsonObject *result;

	if (client_ask(power->vm->socket, "power", params, &result, &message)) {
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "%s: %s\n", power->vm->name, message);
		return -1;
	}
	json_object_unref(result);
	power->asked = true;
	return 0;
}

/* Asked, since no event tells of what was missed before we listened. */
static void ask_heartbeat(struct power *power)
{
	g_autofree char *message = NULL;
	JsonObject *result;
	JsonNode *node;

	if (client_ask(power->vm->socket, "tools", NULL, &result, &message))
		return;
	node = json_object_get_member(result, "heartbeat");
	power->silent = node && JSON_NODE_HOLDS_OBJECT(node) &&
			json_object_get_boolean_member_with_default(json_node_get_object(node),
								    "missed", FALSE);
	json_object_unref(result);
}

static void press_button(struct power *power)
{
	g_autofree char *message = NULL;
	JsonObject *result;

	if (!client_ask(power->vm->socket, "stop", NULL, &result, &message))
		json_object_unref(result);
	else
		power->off = vm_wait_end(power->vm, 0);
}

/* The button, again and again; a guest may have no ear for it yet. */
static void stop_by_button(struct power *power)
{
	const bool never = false;

	/* What the tools say only now changes nothing, and must not cut the waits short. */
	power->deaf = true;
	while (!power->off && left_ms(power, G_MAXINT64)) {
		press_button(power);
		if (!power->off)
			listen_until(power, &never, AGAIN_MS);
	}
}

static int tell_refused(const struct power *power)
{
	if (power->reason)
		return fail(EX_TEMPFAIL,
			    "%s: the guest's tools refused: %s; lodge stop %s presses the power "
			    "button",
			    power->vm->name, power->reason, power->vm->name);
	return fail(EX_TEMPFAIL,
		    "%s: the guest refused: a power script of its tools failed; its journal tells "
		    "which; lodge stop %s presses the power button",
		    power->vm->name, power->vm->name);
}

static int tell_left(const struct power *power)
{
	return fail(
		EX_TEMPFAIL,
		"%s still runs after %d s: %s, and the power button did nothing; wait longer by "
		"--timeout, or run: lodge kill %s",
		power->vm->name, power->timeout_s,
		power->asked ? "its tools were asked" : "it has no tools to ask", power->vm->name);
}

static int shut_down(struct power *power)
{
	/* Who is silent is asked all the same, but not waited for. */
	if (!ask_tools(power, "halt")) {
		ask_heartbeat(power);
		listen_until(power, &power->silent, TOOLS_MS);
	}
	if (power->refused)
		return tell_refused(power);
	stop_by_button(power);
	return power->off ? EX_OK : tell_left(power);
}

/* The button only powers off: a reboot by it is a stop and a start. */
static int reboot_by_button(struct power *power)
{
	stop_by_button(power);
	if (!power->off)
		return tell_left(power);
	return vm_start(power->vm);
}

static int reboot(struct power *power)
{
	if (ask_tools(power, "reboot")) {
		if (!vm_can_start(power->vm))
			return fail(
				EX_UNAVAILABLE,
				"%s has no tools that reboot it, and could not be started again",
				power->vm->name);
		return reboot_by_button(power);
	}
	listen_until(power, &power->back, power->timeout_s * 1000);
	if (power->refused)
		return tell_refused(power);
	/* A VM of vm.conf's on-reset=stop ends instead. */
	if (power->back || power->off)
		return EX_OK;
	return fail(EX_TEMPFAIL,
		    "%s: %s after %d s; wait longer by --timeout, or run: lodge kill %s",
		    power->vm->name,
		    power->went ? "its tools went down and are not back"
				: "its tools were asked and nothing came of it",
		    power->timeout_s, power->vm->name);
}

static int run(int argc, char **argv, const char *summary, const char *description,
	       int (*act)(struct power *))
{
	struct power power = { .verb = argv[0], .timeout_s = TIMEOUT_S };
	const GOptionEntry entries[] = {
		{ "timeout", 't', 0, G_OPTION_ARG_INT, &power.timeout_s, "60 if not given",
		  "SECONDS" },
		{ 0 },
	};
	g_autofree char *message = NULL;
	struct vm vm = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME", summary, description, entries);
	if (!status && (power.timeout_s < 0 || power.timeout_s > TIMEOUT_MAX_S))
		status = fail(EX_USAGE, "--timeout: %d will not do; give 0 to %d seconds",
			      power.timeout_s, TIMEOUT_MAX_S);
	if (!status)
		status = one_name(argc, argv, power.verb);
	if (!status)
		status = vm_find_running(argv[1], &vm);
	power.vm = &vm;
	power.end = g_get_monotonic_time() + power.timeout_s * (gint64)G_USEC_PER_SEC;
	if (!status && follow_open(vm.socket, &power.follow, &message))
		status = fail(EX_UNAVAILABLE, "%s: %s", vm.name, message);
	if (!status)
		status = act(&power);
	follow_close(power.follow);
	g_free(power.reason);
	vm_clear(&vm);
	return status;
}

int verb_shutdown(int argc, char **argv)
{
	return run(argc, argv, "Shuts a VM's guest down, and waits until the VM is off.",
		   "The guest's tools are asked, whose power scripts may refuse. Where there are "
		   "none, or they miss\ntheir heartbeat, or nothing comes of it in 20 s, the power "
		   "button is pressed.",
		   shut_down);
}

int verb_reboot(int argc, char **argv)
{
	return run(argc, argv, "Reboots a VM's guest, and waits until its tools are there again.",
		   "The guest's tools are asked, whose power scripts may refuse. Where there are "
		   "none, the power\nbutton is pressed and the VM started again.",
		   reboot);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge stop` and `lodge kill`: the power button and the plug.
#include "host-vmm/cli/cli.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/vm.h"

#define STOP_TIMEOUT_S 60
#define ASK_AGAIN_MS   5000
#define END_GRACE_MS   3000 /* for a monitor that does not answer any more */
#define KILL_GRACE_MS  3000 /* for the monitor to end by itself, before SIGKILL */

/* Who does not answer may be ending just now, which is what was wanted: *ret_off tells. */
static int press(const struct vm *vm, bool *ret_off)
{
	g_autofree char *message = NULL;
	JsonObject *result;

	*ret_off = false;
	if (!client_ask(vm->socket, "stop", NULL, &result, &message)) {
		json_object_unref(result);
		return 0;
	}
	*ret_off = vm_wait_end(vm, END_GRACE_MS);
	return *ret_off ? 0 : fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
}

static int stop(const struct vm *vm, int timeout_s)
{
	gint64 end = g_get_monotonic_time() + timeout_s * G_USEC_PER_SEC;
	bool shown = isatty(STDERR_FILENO), off;
	gint64 left_ms;
	int status;

	if (shown)
		fprintf(stderr, "Asking %s to power off; waiting %d s at most...\n", vm->name,
			timeout_s);
	do {
		/* A guest that is still booting has nobody who hears: so once in a while again. */
		status = press(vm, &off);
		if (status || off)
			return status;
		left_ms = (end - g_get_monotonic_time()) / 1000;
		if (vm_wait_end(vm, (int)CLAMP(left_ms, 0, ASK_AGAIN_MS)))
			return EX_OK;
	} while (left_ms > ASK_AGAIN_MS);
	return fail(EX_TEMPFAIL,
		    "%s still runs after %d s; wait longer by --timeout, or run: "
		    "lodge kill %s",
		    vm->name, timeout_s, vm->name);
}

int verb_stop(int argc, char **argv)
{
	int timeout = STOP_TIMEOUT_S;
	const GOptionEntry entries[] = {
		{ "timeout", 't', 0, G_OPTION_ARG_INT, &timeout, "60 if not given", "SECONDS" },
		{ 0 },
	};
	struct vm vm = { 0 };
	int status;

	status = parse_options(
		&argc, &argv, "NAME", "Presses a VM's power button and waits until it is off.",
		"The guest decides whether it obeys; lodge kill does not ask.", entries);
	if (!status && (timeout < 0 || timeout > 86400))
		status = fail(EX_USAGE, "--timeout: %d will not do; give 0 to 86400 seconds",
			      timeout);
	if (!status)
		status = one_name(argc, argv, "stop");
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = stop(&vm, timeout);
	vm_clear(&vm);
	return status;
}

static int pull_the_plug(const struct vm *vm)
{
	g_autofree char *message = NULL;
	JsonObject *result;

	/* A monitor that hangs does not answer, and must end all the same. */
	if (!client_ask(vm->socket, "kill", NULL, &result, &message)) {
		json_object_unref(result);
		if (vm_wait_end(vm, KILL_GRACE_MS))
			return EX_OK;
	}
	if (!vm_end(vm, KILL_GRACE_MS))
		return fail(EX_OSERR, "%s: its monitor (process %d) does not end; kill it by hand",
			    vm->name, (int)vm->pid);
	return EX_OK;
}

int verb_kill(int argc, char **argv)
{
	const GOptionEntry entries[] = { { 0 } };
	struct vm vm = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME",
			       "Ends a VM at once. What its guest has not written is lost.", NULL,
			       entries);
	if (!status)
		status = one_name(argc, argv, "kill");
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = pull_the_plug(&vm);
	vm_clear(&vm);
	return status;
}

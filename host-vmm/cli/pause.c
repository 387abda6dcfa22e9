// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge pause` and `lodge resume`: a VM's processors stop, and go on.
#include "host-vmm/cli/cli.h"

#include <sysexits.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/vm.h"

static int run(int argc, char **argv, const char *method, const char *summary,
	       const char *description)
{
	const GOptionEntry entries[] = { { 0 } };
	g_autofree char *message = NULL;
	struct vm vm = { 0 };
	JsonObject *result;
	int status;

	status = parse_options(&argc, &argv, "NAME", summary, description, entries);
	if (!status)
		status = one_name(argc, argv, method);
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status && client_ask(vm.socket, method, NULL, &result, &message))
		status = fail(EX_UNAVAILABLE, "%s: %s", vm.name, message);
	else if (!status)
		json_object_unref(result);
	vm_clear(&vm);
	return status;
}

int verb_pause(int argc, char **argv)
{
	return run(argc, argv, "pause",
		   "Stops a VM's processors. Its windows keep the last picture.",
		   "Time goes on meanwhile: lodge resume has the guest find the right one. Pausing "
		   "twice is fine.");
}

int verb_resume(int argc, char **argv)
{
	return run(argc, argv, "resume", "Lets a VM's processors go on after lodge pause.",
		   "The guest's tools are told that time has passed.");
}

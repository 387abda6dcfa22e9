// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge start`: starts a VM's monitor and stays until it says that the guest runs, or why not.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "host-vmm/cli/hostcheck.h"
#include "host-vmm/cli/monitor.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/tail.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/conf/claim.h"
#include "protocol/lib/fd.h"

#define LOG_LINES 12

static int check(const char *dir)
{
	g_autofree char *message = NULL;
	struct vm_config *config;
	int ret = vm_config_load(dir, &config, &message);

	if (ret)
		return fail(ret == -EINVAL ? EX_CONFIG : status_of(ret), "%s", message);
	ret = host_check(config, &message);
	vm_config_free(config);
	return ret ? fail(status_of(ret), "%s", message) : 0;
}

static int explain(const char *name, const struct monitor *monitor, const char *log)
{
	g_autofree char *error = monitor_first_error(log);

	if (!error)
		error = monitor_killed(monitor);
	if (error)
		return fail(EX_UNAVAILABLE, "%s: %s", name, error);
	tail_print(log, LOG_LINES, stderr);
	return fail(EX_SOFTWARE,
		    "%s: the monitor ended without a word; lodge check tells what "
		    "this host can do",
		    name);
}

/* The monitor claims the folder; but before that its log is made anew, and another's must not be.
 */
static int check_claim(const char *name, const char *runtime)
{
	autofd fd = -1;

	if (claim_folder(runtime, &fd) != -EADDRINUSE)
		return 0;
	return fail(EX_TEMPFAIL,
		    "%s runs already, or somebody is just starting or deleting it; lodge list "
		    "tells",
		    name);
}

int vm_start(const struct vm *vm)
{
	g_autofree char *log = g_build_filename(vm->dir, "vmm.log", NULL);
	g_autofree char *runtime = NULL;
	g_autofree char *message = NULL;
	struct monitor monitor;
	struct monitor_spec spec = { .dir = vm->dir, .log = log, .detach = true };
	int ret = paths_runtime(vm->name, &runtime, &message);

	if (ret)
		return fail(status_of(ret), "%s", message);
	ret = check_claim(vm->name, runtime);
	if (ret)
		return ret;
	spec.runtime = runtime;
	ret = monitor_start(&spec, &monitor, &message);
	if (ret)
		return fail(EX_UNAVAILABLE, "%s", message);
	while (!monitor.started && monitor.notify >= 0)
		monitor_read(&monitor);
	return monitor.started ? EX_OK : explain(vm->name, &monitor, log);
}

int verb_start(int argc, char **argv)
{
	const GOptionEntry entries[] = { { 0 } };
	struct vm vm = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME", "Starts a VM and returns when its guest runs.",
			       "The monitor's words go to vmm.log in the VM's folder.", entries);
	if (!status)
		status = one_name(argc, argv, "start");
	if (!status)
		status = vm_find(argv[1], &vm);
	if (!status && vm.running)
		status = fail(EX_TEMPFAIL, "%s runs already; lodge stop %s ends it", vm.name,
			      argv[1]);
	if (!status && vm.other)
		status = vm_fail_other(&vm);
	if (!status)
		status = check(vm.dir);
	if (!status)
		status = vm_start(&vm);
	vm_clear(&vm);
	return status;
}

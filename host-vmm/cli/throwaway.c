// SPDX-License-Identifier: GPL-2.0-or-later
// Claims the run-time folders of VMs that nobody keeps, and removes them, also those of the dead.
#include "host-vmm/cli/throwaway.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "host-vmm/cli/paths.h"
#include "host-vmm/conf/claim.h"
#include "protocol/lib/fd.h"

#define MARK	   "run"
#define PATIENCE   20 /* times */
#define BETWEEN_US 5000

int throwaway_claim(const char *runtime, int *ret_claim)
{
	g_autofree char *mark = g_build_filename(runtime, MARK, NULL);
	autofd claim = -1;
	int ret = -EADDRINUSE;
	pid_t pid;

	/* It may be that somebody is just sweeping it. */
	for (int i = 0; i < PATIENCE && ret == -EADDRINUSE; i++) {
		if (i)
			g_usleep(BETWEEN_US);
		ret = claim_folder(mark, &claim);
		if (paths_is_running(runtime, &pid))
			break;
	}
	if (ret)
		return ret;
	/* A VM that is kept has this name. */
	if (paths_is_running(runtime, &pid)) {
		(void)g_rmdir(mark);
		return -EADDRINUSE;
	}
	*ret_claim = fd_steal(&claim);
	return 0;
}

void throwaway_remove(const char *runtime)
{
	/* The mark near the end: what was not reached is swept by the next one. */
	static const char *const files[] = { "vm/vm.conf", "vm/initrd",	   "vm.conf",
					     "initrd",	   "serial.log",   "kernel.log",
					     "vmm.log",	   "control.sock", "display.sock",
					     "tools.sock" };
	static const char *const folders[] = { "vm", MARK, "" };

	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_build_filename(runtime, files[i], NULL);

		(void)g_unlink(path);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *path = g_build_filename(runtime, folders[i], NULL);

		(void)g_rmdir(path);
	}
}

static void sweep(const char *runtime)
{
	g_autofree char *mark = g_build_filename(runtime, MARK, NULL);
	autofd command = -1, monitor = -1;
	pid_t pid;

	/* A monitor outlives its command for a moment. */
	if (claim_left(mark, &command) || claim_left(runtime, &monitor) ||
	    paths_is_running(runtime, &pid))
		return;
	throwaway_remove(runtime);
}

void throwaway_sweep(void)
{
	g_autofree char *message = NULL;
	g_autofree char *base = NULL;
	g_autoptr(GDir) dir = NULL;
	const char *name;

	if (!paths_runtime_base(&base, &message))
		dir = g_dir_open(base, 0, NULL);
	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *runtime = g_build_filename(base, name, NULL);

		sweep(runtime);
	}
}

// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge delete`: removes a VM that does not run.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/conf/claim.h"
#include "protocol/lib/fd.h"

#define OPEN_FOLDERS 16 /* that nftw() keeps at once */
#define VM_CONF	     "vm.conf"

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	if (at->level == 1 && !strcmp(path + at->base, VM_CONF))
		return 0;
	if (!at->level) {
		g_autofree char *conf = g_build_filename(path, VM_CONF, NULL);

		if (remove(conf) && errno != ENOENT)
			return -1;
	}
	return remove(path);
}

/* Every file below; symbolic links are removed and not followed, other file systems left. What
 * makes it a VM goes last: one that could not be deleted whole is still there to be deleted. */
static int remove_tree(const char *dir)
{
	if (!nftw(dir, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return EX_OK;
	return fail(
		EX_CANTCREAT,
		"%s: not all could be removed: %s; remove by hand what cannot be, and try again",
		dir, g_strerror(errno));
}

/* A folder that the user chose may hold other things: only what Lodge itself made goes. */
static int remove_ours(const char *dir)
{
	static const char *const ours[] = { "vmm.log", "serial.log", VM_CONF };

	for (size_t i = 0; i < G_N_ELEMENTS(ours); i++) {
		g_autofree char *path = g_build_filename(dir, ours[i], NULL);

		if (g_unlink(path) && errno != ENOENT)
			return fail(EX_CANTCREAT, "%s: cannot be removed: %s; remove it by hand",
				    path, g_strerror(errno));
	}
	if (g_rmdir(dir))
		fprintf(stderr, "%s: other files are in it and were kept.\n", dir);
	return EX_OK;
}

static bool confirm(const struct vm *vm, bool whole)
{
	char answer[16];

	fprintf(stderr, "Delete the VM %s%s (%s)? [y/N] ", vm->name,
		whole ? " with its disks and all else in its folder" : "'s settings", vm->dir);
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

/* Somebody may have started it while the answer was waited for; and nobody does from here on. */
static int claim(const struct vm *vm, int *ret_fd)
{
	g_autofree char *message = NULL;
	g_autofree char *runtime = NULL;
	int ret = paths_runtime(vm->name, &runtime, &message);

	if (ret)
		return fail(status_of(ret), "%s", message);
	ret = claim_folder(runtime, ret_fd);
	if (ret == -EADDRINUSE && vm->other)
		return vm_fail_other(vm);
	if (ret == -EADDRINUSE)
		return fail(EX_TEMPFAIL, "%s runs; first run: lodge stop %s", vm->name, vm->name);
	if (ret)
		return fail(status_of(ret), "%s: %s; it must be yours alone", runtime,
			    g_strerror(-ret));
	return 0;
}

static int remove_vm(const struct vm *vm, bool whole)
{
	autofd fd = -1;
	int status = claim(vm, &fd);

	if (status)
		return status;
	status = whole ? remove_tree(vm->dir) : remove_ours(vm->dir);
	(void)g_rmdir(vm->runtime);
	return status;
}

static int delete (const struct vm *vm, bool yes)
{
	g_autofree char *vms = paths_vms();
	g_autofree char *parent = g_path_get_dirname(vm->dir);
	bool whole = !strcmp(parent, vms);

	if (vm->running)
		return fail(EX_TEMPFAIL, "%s runs; first run: lodge stop %s", vm->name, vm->name);
	if (!yes && !isatty(STDIN_FILENO))
		return fail(EX_USAGE, "delete: nobody is there to confirm; say --yes");
	if (!yes && !confirm(vm, whole))
		return fail(EX_TEMPFAIL, "%s was kept", vm->name);
	return remove_vm(vm, whole);
}

int verb_delete(int argc, char **argv)
{
	gboolean yes = FALSE;
	const GOptionEntry entries[] = {
		{ "yes", 'y', 0, G_OPTION_ARG_NONE, &yes, "do not ask", NULL },
		{ 0 },
	};
	struct vm vm = { 0 };
	int status;

	status = parse_options(
		&argc, &argv, "NAME", "Deletes a VM that does not run: its folder, disks and all.",
		"In a folder given by its path only vm.conf and logs are deleted.", entries);
	if (!status)
		status = one_name(argc, argv, "delete");
	if (!status)
		status = vm_find(argv[1], &vm);
	if (!status)
		status = delete (&vm, yes);
	vm_clear(&vm);
	return status;
}

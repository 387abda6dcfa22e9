// SPDX-License-Identifier: GPL-2.0-or-later
// Finds a VM by what the user calls it, and waits for it to end.
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/client.h"
#include "host-vmm/cli/paths.h"
#include "protocol/lib/fd.h"

#define STATUS_PATIENCE_S 2

static bool is_same(const char *a, const char *b)
{
	struct stat left, right;

	if (!strcmp(a, b))
		return true;
	return !stat(a, &left) && !stat(b, &right) && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

/* Run-time folders have the names of VMs' folders, and of those there may be several of one name.
 * A monitor that does not answer is taken for the right one, so that it can be killed. */
static char *find_other(const struct vm *vm)
{
	g_autofree char *message = NULL;
	g_autofree char *dir = NULL;
	JsonObject *result;

	if (client_ask_for(vm->socket, "status", NULL, STATUS_PATIENCE_S, &result, &message))
		return NULL;
	dir = g_strdup(json_text(result, "dir", NULL));
	json_object_unref(result);
	return dir && !is_same(dir, vm->dir) ? g_steal_pointer(&dir) : NULL;
}

void vm_open(const char *name, const char *dir, const char *runtime, struct vm *ret_vm)
{
	*ret_vm = (struct vm){ .name = g_strdup(name), .dir = g_strdup(dir) };
	ret_vm->runtime = g_strdup(runtime);
	ret_vm->socket = g_build_filename(runtime, "control.sock", NULL);
	ret_vm->running = paths_is_running(runtime, &ret_vm->pid);
	if (ret_vm->running && dir)
		ret_vm->other = find_other(ret_vm);
	if (ret_vm->other) {
		ret_vm->running = false;
		ret_vm->pid = 0;
	}
}

/* A throw-away VM's folder is "vm" in its run-time folder, whose name is the VM's. */
static char *name_of(const char *dir, const char *base)
{
	g_autofree char *parent = g_path_get_dirname(dir);
	g_autofree char *above = g_path_get_dirname(parent);

	return g_path_get_basename(strcmp(above, base) ? dir : parent);
}

int vm_find(const char *word, struct vm *ret_vm)
{
	g_autofree char *message = NULL;
	g_autofree char *dir = NULL;
	g_autofree char *base = NULL;
	g_autofree char *name = NULL;
	g_autofree char *runtime = NULL;
	int ret;

	*ret_vm = (struct vm){ 0 };
	ret = paths_vm(word, &dir, &message);
	if (!ret)
		ret = paths_runtime_base(&base, &message);
	if (ret)
		return fail(status_of(ret), "%s", message);
	name = name_of(dir, base);
	runtime = g_build_filename(base, name, NULL);
	vm_open(name, dir, runtime, ret_vm);
	return 0;
}

int vm_find_running(const char *word, struct vm *ret_vm)
{
	int status = vm_find(word, ret_vm);

	if (status)
		return status;
	if (ret_vm->other)
		return vm_fail_other(ret_vm);
	if (!ret_vm->running)
		return fail(EX_UNAVAILABLE, "%s does not run; lodge start %s starts it", word,
			    word);
	return 0;
}

int vm_fail_other(const struct vm *vm)
{
	return fail(EX_TEMPFAIL,
		    "%s is off, and the VM named '%s' that runs is %s; give one of the two folders "
		    "another name, or run: lodge stop %s",
		    vm->dir, vm->name, vm->other, vm->other);
}

void vm_clear(struct vm *vm)
{
	g_free(vm->other);
	g_free(vm->name);
	g_free(vm->dir);
	g_free(vm->runtime);
	g_free(vm->socket);
}

/* A descriptor of the monitor's process, -1: it is not known, or has ended. */
static int open_monitor(const struct vm *vm)
{
	autofd fd = vm->pid ? (int)syscall(SYS_pidfd_open, vm->pid, 0) : -1;
	pid_t pid;

	/* Between then and now it may have ended, and its number be another's. */
	if (fd < 0 || !paths_is_running(vm->runtime, &pid) || pid != vm->pid)
		return -1;
	return fd_steal(&fd);
}

static bool wait_end(const struct vm *vm, int monitor, int timeout_ms)
{
	struct pollfd pfd = { monitor, POLLIN, 0 };
	pid_t pid;
	int n;

	if (monitor < 0)
		return !paths_is_running(vm->runtime, &pid);
	do {
		n = poll(&pfd, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

bool vm_wait_end(const struct vm *vm, int timeout_ms)
{
	autofd monitor = open_monitor(vm);

	return wait_end(vm, monitor, timeout_ms);
}

bool vm_end(const struct vm *vm, int timeout_ms)
{
	autofd monitor = open_monitor(vm);

	if (monitor >= 0)
		(void)syscall(SYS_pidfd_send_signal, monitor, SIGKILL, NULL, 0);
	return wait_end(vm, monitor, timeout_ms);
}

bool vm_can_start(const struct vm *vm)
{
	return !g_str_has_prefix(vm->dir, vm->runtime);
}

int one_name(int argc, char **argv, const char *verb)
{
	if (argc == 2)
		return 0;
	if (argc < 2)
		return fail(EX_USAGE, "%s: which VM? say its NAME; lodge list shows them", verb);
	return fail(EX_USAGE, "%s: '%s' is one word too many; say one NAME", verb, argv[2]);
}

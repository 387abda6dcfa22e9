// SPDX-License-Identifier: GPL-2.0-or-later
// Finds VMs' folders, makes their run-time folders, finds Lodge's helper programs.
#include "host-vmm/cli/paths.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "host-vmm/conf/vmconf.h"
#include "protocol/lib/fd.h"

#define LONGEST_SOCKET "/control.sock" /* of those that a monitor makes in its run-time folder */

char *paths_vms(void)
{
	return g_build_filename(g_get_user_data_dir(), "lodge", NULL);
}

static bool has_conf(const char *dir)
{
	g_autofree char *conf = g_build_filename(dir, "vm.conf", NULL);

	return g_file_test(conf, G_FILE_TEST_EXISTS);
}

static int vm_by_path(const char *word, char **ret_dir, char **ret_message)
{
	g_autofree char *dir = g_canonicalize_filename(word, NULL);

	if (!has_conf(dir)) {
		*ret_message = g_strdup_printf("%s: no VM is there (no vm.conf); "
					       "lodge create %s makes one",
					       word, word);
		return -ENOENT;
	}
	*ret_dir = g_steal_pointer(&dir);
	return 0;
}

int paths_vm(const char *word, char **ret_dir, char **ret_message)
{
	g_autofree char *vms = paths_vms();
	g_autofree char *dir = NULL;
	g_autofree char *base = NULL;
	g_autofree char *passing = NULL;

	if (strchr(word, '/'))
		return vm_by_path(word, ret_dir, ret_message);
	if (vm_check_name(word)) {
		*ret_message = g_strdup_printf("'%s' cannot name a VM; use letters, digits, -, _ "
					       "and ., 64 at most",
					       word);
		return -EINVAL;
	}
	dir = g_build_filename(vms, word, NULL);
	if (has_conf(dir)) {
		*ret_dir = g_steal_pointer(&dir);
		return 0;
	}
	if (!paths_runtime_base(&base, ret_message)) {
		passing = g_build_filename(base, word, "vm", NULL);
		if (has_conf(passing)) {
			*ret_dir = g_steal_pointer(&passing);
			return 0;
		}
	}
	g_free(*ret_message);
	*ret_message =
		g_strdup_printf("there is no VM '%s'; lodge list shows those there are", word);
	return -ENOENT;
}

/* Ours alone, or nobody should trust what lies in it: in /tmp another user may have made it. */
static bool is_private(const char *dir)
{
	struct stat st;

	return !lstat(dir, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 077);
}

static char *find_base(void)
{
	const char *given = g_getenv("XDG_RUNTIME_DIR");
	g_autofree char *usual = g_strdup_printf("/run/user/%u", (unsigned int)geteuid());

	if (given && *given == '/')
		return g_build_filename(given, "lodge", NULL);
	if (is_private(usual))
		return g_build_filename(usual, "lodge", NULL);
	return g_strdup_printf("/tmp/lodge-%u", (unsigned int)geteuid());
}

int paths_runtime_base(char **ret_dir, char **ret_message)
{
	g_autofree char *dir = find_base();

	if (mkdir(dir, 0700) && errno != EEXIST) {
		int error = errno;

		*ret_message = g_strdup_printf("%s: cannot be made: %s; set XDG_RUNTIME_DIR to a "
					       "folder of your own",
					       dir, g_strerror(error));
		return -error;
	}
	if (!is_private(dir)) {
		*ret_message = g_strdup_printf("%s: not a folder that is yours alone; remove it, "
					       "or run: chmod 700 %s",
					       dir, dir);
		return -EPERM;
	}
	*ret_dir = g_steal_pointer(&dir);
	return 0;
}

int paths_runtime(const char *name, char **ret_dir, char **ret_message)
{
	g_autofree char *base = NULL;
	g_autofree char *dir = NULL;
	int ret = paths_runtime_base(&base, ret_message);

	if (ret)
		return ret;
	dir = g_build_filename(base, name, NULL);
	if (strlen(dir) + strlen(LONGEST_SOCKET) >=
	    sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		*ret_message = g_strdup_printf("%s: too long for a socket's path (107 bytes); "
					       "choose a shorter name, or set XDG_RUNTIME_DIR",
					       dir);
		return -ENAMETOOLONG;
	}
	if (mkdir(dir, 0700) && errno != EEXIST) {
		int error = errno;

		*ret_message = g_strdup_printf("%s: cannot be made: %s; make room there", dir,
					       g_strerror(error));
		return -error;
	}
	*ret_dir = g_steal_pointer(&dir);
	return 0;
}

bool paths_is_running(const char *runtime, pid_t *ret_pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_autofree char *path = g_strconcat(runtime, LONGEST_SOCKET, NULL);
	autofd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	*ret_pid = 0;
	if (fd < 0 ||
	    g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path))
		return false;
	/* Only a living process takes connections. One that is busy or stopped lets them wait. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno != EAGAIN)
		return false;
	/* Whoever called listen(2), says unix(7). */
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.pid > 0)
		*ret_pid = peer.pid;
	return true;
}

bool paths_is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static char *if_executable(char *path)
{
	char *canonical = access(path, X_OK) ? NULL : g_canonicalize_filename(path, NULL);

	g_free(path);
	return canonical;
}

/* @name in one of @dirs (ending with NULL), which are relative to @base. */
static char *find_below(const char *base, const char *const *dirs, const char *name)
{
	char *found = NULL;

	for (; !found && *dirs; dirs++)
		found = if_executable(g_build_filename(base, *dirs, name, NULL));
	return found;
}

char *paths_helper(const char *name)
{
	/* A build folder, and a tree that was installed, perhaps elsewhere than it was made for. */
	static const char *const beside[] = { ".", "../guest", "../libexec/lodge",
					      "../libexec/lodge/guest", NULL };
	static const char *const installed[] = { "libexec/lodge", "libexec/lodge/guest", NULL };
	static const char *const as_given[] = { ".", "guest", NULL };
	const char *given = g_getenv("LODGE_LIBEXEC");
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *dir = self ? g_path_get_dirname(self) : NULL;
	char *found;

	if (given && *given)
		return find_below(given, as_given, name);
	found = dir ? find_below(dir, beside, name) : NULL;
	return found ? found : find_below(LODGE_PREFIX, installed, name);
}

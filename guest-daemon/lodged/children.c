// SPDX-License-Identifier: GPL-2.0-or-later
// Children of lodged: reaped when they end, whoever started them.
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"

#define STOP_MS 2000 /* for killed children to be gone */

struct watch {
	child_fn fn; /* NULL: forgotten */
	void *opaque;
};

struct children {
	int fd;
	guint source;
	GHashTable *watches; /* pid -> struct watch */
};

static void ended(struct children *children, pid_t pid, int wait_status)
{
	struct watch *watch = g_hash_table_lookup(children->watches, GINT_TO_POINTER(pid));
	struct watch told;

	if (!watch)
		return;
	told = *watch;
	g_hash_table_remove(children->watches, GINT_TO_POINTER(pid));
	if (told.fn)
		told.fn(told.opaque, pid, wait_status);
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer opaque)
{
	struct children *children = opaque;
	struct signalfd_siginfo info;
	int wait_status;
	pid_t pid;

	(void)condition;
	/* One signal stands for any number of children. */
	(void)!read(fd, &info, sizeof(info));
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		ended(children, pid, wait_status);
	return G_SOURCE_CONTINUE;
}

int children_start(struct children **ret_children)
{
	struct children *children = g_new0(struct children, 1);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	children->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (children->fd < 0) {
		g_free(children);
		return -errno;
	}
	children->watches = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	children->source = g_unix_fd_add(children->fd, G_IO_IN, on_signal, children);
	*ret_children = children;
	return 0;
}

/* One that waits for a file system's server can not be killed before that answers: it is left to
 * whoever reaps orphans. */
static void reap_killed(struct children *children)
{
	gint64 end = g_get_monotonic_time() + STOP_MS * 1000;
	GHashTableIter iter;
	gpointer pid;

	do {
		g_hash_table_iter_init(&iter, children->watches);
		while (g_hash_table_iter_next(&iter, &pid, NULL)) {
			if (waitpid(GPOINTER_TO_INT(pid), NULL, WNOHANG) != 0)
				g_hash_table_iter_remove(&iter);
		}
		if (!g_hash_table_size(children->watches))
			return;
		g_usleep(1000);
	} while (g_get_monotonic_time() < end);
}

void children_stop(struct children *children)
{
	GHashTableIter iter;
	gpointer pid;

	if (!children)
		return;
	g_hash_table_iter_init(&iter, children->watches);
	while (g_hash_table_iter_next(&iter, &pid, NULL))
		(void)kill(GPOINTER_TO_INT(pid), SIGKILL);
	reap_killed(children);
	g_source_remove(children->source);
	g_hash_table_destroy(children->watches);
	close(children->fd);
	g_free(children);
}

void children_watch(struct children *children, pid_t pid, child_fn fn, void *opaque)
{
	struct watch *watch = g_new(struct watch, 1);

	*watch = (struct watch){ fn, opaque };
	g_hash_table_replace(children->watches, GINT_TO_POINTER(pid), watch);
}

void children_forget(struct children *children, pid_t pid)
{
	struct watch *watch = g_hash_table_lookup(children->watches, GINT_TO_POINTER(pid));

	if (watch)
		watch->fn = NULL;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * share: the host's shared folders, how they come here, and whether they answer.
 *
 * They are looked at by a child: one that asks a file server which hangs may never come back.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lodge/fs_notify.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/toolbox/toolbox.h"
#include "protocol/lib/fd.h"

#define PATIENCE_MS 3000

struct shares {
	struct mount_line mount;
	GPtrArray *rows; /* "ro NAME", "rw NAME" */
	const char *health;
};

/* In the child: a row and a NUL for each share, and an empty one at the end. */
static void __attribute__((noreturn)) list(const char *place, int out)
{
	DIR *dir = opendir(place);
	struct dirent *entry;
	int error = dir ? 0 : 1;

	for (errno = 0; dir && (entry = readdir(dir)); errno = 0) {
		char path[PATH_MAX], row[NAME_MAX + 4], rules[2];

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    snprintf(path, sizeof(path), "%s/%s", place, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		if (getxattr(path, SHARES_XATTR, rules, sizeof(rules)) != sizeof(rules))
			memcpy(rules, "rw", sizeof(rules));
		snprintf(row, sizeof(row), "%.2s %s", rules, entry->d_name);
		error |= fd_write_all(out, row, strlen(row) + 1);
	}
	if (errno)
		_exit(1);
	error |= fd_write_all(out, "", 1);
	_exit(error ? 1 : 0);
}

/* Whether the end was among what came. */
static bool take_rows(GByteArray *bytes, GPtrArray *rows)
{
	for (guint at = 0; at < bytes->len;) {
		const char *row = (const char *)bytes->data + at;
		size_t len = strnlen(row, bytes->len - at);

		if (!len)
			return true;
		if (len == bytes->len - at)
			return false;
		g_ptr_array_add(rows, g_strdup(row));
		at += (guint)len + 1;
	}
	return false;
}

static void read_child(int fd, struct shares *shares)
{
	gint64 end = g_get_monotonic_time() + PATIENCE_MS * 1000;
	GByteArray *bytes = g_byte_array_new();
	ssize_t got = 1;

	while (got > 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int left = (int)((end - g_get_monotonic_time()) / 1000);
		guint8 buffer[4096];

		got = left > 0 && poll(&pfd, 1, left) > 0 ? read(fd, buffer, sizeof(buffer)) : -1;
		if (got > 0)
			g_byte_array_append(bytes, buffer, (guint)got);
	}
	if (take_rows(bytes, shares->rows))
		shares->health = "ok";
	else
		shares->health = got < 0 ? "the host's file server does not answer"
					 : "the list of shares cannot be read";
	g_byte_array_unref(bytes);
}

static int look(struct shares *shares)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid) {
		close(ends[0]);
		list(shares->mount.point, ends[1]);
	}
	close(ends[1]);
	if (pid > 0) {
		read_child(ends[0], shares);
		/* It is not waited for: it may be held for as long as the server hangs. */
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, WNOHANG);
	}
	close(ends[0]);
	return pid < 0 ? -EAGAIN : 0;
}

static const struct share_transport *transport_of(const struct shares *shares)
{
	return mounts_transport(shares->mount.type);
}

/* What becomes of the host's changes here: protocol/spec/facts.md. */
static const char *changes(void)
{
	return access(LODGE_FS_EVENTS_PATH, F_OK) ? "asked" : "raised";
}

static void print_json(const struct shares *shares)
{
	printf("{\"mount\":");
	json_print_string(shares->mount.point);
	printf(",\"transport\":");
	json_print_string(transport_of(shares)->name);
	printf(",\"rung\":%d,\"lift\":", transport_of(shares)->rung);
	json_print_string(transport_of(shares)->lift);
	printf(",\"changes\":\"%s\",\"health\":", changes());
	json_print_string(shares->health);
	printf(",\"shares\":[");
	for (guint i = 0; i < shares->rows->len; i++) {
		const char *row = g_ptr_array_index(shares->rows, i);
		g_autofree char *path = g_build_filename(shares->mount.point, row + 3, NULL);

		printf("%s{\"name\":", i ? "," : "");
		json_print_string(row + 3);
		printf(",\"path\":");
		json_print_string(path);
		printf(",\"read_only\":%s}", row[1] == 'o' ? "true" : "false");
	}
	printf("]}\n");
}

static void print_text(const struct shares *shares)
{
	printf("at %s by %s, rung %d; health: %s\n", shares->mount.point,
	       transport_of(shares)->name, transport_of(shares)->rung, shares->health);
	if (*transport_of(shares)->lift)
		printf("faster with: %s\n", transport_of(shares)->lift);
	printf("%-20s  %-5s  %s\n", "SHARE", "RULES", "PATH");
	for (guint i = 0; i < shares->rows->len; i++) {
		const char *row = g_ptr_array_index(shares->rows, i);

		printf("%-20s  %.2s     %s/%s\n", row + 3, row, shares->mount.point, row + 3);
	}
}

static int by_row(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a + 3, *(const char *const *)b + 3);
}

int verb_share(const struct toolbox *toolbox, int argc, char **argv)
{
	bool json = argc == 1 && !strcmp(argv[0], "--json");
	g_autofree struct shares *shares = g_new0(struct shares, 1);
	g_autofree char *mounts = NULL;
	int ret;

	if (argc && !json && !(argc == 1 && !strcmp(argv[0], "list")))
		return misused(toolbox, "unknown word", argv[0]);
	if (!g_file_get_contents("/proc/self/mountinfo", &mounts, NULL, NULL) ||
	    !mounts_find_shares(mounts, &shares->mount))
		return complain(toolbox, EX_UNAVAILABLE,
				"the host's shares are not mounted; lodged mounts them: see its "
				"words in the journal");
	shares->rows = g_ptr_array_new_with_free_func(g_free);
	ret = look(shares);
	if (!ret) {
		g_ptr_array_sort(shares->rows, by_row);
		if (json)
			print_json(shares);
		else
			print_text(shares);
	}
	g_ptr_array_unref(shares->rows);
	if (ret)
		return complain(toolbox, EX_TEMPFAIL, "cannot look at them: %s", strerror(-ret));
	return strcmp(shares->health, "ok") ? EX_TEMPFAIL : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket. Its peer is trusted to name shares, not to be free of mistakes. */
#include "shared-fs/server/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/dax.h"

void control_init(struct control *control, struct fs *fs, int listen_fd, int fd)
{
	*control = (struct control){ .fs = fs, .listen_fd = listen_fd, .fd = fd, .passed_fd = -1 };
}

int control_fd(const struct control *control)
{
	return control->fd >= 0 ? control->fd : control->listen_fd;
}

static void reply(const struct control *control, const char *line)
{
	/* A peer that does not listen is gone at the next read. */
	if (fd_send(control->fd, line, strlen(line), NULL, 0) < 0)
		return;
}

static void reply_error(const struct control *control, int error, const char *remedy)
{
	char line[256];

	snprintf(line, sizeof(line), "error %s: %s\n", strerror(-error), remedy);
	reply(control, line);
}

static int parse_rules(char *words, bool *ret_read_only, struct owner_map *owner)
{
	char *save = NULL;
	int ret = 0;

	for (char *word = strtok_r(words, " ", &save); word && !ret;
	     word = strtok_r(NULL, " ", &save))
		ret = share_rule_parse(word, ret_read_only, owner);
	return ret;
}

/* add or keep NAME[ RULE...], a name's spaces written as %20 and its % as %25 */
static int decode_name(char *name)
{
	char *out = name;

	for (; *name; name++) {
		if (*name == '%') {
			if (strncmp(name, "%20", 3) && strncmp(name, "%25", 3))
				return -EINVAL;
			*out++ = name[2] == '0' ? ' ' : '%';
			name += 2;
		} else {
			*out++ = *name;
		}
	}
	*out = 0;
	return 0;
}

static bool has_share(struct fs *fs, const char *name)
{
	bool has;

	pthread_mutex_lock(&fs->lock);
	has = share_find_locked(fs, name, strlen(name)) >= 0;
	pthread_mutex_unlock(&fs->lock);
	return has;
}

/* @keep: a share of that name that is there stays as it is. */
static void add_share(struct control *control, char *rest, bool keep)
{
	struct owner_map owner = { 0 };
	bool read_only = false;
	char *name = strsep(&rest, " ");
	int ret;

	if (control->passed_fd < 0) {
		reply_error(control, -EBADF,
			    "send an O_PATH descriptor of the folder with the line");
		return;
	}
	if (decode_name(name) || share_name_check(name)) {
		reply_error(control, -EINVAL, "a name has 1 to 255 bytes of UTF-8 without '/'");
		return;
	}
	if (rest && parse_rules(rest, &read_only, &owner)) {
		reply_error(control, -EINVAL,
			    "the rules are ro, owner=UID:GID or exact, mask=FILES:FOLDERS");
		return;
	}
	if (keep && has_share(control->fs, name)) {
		reply(control, "ok\n");
		return;
	}
	ret = fs_share_add(control->fs, name, fd_steal(&control->passed_fd), read_only, &owner,
			   false);
	if (!ret)
		reply(control, "ok\n");
	else if (ret == -EEXIST)
		reply_error(control, ret, "remove that share first, or take another name");
	else if (ret == -EACCES)
		reply_error(control, ret,
			    "the folder cannot be read, or this server's sandbox (landlock) takes "
			    "none that come later: start it anew");
	else if (ret == -ENOTDIR)
		reply_error(control, ret, "share the folder that the file is in");
	else
		reply_error(control, ret, "the share was not added");
}

static void remove_share(struct control *control, char *name)
{
	int ret = decode_name(name);

	if (!ret)
		ret = fs_share_remove(control->fs, name);
	if (ret)
		reply_error(control, ret, "no share has that name; see list");
	else
		reply(control, "ok\n");
}

static void encode_name(const char *name, char *out)
{
	for (; *name; name++) {
		if (*name == ' ' || *name == '%')
			out += sprintf(out, "%%%02x", (unsigned char)*name);
		else
			*out++ = *name;
	}
	*out = 0;
}

static void list_shares(struct control *control)
{
	for (size_t i = 0; i < SHARES_MAX; i++) {
		char encoded[3 * SHARE_NAME_MAX + 1];
		char line[sizeof(encoded) + 64];
		struct share share;

		pthread_mutex_lock(&control->fs->lock);
		share = control->fs->shares[i];
		pthread_mutex_unlock(&control->fs->lock);
		if (!share.used || share.removed)
			continue;
		encode_name(share.name, encoded);
		snprintf(line, sizeof(line), "share %s %s%s", encoded,
			 share.read_only ? "ro" : "rw", share.owner.exact ? " exact" : "");
		reply(control, line);
		if (share.owner.active) {
			snprintf(line, sizeof(line), " owner=%u:%u", share.owner.uid,
				 share.owner.gid);
			reply(control, line);
		}
		if (share.owner.file_mask || share.owner.dir_mask) {
			snprintf(line, sizeof(line), " mask=%o:%o", share.owner.file_mask,
				 share.owner.dir_mask);
			reply(control, line);
		}
		reply(control, "\n");
	}
	reply(control, "ok\n");
}

static void place_window(struct control *control, const char *text)
{
	unsigned long long addr;
	char *end;

	errno = 0;
	addr = strtoull(text, &end, 16);
	if (errno || *end || end == text || *text == '-')
		reply_error(control, -EINVAL, "the window's address is a number to base 16");
	else if (!control->fs->dax)
		reply_error(control, -ENODEV, "there is no window; see --dax-size");
	else {
		dax_place(control->fs->dax, addr);
		reply(control, "ok\n");
	}
}

static void run_line(struct control *control, char *line)
{
	char *rest = line;
	const char *verb = strsep(&rest, " ");

	control->fs->in_command = true;
	if ((!strcmp(verb, "add") || !strcmp(verb, "keep")) && rest)
		add_share(control, rest, *verb == 'k');
	else if (!strcmp(verb, "remove") && rest)
		remove_share(control, rest);
	else if (!strcmp(verb, "window") && rest)
		place_window(control, rest);
	else if (!strcmp(verb, "list") && !rest)
		list_shares(control);
	else
		reply_error(control, -EINVAL,
			    "the commands are add NAME, keep NAME, remove NAME, list and window "
			    "ADDRESS");
	control->fs->in_command = false;
	fd_close(&control->passed_fd);
}

void control_recover(struct control *control)
{
	if (control->fs->in_command && control->fd >= 0)
		reply_error(control, -EINTR, "the server died over it, try again");
	control->fs->in_command = false;
}

static void hang_up(struct control *control)
{
	fd_close(&control->passed_fd);
	fd_close(&control->fd);
	control->len = 0;
}

static void take_lines(struct control *control)
{
	char *end;

	while ((end = memchr(control->line, '\n', control->len))) {
		size_t used = (size_t)(end - control->line) + 1;

		*end = 0;
		if (strlen(control->line) != used - 1)
			reply_error(control, -EINVAL, "a line is text");
		else
			run_line(control, control->line);
		control->len -= used;
		memmove(control->line, control->line + used, control->len);
	}
	if (control->len == CONTROL_LINE_MAX) {
		reply_error(control, -EMSGSIZE, "a line has at most 1024 bytes");
		hang_up(control);
	}
}

void control_serve(struct control *control)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t got;

	if (control->fd < 0) {
		control->fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		return;
	}
	got = fd_recv(control->fd, control->line + control->len, CONTROL_LINE_MAX - control->len,
		      fds, &n_fds);
	for (size_t i = 0; got > 0 && i < n_fds; i++) {
		fd_close(&control->passed_fd);
		control->passed_fd = fds[i];
	}
	if (got <= 0) {
		hang_up(control);
		return;
	}
	control->len += (size_t)got;
	take_lines(control);
}

void control_fini(struct control *control)
{
	hang_up(control);
	fd_close(&control->listen_fd);
}

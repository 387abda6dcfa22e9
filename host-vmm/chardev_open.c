// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of character back ends: how each is opened, and what is particular about it.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/chardev_private.h"
#include "protocol/lib/fd.h"

#define FILE_KEPT (4u << 20) /* bytes of the newest output that trimming leaves */
#define QUIT_KEY  0x1d /* Ctrl-] */

/*
 * A descriptor of our own for one that others share: O_NONBLOCK belongs to the open file, and our
 * parent's shell must not see it change. Sockets are read and written with MSG_DONTWAIT instead,
 * and regular files never block.
 */
static int own(int fd, int flags, int *ret_fd)
{
	char path[32];
	struct stat status;
	int mine = -1;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		mine = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	}
	if (mine < 0)
		mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (mine < 0)
		return -errno;
	*ret_fd = mine;
	return 0;
}

static int own_pair(struct chardev *chardev, int in, int out)
{
	int ret = 0;

	if (in >= 0)
		ret = own(in, O_RDONLY, &chardev->in_fd);
	if (ret == 0 && out >= 0)
		ret = own(out, O_WRONLY, &chardev->out_fd);
	chardev->is_open = ret == 0;
	return ret;
}

static int open_none(struct chardev *chardev, const char *argument, const char **ret_remedy)
{
	(void)chardev;
	(void)argument;
	(void)ret_remedy;
	return 0;
}

static int open_stdio(struct chardev *chardev, const char *argument, const char **ret_remedy)
{
	struct termios raw;

	(void)argument;
	*ret_remedy = "standard input and output must be open";
	if (tcgetattr(STDIN_FILENO, &chardev->terminal) == 0) {
		raw = chardev->terminal;
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST;
		raw.c_lflag |= ISIG;
		raw.c_cc[VINTR] = _POSIX_VDISABLE;
		raw.c_cc[VSUSP] = _POSIX_VDISABLE;
		raw.c_cc[VQUIT] = QUIT_KEY;
		chardev->terminal_changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	}
	return own_pair(chardev, STDIN_FILENO, STDOUT_FILENO);
}

static bool parse_fd(const char **text, int *ret_fd)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(*text, &end, 10);
	if (end == *text || errno != 0 || value < -1 || value > INT_MAX)
		return false;
	*text = end;
	*ret_fd = value;
	return true;
}

static bool parse_fds(const char *text, int *ret_in, int *ret_out)
{
	if (!parse_fd(&text, ret_in))
		return false;
	*ret_out = *ret_in;
	if (*text == ',') {
		text++;
		if (!parse_fd(&text, ret_out))
			return false;
	}
	return *text == '\0';
}

static int open_fds(struct chardev *chardev, const char *argument, const char **ret_remedy)
{
	int in, out;

	*ret_remedy = "the program that starts the VM must pass these descriptors";
	if (!parse_fds(argument, &in, &out))
		return -EINVAL;
	return own_pair(chardev, in, out);
}

static int open_pty(struct chardev *chardev, const char *argument, const char **ret_remedy)
{
	char path[64];
	struct termios raw;
	int ret;

	(void)argument;
	*ret_remedy = "is /dev/pts mounted, and are fewer than its limit in use?";
	chardev->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (chardev->in_fd < 0 || grantpt(chardev->in_fd) < 0 || unlockpt(chardev->in_fd) < 0)
		return -errno;
	ret = ptsname_r(chardev->in_fd, path, sizeof(path));
	if (ret != 0)
		return -ret;
	/* The guest's tty does the echoing and line editing. */
	if (tcgetattr(chardev->in_fd, &raw) == 0) {
		cfmakeraw(&raw);
		(void)tcsetattr(chardev->in_fd, TCSANOW, &raw);
	}
	chardev->out_fd = fcntl(chardev->in_fd, F_DUPFD_CLOEXEC, 3);
	chardev->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (chardev->out_fd < 0 || chardev->watch_fd < 0 ||
	    inotify_add_watch(chardev->watch_fd, path, IN_OPEN) < 0)
		return -errno;
	chardev->path = strdup(path);
	chardev->is_pty = true;
	return chardev->path ? 0 : -ENOMEM;
}

static int open_file(struct chardev *chardev, const char *argument, const char **ret_remedy)
{
	struct stat status;

	*ret_remedy = "its folder must exist and be writable";
	chardev->path = strdup(argument);
	if (!chardev->path)
		return -ENOMEM;
	chardev->out_fd =
		open(argument, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
	if (chardev->out_fd < 0 || fstat(chardev->out_fd, &status) < 0)
		return -errno;
	chardev->capped = S_ISREG(status.st_mode);
	chardev->size = status.st_size;
	chardev->is_open = true;
	return 0;
}

static int open_socket(struct chardev *chardev, const char *argument, const char **ret_remedy)
{
	*ret_remedy = "its folder must exist and be writable, its name be below 108 bytes, and "
		      "nobody else listen there";
	chardev->listen_fd = unix_listen(argument, 1);
	if (chardev->listen_fd < 0)
		return chardev->listen_fd;
	chardev->spare_fd = unix_spare(chardev->listen_fd);
	/* Set once the name is ours, since closing removes it. */
	chardev->path = strdup(argument);
	return chardev->path ? 0 : -ENOMEM;
}

static const struct {
	const char *word; /* with a colon if an argument follows */
	bool is_path;
	int (*open)(struct chardev *chardev, const char *argument, const char **ret_remedy);
} kinds[] = {
	{ "none", false, open_none }, { "stdio", false, open_stdio },
	{ "fd:", false, open_fds },   { "pty", false, open_pty },
	{ "file:", true, open_file }, { "socket:", true, open_socket },
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static size_t find_kind(const char *backend, const char **ret_argument)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		size_t len = strlen(kinds[i].word);
		bool takes_more = kinds[i].word[len - 1] == ':';

		if (strncmp(backend, kinds[i].word, len) != 0)
			continue;
		if (takes_more ? backend[len] == '\0' : backend[len] != '\0')
			continue;
		*ret_argument = backend + len;
		return i;
	}
	return N_KINDS;
}

int chardev_check(const char *backend)
{
	const char *argument;
	size_t kind = find_kind(backend, &argument);
	int in, out;

	if (kind == N_KINDS)
		return -EINVAL;
	if (kinds[kind].open == open_fds && !parse_fds(argument, &in, &out))
		return -EINVAL;
	return 0;
}

int chardev_open(struct chardev *chardev, const char *backend, const char *dir,
		 const char **ret_remedy)
{
	const char *argument;
	char path[PATH_MAX];
	size_t kind;

	*ret_remedy = "it may be none, stdio, fd:IN[,OUT], pty, file:PATH or socket:PATH";
	if (chardev_check(backend) < 0)
		return -EINVAL;
	kind = find_kind(backend, &argument);
	if (kinds[kind].is_path && argument[0] != '/' && dir) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, argument) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		argument = path;
	}
	return kinds[kind].open(chardev, argument, ret_remedy);
}

void chardev_close(struct chardev *chardev)
{
	if (chardev->terminal_changed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &chardev->terminal);
	if (chardev->listen_fd >= 0 && chardev->path)
		(void)unlink(chardev->path);
}

/* Moves the newest part to the front. The file is ours alone, so a failure only loses old lines. */
void chardev_trim(struct chardev *chardev)
{
	static const char word[] = "\r\n[lodge: the file was full, older output was dropped]\r\n";
	uint8_t piece[4096];
	uint64_t from = chardev->size - FILE_KEPT, to = 0;
	int flags = fcntl(chardev->out_fd, F_GETFL);
	ssize_t n;

	/* pwrite(2) would append, whatever its offset, under O_APPEND. */
	(void)fcntl(chardev->out_fd, F_SETFL, flags & ~O_APPEND);
	n = pwrite(chardev->out_fd, word, sizeof(word) - 1, 0);
	if (n > 0)
		to = n;
	while ((n = pread(chardev->out_fd, piece, sizeof(piece), from)) > 0) {
		if (pwrite(chardev->out_fd, piece, n, to) != n)
			break;
		from += n;
		to += n;
	}
	(void)fcntl(chardev->out_fd, F_SETFL, flags);
	if (ftruncate(chardev->out_fd, to) == 0)
		chardev->size = to;
}

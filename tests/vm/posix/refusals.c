// SPDX-License-Identifier: GPL-2.0-or-later
// What calls refuse: each call that takes a path against each reason for which a path may be
// refused.
#include "tests/vm/posix/conform.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a call does with its path's last part. */
enum {
	FOLLOWS = 1, /* a symbolic link there is followed */
	MAKES = 2, /* makes that name */
	TAKES = 4, /* changes the folder that it is in: makes it or takes it away */
};

struct path_call {
	const char *name;
	int how;
	int (*call)(const char *path);
};

static int closed(int fd)
{
	return fd < 0 ? -1 : close(fd);
}

static int try_open(const char *path)
{
	return closed(open(path, O_RDONLY | O_CLOEXEC));
}

static int try_append(const char *path)
{
	return closed(open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
}

static int try_create(const char *path)
{
	return closed(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static int try_exclusive(const char *path)
{
	return closed(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
}

static int try_stat(const char *path)
{
	return stat(path, &(struct stat){ 0 });
}

static int try_lstat(const char *path)
{
	return lstat(path, &(struct stat){ 0 });
}

static int try_statvfs(const char *path)
{
	return statvfs(path, &(struct statvfs){ 0 });
}

static int try_chmod(const char *path)
{
	return chmod(path, 0644);
}

static int try_chown(const char *path)
{
	return chown(path, geteuid(), getegid());
}

static int try_lchown(const char *path)
{
	return lchown(path, geteuid(), getegid());
}

static int try_truncate(const char *path)
{
	return truncate(path, 123);
}

static int try_utimes(const char *path)
{
	return utimensat(AT_FDCWD, path, NULL, 0);
}

static int try_readlink(const char *path)
{
	return readlink(path, (char[16]){ 0 }, 16) < 0 ? -1 : 0;
}

static int try_mkdir(const char *path)
{
	return mkdir(path, 0755);
}

static int try_mkfifo(const char *path)
{
	return mkfifo(path, 0644);
}

static int try_socket(const char *path)
{
	return mknod(path, S_IFSOCK | 0644, 0);
}

static int try_symlink(const char *path)
{
	return symlink("target", path);
}

static int try_link_from(const char *path)
{
	return link(path, "new-link");
}

static int try_link_to(const char *path)
{
	return link("source", path);
}

static int try_rename_from(const char *path)
{
	return rename(path, "new-name");
}

static int try_rename_to(const char *path)
{
	return rename("source", path);
}

static int try_unlink(const char *path)
{
	return unlink(path);
}

static int try_rmdir(const char *path)
{
	return rmdir(path);
}

static const struct path_call calls[] = {
	{ "open", FOLLOWS, try_open },
	{ "open O_APPEND", FOLLOWS, try_append },
	{ "open O_CREAT", FOLLOWS | MAKES | TAKES, try_create },
	{ "open O_EXCL", MAKES | TAKES, try_exclusive },
	{ "stat", FOLLOWS, try_stat },
	{ "lstat", 0, try_lstat },
	{ "statvfs", FOLLOWS, try_statvfs },
	{ "chmod", FOLLOWS, try_chmod },
	{ "chown", FOLLOWS, try_chown },
	{ "lchown", 0, try_lchown },
	{ "truncate", FOLLOWS, try_truncate },
	{ "utimensat", FOLLOWS, try_utimes },
	{ "readlink", 0, try_readlink },
	{ "mkdir", MAKES | TAKES, try_mkdir },
	{ "mkfifo", MAKES | TAKES, try_mkfifo },
	{ "mknod", MAKES | TAKES, try_socket },
	{ "symlink", MAKES | TAKES, try_symlink },
	{ "link from", 0, try_link_from },
	{ "link to", MAKES | TAKES, try_link_to },
	{ "rename from", TAKES, try_rename_from },
	{ "rename to", MAKES | TAKES, try_rename_to },
	{ "unlink", TAKES, try_unlink },
	{ "rmdir", TAKES, try_rmdir },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static void refused(struct conform *c, const struct path_call *call, const char *path, int got,
		    int wanted)
{
	if (got == wanted)
		return;
	snprintf(c->failure, sizeof(c->failure), "%s of %.40s: %s instead of %s", call->name, path,
		 got ? strerrorname_np(got) : "success", strerrorname_np(wanted));
	longjmp(c->end, 1);
}

/* Each call that has all bits of @with and none of @without fails with @wanted. */
static void all_refuse(struct conform *c, const char *path, int with, int without, int wanted)
{
	for (size_t i = 0; i < N_CALLS; i++) {
		if ((calls[i].how & with) != with || calls[i].how & without)
			continue;
		errno = 0;
		refused(c, &calls[i], path, calls[i].call(path) ? errno : 0, wanted);
	}
}

/* The same for an ordinary user. */
static void users_refuse(struct conform *c, const char *path, int with, int without, int wanted)
{
	for (size_t i = 0; i < N_CALLS; i++) {
		if ((calls[i].how & with) == with && !(calls[i].how & without))
			refused(c, &calls[i], path, user_error(1000, 1000, calls[i].call(path)),
				wanted);
	}
}

static void bad_paths(struct conform *c)
{
	char path[PATH_MAX + 2];

	put_file(c, "source", "");
	put_file(c, "file", "");
	good(symlink("file", "to-file"));
	good(symlink("loop-b", "loop-a"));
	good(symlink("loop-a", "loop-b"));
	all_refuse(c, "", 0, 0, ENOENT);
	all_refuse(c, "none/x", 0, 0, ENOENT);
	all_refuse(c, "none", 0, MAKES, ENOENT);
	all_refuse(c, "file/x", 0, 0, ENOTDIR);
	all_refuse(c, "to-file/x", 0, 0, ENOTDIR);
	all_refuse(c, "loop-a/x", 0, 0, ELOOP);
	all_refuse(c, "loop-a", FOLLOWS, 0, ELOOP);

	memset(path, 'n', sizeof(path));
	path[NAME_MAX + 1] = 0;
	all_refuse(c, path, 0, 0, ENAMETOOLONG);
	strcpy(path + NAME_MAX, "/x");
	all_refuse(c, path, 0, 0, ENOENT);
	for (size_t i = 0; i < PATH_MAX; i++)
		path[i] = i % 2 ? '/' : '.';
	path[PATH_MAX] = 0;
	all_refuse(c, path, 0, 0, ENAMETOOLONG);
	path[PATH_MAX - 2] = 'x';
	path[PATH_MAX - 1] = 0; /* the longest there is */
	good(mkdir(path, 0755));
	good(rmdir("x"));
}

/* What each call says of a name behind which something is that it is not for. */
static void wrong_kinds(struct conform *c)
{
	static const char *const kinds[] = { "file", "dir", "fifo", "socket", "link", "dangling" };

	put_file(c, "source", "");
	put_file(c, "file", "");
	good(mkdir("dir", 0755));
	good(mkfifo("fifo", 0644));
	good(mknod("socket", S_IFSOCK | 0644, 0));
	good(symlink("file", "link"));
	good(symlink("none", "dangling"));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		bool is_dir = !strcmp(kinds[i], "dir");

		fails(EEXIST, try_exclusive(kinds[i]));
		fails(EEXIST, try_mkdir(kinds[i]));
		fails(EEXIST, try_mkfifo(kinds[i]));
		fails(EEXIST, try_socket(kinds[i]));
		fails(EEXIST, try_symlink(kinds[i]));
		fails(EEXIST, try_link_to(kinds[i]));
		if (is_dir) {
			fails(EISDIR, try_unlink(kinds[i]));
			fails(EISDIR, try_append(kinds[i]));
			fails(EISDIR, try_create(kinds[i]));
			fails(EISDIR, try_truncate(kinds[i]));
			fails(EPERM, try_link_from(kinds[i]));
			fails(EISDIR, try_rename_to(kinds[i]));
		} else {
			fails(ENOTDIR, try_rmdir(kinds[i]));
			fails(ENOTDIR, rename("dir", kinds[i]));
		}
		if (strcmp(kinds[i], "link") && strcmp(kinds[i], "dangling"))
			fails(EINVAL, try_readlink(kinds[i]));
	}
	fails(EINVAL, try_truncate("fifo"));
	fails(EINVAL, truncate("file", -1));
	fails(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
	fails(ENXIO, try_open("socket"));
	fails(ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
	/* Linux before 4.0 looks at the link first. */
	check(open("link", O_RDONLY | O_NOFOLLOW | O_DIRECTORY) == -1 &&
	      (errno == ENOTDIR || errno == ELOOP));
	good(try_create("dangling")); /* the name that it leads to */
	good(try_unlink("none"));
	fails(EINVAL, try_rmdir("dir/."));
	fails(ENOTEMPTY, try_rmdir("dir/.."));
	fails(EBUSY, rename("dir/.", "dot"));
	fails(EBUSY, rename("dir", "dir/.."));
	good(mkdir("dir/sub", 0755));
	fails(ENOTEMPTY, try_rmdir("dir"));
	fails(EINVAL, rename("dir", "dir/sub/x"));
	good(mkdir("other", 0755));
	fails(ENOTEMPTY, rename("other", "dir"));
}

static void without_right(struct conform *c)
{
	if (geteuid())
		skip("needs root to become another user");
	good(chmod(".", 0777));
	put_file(c, "source", "");
	if (chown("source", 1000, 1000)) /* others' files may not be linked: protected_hardlinks */
		skip("the server may not give files away");
	good(mkdir("locked", 0755));
	put_file(c, "locked/file", "");
	good(chmod("locked", 0600));
	users_refuse(c, "locked/file", 0, 0, EACCES);
	users_refuse(c, "locked/none", 0, 0, EACCES);
	good(chmod("locked", 0755));
	users_refuse(c, "locked/none", TAKES | MAKES, 0, EACCES);
	check(user_error(1000, 1000, try_unlink("locked/file")) == EACCES);
	check(user_error(1000, 1000, try_rename_from("locked/file")) == EACCES);
	/* What is another's: its owner's to change. */
	put_file(c, "roots", "0123");
	good(chmod("roots", 0644));
	check(user_error(1000, 1000, chmod("roots", 0777)) == EPERM);
	check(user_error(1000, 1000, chown("roots", 1000, 1000)) == EPERM);
	check(user_error(1000, 1000, chown("roots", -1, 1000)) == EPERM);
	check(user_error(1000, 1000, truncate("roots", 0)) == EACCES);
	check(user_error(1000, 1000, try_append("roots")) == EACCES);
	check(user_error(1000, 1000, closed(open("roots", O_RDONLY | O_TRUNC))) == EACCES);
	check(user_error(1000, 1000, utimensat(AT_FDCWD, "roots", NULL, 0)) == EACCES);
	is_file(c, "roots", "0123");
	good(chmod("roots", 0666)); /* who may write may say "now", and nothing else */
	check(user_error(1000, 1000, utimensat(AT_FDCWD, "roots", NULL, 0)) == 0);
	check(user_error(1000, 1000,
			 utimensat(AT_FDCWD, "roots", (struct timespec[2]){ { 1, 1 }, { 2, 2 } },
				   0)) == EPERM);
	check(user_error(1000, 1000, mknod("null", S_IFCHR | 0666, 0x103)) == EPERM);
}

/* A copy of this program, open for writing. */
static int copy_program(struct conform *c)
{
	char buffer[65536];
	ssize_t n;
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open("program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	check(from >= 0 && to >= 0);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		check(write(to, buffer, (size_t)n) == n);
	close(from);
	return to;
}

/* It runs, and until @ret_end is closed. To try the file instead would keep it from being run. */
static pid_t start_program(struct conform *c, int *ret_end)
{
	int typed[2];
	int said[2];
	pid_t child;
	char byte;

	good(pipe2(typed, O_CLOEXEC));
	good(pipe2(said, O_CLOEXEC));
	child = fork();
	if (!child) {
		dup2(typed[0], 0);
		dup2(said[1], 1);
		execl("program", "program", "-w", (char *)NULL);
		_exit(errno);
	}
	close(typed[0]);
	close(said[1]);
	*ret_end = typed[1];
	check(read(said[0], &byte, 1) == 1);
	close(said[0]);
	return child;
}

/* What is open for writing does not run, what runs is not to be written to. */
static void busy_programs(struct conform *c)
{
	int to = copy_program(c);
	int got[3];
	int status = -1;
	pid_t child;
	int end;

	fails(ETXTBSY, execl("program", "program", (char *)NULL));
	good(close(to));
	child = start_program(c, &end);
	got[0] = try_append("program") ? errno : 0;
	got[1] = truncate("program", 0) ? errno : 0;
	got[2] = closed(open("program", O_RDONLY | O_TRUNC | O_CLOEXEC)) ? errno : 0;
	close(end);
	check(waitpid(child, &status, 0) == child);
	check(got[0] == ETXTBSY && got[1] == ETXTBSY && got[2] == ETXTBSY);
	check(status == 0);
	good(truncate("program", 0));
}

static void big_sizes(struct conform *c)
{
	int fd;

	put_file(c, "f", "x");
	fails(EINVAL, truncate("f", -1));
	if (truncate("f", INT64_MAX))
		check(errno == EFBIG || errno == EINVAL);
	fd = open("f", O_RDWR | O_CLOEXEC);
	fails(EINVAL, ftruncate(fd, -1));
	fails(EINVAL, pwrite(fd, "x", 1, -1));
	check(pwrite(fd, "x", 1, INT64_MAX) == -1 && (errno == EFBIG || errno == EINVAL));
	close(fd);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	fails(EINVAL, ftruncate(fd, 0));
	close(fd);
}

const struct conform_case conform_refusals[] = {
	{ "bad-paths", bad_paths },	    { "wrong-kinds", wrong_kinds },
	{ "without-right", without_right }, { "busy-programs", busy_programs },
	{ "big-sizes", big_sizes },	    { NULL, NULL },
};

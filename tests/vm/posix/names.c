// SPDX-License-Identifier: GPL-2.0-or-later
// Names: made, found, listed, linked, renamed and removed, with every byte that one may have.
#include "tests/vm/posix/conform.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void lookup_errors(struct conform *c)
{
	struct stat st;

	put_file(c, "file", "x");
	fails(ENOENT, stat("none", &st));
	fails(ENOENT, stat("none/none", &st));
	fails(ENOTDIR, stat("file/none", &st));
	fails(ENOENT, open("none", O_RDONLY));
	fails(EEXIST, open("file", O_WRONLY | O_CREAT | O_EXCL, 0600));
	fails(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
	fails(EISDIR, open(".", O_WRONLY));
	fails(ENOENT, unlink("none"));
	fails(EISDIR, unlink("."));
	fails(EEXIST, mkdir("file", 0700));
	fails(ENOTDIR, rmdir("file"));
	fails(ENOENT, rmdir("none"));
	fails(EINVAL, rmdir("."));
	fails(ENOTDIR, mkdir("file/dir", 0700));
	fails(ENOENT, symlink("", "empty"));
}

static void long_names(struct conform *c)
{
	char name[NAME_MAX + 2];
	struct stat st;

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = 0;
	put_file(c, name, "255");
	is_file(c, name, "255");
	good(stat(name, &st));
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = 0;
	fails(ENAMETOOLONG, open(name, O_WRONLY | O_CREAT, 0600));
	fails(ENAMETOOLONG, mkdir(name, 0700));
	fails(ENAMETOOLONG, stat(name, &st));
	fails(ENAMETOOLONG, symlink("x", name));
}

static int count_entries(struct conform *c)
{
	DIR *dir = opendir(".");
	int n = 0;

	check(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2; /* . and .. */
}

static void every_byte(struct conform *c)
{
	char name[4] = "a.b";
	uint8_t seen[256] = { 0 };
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	for (int byte = 1; byte < 256; byte++) {
		name[1] = (char)byte;
		if (byte != '/')
			put_file(c, name, name);
	}
	dir = opendir(".");
	check(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == 'a' && strlen(entry->d_name) == 3)
			seen[(uint8_t)entry->d_name[1]]++;
	}
	closedir(dir);
	for (int byte = 1; byte < 256; byte++) {
		name[1] = (char)byte;
		if (byte == '/')
			continue;
		check(seen[byte] == 1);
		good(stat(name, &st));
		good(unlink(name));
	}
	check(count_entries(c) == 0);
}

static void look_alikes(struct conform *c)
{
	static const char *const names[] = { "\xc3\xa4", "a\xcc\x88",	     "A",   "a", "..%2f",
					     "a\\..\\b", "\xc0\xae\xc0\xae", "...", " ", "-",
					     "\n" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_file(c, names[i], names[i]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		is_file(c, names[i], names[i]);
	check(count_entries(c) == (int)(sizeof(names) / sizeof(names[0])));
}

static void full_folder(struct conform *c)
{
	char name[32];
	uint8_t *seen = calloc((size_t)c->many, 1);
	struct dirent *entry;
	long n = 0;
	DIR *dir;

	check(seen);
	for (long i = 0; i < c->many; i++) {
		int fd;

		snprintf(name, sizeof(name), "file-%06ld", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		check(fd >= 0);
		close(fd);
	}
	dir = opendir(".");
	check(dir);
	while ((entry = readdir(dir))) {
		long i = strncmp(entry->d_name, "file-", 5) ? -1 : atol(entry->d_name + 5);

		if (i < 0)
			continue;
		check(i < c->many && !seen[i]);
		seen[i] = 1;
		n++;
	}
	closedir(dir);
	free(seen);
	check(n == c->many);
	for (long i = 0; i < c->many; i++) {
		snprintf(name, sizeof(name), "file-%06ld", i);
		good(unlink(name));
	}
	check(count_entries(c) == 0);
}

/* Makes files and lists the folder after each: 0 where it saw all of its own every time, 1: a file
 * could not be made, 2: a listing lacked one. */
static int make_and_list(int who)
{
	for (int i = 0; i < 150; i++) {
		char name[32];
		struct dirent *entry;
		int own = 0;
		DIR *dir;

		snprintf(name, sizeof(name), "%d-%d", who, i);
		if (close(open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)))
			return 1;
		dir = opendir(".");
		while (dir && (entry = readdir(dir)))
			own += entry->d_name[0] == '0' + who;
		if (!dir || closedir(dir) || own != i + 1)
			return 2;
	}
	return 0;
}

/* Others fill it and list it at the same time. Not for emulated processors by the dozen, nor where
 * the server dies meanwhile: places in a folder of tmpfs are no longer the same then. */
static void busy_folder(struct conform *c)
{
	pid_t children[6];
	int status;

	for (int i = 0; i < 6; i++) {
		children[i] = fork();
		good(children[i]);
		if (!children[i])
			_exit(make_and_list(i));
	}
	for (int i = 0; i < 6; i++) {
		good(waitpid(children[i], &status, 0));
		check(WIFEXITED(status) && WEXITSTATUS(status) != 1);
		check(WEXITSTATUS(status) == 0);
	}
}

static void seek_folder(struct conform *c)
{
	char names[64][sizeof(((struct dirent *)0)->d_name)];
	long places[64];
	struct dirent *entry;
	DIR *dir;
	int n = 0;

	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%d", i);
		put_file(c, name, "");
	}
	dir = opendir(".");
	check(dir);
	for (;;) {
		places[n] = telldir(dir);
		entry = readdir(dir);
		if (!entry)
			break;
		strcpy(names[n++], entry->d_name);
		check(n < 60);
	}
	check(n == 52);
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(dir, places[i]);
		entry = readdir(dir);
		check(entry && !strcmp(entry->d_name, names[i]));
	}
	rewinddir(dir);
	put_file(c, "late", "");
	rewinddir(dir);
	for (n = 0; readdir(dir);)
		n++;
	closedir(dir);
	check(n == 53);
}

static void links(struct conform *c)
{
	struct stat a;
	struct stat b;
	char target[PATH_MAX];
	char text[64];

	put_file(c, "a", "one");
	good(link("a", "b"));
	good(stat("a", &a));
	good(stat("b", &b));
	check(a.st_ino == b.st_ino && a.st_nlink == 2 && b.st_nlink == 2);
	fails(EEXIST, link("a", "b"));
	fails(ENOENT, link("none", "c"));
	good(mkdir("dir", 0755));
	fails(EPERM, link("dir", "c"));
	good(unlink("a"));
	is_file(c, "b", "one");
	good(stat("b", &b));
	check(b.st_nlink == 1);

	good(symlink("b", "s"));
	good(lstat("s", &a));
	check(S_ISLNK(a.st_mode) && a.st_size == 1);
	is_file(c, "s", "one");
	check(readlink("s", text, sizeof(text)) == 1 && text[0] == 'b');
	fails(EINVAL, readlink("b", text, sizeof(text)));
	fails(EEXIST, symlink("x", "s"));
	good(link("s", "s2")); /* of the link itself */
	good(lstat("s2", &a));
	check(S_ISLNK(a.st_mode) && a.st_nlink == 2);
	good(symlink("loop", "loop"));
	fails(ELOOP, open("loop", O_RDONLY));
	fails(ELOOP, open("s", O_RDONLY | O_NOFOLLOW));
	memset(target, 't', sizeof(target));
	target[PATH_MAX - 1] = 0;
	good(symlink(target, "far"));
	check(readlink("far", target, sizeof(target)) == PATH_MAX - 1);
}

static void renames(struct conform *c)
{
	int fd;

	put_file(c, "a", "a");
	put_file(c, "b", "b");
	fd = open("b", O_RDONLY | O_CLOEXEC);
	check(fd >= 0);
	good(rename("a", "b")); /* over an open file */
	is_file(c, "b", "a");
	check(read(fd, &(char[1]){ 0 }, 1) == 1);
	close(fd);
	fails(ENOENT, rename("a", "c"));
	good(mkdir("d", 0755));
	good(mkdir("e", 0755));
	fails(EISDIR, rename("b", "d"));
	fails(ENOTDIR, rename("d", "b"));
	fails(EINVAL, rename("d", "d/x"));
	put_file(c, "e/f", "");
	check(rename("d", "e") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
	fails(ENOTEMPTY, rmdir("e"));
	good(unlink("e/f"));
	good(rename("d", "e"));
	good(rename("b", "e/b"));
	is_file(c, "e/b", "a");
}

static void rename_flags(struct conform *c)
{
	struct stat st;

	put_file(c, "a", "a");
	put_file(c, "b", "b");
	fails(EEXIST, syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1));
	/* A kernel that knows the call, and has no file system that does: RHEL 7's. */
	if (syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "c", 1 /* RENAME_NOREPLACE */) == -1) {
		check(errno == EINVAL);
		skip("no renameat2(2) flags here");
	}
	good(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "b", 2 /* RENAME_EXCHANGE */));
	is_file(c, "b", "a");
	is_file(c, "c", "b");
	fails(ENOENT, syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "none", 2));
	fails(EINVAL, syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "b", 3));
	fails(EINVAL, syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "b", 0x80));
	if (syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "w", 4 /* RENAME_WHITEOUT */) == -1)
		return; /* not every file system has it */
	good(stat("c", &st));
	check(S_ISCHR(st.st_mode) && st.st_rdev == 0);
}

static void deep(struct conform *c)
{
	int base = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[251];
	struct stat st;
	int depth;

	check(base >= 0);
	memset(name, 'd', 250);
	name[250] = 0;
	for (depth = 0; depth < 300; depth++) { /* 75,000 bytes of path */
		good(mkdir(name, 0755));
		good(chdir(name));
	}
	put_file(c, "bottom", "deep");
	is_file(c, "bottom", "deep");
	good(rename("bottom", "bottom2"));
	good(stat("bottom2", &st));
	/* The top gets another name, and one by which it can be removed. */
	good(renameat(base, name, base, "top"));
	good(stat("bottom2", &st));
	is_file(c, "bottom2", "deep");
	fails(ENOENT, fstatat(base, name, &st, 0));
	good(renameat(base, "top", base, name));
	close(base);
	good(unlink("bottom2"));
	while (depth--) {
		good(chdir(".."));
		good(rmdir(name));
	}
}

static void special_files(struct conform *c)
{
	struct stat st;

	good(mkfifo("fifo", 0640));
	good(stat("fifo", &st));
	check(S_ISFIFO(st.st_mode) && (st.st_mode & 07777) == 0640);
	fails(ENXIO, open("fifo", O_WRONLY | O_NONBLOCK));
	good(mknod("sock", S_IFSOCK | 0600, 0));
	fails(ENXIO, open("sock", O_RDONLY));
	good(mknod("plain", S_IFREG | 0600, 0));
	good(stat("plain", &st));
	check(S_ISREG(st.st_mode) && st.st_size == 0);
	if (geteuid() || (mknod("null", S_IFCHR | 0666, makedev(1, 3)) && errno == EPERM))
		skip("no right to make device nodes; fifos and sockets are fine");
	good(stat("null", &st));
	check(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

const struct conform_case conform_names[] = {
	{ "lookup-errors", lookup_errors },
	{ "long-names", long_names },
	{ "every-byte", every_byte },
	{ "look-alikes", look_alikes },
	{ "links", links },
	{ "renames", renames },
	{ "rename-flags", rename_flags },
	{ "deep", deep },
	{ "special-files", special_files },
	{ "seek-folder", seek_folder },
	{ "full-folder", full_folder },
	{ NULL, NULL },
};

const struct conform_case conform_rare[] = {
	{ "busy-folder", busy_folder },
	{ NULL, NULL },
};

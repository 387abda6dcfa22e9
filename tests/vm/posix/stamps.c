// SPDX-License-Identifier: GPL-2.0-or-later
// What else changes with a call: times of the file and of its folder, and how many names lead to
// it.
#include "tests/vm/posix/conform.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

struct kind {
	const char *name;
	mode_t type;
};

static const struct kind kinds[] = {
	{ "file", S_IFREG },	{ "dir", S_IFDIR },	{ "fifo", S_IFIFO },
	{ "socket", S_IFSOCK }, { "symlink", S_IFLNK }, { "device", S_IFCHR },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int make_kind(const struct kind *kind, const char *name)
{
	switch (kind->type) {
	case S_IFDIR:
		return mkdir(name, 0755);
	case S_IFLNK:
		return symlink("target", name);
	default:
		return mknod(name, kind->type | 0644, kind->type == S_IFCHR ? makedev(1, 3) : 0);
	}
}

/* False where the caller may not make such a thing. */
static bool can_make(const struct kind *kind, const char *name)
{
	return !make_kind(kind, name) || kind->type != S_IFCHR;
}

static struct stat look(struct conform *c, const char *name)
{
	struct stat st;

	good(lstat(name, &st));
	return st;
}

/* So that the clock by which files are stamped, 10 ms coarse at most, goes on. */
static void tick(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 25000000 }, NULL);
}

static bool later(const struct timespec *then, const struct timespec *now)
{
	return now->tv_sec > then->tv_sec ||
	       (now->tv_sec == then->tv_sec && now->tv_nsec > then->tv_nsec);
}

static bool same(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

enum { NOTHING = 0, CTIME = 1, MTIME = 2, BOTH = 3 };

static void failed(struct conform *c, const char *call, const char *name, const char *what)
	__attribute__((noreturn));

static void failed(struct conform *c, const char *call, const char *name, const char *what)
{
	snprintf(c->failure, sizeof(c->failure), "%s: %s of %s", call, what, name);
	longjmp(c->end, 1);
}

/* The times of @name that are later than in @old are those of @wanted, and no others. */
static void stamped(struct conform *c, const char *call, const char *name, const struct stat *old,
		    int wanted)
{
	struct stat st = look(c, name);

	if (wanted & CTIME ? !later(&old->st_ctim, &st.st_ctim) : !same(&old->st_ctim, &st.st_ctim))
		failed(c, call, name, wanted & CTIME ? "same ctime" : "other ctime");
	if (wanted & MTIME ? !later(&old->st_mtim, &st.st_mtim) : !same(&old->st_mtim, &st.st_mtim))
		failed(c, call, name, wanted & MTIME ? "same mtime" : "other mtime");
}

/* @call succeeds, and stamps the folder "." and @name so. */
#define stamps(call, in_folder, name, in_file)               \
	do {                                                 \
		struct stat folder_ = look(c, ".");          \
		struct stat file_ = look(c, name);           \
		tick();                                      \
		good(call);                                  \
		stamped(c, #call, ".", &folder_, in_folder); \
		stamped(c, #call, name, &file_, in_file);    \
	} while (0)

static void of_folders(struct conform *c)
{
	put_file(c, "other", "");
	for (size_t i = 0; i < N_KINDS; i++) {
		const struct kind *kind = &kinds[i];

		stamps(can_make(kind, "new") ? 0 : (errno = EPERM, -1), BOTH, "other", NOTHING);
		if (kind->type != S_IFDIR) {
			stamps(link("new", "new2"), BOTH, "new", CTIME);
			check(look(c, "new").st_nlink == 2);
			stamps(unlink("new2"), BOTH, "new", CTIME);
			check(look(c, "new").st_nlink == 1);
		}
		tick();
		struct stat file = look(c, "new");

		stamps(rename("new", "moved"), BOTH, "other", NOTHING);
		check(look(c, "moved").st_ino == file.st_ino);
		stamped(c, "rename", "moved", &file, CTIME);
		stamps(kind->type == S_IFDIR ? rmdir("moved") : unlink("moved"), BOTH, "other",
		       NOTHING);
	}
	good(mkdir("dir", 0755));
	tick();
	stamps(rename("other", "dir/other"), BOTH, "dir", BOTH);
	/* What fails stamps nothing. */
	put_file(c, "one", "");
	stamps(mkdir("one", 0755) ? 0 : -1, NOTHING, "one", NOTHING);
	stamps(link("dir/other", "one") ? 0 : -1, NOTHING, "one", NOTHING);
	stamps(rmdir("dir") ? 0 : -1, NOTHING, "dir", NOTHING);
	stamps(rename("none", "one") ? 0 : -1, NOTHING, "one", NOTHING);
	stamps(truncate("one", -1) ? 0 : -1, NOTHING, "one", NOTHING);
}

static int write_to(const char *name, int flags, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC | flags);

	return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? -1 : close(fd);
}

static int just_open(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int read_from(const char *name)
{
	char byte;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	return fd < 0 || read(fd, &byte, 1) != 1 ? -1 : close(fd);
}

static void of_files(struct conform *c)
{
	const struct timespec set[2] = { { 1000000000, 5 }, { 1000000000, 6 } };

	put_file(c, "f", "text");
	stamps(write_to("f", 0, "x"), NOTHING, "f", BOTH);
	stamps(write_to("f", O_APPEND, "more"), NOTHING, "f", BOTH);
	stamps(write_to("f", 0, ""), NOTHING, "f", NOTHING);
	stamps(truncate("f", 3), NOTHING, "f", BOTH);
	stamps(just_open("f", O_WRONLY | O_TRUNC), NOTHING, "f", BOTH);
	stamps(just_open("f", O_WRONLY | O_CREAT), NOTHING, "f", NOTHING);
	stamps(write_to("f", 0, "x"), NOTHING, "f", BOTH);
	stamps(read_from("f"), NOTHING, "f", NOTHING);
	stamps(chmod("f", 0600), NOTHING, "f", CTIME);
	stamps(utimensat(AT_FDCWD, "f", NULL, 0), NOTHING, "f", BOTH);
	{
		struct stat old = look(c, "f");

		tick();
		good(utimensat(AT_FDCWD, "f", set, 0));
		check(look(c, "f").st_mtim.tv_sec == 1000000000);
		check(later(&old.st_ctim, &(struct timespec){ look(c, "f").st_ctim.tv_sec,
							      look(c, "f").st_ctim.tv_nsec }));
	}
	if (!geteuid() && !chown("f", 12, 34))
		stamps(chown("f", 56, -1), NOTHING, "f", CTIME);
	if (!setxattr("f", "user.lodge", "x", 1, 0)) {
		stamps(setxattr("f", "user.lodge", "y", 1, 0), NOTHING, "f", CTIME);
		stamps(removexattr("f", "user.lodge"), NOTHING, "f", CTIME);
	}
}

/* Of every kind of file, through its name and, for links, not beyond. */
static void set_times(struct conform *c)
{
	static const int64_t seconds[] = { 0, 1, 1000000000, INT64_C(2147483648),
					   INT64_C(4294967296) };

	for (size_t i = 0; i < N_KINDS; i++) {
		if (make_kind(&kinds[i], kinds[i].name))
			continue;
		for (size_t j = 0; j < sizeof(seconds) / sizeof(seconds[0]); j++) {
			struct timespec set[2] = { { seconds[j], 100000001 },
						   { seconds[j] + 1, 999999999 } };
			struct stat st;

			good(utimensat(AT_FDCWD, kinds[i].name, set, AT_SYMLINK_NOFOLLOW));
			st = look(c, kinds[i].name);
			check(same(&st.st_atim, &set[0]) && same(&st.st_mtim, &set[1]));
			set[0].tv_nsec = set[1].tv_nsec = UTIME_OMIT;
			good(utimensat(AT_FDCWD, kinds[i].name, set, AT_SYMLINK_NOFOLLOW));
			check(look(c, kinds[i].name).st_mtim.tv_sec == seconds[j] + 1);
		}
	}
	fails(EINVAL,
	      utimensat(AT_FDCWD, "file", (struct timespec[2]){ { 0, 1000000000 }, { 0 } }, 0));
}

/* How many names a folder has: its own, ".", and ".." of each below it. */
static void link_counts(struct conform *c)
{
	struct stat st;
	int fd;

	good(mkdir("d", 0755));
	if (look(c, "d").st_nlink != 2)
		skip("folders have no count of links here");
	good(mkdir("d/a", 0755));
	good(mkdir("d/b", 0755));
	put_file(c, "d/f", "");
	check(look(c, "d").st_nlink == 4);
	good(mkdir("e", 0755));
	good(rename("d/a", "e/a"));
	check(look(c, "d").st_nlink == 3 && look(c, "e").st_nlink == 3);
	check(look(c, "e/a/..").st_ino == look(c, "e").st_ino);
	good(rmdir("d/b"));
	check(look(c, "d").st_nlink == 2);
	good(mkdir("d/b", 0755));
	good(rename("e/a", "d/b")); /* over an empty one */
	check(look(c, "d").st_nlink == 3 && look(c, "e").st_nlink == 2);
	/* One file by two names: a rename of one to the other does nothing. */
	good(link("d/f", "d/g"));
	good(rename("d/f", "d/g"));
	check(look(c, "d/f").st_nlink == 2 && look(c, "d/g").st_nlink == 2);
	/* What loses its last name while open. */
	put_file(c, "h", "");
	good(link("h", "i"));
	fd = open("h", O_RDONLY | O_CLOEXEC);
	good(rename("d/f", "h"));
	good(fstat(fd, &st));
	check(st.st_nlink == 1);
	good(unlink("i"));
	good(fstat(fd, &st));
	check(st.st_nlink == 0);
	close(fd);
	fd = open("e", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	good(rmdir("e"));
	good(fstat(fd, &st));
	check(st.st_nlink == 0);
	fails(ENOENT, openat(fd, "x", O_WRONLY | O_CREAT, 0644));
	fails(ENOENT, mkdirat(fd, "x", 0755));
	close(fd);
}

const struct conform_case conform_stamps[] = {
	{ "stamps-of-folders", of_folders },
	{ "stamps-of-files", of_files },
	{ "set-times", set_times },
	{ "link-counts", link_counts },
	{ NULL, NULL },
};

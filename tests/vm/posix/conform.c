// SPDX-License-Identifier: GPL-2.0-or-later
// fs-conform [-n FILES] FOLDER [CASE...]: does a mounted file system do what POSIX and Linux say?
//
// Prints TAP. Exit status 0: no case failed; skipped ones are said aloud. It must pass on a local
// ext4 or tmpfs: that is its own control.
#include "tests/vm/posix/conform.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE_FOLDER "fs-conform.case"

void conform_fail(struct conform *c, const char *file, int line, const char *what)
{
	int error = errno;

	snprintf(c->failure, sizeof(c->failure), "%s:%d: %s (errno %d, %s)", file, line, what,
		 error, strerror(error));
	longjmp(c->end, 1);
}

void conform_skip(struct conform *c, const char *why)
{
	c->skipped = why;
	longjmp(c->end, 1);
}

pid_t user_begin(uid_t uid, gid_t gid)
{
	pid_t child = fork();

	if (!child && (setgroups(0, NULL) || setgid(gid) || setuid(uid)))
		_exit(255);
	return child;
}

int user_end(pid_t child)
{
	int status;

	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
		       ? WEXITSTATUS(status)
		       : -1;
}

void put_file(struct conform *c, const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(fd >= 0);
	check(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	good(close(fd));
}

void is_file(struct conform *c, const char *name, const char *text)
{
	char buffer[4096];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	check(fd >= 0);
	got = read(fd, buffer, sizeof(buffer));
	close(fd);
	check(got == (ssize_t)strlen(text) && !memcmp(buffer, text, (size_t)got));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	return type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool chosen(const char *name, bool rare, char *const *wanted)
{
	if (!*wanted)
		return !rare;
	for (; *wanted; wanted++) {
		if (!strcmp(*wanted, name))
			return true;
	}
	return false;
}

/* In a folder of its own; true unless it failed. */
static bool run_case(struct conform *c, const struct conform_case *one, int number)
{
	c->skipped = NULL;
	c->failure[0] = 0;
	remove_tree(CASE_FOLDER);
	if (mkdir(CASE_FOLDER, 0777) || chdir(CASE_FOLDER)) {
		printf("not ok %d %s\n# no folder to work in: %s\n", number, one->name,
		       strerror(errno));
		return false;
	}
	if (!setjmp(c->end))
		one->run(c);
	if (chdir(".."))
		_exit(3);
	remove_tree(CASE_FOLDER);
	if (c->skipped)
		printf("ok %d %s # SKIP %s\n", number, one->name, c->skipped);
	else
		printf("%sok %d %s\n", c->failure[0] ? "not " : "", number, one->name);
	if (c->failure[0])
		printf("# %s\n", c->failure);
	fflush(stdout);
	return !c->failure[0];
}

int main(int argc, char **argv)
{
	const struct conform_case *const groups[] = { conform_names,  conform_data,
						      conform_attrs,  conform_refusals,
						      conform_stamps, conform_users,
						      conform_rare };
	struct conform c = { .many = 100000 };
	int failed = 0;
	int skipped = 0;
	int n = 0;
	int option;

	while ((option = getopt(argc, argv, "n:w")) != -1) {
		/* A program that runs until its input ends: for busy-programs. */
		if (option == 'w')
			return write(1, "w", 1) != 1 || read(0, &(char){ 0 }, 1) != 0;
		if (option != 'n')
			return 2;
		c.many = atol(optarg);
	}
	if (optind >= argc || chdir(argv[optind])) {
		fprintf(stderr, "usage: fs-conform [-n FILES] FOLDER [CASE...]\n");
		return 2;
	}
	umask(022);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (const struct conform_case *one = groups[i]; one->name; one++) {
			if (!chosen(one->name, groups[i] == conform_rare, argv + optind + 1))
				continue;
			failed += !run_case(&c, one, ++n);
			skipped += c.skipped != NULL;
		}
	}
	printf("1..%d\n# %d failed, %d skipped\n", n, failed, skipped);
	return failed ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Helper processes: what they are given, that they end, and what a starter refuses. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/vhost-user/starter.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"

static struct starter *starter;

static void renew(const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

	starter_destroy(starter);
	starter = NULL;
	ck_assert_int_eq(starter_create("/bin/sh", argv, &starter), 0);
}

static void setup(void)
{
	starter = NULL;
}

static void teardown(void)
{
	starter_destroy(starter);
}

/* What the script writes to descriptor 3. */
static const char *output_of(const char *script)
{
	static char text[4096];
	int pipes[2];
	ssize_t got;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	renew(script);
	ck_assert_int_eq(starter_start(starter, &pipes[1], 1), 0);
	close(pipes[1]);
	got = fd_read_all(pipes[0], text, sizeof(text) - 1);
	ck_assert_int_ge(got, 0);
	text[got] = 0;
	close(pipes[0]);
	ck_assert_int_eq(starter_end(starter, 5000, NULL), 0);
	return text;
}

START_TEST(test_given_only_its_own)
{
	autofd leak = open("/dev/zero", O_RDWR); /* not close-on-exec, on purpose */

	ck_assert_int_ge(leak, 0);
	ck_assert_str_eq(output_of("i=4; while [ $i -lt 300 ]; do "
				   "[ -e /proc/$$/fd/$i ] && echo $i >&3; i=$((i + 1)); "
				   "done; echo end >&3"),
			 "end\n");
	ck_assert_str_eq(output_of("echo $(readlink /proc/$$/fd/0 /proc/$$/fd/1) >&3"),
			 "/dev/null /dev/null\n");
}
END_TEST

/* A file system in @folder whose requests nobody answers, but the first; -1: it cannot be. */
static int mount_silent(const char *folder)
{
	struct {
		struct fuse_out_header head;
		struct fuse_init_out init;
	} answer = { { .len = sizeof(answer) },
		     { .major = FUSE_KERNEL_VERSION,
		       .minor = FUSE_KERNEL_MINOR_VERSION,
		       .max_write = 4096 } };
	char options[80], message[FUSE_MIN_READ_BUFFER];
	struct fuse_in_header head;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (fd < 0 || geteuid() || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("silent", folder, "fuse", 0, options)) {
		printf("not tried: a mount of FUSE: %s\n", strerror(errno));
		return -1;
	}
	ck_assert_int_gt(read(fd, message, sizeof(message)), sizeof(head));
	memcpy(&head, message, sizeof(head));
	answer.head.unique = head.unique;
	ck_assert_int_eq(write(fd, &answer, sizeof(answer)), sizeof(answer));
	return fd;
}

/* What waits for an answer to a request that was read waits, whatever it is sent. */
START_TEST(test_one_that_does_not_die)
{
	char folder[] = "/tmp/lodge-silent-XXXXXX", script[80], message[FUSE_MIN_READ_BUFFER];
	int fuse_fd, status = 0;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	fuse_fd = mount_silent(folder);
	if (fuse_fd >= 0) {
		snprintf(script, sizeof(script), "exec ls %s", folder);
		renew(script);
		ck_assert_int_eq(starter_start(starter, NULL, 0), 0);
		ck_assert_int_gt(read(fuse_fd, message, sizeof(message)), 0);
		ck_assert_int_eq(starter_end(starter, 0, NULL), -ETIMEDOUT);
		ck_assert_int_eq(starter_end(starter, 0, NULL), -ECHILD);
		/* Its request was not read: this one dies. */
		ck_assert_int_eq(starter_start(starter, NULL, 0), 0);
		ck_assert_int_eq(starter_end(starter, 100, &status), 0);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(fuse_fd);
		ck_assert_int_eq(umount2(folder, MNT_DETACH), 0);
	}
	rmdir(folder);
}
END_TEST

START_TEST(test_blocks_no_signal)
{
	sigset_t all, old;
	const char *text;

	/* As the loops' threads do. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	text = output_of("grep SigBlk /proc/self/status >&3");
	sigprocmask(SIG_SETMASK, &old, NULL);
	ck_assert_str_eq(text, "SigBlk:\t0000000000000000\n");
}
END_TEST

START_TEST(test_gains_no_privileges)
{
	ck_assert_str_eq(output_of("grep NoNewPrivs /proc/self/status >&3"), "NoNewPrivs:\t1\n");
}
END_TEST

START_TEST(test_ends)
{
	int status = 0;

	renew("exit 3");
	ck_assert_int_eq(starter_end(starter, 0, &status), -ECHILD);
	/* Again and again. */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(starter_start(starter, NULL, 0), 0);
		ck_assert_int_eq(starter_start(starter, NULL, 0), -EBUSY);
		ck_assert_int_eq(starter_end(starter, 5000, &status), 0);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 3);
	}
	/* One that does not end by itself. */
	renew("trap '' TERM; while :; do sleep 1; done");
	ck_assert_int_eq(starter_start(starter, NULL, 0), 0);
	ck_assert_int_eq(starter_end(starter, 10, &status), 0);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(starter_end(starter, 10, &status), -ECHILD);
}
END_TEST

START_TEST(test_descriptors)
{
	int fds[STARTER_FDS_MAX + 1] = { 0 };
	int status;

	renew("[ -e /proc/$$/fd/10 ] && [ ! -e /proc/$$/fd/11 ]");
	ck_assert_int_eq(starter_start(starter, fds, STARTER_FDS_MAX + 1), -E2BIG);
	/* As many as may be, arrive. */
	ck_assert_int_eq(starter_start(starter, fds, STARTER_FDS_MAX), 0);
	ck_assert_int_eq(starter_end(starter, 5000, &status), 0);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* Whoever holds the other end of the pipe notices that the helper is gone. */
START_TEST(test_helper_dies_with_the_starter)
{
	int pipes[2];
	char byte;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	renew("exec sleep 1000");
	ck_assert_int_eq(starter_start(starter, &pipes[1], 1), 0);
	close(pipes[1]);
	starter_destroy(starter);
	starter = NULL;
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
}
END_TEST

/* As a lodge-fsd whose keeper was killed: what the helper started is its group's. */
START_TEST(test_orphans_of_the_helper_die)
{
	int pipes[2];
	char byte;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	renew("sleep 1000 & echo >&3");
	ck_assert_int_eq(starter_start(starter, &pipes[1], 1), 0);
	close(pipes[1]);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
	ck_assert_int_eq(starter_end(starter, 5000, NULL), 0);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
}
END_TEST

START_TEST(test_starter_killed)
{
	char path[64], text[32] = "";
	FILE *file;
	int pipes[2];
	char byte;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	renew("exec sleep 1000");
	ck_assert_int_eq(starter_start(starter, &pipes[1], 1), 0);
	close(pipes[1]);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	kill(atoi(text), SIGKILL);
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	ck_assert_int_eq(starter_end(starter, 0, NULL), -EPIPE);
	ck_assert_int_eq(starter_start(starter, NULL, 0), -EPIPE);
}
END_TEST

START_TEST(test_find)
{
	char folder[] = "/tmp/lodge-find-XXXXXX", program[64];
	char *path;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	setenv("LODGE_LIBEXEC", folder, 1);
	ck_assert_int_eq(spawn_find("lodge-no-such-helper", &path), -ENOENT);
	snprintf(program, sizeof(program), "%s/lodge-no-such-helper", folder);
	fd = open(program, O_CREAT | O_WRONLY, 0600);
	close(fd);
	/* There, but no program. */
	ck_assert_int_eq(spawn_find("lodge-no-such-helper", &path), -ENOENT);
	chmod(program, 0700);
	ck_assert_int_eq(spawn_find("lodge-no-such-helper", &path), 0);
	ck_assert_str_eq(path, program);
	free(path);
	unlink(program);
	rmdir(folder);
}
END_TEST

START_TEST(test_status_text)
{
	char text[SPAWN_STATUS_MAX];

	spawn_status_text(0x0300, text);
	ck_assert_str_eq(text, "exit status 3");
	spawn_status_text(9, text);
	ck_assert_str_eq(text, "signal 9 (Killed)");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("helper processes");
	TCase *tcase = tcase_create("starter");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, test_given_only_its_own);
	tcase_add_test(tcase, test_one_that_does_not_die);
	tcase_add_test(tcase, test_blocks_no_signal);
	tcase_add_test(tcase, test_gains_no_privileges);
	tcase_add_test(tcase, test_ends);
	tcase_add_test(tcase, test_descriptors);
	tcase_add_test(tcase, test_helper_dies_with_the_starter);
	tcase_add_test(tcase, test_orphans_of_the_helper_die);
	tcase_add_test(tcase, test_starter_killed);
	tcase_add_test(tcase, test_find);
	tcase_add_test(tcase, test_status_text);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

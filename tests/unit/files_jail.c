// SPDX-License-Identifier: GPL-2.0-or-later
/* What a program of the guest that unpacks a stranger's archive can do once it is jailed: files,
 * and nothing else. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-daemon/files/files.h"
#include "tests/unit/unit.h"

int __wrap_setrlimit(int resource, const struct rlimit *limit);
int __wrap_setrlimit(int resource, const struct rlimit *limit)
{
	(void)resource;
	(void)limit;
	return 0;
}

static long make_process(void)
{
	return syscall(SYS_fork);
}

static long make_process_by_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return syscall(SYS_clone3, &args, sizeof(args));
}

static long end_parent(void)
{
	return syscall(SYS_kill, getppid(), SIGTERM);
}

static long end_thread(void)
{
	return syscall(SYS_tkill, getppid(), SIGTERM);
}

static long end_by_descriptor(void)
{
	return syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, getppid(), 0), SIGTERM, NULL,
		       0);
}

static long queue_signal(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return syscall(SYS_rt_sigqueueinfo, getppid(), SIGTERM, &info);
}

static long become_other(void)
{
	return syscall(SYS_setfsuid, 12345) == 0 ? 0 : -1;
}

static long open_ports(void)
{
	return syscall(SYS_ioperm, 0x80, 1, 1);
}

static long mount_anew(void)
{
	return syscall(SYS_fsopen, "tmpfs", 0);
}

static long set_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return syscall(SYS_clock_settime, CLOCK_REALTIME, &now);
}

static const struct {
	const char *what;
	long (*try)(void);
} attacks[] = {
	{ "fork", make_process },	{ "clone3", make_process_by_clone3 },
	{ "kill", end_parent },		{ "tkill", end_thread },
	{ "pidfd", end_by_descriptor }, { "sigqueue", queue_signal },
	{ "setfsuid", become_other },	{ "ioperm", open_ports },
	{ "fsopen", mount_anew },	{ "clock_settime", set_clock },
};

/* The exit status of @fn in a jailed child. */
static int in_jail(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(jail_enter() ? 99 : fn());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int attack; /* of the child that is made next */

static int try_attack(void)
{
	long ret = attacks[attack].try();

	if (attacks[attack].try == become_other)
		return syscall(SYS_setfsuid, -1) == 12345 ? 1 : 0;
	return ret < 0 && errno == EPERM ? 0 : 1;
}

START_TEST(attacks_are_refused)
{
	attack = _i;
	ck_assert_msg(!in_jail(try_attack), "%s", attacks[_i].what);
}
END_TEST

static int use_files(void)
{
	char name[] = "/tmp/lodge-jail.XXXXXX";
	int fd = mkstemp(name);
	void *memory = malloc(1 << 20);
	int ret = !memory || fd < 0 || write(fd, "x", 1) != 1 || fchmod(fd, 0600) || fsync(fd) ||
		  unlink(name);

	free(memory);
	return ret;
}

START_TEST(files_are_left)
{
	ck_assert_int_eq(in_jail(use_files), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("files_jail");
	TCase *tcase = tcase_create("jail");

	tcase_add_loop_test(tcase, attacks_are_refused, 0, sizeof(attacks) / sizeof(attacks[0]));
	tcase_add_test(tcase, files_are_left);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The monitor's sandbox: hostile calls fail or kill, in every thread, and honest work goes on. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/display/segment.h"
#include "host-vmm/sandbox.h"
#include "protocol/lib/capabilities.h"
#include "tests/unit/unit.h"

static struct sandbox_needs needs;
static pid_t outside;

/* Each gives 0 where it succeeded, else -errno. */
static int result(long ret)
{
	return ret < 0 ? -errno : 0;
}

static int try_open(void)
{
	return result(open("/etc/passwd", O_RDONLY));
}

static int try_create(void)
{
	return result(open("/tmp/lodge-sandbox-test", O_CREAT | O_WRONLY, 0600));
}

static int try_path(void)
{
	return result(open("/", O_PATH));
}

static int try_folder(void)
{
	return result(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static int try_old_open(void)
{
	return result(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static int try_openat2(void)
{
	return result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0));
}

static int try_internet(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int try_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_fork(void)
{
	long pid = syscall(SYS_fork);

	if (!pid)
		_exit(0);
	return result(pid);
}

static int try_clone(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	return result(pid);
}

static int try_exec(void)
{
	char *argv[] = { (char *)"true", NULL };

	return result(execv("/bin/true", argv));
}

static int try_execveat(void)
{
	char *argv[] = { (char *)"true", NULL };

	return result(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, NULL, 0));
}

static int try_ptrace(void)
{
	return result(ptrace(PTRACE_ATTACH, outside, NULL, NULL));
}

static int try_peek(void)
{
	return result(syscall(SYS_process_vm_readv, outside, NULL, 0, NULL, 0, 0));
}

static int try_kill(void)
{
	return result(kill(outside, 0));
}

static int try_tgkill(void)
{
	return result(syscall(SYS_tgkill, outside, outside, 0));
}

static int try_mount(void)
{
	return result(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int try_unshare(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int try_keyctl(void)
{
	return result(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0));
}

static int try_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_userfaultfd(void)
{
	return result(syscall(SYS_userfaultfd, 0));
}

static int try_io_uring(void)
{
	return result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int try_executable(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	return result(at == MAP_FAILED ? -1 : 0);
}

static int try_make_executable(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int try_tty_push(void)
{
	return result(ioctl(0, TIOCSTI, "x"));
}

static int try_limits(void)
{
	return result(syscall(SYS_prlimit64, outside, 7, "xxxxxxxxxxxxxxxx", NULL));
}

/* To the rate that it has: a test that fails must do no harm. */
static int try_set_clock(void)
{
	struct timex timex = { 0 };

	if (syscall(SYS_adjtimex, &timex) < 0)
		return 0;
	timex.modes = ADJ_FREQUENCY;
	return result(syscall(SYS_adjtimex, &timex));
}

static int try_rename(void)
{
	return result(rename("/tmp/lodge-a", "/tmp/lodge-b"));
}

static int try_chmod(void)
{
	return result(syscall(SYS_fchmodat, AT_FDCWD, "/tmp", 0777));
}

static int try_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int try_x32(void)
{
	return result(syscall(0x40000000 | SYS_getpid));
}

/* i386's getpid, which is another call on x86-64. */
static int try_int80(void)
{
	long ret = 20;

	__asm__ volatile("int $0x80" : "+a"(ret) : : "memory", "r8", "r9", "r10", "r11");
	return ret < 0 ? (int)ret : 0;
}

struct attempt {
	int (*run)(void);
	bool kills;
};

static const struct attempt attempts[] = {
	{ try_open, false },	 { try_create, false },	    { try_path, false },
	{ try_old_open, false }, { try_openat2, false },    { try_internet, false },
	{ try_netlink, false },	 { try_unix, false },	    { try_fork, false },
	{ try_clone, false },	 { try_kill, false },	    { try_tgkill, false },
	{ try_io_uring, false }, { try_executable, false }, { try_make_executable, false },
	{ try_tty_push, false }, { try_limits, false },	    { try_rename, false },
	{ try_chmod, false },	 { try_set_clock, false },  { try_exec, true },
	{ try_execveat, true },	 { try_ptrace, true },	    { try_peek, true },
	{ try_mount, true },	 { try_unshare, true },	    { try_keyctl, true },
	{ try_bpf, true },	 { try_userfaultfd, true }, { try_x32, true },
	{ try_int80, true },	 { try_dumpable, false },
};
#define N_ATTEMPTS ((int)(sizeof(attempts) / sizeof(attempts[0])))

#define STATUS_NO_SANDBOX 99

/* How a process ends that enters the sandbox and then runs @run: its exit status is the errno. */
static int inside(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (sandbox_enter(&needs))
			_exit(STATUS_NO_SANDBOX);
		_exit(-run());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void setup(void)
{
	needs = (struct sandbox_needs){ 0 };
	outside = getppid();
}

static void assert_refused(const struct attempt *attempt)
{
	int status = inside(attempt->run);

	if (attempt->kills) {
		ck_assert(WIFSIGNALED(status));
		ck_assert_int_eq(WTERMSIG(status), SIGSYS);
	} else {
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), EPERM);
	}
}

START_TEST(test_attempt)
{
	assert_refused(&attempts[_i]);
}
END_TEST

static int work(void)
{
	uint64_t value = 1;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	void *at = malloc(4 << 20);

	if (!at || write(fd, &value, sizeof(value)) != sizeof(value) ||
	    read(fd, &value, sizeof(value)) != sizeof(value))
		return -errno;
	memset(at, 1, 4 << 20);
	free(at);
	if (prctl(PR_SET_NAME, "named", 0, 0, 0))
		return -errno;
	return close(fd) ? -errno : 0;
}

START_TEST(test_work_goes_on)
{
	ck_assert_int_eq(inside(work), 0);
}
END_TEST

/* What windows map, for a new mode. */
static int try_segment(void)
{
	struct segment *segment;
	int ret = segment_create(641, 479, &segment);

	if (!ret)
		segment_free(segment);
	return ret;
}

START_TEST(test_needs)
{
	needs.open_files = true;
	ck_assert_int_eq(inside(try_open), 0);
	ck_assert_int_eq(WEXITSTATUS(inside(try_create)), EPERM);
	ck_assert_int_eq(WEXITSTATUS(inside(try_path)), EPERM);
	ck_assert_int_eq(WEXITSTATUS(inside(try_folder)), EPERM);
	needs.open_folders = true;
	ck_assert_int_eq(inside(try_folder), 0);
	ck_assert_int_eq(WEXITSTATUS(inside(try_path)), EPERM);
	needs.connect = true;
	ck_assert_int_eq(inside(try_unix), 0);
	ck_assert_int_eq(WEXITSTATUS(inside(try_internet)), EPERM);
	needs.io_uring = true;
	/* Containers may forbid it to all. */
	if (try_io_uring() != -EPERM)
		ck_assert_int_ne(WEXITSTATUS(inside(try_io_uring)), EPERM);
	ck_assert_int_eq(WEXITSTATUS(inside(try_segment)), EPERM);
	needs.display = true;
	ck_assert_int_eq(inside(try_segment), 0);
	needs.terminal = true;
	ck_assert_int_eq(WEXITSTATUS(inside(try_tty_push)), EPERM);
}
END_TEST

static int go_pipe[2];

static void *other_thread(void *opaque)
{
	char byte;

	(void)opaque;
	if (read(go_pipe[0], &byte, 1) == 1)
		_exit(-try_open());
	return NULL;
}

/* Capabilities, of which root's monitor has a few left, in a thread that begins behind the sandbox,
 * too. */
static bool has_capabilities(void)
{
	const uint32_t fine = 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_IPC_LOCK;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return true;
	return ((data[0].permitted | data[0].effective | data[0].inheritable) & ~fine) ||
	       data[1].permitted || data[1].effective || data[1].inheritable;
}

/* How a process ends whose @thread, made before, runs on when the main thread is in the sandbox. */
static int status_of_thread(void *(*thread)(void *))
{
	pthread_t made;
	int status;
	pid_t pid;

	ck_assert_int_eq(pipe(go_pipe), 0);
	pid = fork();
	if (!pid) {
		if (pthread_create(&made, NULL, thread, NULL) || sandbox_enter(&needs) ||
		    has_capabilities())
			_exit(STATUS_NO_SANDBOX);
		if (write(go_pipe[1], "x", 1) == 1)
			pthread_join(made, NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A thread that was there before is bound, too. */
START_TEST(test_all_threads)
{
	ck_assert_int_eq(status_of_thread(other_thread), EPERM);
}
END_TEST

static void *late_thread(void *opaque)
{
	char byte;

	(void)opaque;
	if (read(go_pipe[0], &byte, 1) != 1)
		return NULL;
	capabilities_keep(SANDBOX_CAPABILITIES);
	_exit(has_capabilities() ? EXIT_FAILURE : -try_set_clock());
}

START_TEST(test_capabilities)
{
	ck_assert_int_eq(status_of_thread(late_thread), EPERM);
}
END_TEST

static int status_fd;

static int read_status(void)
{
	static char text[8192];
	ssize_t got = pread(status_fd, text, sizeof(text) - 1, 0);

	if (got < 0)
		return -errno;
	text[got] = 0;
	return strstr(text, "NoNewPrivs:\t1") && strstr(text, "Seccomp:\t2") ? 0 : -EINVAL;
}

START_TEST(test_status)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		status_fd = open("/proc/self/status", O_RDONLY);
		if (sandbox_enter(&needs))
			_exit(STATUS_NO_SANDBOX);
		_exit(-read_status());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_needs_of_a_configuration)
{
	struct vm_port port = { .name = (char *)"console", .backend = (char *)"stdio" };
	struct vm_config config = { .serial = (char *)"none", .stop_on_reset = true };
	struct sandbox_needs got = sandbox_needs_of(&config);

	ck_assert(!got.open_files && !got.connect && !got.io_uring && !got.terminal &&
		  !got.display);
	config.heads = 1;
	config.ports = &port;
	config.n_ports = 1;
	config.stop_on_reset = false;
	config.n_disks = 1;
	config.n_fs = 1;
	got = sandbox_needs_of(&config);
	ck_assert(got.open_files && got.connect && got.io_uring && got.terminal && got.display);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tcase = tcase_create("sandbox");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, test_attempt, 0, N_ATTEMPTS);
	tcase_add_test(tcase, test_work_goes_on);
	tcase_add_test(tcase, test_needs);
	tcase_add_test(tcase, test_all_threads);
	tcase_add_test(tcase, test_capabilities);
	tcase_add_test(tcase, test_status);
	tcase_add_test(tcase, test_needs_of_a_configuration);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

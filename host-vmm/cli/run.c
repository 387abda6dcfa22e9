// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge run`: makes an instant VM, follows it to its end, and leaves nothing behind.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/monitor.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/run_options.h"
#include "host-vmm/cli/run_vm.h"
#include "host-vmm/cli/tail.h"
#include "host-vmm/cli/throwaway.h"
#include "host-vmm/cli/view.h"
#include "protocol/lib/fd.h"

#define STATUS_NO_STATUS 125 /* the guest went down without one; env(1) and docker use it so */
#define LOG_LINES	 12 /* of the kernel's messages, shown when the guest dies */
#define GRACE_MS	 5000 /* for the monitor to end on SIGTERM */

/* What the user's descriptors were like; the monitor may change them, and the shell shares them. */
struct terminal {
	struct termios termios;
	bool saved;
	int flags[3];
};

struct run {
	struct run_options options;
	struct terminal terminal;
	bool on_terminal;
	char *runtime, *dir, *kernel_log, *log, *socket;
	int claim; /* of @runtime: the files there are ours */
	struct monitor monitor;
	int signals;
	int killed_by; /* signal, or 0 */
};

static void terminal_save(struct terminal *terminal)
{
	terminal->saved = !tcgetattr(STDIN_FILENO, &terminal->termios);
	for (int i = 0; i < 3; i++)
		terminal->flags[i] = fcntl(i, F_GETFL);
}

static bool is_same(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
	       a->c_lflag == b->c_lflag && !memcmp(a->c_cc, b->c_cc, sizeof(a->c_cc));
}

static void terminal_restore(const struct terminal *terminal)
{
	struct termios now;

	/* In the background to set what is set already would stop us. */
	if (terminal->saved && !tcgetattr(STDIN_FILENO, &now) && !is_same(&now, &terminal->termios))
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->termios);
	for (int i = 0; i < 3; i++) {
		if (terminal->flags[i] >= 0)
			(void)fcntl(i, F_SETFL, terminal->flags[i]);
	}
}

static int open_signals(void)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A name that is given must be free: other verbs would find the VM of vm.conf by it. */
static int check_name(const char *name)
{
	g_autofree char *vms = paths_vms();
	g_autofree char *conf = g_build_filename(vms, name, "vm.conf", NULL);

	if (!g_file_test(conf, G_FILE_TEST_EXISTS))
		return 0;
	return fail(EX_TEMPFAIL,
		    "there is a VM named '%s' already, which lodge start %s starts; take another "
		    "name",
		    name, name);
}

/* Of two that take the same name at once one gets it. */
static int claim_runtime(struct run *run, const char *name)
{
	g_autofree char *message = NULL;
	int ret = paths_runtime(name, &run->runtime, &message);

	if (ret)
		return fail(status_of(ret), "%s", message);
	ret = throwaway_claim(run->runtime, &run->claim);
	if (ret == -EADDRINUSE)
		return fail(EX_TEMPFAIL,
			    "a VM named '%s' runs already; take another name, or run: "
			    "lodge stop %s",
			    name, name);
	return ret ? fail(EX_CANTCREAT, "%s: cannot be claimed: %s; make room there", run->runtime,
			  g_strerror(-ret))
		   : 0;
}

/* A run-time folder of our own. */
static int make_folders(struct run *run)
{
	g_autofree char *made_up = g_strdup_printf("run-%d", (int)getpid());
	const char *given = run->options.name;
	int status = given ? check_name(given) : 0;

	if (!status)
		status = claim_runtime(run, given ? given : made_up);
	if (status)
		return status;
	run->dir = g_build_filename(run->runtime, "vm", NULL);
	run->kernel_log = g_build_filename(run->runtime, "kernel.log", NULL);
	run->log = g_build_filename(run->runtime, "vmm.log", NULL);
	run->socket = g_build_filename(run->runtime, "control.sock", NULL);
	if (g_mkdir(run->dir, 0700) && errno != EEXIST)
		return fail(EX_CANTCREAT, "%s: cannot be made: %s; make room there", run->dir,
			    g_strerror(errno));
	return 0;
}

/* Who has no claim may have found another's there. */
static void remove_folders(struct run *run)
{
	if (run->claim >= 0)
		throwaway_remove(run->runtime);
	else if (run->runtime)
		(void)g_rmdir(run->runtime);
	fd_close(&run->claim);
}

static int start(struct run *run)
{
	static const struct monitor_fd terminal_fds[] = {
		{ STDIN_FILENO, STDIN_FILENO },
		{ STDOUT_FILENO, STDOUT_FILENO },
		{ STDERR_FILENO, RUN_FD_CONSOLE },
	};
	static const struct monitor_fd stream_fds[] = {
		{ STDIN_FILENO, RUN_FD_STDIN },
		{ STDOUT_FILENO, RUN_FD_STDOUT },
		{ STDERR_FILENO, RUN_FD_STDERR },
		{ STDERR_FILENO, RUN_FD_CONSOLE },
	};
	struct monitor_spec spec = { .dir = run->dir, .runtime = run->runtime, .log = run->log };
	g_autofree char *message = NULL;
	int ret;

	spec.fds = run->on_terminal ? terminal_fds : stream_fds;
	spec.n_fds = run->on_terminal ? G_N_ELEMENTS(terminal_fds) : G_N_ELEMENTS(stream_fds);
	ret = monitor_start(&spec, &run->monitor, &message);
	return ret ? fail(EX_UNAVAILABLE, "%s", message) : 0;
}

static void forward_size(const struct run *run)
{
	g_autofree char *params = NULL;
	struct winsize size;

	if (!run->on_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return;
	params = g_strdup_printf("{\"cols\":%u,\"rows\":%u}", size.ws_col, size.ws_row);
	/* Before the monitor listens it reads the size itself. */
	client_tell(run->socket, "resize", params);
}

/* In the child: this command's signals are blocked. */
static void reset_signals(void *opaque)
{
	sigset_t none;

	(void)opaque;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void take_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH) {
			forward_size(run);
			continue;
		}
		/* The second one does not wait. */
		kill(run->monitor.pid, run->killed_by ? SIGKILL : SIGTERM);
		run->killed_by = (int)info.ssi_signo;
	}
}

/* Not ours to wait for: it goes when its window or the VM does, and the VM does not ask. */
static void open_window(const struct run *run)
{
	const GSpawnFlags flags = G_SPAWN_STDOUT_TO_DEV_NULL;
	GPtrArray *words = view_command(run->runtime);
	g_autoptr(GError) error = NULL;

	if (!words) {
		fail(EX_UNAVAILABLE, "there is no lodge-view beside this command; install it");
		return;
	}
	g_ptr_array_add(words, NULL);
	if (!g_spawn_async(NULL, (char **)words->pdata, NULL, flags, reset_signals, NULL, NULL,
			   &error))
		fail(EX_OSERR, "no window: %s", error->message);
	g_ptr_array_unref(words);
}

static void follow(struct run *run)
{
	bool window = run->options.window;

	while (run->monitor.notify >= 0) {
		struct pollfd pfds[] = {
			{ run->monitor.notify, POLLIN, 0 },
			{ run->signals, POLLIN, 0 },
		};
		int n = poll(pfds, G_N_ELEMENTS(pfds), run->killed_by ? GRACE_MS : -1);

		if (!n)
			kill(run->monitor.pid, SIGKILL);
		if (pfds[1].revents)
			take_signals(run);
		if (pfds[0].revents)
			monitor_read(&run->monitor);
		if (window && run->monitor.started) {
			window = false;
			open_window(run);
		}
	}
}

/* The guest went down and told no status: its init may have said why, or the kernel. */
static int explain_guest(const struct run *run)
{
	g_autofree char *said = tail_find(run->kernel_log, LODGE_RUN_ERROR);
	g_autofree char *error = monitor_last_error(run->log);
	/* What the guest could not do may be a consequence. */
	g_autofree char *first = monitor_first_error(run->log);
	static const char *const words[] = {
		[MONITOR_POWEROFF] = "powered off",
		[MONITOR_RESET] = "reset itself",
		[MONITOR_KILL] = "was killed",
		[MONITOR_CRASH] = "crashed",
		[MONITOR_FAILED] = "was lost with its monitor",
	};

	if (said)
		return fail(STATUS_NO_STATUS, "in the guest: %s%s%s", said,
			    first ? "; on the host: " : "", first ? first : "");
	if (!error)
		error = monitor_killed(&run->monitor);
	if (run->monitor.reason != MONITOR_KILL)
		tail_print(run->kernel_log, LOG_LINES, stderr);
	return fail(STATUS_NO_STATUS,
		    "the guest %s before the command ended%s%s; "
		    "lodge check tells what this host can do",
		    words[run->monitor.reason], error ? ": " : "", error ? error : "");
}

static int conclude(const struct run *run)
{
	const struct monitor *monitor = &run->monitor;
	g_autofree char *error = NULL;

	if (run->killed_by)
		return 128 + run->killed_by;
	if (monitor->guest_status >= 0)
		return monitor->guest_status;
	if (monitor->started || monitor->reason != MONITOR_FAILED) {
		/* Where the user's own init runs, powering off is all that there is to succeed in.
		 */
		if (run->options.initrd && monitor->reason <= MONITOR_RESET)
			return EX_OK;
		return explain_guest(run);
	}
	error = monitor_first_error(run->log);
	if (!error)
		error = monitor_killed(monitor);
	if (error)
		return fail(EX_UNAVAILABLE, "%s", error);
	tail_print(run->log, LOG_LINES, stderr);
	return fail(EX_SOFTWARE, "the monitor ended without a word; lodge check tells what this "
				 "host can do");
}

int verb_run(int argc, char **argv)
{
	struct run run = { .monitor.notify = -1, .signals = -1, .claim = -1 };
	int status = run_options_parse(argc, argv, &run.options);

	run.on_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	terminal_save(&run.terminal);
	run.signals = open_signals();
	if (!status) {
		throwaway_sweep();
		status = make_folders(&run);
	}
	if (!status)
		status = run_vm_make(&run.options, run.dir, run.kernel_log, run.on_terminal);
	if (!status)
		status = start(&run);
	if (!status) {
		follow(&run);
		terminal_restore(&run.terminal);
		status = conclude(&run);
	}
	monitor_finish(&run.monitor);
	remove_folders(&run);
	run_options_clear(&run.options);
	g_free(run.runtime);
	g_free(run.dir);
	g_free(run.kernel_log);
	g_free(run.log);
	g_free(run.socket);
	fd_close(&run.signals);
	return status;
}

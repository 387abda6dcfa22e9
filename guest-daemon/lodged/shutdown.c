// SPDX-License-Identifier: GPL-2.0-or-later
// Ends the system: systemd, SysV init, BusyBox's init, or the kernel where nobody else looks after
// it.
#include "guest-daemon/lodged/shutdown.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/log.h"

static bool by_systemd(enum shutdown what)
{
	static const char *const paths[] = { "/usr/bin/systemctl", "/bin/systemctl" };

	if (access("/run/systemd/system", F_OK))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
		execl(paths[i], "systemctl", what == SHUTDOWN_HALT ? "poweroff" : "reboot",
		      (char *)NULL);
	return false;
}

static bool by_sysv(enum shutdown what)
{
	static const char *const fifos[] = { "/run/initctl", "/dev/initctl" };

	for (size_t i = 0; i < G_N_ELEMENTS(fifos); i++) {
		if (!access(fifos[i], F_OK))
			execl("/sbin/shutdown", "shutdown", what == SHUTDOWN_HALT ? "-hP" : "-r",
			      "now", (char *)NULL);
	}
	return false;
}

/* The signals that its poweroff and reboot applets send to process 1. */
static bool by_busybox(enum shutdown what)
{
	g_autofree char *init = g_file_read_link("/proc/1/exe", NULL);
	g_autofree char *name = init ? g_path_get_basename(init) : NULL;

	return !g_strcmp0(name, "busybox") &&
	       kill(1, what == SHUTDOWN_HALT ? SIGUSR2 : SIGTERM) == 0;
}

static void __attribute__((noreturn)) run(enum shutdown what)
{
	child_begin();
	/* systemd stops lodged on the way. */
	(void)prctl(PR_SET_PDEATHSIG, 0);
	child_close_from(STDERR_FILENO + 1, -1);
	if (by_systemd(what) || by_sysv(what) || by_busybox(what))
		_exit(0);
	sync();
	(void)reboot(what == SHUTDOWN_HALT ? RB_POWER_OFF : RB_AUTOBOOT);
	_exit(1);
}

static void ended(void *opaque, pid_t pid, int wait_status)
{
	(void)opaque;
	(void)pid;
	if (wait_status)
		log_error("the system does not end");
}

void shutdown_start(struct children *children, enum shutdown what)
{
	pid_t pid = fork();

	if (pid == 0)
		run(what);
	if (pid < 0)
		log_error("cannot make a process to end the system");
	else
		children_watch(children, pid, ended, NULL);
}

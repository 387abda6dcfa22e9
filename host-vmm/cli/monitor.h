/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts lodge-vmm and hears from it: events as JSON lines on a pipe (lodge-vmm(8), --notify-fd).
 *
 * The monitor's stderr goes to a log file, whose last error is the reason when it fails.
 */
#ifndef LODGE_VMM_CLI_MONITOR_H
#define LODGE_VMM_CLI_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Descriptor @ours becomes @theirs in the monitor. */
struct monitor_fd {
	int ours, theirs;
};

struct monitor_spec {
	const char *dir; /* of the VM */
	const char *runtime;
	const char *log; /* path: truncated, then the monitor's stderr */
	/* Handed on, beside 2 and the notify pipe; what is not there is /dev/null (0 and 1) or
	 * closed. */
	const struct monitor_fd *fds;
	size_t n_fds;
	bool detach; /* outlives us, in a session of its own; else it ends with us */
};

enum monitor_reason {
	MONITOR_RUNS = 0, /* not ended yet */
	MONITOR_POWEROFF = 1,
	MONITOR_RESET = 2,
	MONITOR_KILL = 3,
	MONITOR_CRASH = 4,
	MONITOR_FAILED = 5, /* ended without a word: it never started, or died */
};

struct monitor {
	pid_t pid;
	int notify; /* readable: call monitor_read(); -1: ended */
	char line[256];
	size_t used;
	bool started;
	enum monitor_reason reason;
	int guest_status; /* what the guest's init reported, or -1 */
	int exit_status; /* of the process: wait(2)'s, once reason is not MONITOR_RUNS */
};

/* A negative errno and *ret_message, or 0. Call monitor_finish() then. */
int monitor_start(const struct monitor_spec *spec, struct monitor *ret_monitor, char **ret_message);
/* Takes in what there is to hear, without waiting for more than one message. At the end of the
 * pipe it waits for the process, unless that is detached and started. */
void monitor_read(struct monitor *monitor);
/* Kills the process if it still runs (it is not detached then), and reaps it. */
void monitor_finish(struct monitor *monitor);
/* Takes one line of the notify pipe in; false where it is malformed. For monitor_read() and tests.
 */
bool monitor_event(struct monitor *monitor, const char *line, size_t len);

/* Of a monitor that has ended: by which signal, with the reason that SIGKILL has where nobody sends
 * it. NULL: by none. g_free(). */
char *monitor_killed(const struct monitor *monitor);

/*
 * An "error:" line of a monitor's log, without its head; NULL if there is none. g_free(). The first
 * one is why it did not start (what follows comes of it), the last one why it ended.
 */
char *monitor_first_error(const char *log);
char *monitor_last_error(const char *log);

#endif

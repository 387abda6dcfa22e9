// SPDX-License-Identifier: GPL-2.0-or-later
/* Kills lodge-fsd's server at a system call of choice. */
#include "tests/unit/fsd_tracer.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define TRACE_OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK)

/* Where servers are to be killed, and how far we are. One rig at a time is traced. */
static struct place {
	struct fsd_rig *rig;
	long call; /* SYS_... */
	bool done; /* the call, or not yet */
	int times; /* servers, one after the other */
	pid_t keeper;
	pid_t server;
	pid_t in_call;
} place;

pid_t fsd_wait_server(const struct fsd_rig *rig)
{
	pid_t pid;

	do
		pid = fsd_server(rig);
	while (!pid);
	return pid;
}

void fsd_kill_idle(const struct fsd_rig *rig)
{
	pid_t server = fsd_wait_server(rig);

	kill(server, SIGKILL);
	while (fsd_wait_server(rig) == server)
		;
}

static void seize(pid_t tid)
{
	ck_assert_int_eq(ptrace(PTRACE_SEIZE, tid, NULL, TRACE_OPTIONS), 0);
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
}

static void seize_all(struct fsd_rig *rig)
{
	char command[64];
	char tid[16];
	FILE *list;

	place.server = fsd_wait_server(rig);
	place.keeper = fsd_keeper(rig);
	snprintf(command, sizeof(command), "ls /proc/%d/task", place.server);
	list = popen(command, "re");
	ck_assert_ptr_nonnull(list);
	while (fgets(tid, sizeof(tid), list))
		seize(atoi(tid));
	pclose(list);
	seize(place.keeper);
}

/* Whether the thread has stopped at the place. */
static bool at_place(pid_t tid)
{
	struct __ptrace_syscall_info info = { 0 };

	ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && (long)info.entry.nr == place.call) {
		place.in_call = tid;
		return !place.done;
	}
	if (info.op != PTRACE_SYSCALL_INFO_EXIT || place.in_call != tid)
		return false;
	place.in_call = 0;
	return true;
}

/* The keeper starts the server that is to stay: it is on its own from here on. */
static void let_keeper_go(void)
{
	int status;

	ptrace(PTRACE_INTERRUPT, place.keeper, NULL, NULL);
	ck_assert_int_eq(waitpid(place.keeper, &status, __WALL), place.keeper);
	ck_assert(WIFSTOPPED(status));
	ptrace(PTRACE_DETACH, place.keeper, NULL, NULL);
}

/* The thread stopped: lets it go on, or kills its server. */
static void go_on(pid_t tid, int status)
{
	int event = status >> 16;
	int sig = event || WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);

	if (tid == place.keeper) {
		ptrace(PTRACE_CONT, tid, NULL, sig);
		return;
	}
	if (WSTOPSIG(status) == (SIGTRAP | 0x80) && at_place(tid)) {
		place.in_call = 0;
		place.server = fsd_wait_server(place.rig);
		if (!--place.times)
			let_keeper_go();
		kill(place.server, SIGKILL);
		return;
	}
	ptrace(PTRACE_SYSCALL, tid, NULL, sig);
}

/* Until the last of the servers that are to die is dead. */
static void trace(struct fsd_rig *rig)
{
	(void)rig;
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);

		ck_assert_int_gt(tid, 0);
		ck_assert_msg(tid != place.keeper || WIFSTOPPED(status), "the keeper ended");
		if (WIFSTOPPED(status) && place.times)
			go_on(tid, status);
		else if (!place.times && tid == place.server && !WIFSTOPPED(status))
			break;
	}
}

void fsd_die_at(struct fsd_rig *rig, long call, bool done, int times)
{
	place = (struct place){ .rig = rig, .call = call, .done = done, .times = times };
	rig->before_put = seize_all;
	rig->after_kick = trace;
}

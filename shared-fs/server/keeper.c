// SPDX-License-Identifier: GPL-2.0-or-later
/* Starts servers, one after the other, and keepers that do. */
#include "shared-fs/server/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/child.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "shared-fs/server/shared.h"

#define GUARD_NAME  "lodge-guard"
#define KEEPER_NAME "lodge-keeper"

/* Servers that die before they serve again: it is what they find that kills them. */
#define FAILURES_MAX 3
/* Deaths in a window of so many seconds: whoever kills them does it for good. */
#define DEATHS_MAX    64
#define DEATHS_WINDOW 10

struct keeper_state {
	uint32_t server; /* counts them */
	uint32_t up; /* the last one that was ready to serve; 0: none was */
	pid_t pid; /* of the last one, in the guard's and the keeper's namespace */
};

/* What guard and keeper remember, each in memory of its own. */
struct history {
	unsigned int failures; /* in a row */
	unsigned int at;
	time_t deaths[DEATHS_MAX]; /* CLOCK_MONOTONIC seconds; 0: none */
	struct log_ratelimit log_limit;
};

/* The folder that the first @len bytes of @path name. */
static int open_folder(const char *path, size_t len)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (len >= sizeof(folder))
		return -1;
	memcpy(folder, path, len);
	folder[len] = 0;
	return open(len ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The kernel puts them behind each other. */
static int save_arguments(struct keeper *keeper, int argc, char **argv)
{
	keeper->arguments = argv[0];
	for (int i = 0; i < argc; i++) {
		if (argv[i] != keeper->arguments + keeper->arguments_len)
			break;
		keeper->arguments_len += strlen(argv[i]) + 1;
	}
	keeper->saved = malloc(keeper->arguments_len);
	if (!keeper->saved)
		return -ENOMEM;
	memcpy(keeper->saved, keeper->arguments, keeper->arguments_len);
	return 0;
}

/* Whoever looks for the server by its name means the one that serves. */
static void take_name(const struct keeper *keeper, const char *name)
{
	size_t len = strlen(name);

	prctl(PR_SET_NAME, name);
	if (len > keeper->arguments_len - 1)
		len = keeper->arguments_len - 1;
	memset(keeper->arguments, 0, keeper->arguments_len);
	memcpy(keeper->arguments, name, len);
}

static void take_server_name(const struct keeper *keeper)
{
	prctl(PR_SET_NAME, "lodge-fsd");
	memcpy(keeper->arguments, keeper->saved, keeper->arguments_len);
}

int keeper_init(struct keeper *keeper, const char *socket_path, int argc, char **argv)
{
	const char *slash = socket_path ? strrchr(socket_path, '/') : NULL;

	*keeper = (struct keeper){ .folder = -1 };
	keeper->state = shared_alloc(sizeof(*keeper->state));
	if (socket_path)
		keeper->socket_name = strdup(slash ? slash + 1 : socket_path);
	if (!keeper->state || (socket_path && !keeper->socket_name) ||
	    save_arguments(keeper, argc, argv))
		return -ENOMEM;
	/* By its folder, because paths end at the new root of the sandbox. */
	if (socket_path)
		keeper->folder =
			open_folder(socket_path, slash ? (size_t)(slash - socket_path) + 1 : 0);
	return 0;
}

/* Whether another server is worth starting after one that ended with @status. */
static bool go_on(const struct keeper *keeper, struct history *history, int status)
{
	struct timespec now;
	time_t *oldest = &history->deaths[history->at];

	if (!WIFSIGNALED(status) || !keeper->state->up)
		return false;
	if (WTERMSIG(status) == SIGSYS)
		log_error("ended by its own system call filter: please report this");
	/* SIGKILL comes from outside. */
	if (keeper->state->up == keeper->state->server)
		history->failures = 0;
	else if (WTERMSIG(status) != SIGKILL)
		history->failures++;
	if (history->failures >= FAILURES_MAX) {
		log_error("the server died %d times before it served again: all is lost",
			  FAILURES_MAX);
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (*oldest && now.tv_sec - *oldest < DEATHS_WINDOW) {
		log_error("the server died %d times within %d s: all is lost", DEATHS_MAX,
			  DEATHS_WINDOW);
		return false;
	}
	*oldest = now.tv_sec;
	history->at = (history->at + 1) % DEATHS_MAX;
	return true;
}

/* A server that is not the init of a namespace can be asked itself: by a Ctrl-C, say. */
static bool was_asked(int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	return sig == SIGTERM || sig == SIGINT || sig == SIGHUP;
}

static void __attribute__((noreturn)) end(int status, bool asked)
{
	_exit(asked ? EX_OK : WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
}

static void __attribute__((noreturn)) end_guard(const struct keeper *keeper, int status, bool asked)
{
	if (keeper->folder >= 0)
		unlinkat(keeper->folder, keeper->socket_name, 0);
	end(status, asked);
}

static void log_death(struct history *history, const char *who, int status)
{
	log_ratelimited(&history->log_limit, LOG_LEVEL_WARN,
			"the %s died (signal %d, %s); the next one goes on with its files", who,
			WTERMSIG(status), sigdescr_np(WTERMSIG(status)));
}

/* fork(3) knows no flags, clone(3) wants a stack. *@ret_pid is there before the child is. */
static pid_t start(unsigned long flags, pid_t *ret_pid)
{
	return (pid_t)syscall(SYS_clone, flags | CLONE_FILES | CLONE_PARENT_SETTID | SIGCHLD, NULL,
			      ret_pid, NULL, NULL);
}

/* In a child of ours. */
static void follow_parent(const struct keeper *keeper)
{
	if (!keeper->dispensable)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Goes on in a keeper. The guard stays in here. */
static int guard(struct keeper *keeper)
{
	struct history history = { 0 };
	bool asked = false;
	int status;

	/* A server whose keeper died is the guard's to wait for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (;;) {
		pid_t pid;
		pid_t child = start(0, &pid);

		if (child < 0 && !keeper->state->server)
			return -errno;
		if (!child) {
			follow_parent(keeper);
			return 0;
		}
		take_name(keeper, GUARD_NAME);
		if (child < 0) {
			log_error("cannot start another keeper: %s", strerror(errno));
			end_guard(keeper, W_EXITCODE(EX_OSERR, 0), false);
		}
		child_wait(child, child, SIGTERM, &status, &asked);
		if (WIFSIGNALED(status))
			log_death(&history, "keeper", status);
		/* Its server, if there is one still: it ends, or dies as well. */
		while (child_wait(-1, keeper->state->pid, SIGKILL, &status, &asked))
			;
		if (asked || !go_on(keeper, &history, status))
			end_guard(keeper, status, asked);
	}
}

int keeper_serve(struct keeper *keeper, bool *ret_first)
{
	struct history history = { 0 };
	bool asked = false;
	sigset_t all;
	sigset_t old;
	int status;
	int ret;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	ret = guard(keeper);
	if (ret) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		return ret;
	}
	for (;;) {
		pid_t child;

		keeper->state->server++;
		child = start(keeper->pid_namespace ? CLONE_NEWPID : 0, &keeper->state->pid);
		if (!child) {
			follow_parent(keeper);
			take_server_name(keeper);
			sigprocmask(SIG_SETMASK, &old, NULL);
			*ret_first = keeper->state->server == 1;
			return 0;
		}
		take_name(keeper, KEEPER_NAME);
		if (child < 0) {
			log_error("cannot start a server: %s", strerror(errno));
			end(W_EXITCODE(EX_OSERR, 0), false);
		}
		/* As the init of its namespace nothing but SIGKILL reaches a server. All that it
		 * has is with the kernel already. */
		child_wait(child, child, SIGKILL, &status, &asked);
		asked = asked || was_asked(status);
		if (asked || !go_on(keeper, &history, status))
			end(status, asked);
		log_death(&history, "server", status);
	}
}

void keeper_up(struct keeper *keeper)
{
	keeper->state->up = keeper->state->server;
}

int keeper_fds_init(struct keeper_fds *fds, const struct keeper *keeper)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	fds->n = (uint32_t)limit.rlim_cur;
	fds->bits = calloc(fds->n / 64 + 1, sizeof(*fds->bits));
	if (!fds->bits)
		return -ENOMEM;
	for (int i = 0; i < 3; i++)
		keeper_fds_add(fds, i);
	keeper_fds_add(fds, keeper->folder);
	return 0;
}

void keeper_fds_add(void *opaque, int fd)
{
	struct keeper_fds *fds = opaque;

	if (fd >= 0 && (uint32_t)fd < fds->n)
		fds->bits[fd / 64] |= 1ULL << (fd & 63);
}

void keeper_close_others(struct keeper_fds *fds)
{
	uint32_t first = 0;

	for (uint32_t fd = 0; fd <= fds->n; fd++) {
		if (fd < fds->n && !(fds->bits[fd / 64] >> (fd & 63) & 1))
			continue;
		if (fd > first)
			syscall(SYS_close_range, first, fd < fds->n ? fd - 1 : ~0u, 0);
		first = fd + 1;
	}
	free(fds->bits);
}

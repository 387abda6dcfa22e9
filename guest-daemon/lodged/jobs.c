// SPDX-License-Identifier: GPL-2.0-or-later
// Jobs: functions that run in a child of lodged and give back bytes, within a time limit.
#include "guest-daemon/lodged/jobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"

struct job {
	struct children *children;
	pid_t pid;
	int fd;
	guint source, deadline;
	GByteArray *bytes;
	size_t max;
	int error;
	job_done_fn done;
	void *opaque;
};

/* lodged's own service may be among the last to go when memory is short. */
static void be_ordinary(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* It may be ordinary already, and then this may not be allowed. */
	(void)!write(fd, "0", 1);
	close(fd);
}

void child_begin(void)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	be_ordinary();
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* close_range(2) is Linux 5.9; 436 on all machines. */
static bool close_range_from(unsigned int first, unsigned int last)
{
	return first > last || syscall(436, first, last, 0) == 0;
}

void child_close_from(int first, int keep)
{
	struct rlimit limit = { 1024, 1024 };

	if (keep < first ? close_range_from((unsigned int)first, ~0u)
			 : close_range_from((unsigned int)first, (unsigned int)keep - 1) &&
				   close_range_from((unsigned int)keep + 1, ~0u))
		return;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = first; fd < (int)MIN(limit.rlim_cur, 1u << 20); fd++) {
		if (fd != keep)
			close(fd);
	}
}

static void job_free(struct job *job)
{
	g_source_remove(job->deadline);
	if (job->source)
		g_source_remove(job->source);
	close(job->fd);
	g_byte_array_unref(job->bytes);
	g_free(job);
}

/* Whether more may come. */
static bool take(struct job *job)
{
	guint8 buffer[4096];
	ssize_t got = read(job->fd, buffer, sizeof(buffer));

	if (got < 0)
		return errno == EINTR;
	if (got > 0 && job->bytes->len + (size_t)got > job->max) {
		job->error = -EMSGSIZE;
		(void)kill(job->pid, SIGKILL);
		return false;
	}
	g_byte_array_append(job->bytes, buffer, (guint)got);
	return got > 0;
}

static gboolean on_bytes(gint fd, GIOCondition condition, gpointer opaque)
{
	struct job *job = opaque;

	(void)fd;
	if (!(condition & G_IO_IN) || job->error || !take(job)) {
		job->source = 0;
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static void on_end(void *opaque, pid_t pid, int wait_status)
{
	struct job *job = opaque;

	(void)pid;
	while (!job->error && take(job))
		;
	if (!job->error && (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status)))
		job->error = -EIO;
	job->done(job->opaque, (const char *)job->bytes->data, job->bytes->len, job->error);
	job_free(job);
}

static gboolean on_deadline(gpointer opaque)
{
	struct job *job = opaque;

	job->error = -ETIMEDOUT;
	(void)kill(job->pid, SIGKILL);
	return G_SOURCE_CONTINUE;
}

static void __attribute__((noreturn)) run_child(job_fn fn, void *opaque, int out)
{
	child_begin();
	child_close_from(STDERR_FILENO + 1, out);
	_exit(fn(opaque, out));
}

struct job *job_start(struct children *children, job_fn fn, void *fn_opaque, size_t max,
		      job_done_fn done, void *opaque)
{
	struct job *job;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		done(opaque, "", 0, -errno);
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		run_child(fn, fn_opaque, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		done(opaque, "", 0, -EAGAIN);
		return NULL;
	}
	job = g_new0(struct job, 1);
	job->children = children;
	job->pid = pid;
	job->fd = ends[0];
	job->max = max;
	job->done = done;
	job->opaque = opaque;
	job->bytes = g_byte_array_new();
	(void)fcntl(job->fd, F_SETFL, O_NONBLOCK);
	job->source = g_unix_fd_add(job->fd, G_IO_IN, on_bytes, job);
	job->deadline = g_timeout_add_seconds(JOB_SECONDS, on_deadline, job);
	children_watch(children, pid, on_end, job);
	return job;
}

void job_cancel(struct job *job)
{
	if (!job)
		return;
	children_forget(job->children, job->pid);
	(void)kill(job->pid, SIGKILL);
	job_free(job);
}

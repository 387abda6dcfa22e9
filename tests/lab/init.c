// SPDX-License-Identifier: GPL-2.0-or-later
// Process 1 of the lab: takes a job from lab-pump, makes the machine's root, runs COMMAND there as
// the given user, carries its stdin, stdout and stderr, and reports its exit status.
#include "tests/lab/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/job.h"
#include "tests/lab/modules.h"
#include "tests/lab/stream.h"

/* systemd gives its services and sessions these, so programs meet them on a real host too. */
#define NOFILE_SOFT 1024
#define NOFILE_HARD 524288

enum { IN, OUT, ERR, N_STREAMS };

struct lab {
	int ctl;
	int ports[N_STREAMS];
	int signals;
	pid_t child;
	int status; /* of wait(2); -1 while it runs */
	uint64_t stdin_length; /* UINT64_MAX until its end is known */
	struct stream streams[N_STREAMS];
	size_t ctl_used;
	char ctl_buf[256];
};

void die(const char *what, const char *name)
{
	printf("lab-init: %s %s: %s\n", what, name, strerror(errno));
	fflush(stdout);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* The initramfs has no device nodes, so the kernel could give us none of these. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static int try_port(const char *entry, const char *want)
{
	char path[300], name[64];
	int fd, n;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = (int)read(fd, name, sizeof(name) - 1);
	close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	if (strcmp(name, want))
		return -ENOENT;
	snprintf(path, sizeof(path), "/dev/%s", entry);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The host names its ports some time after the driver has loaded: there is no event to wait for
 * yet. */
static int open_port(const char *want)
{
	for (int tries = 0; tries < 1000; tries++) {
		DIR *dir = opendir("/sys/class/virtio-ports");
		int fd = -ENOENT;

		for (struct dirent *e; dir && fd < 0 && (e = readdir(dir));)
			if (e->d_name[0] != '.')
				fd = try_port(e->d_name, want);
		if (dir)
			closedir(dir);
		if (fd >= 0)
			return fd;
		usleep(1000);
	}
	errno = ENODEV;
	die("no port", want);
}

static char *read_records(int fd, size_t *ret_len)
{
	char *buf = malloc(LAB_JOB_MAX);
	size_t len = 0;

	if (!buf)
		die("out of memory for", "the job");
	while (len < 2 || buf[len - 1] || buf[len - 2]) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		poll(&pfd, 1, -1);
		n = read(fd, buf + len, LAB_JOB_MAX - len);
		if (n > 0)
			len += (size_t)n;
		else if (len == LAB_JOB_MAX || (n < 0 && errno != EAGAIN))
			die("cannot read", "the job");
	}
	*ret_len = len - 1;
	return buf;
}

static void parse_groups(struct lab_job *job, char *text)
{
	for (char *save, *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save))
		if (job->n_groups < LAB_GROUPS_MAX)
			job->groups[job->n_groups++] = (gid_t)strtoul(w, NULL, 10);
}

static void parse_record(struct lab_job *job, char *key, char *value, size_t *n_env, size_t *n_arg)
{
	if (!strcmp(key, "uid"))
		job->uid = (uid_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "gid"))
		job->gid = (gid_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "groups"))
		parse_groups(job, value);
	else if (!strcmp(key, "cwd"))
		job->cwd = value;
	else if (!strcmp(key, "results"))
		job->results = value;
	else if (!strcmp(key, "see") && job->n_see < LAB_SEE_MAX)
		job->see[job->n_see++] = value;
	else if (!strcmp(key, "env"))
		job->env[(*n_env)++] = value;
	else if (!strcmp(key, "arg"))
		job->argv[(*n_arg)++] = value;
	else
		die("unknown record", key);
}

static void parse_job(struct lab_job *job, char *buf, size_t len)
{
	size_t records = 1, n_env = 0, n_arg = 0;

	for (size_t i = 0; i < len; i++)
		records += !buf[i];
	*job = (struct lab_job){ .cwd = "/",
				 .env = calloc(records, sizeof(char *)),
				 .argv = calloc(records, sizeof(char *)) };
	if (!job->env || !job->argv)
		die("out of memory for", "the job");
	for (char *next, *p = buf; p < buf + len; p = next) {
		char *value = strchr(p, '=');

		next = p + strlen(p) + 1;
		if (!value)
			die("bad record", p);
		*value++ = '\0';
		parse_record(job, p, value, &n_env, &n_arg);
	}
	if (!n_arg)
		die("no command in", "the job");
}

static void raise_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &ifr);
		close(fd);
	}
	if (sethostname("lodge-lab", 9) < 0)
		die("cannot set", "the host name");
}

static void run_child(const struct lab_job *job, int stdio[N_STREAMS])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	for (int i = 0; i < N_STREAMS; i++)
		dup2(stdio[i], i);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ NOFILE_SOFT, NOFILE_HARD });
	environ = job->env;
	if (setgroups(job->n_groups, job->groups) < 0 || setgid(job->gid) < 0 ||
	    setuid(job->uid) < 0) {
		fprintf(stderr, "lab: cannot become user %u: %s\n", job->uid, strerror(errno));
		_exit(LAB_EXIT_LAB);
	}
	if (chdir(job->cwd) < 0) {
		fprintf(stderr, "lab: cannot enter %s: %s\n", job->cwd, strerror(errno));
		_exit(LAB_EXIT_LAB);
	}
	execvp(job->argv[0], job->argv);
	fprintf(stderr, "lab: cannot run %s: %s\n", job->argv[0], strerror(errno));
	_exit(errno == ENOENT ? LAB_EXIT_NOT_FOUND : LAB_EXIT_CANNOT_EXEC);
}

static void start(struct lab *lab, const struct lab_job *job)
{
	int stdio[N_STREAMS];

	for (int i = 0; i < N_STREAMS; i++) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			die("cannot make", "a pipe");
		stdio[i] = i == IN ? p[0] : p[1];
		lab->streams[i].from = i == IN ? lab->ports[IN] : p[0];
		lab->streams[i].to = i == IN ? p[1] : lab->ports[i];
		fcntl(i == IN ? p[1] : p[0], F_SETFL, O_NONBLOCK);
		/* /dev/stderr opens the pipe anew: its owner must be the user. */
		if (fchown(stdio[i], job->uid, job->gid) < 0)
			die("cannot chown", "a pipe");
	}
	lab->child = fork();
	if (lab->child < 0)
		die("cannot fork for", job->argv[0]);
	if (lab->child == 0)
		run_child(job, stdio);
	for (int i = 0; i < N_STREAMS; i++)
		close(stdio[i]);
}

static void tell(struct lab *lab, const char *record)
{
	for (size_t len = strlen(record) + 1; len;) {
		struct pollfd pfd = { .fd = lab->ctl, .events = POLLOUT };
		ssize_t n;

		poll(&pfd, 1, -1);
		n = write(lab->ctl, record, len);
		if (n > 0) {
			record += n;
			len -= (size_t)n;
		}
	}
}

static void reap(struct lab *lab)
{
	struct signalfd_siginfo info;
	int status;

	while (read(lab->signals, &info, sizeof(info)) > 0)
		;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == lab->child)
			lab->status = status;
}

static void hear(struct lab *lab)
{
	ssize_t n = read(lab->ctl, lab->ctl_buf + lab->ctl_used,
			 sizeof(lab->ctl_buf) - 1 - lab->ctl_used);
	unsigned long long length;

	if (n <= 0)
		return;
	lab->ctl_used += (size_t)n;
	if (lab->ctl_buf[lab->ctl_used - 1])
		return;
	if (sscanf(lab->ctl_buf, "stdin=%llu", &length) == 1)
		lab->stdin_length = length;
	lab->ctl_used = 0;
}

/* Closes the child's stdin once all that there will be has reached it, or it no longer reads. */
static void end_stdin(struct lab *lab)
{
	struct stream *s = &lab->streams[IN];

	if (s->from >= 0 && s->bytes_in == lab->stdin_length)
		s->from = -1;
	if (stream_done(s) && s->to >= 0) {
		close(s->to);
		s->to = -1;
	}
}

/* Until COMMAND has ended and everything that it and its children wrote is with the host. */
static void serve(struct lab *lab)
{
	struct pollfd pfd[2 * N_STREAMS + 2];
	bool ended = false;

	while (!ended || !stream_done(&lab->streams[OUT]) || !stream_done(&lab->streams[ERR])) {
		for (int i = 0; i < N_STREAMS; i++)
			stream_want(&lab->streams[i], &pfd[2 * i]);
		pfd[6] = (struct pollfd){ .fd = lab->ctl, .events = POLLIN };
		pfd[7] = (struct pollfd){ .fd = lab->signals, .events = POLLIN };
		if (poll(pfd, 8, -1) < 0)
			continue;
		for (int i = 0; i < N_STREAMS; i++)
			stream_step(&lab->streams[i], &pfd[2 * i]);
		if (pfd[6].revents & POLLIN)
			hear(lab);
		if (pfd[7].revents & POLLIN)
			reap(lab);
		end_stdin(lab);
		if (lab->status >= 0 && !ended) {
			ended = true;
			kill(-1, SIGKILL);
		}
	}
}

static void report(struct lab *lab)
{
	char record[128];
	int code = WIFEXITED(lab->status) ? WEXITSTATUS(lab->status) : 128 + WTERMSIG(lab->status);

	snprintf(record, sizeof(record), "exit=%d out=%llu err=%llu", code,
		 (unsigned long long)lab->streams[OUT].bytes_in,
		 (unsigned long long)lab->streams[ERR].bytes_in);
	tell(lab, record);
}

static int watch_children(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		die("cannot make", "a signalfd");
	return fd;
}

int main(void)
{
	static const char *const names[] = { LAB_PORT_IN, LAB_PORT_OUT, LAB_PORT_ERR };
	struct lab_job job;
	char module[LAB_MODULE_PATH_MAX];
	struct lab *lab;
	size_t len;
	char *buf;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	mount_initramfs();
	open_console();
	ret = load_modules(LAB_MODULES_LIST, module);
	if (ret < 0) {
		errno = -ret;
		die("cannot load", module);
	}
	lab = calloc(1, sizeof(*lab));
	if (!lab)
		die("out of memory for", "the lab");
	lab->status = -1;
	lab->stdin_length = UINT64_MAX;
	lab->ctl = open_port(LAB_PORT_CTL);
	for (int i = 0; i < N_STREAMS; i++)
		lab->ports[i] = open_port(names[i]);
	lab->signals = watch_children();
	buf = read_records(lab->ctl, &len);
	parse_job(&job, buf, len);
	raise_loopback();
	enter_root(&job);
	start(lab, &job);
	tell(lab, "started");
	serve(lab);
	leave_results(&job);
	report(lab);
	for (;;)
		pause();
}

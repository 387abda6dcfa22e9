// SPDX-License-Identifier: GPL-2.0-or-later
// Starts lodged beside the command, so that the host's verbs reach an instant VM too.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOOLS_FOLDER "/run/lodge-init"
#define TOOLS_CONF   TOOLS_FOLDER "/tools.conf"

/* Whoever made the instant VM runs what they like in it already: the command itself. */
static const char tools_conf[] = "[guest-ops]\nallow-exec=root\n";

static int write_conf(void)
{
	int ret = 0, fd;

	if (mkdir(TOOLS_FOLDER, 0755) && errno != EEXIST)
		return -errno;
	fd = open(TOOLS_CONF, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, tools_conf, strlen(tools_conf)) != (ssize_t)strlen(tools_conf))
		ret = -EIO;
	close(fd);
	return ret;
}

/* What it says goes where the kernel's words go. */
static void __attribute__((noreturn)) run(const char *lodged)
{
	int none = open("/dev/null", O_RDWR), log = open("/dev/kmsg", O_WRONLY);
	sigset_t empty;

	setsid();
	dup2(none, STDIN_FILENO);
	dup2(none, STDOUT_FILENO);
	dup2(log < 0 ? none : log, STDERR_FILENO);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	signal(SIGPIPE, SIG_DFL);
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	execl(lodged, lodged, "--conf=" TOOLS_CONF, (char *)NULL);
	_exit(127);
}

void tools_start(const struct run_conf *conf)
{
	int ret;

	if (!conf->tools)
		return;
	ret = write_conf();
	if (!ret) {
		pid_t pid = fork();

		if (!pid)
			run(conf->tools);
		ret = pid < 0 ? -errno : 0;
	}
	/* A guest without its tools runs its command all the same. */
	if (ret)
		warn(-ret, "cannot start %s", conf->tools);
}

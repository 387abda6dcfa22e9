// SPDX-License-Identifier: GPL-2.0-or-later
// Process 1 of a benchmark's guest. It says "up" on the serial console as the first thing that it
// does, then takes one command a line from there:
//	modules				loads those of the initramfs
//	mount TYPE TAG OPTIONS [SUB [KIB]]
//					mounts a shared folder at /mnt and makes the jobs' files,
//					in SUB; read-ahead is KIB
//	memory				mounts a tmpfs at /mem and makes the jobs' files there, too
//	start PATH ARGUMENT...		starts a program and leaves it alone
//	job NAME [WHERE]		runs one; the answer has the count and the seconds
//	off				powers off
// Type lodge is the module lodge_fs and /mount.lodge.
// Each is answered with one line, "= ..." or "! REASON".
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "protocol/lib/read_ahead.h"
#include "tests/bench/job.h"
#include "tests/lab/modules.h"

#define FOLDER "/mnt"
#define MEMORY "/mem"
#define DISK   "/dev/vda"

static FILE *console;
static char folder[256] = FOLDER;

static void answer(int ret)
{
	if (ret < 0)
		fprintf(console, "! %s\n", strerror(-ret));
	else
		fprintf(console, "= done\n");
}

static int open_console(void)
{
	struct termios raw;
	int fd;

	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	tcgetattr(fd, &raw);
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	if (write(fd, "up\n", 3) < 0)
		return -errno;
	return fd;
}

static int do_modules(void)
{
	char which[LAB_MODULE_PATH_MAX];
	int ret = load_modules(LAB_MODULES_LIST, which);

	if (ret < 0)
		fprintf(console, "cannot load %s\n", which);
	return ret;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A driver refuses a device that is not its kind. */
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		errno = 0;
	if (fd >= 0)
		close(fd);
}

static int mount_lodge(const char *tag)
{
	const char *argv[] = { "/mount.lodge", tag, FOLDER, "-o", "way=lodge_fs", NULL };
	DIR *devices = opendir("/sys/bus/virtio/devices");
	const struct dirent *entry;
	int status = 0;
	pid_t pid;

	write_text("/sys/module/lodge_fs/parameters/take", "1");
	while (devices && (entry = readdir(devices)))
		write_text("/sys/bus/virtio/drivers/lodge_fs/bind", entry->d_name);
	if (devices)
		closedir(devices);
	mkdir("/run", 0755);
	pid = fork();
	if (pid == 0) {
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status ? -EIO : 0;
}

static int mount_folder(const char *type, const char *tag, const char *options)
{
	if (!strcmp(type, "lodge"))
		return mount_lodge(tag);
	return mount(tag, FOLDER, type, 0, options && strcmp(options, "-") ? options : NULL)
		       ? -errno
		       : 0;
}

static int do_mount(char *arguments)
{
	const char *type = strtok(arguments, " "), *tag = strtok(NULL, " "),
		   *options = strtok(NULL, " "), *sub = strtok(NULL, " "),
		   *ahead = strtok(NULL, " ");
	int ret;

	if (!type || !tag)
		return -EINVAL;
	ret = mount_folder(type, tag, options);
	if (ret < 0)
		return ret;
	if (sub)
		snprintf(folder, sizeof(folder), "%s/%s", FOLDER, sub);
	if (ahead)
		ret = read_ahead_set_at(FOLDER, (unsigned int)strtoul(ahead, NULL, 10));
	if (ret < 0)
		return ret;
	return fs_prepare(folder);
}

static int do_memory(void)
{
	mkdir(MEMORY, 0755);
	if (mount("tmpfs", MEMORY, "tmpfs", 0, NULL) < 0)
		return -errno;
	return fs_prepare(MEMORY);
}

/* Starts a program that stays, such as an agent. */
static int do_start(char *words)
{
	char *argv[16] = { 0 };
	size_t n = 0;
	pid_t pid;

	for (char *word = strtok(words, " "); word && n < 15; word = strtok(NULL, " "))
		argv[n++] = word;
	pid = n ? fork() : -1;
	if (pid < 0)
		return n ? -errno : -EINVAL;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	return 0;
}

/* A job's name, and a word more: another folder or device, or what some want to know. */
static void do_job(char *words)
{
	static const struct job *const tables[] = { fs_jobs, blk_jobs, rpc_jobs, display_jobs,
						    clock_jobs };
	const char *const name = strtok(words, " "), *const more = strtok(NULL, " ");
	const char *const paths[] = { folder, DISK, DISK, NULL, NULL };
	const struct job *job = NULL;
	struct job_result result;
	int ret = -ENOENT;

	for (size_t i = 0; name && !job && i < sizeof(tables) / sizeof(tables[0]); i++) {
		job = job_find(tables[i], name);
		if (job)
			ret = job->run(more ? more : paths[i], &result);
	}
	if (ret < 0)
		answer(ret);
	else
		fprintf(console, "= %llu %.6f %s\n", (unsigned long long)result.count,
			result.seconds, job->unit);
}

static void obey(char *line)
{
	line[strcspn(line, "\r\n")] = '\0';
	if (!strcmp(line, "modules"))
		answer(do_modules());
	else if (!strncmp(line, "mount ", 6))
		answer(do_mount(line + 6));
	else if (!strcmp(line, "memory"))
		answer(do_memory());
	else if (!strncmp(line, "start ", 6))
		answer(do_start(line + 6));
	else if (!strncmp(line, "job ", 4))
		do_job(line + 4);
	else if (!strcmp(line, "off"))
		reboot(RB_POWER_OFF);
	else
		answer(-EINVAL);
}

int main(void)
{
	char line[256];
	int fd = open_console();
	FILE *commands = fd < 0 ? NULL : fdopen(fd, "r");

	console = fd < 0 ? NULL : fdopen(dup(fd), "w");
	if (!console || !commands)
		reboot(RB_POWER_OFF);
	setvbuf(console, NULL, _IOLBF, BUFSIZ);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	while (fgets(line, sizeof(line), commands))
		obey(line);
	reboot(RB_POWER_OFF);
	return 1;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Loads kernel modules from the initramfs.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4 /* <linux/module.h> since 5.17 */
#endif

int module_open(const char *file)
{
	char path[300];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", LODGE_RUN_CONF_MODULES, file) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int module_load(const char *file, int fd)
{
	const char *dot = strrchr(file, '.');
	bool plain = dot && !strcmp(dot, ".ko");
	long ret;

	if (fd < 0)
		return fd;
	ret = syscall(SYS_finit_module, fd, "", plain ? 0 : MODULE_INIT_COMPRESSED_FILE);
	ret = ret ? -errno : 0;
	close(fd);
	return ret == -EEXIST ? 0 : (int)ret;
}

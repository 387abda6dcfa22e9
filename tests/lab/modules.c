// SPDX-License-Identifier: GPL-2.0-or-later
// Loads the kernel modules that make-initramfs has put beside an init, with the options that the
// kernel's command line has for them.
#include "tests/lab/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The options "NAME.option=value" of the kernel's command line, as modprobe(8) takes them. */
static void module_options(const char *name, char *ret_options, size_t size)
{
	char cmdline[4096];
	size_t len = strlen(name), used = 0;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, cmdline, sizeof(cmdline) - 1);

	if (fd >= 0)
		close(fd);
	cmdline[n > 0 ? n : 0] = '\0';
	ret_options[0] = '\0';
	for (char *save, *w = strtok_r(cmdline, " \n", &save); w;
	     w = strtok_r(NULL, " \n", &save)) {
		if (strncmp(w, name, len) || w[len] != '.' || used + strlen(w) - len >= size)
			continue;
		used += (size_t)snprintf(ret_options + used, size - used, "%s ", w + len + 1);
	}
}

/* list: one file of a module on each line, in the order of loading. */
static int load_module(const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	char name[64], options[1024];
	int fd, ret = 0;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(base, "."), base);
	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : *p;
	module_options(name, options, sizeof(options));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, options, 0) < 0 && errno != EEXIST)
		ret = -errno;
	close(fd);
	return ret;
}

int load_modules(const char *list, char ret_name[LAB_MODULE_PATH_MAX])
{
	FILE *f = fopen(list, "re");
	int ret = 0;

	snprintf(ret_name, LAB_MODULE_PATH_MAX, "%s", list);
	if (!f)
		return -errno;
	while (ret == 0 && fgets(ret_name, LAB_MODULE_PATH_MAX, f)) {
		ret_name[strcspn(ret_name, "\n")] = '\0';
		ret = load_module(ret_name);
	}
	fclose(f);
	return ret;
}

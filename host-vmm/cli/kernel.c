// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the host's kernel images and reads which version an image is.
#include "host-vmm/cli/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "protocol/lib/fd.h"

/* Documentation/arch/x86/boot.rst: where the setup header says what the image is. */
#define SETUP_MAGIC	   0x202
#define SETUP_VERSION	   0x20e /* u16, plus 0x200: a text, "6.1.0-18-amd64 (builder) ..." */
#define SETUP_BYTES	   0x10000 /* no setup part is larger */
#define INSTALL_THE_KERNEL "install one: apt install linux-image-amd64"

void kernel_clear(struct kernel *kernel)
{
	g_clear_pointer(&kernel->version, g_free);
	g_clear_pointer(&kernel->image, g_free);
	g_clear_pointer(&kernel->modules, g_free);
}

static char *find_modules(const char *lib, const char *version)
{
	g_autofree char *dir = g_build_filename(lib, version, NULL);
	g_autofree char *dep = g_build_filename(dir, "modules.dep", NULL);

	return g_access(dep, R_OK) ? NULL : g_steal_pointer(&dir);
}

static char *find_image(const char *boot, const char *modules, const char *version)
{
	g_autofree char *name = g_strdup_printf("vmlinuz-%s", version);
	g_autofree char *there = g_build_filename(boot, name, NULL);
	g_autofree char *beside = g_build_filename(modules, "vmlinuz", NULL);

	if (g_file_test(there, G_FILE_TEST_IS_REGULAR))
		return g_steal_pointer(&there);
	if (g_file_test(beside, G_FILE_TEST_IS_REGULAR))
		return g_steal_pointer(&beside);
	return NULL;
}

int kernel_find(const char *boot, const char *lib, struct kernel *ret_kernel, char **ret_message)
{
	g_autoptr(GDir) dir = g_dir_open(lib, 0, NULL);
	g_autofree char *unreadable = NULL;
	const char *version;

	*ret_kernel = (struct kernel){ 0 };
	*ret_message = NULL;
	while (dir && (version = g_dir_read_name(dir))) {
		g_autofree char *modules = find_modules(lib, version);
		g_autofree char *image = modules ? find_image(boot, modules, version) : NULL;

		if (!image)
			continue;
		if (g_access(image, R_OK)) {
			g_free(unreadable);
			unreadable = g_steal_pointer(&image);
			continue;
		}
		if (ret_kernel->version && strverscmp(version, ret_kernel->version) <= 0)
			continue;
		kernel_clear(ret_kernel);
		ret_kernel->version = g_strdup(version);
		ret_kernel->image = g_steal_pointer(&image);
		ret_kernel->modules = g_steal_pointer(&modules);
	}
	if (ret_kernel->version)
		return 0;
	if (unreadable) {
		*ret_message = g_strdup_printf("%s: you may not read it; run: sudo chmod +r %s",
					       unreadable, unreadable);
		return -EACCES;
	}
	*ret_message = g_strdup_printf("no kernel in %s has its modules in %s; %s", boot, lib,
				       INSTALL_THE_KERNEL);
	return -ENOENT;
}

static int read_version(int fd, char **ret_version)
{
	g_autofree unsigned char *setup = g_malloc0(SETUP_BYTES + 1);
	ssize_t got = fd_read_all(fd, setup, SETUP_BYTES);
	size_t at;

	if (got < 0)
		return (int)got;
	if (got < SETUP_VERSION + 2 || memcmp(setup + SETUP_MAGIC, "HdrS", 4))
		return -ENOEXEC;
	at = 0x200u + setup[SETUP_VERSION] + 256u * setup[SETUP_VERSION + 1];
	if (at >= (size_t)got)
		return -ENOEXEC;
	*ret_version = g_strndup((char *)setup + at, strcspn((char *)setup + at, " "));
	return 0;
}

int kernel_from_image(const char *path, const char *lib, struct kernel *ret_kernel,
		      char **ret_message)
{
	g_autofree char *version = NULL;
	autofd fd = -1;
	int ret;

	*ret_kernel = (struct kernel){ 0 };
	*ret_message = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ret = fd < 0 ? -errno : read_version(fd, &version);
	if (ret && ret != -ENOEXEC) {
		*ret_message = g_strdup_printf("%s: %s; --kernel takes a bzImage or vmlinux", path,
					       g_strerror(-ret));
		return ret;
	}
	ret_kernel->image = g_canonicalize_filename(path, NULL);
	/* A vmlinux has no such header; its modules cannot be known. */
	if (ret || !version || !*version || strchr(version, '/'))
		return 0;
	ret_kernel->modules = find_modules(lib, version);
	ret_kernel->version = g_steal_pointer(&version);
	return 0;
}

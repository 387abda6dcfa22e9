// SPDX-License-Identifier: GPL-2.0-or-later
// Packs lodge-init, the modules that it will load and its run.conf into an initramfs.
#include "host-vmm/cli/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <lodge/run_conf.h>

#include "host-vmm/cli/cpio.h"
#include "host-vmm/cli/paths.h"
#include "protocol/lib/fd.h"

/* Without these the guest has no root or no way to tell how the command went. */
static const char *const needed[] = { "virtio_pci", "virtio_console", "virtiofs", "overlay", NULL };
static const char *const for_disks[] = { "virtio_blk", NULL };
/* Each alone: a kernel may lack any of them. */
static const char *const useful[] = { "virtio_rng", "virtio_balloon", "button", "evdev", NULL };
static const char *const for_screens[] = { "virtio_gpu", "virtio_input", NULL };

struct module_list {
	char *dep, *builtin;
	GPtrArray *paths; /* relative to the folder, in load order */
	guint n_needed; /* of them, the first ones */
};

static void module_list_clear(struct module_list *list)
{
	g_free(list->dep);
	g_free(list->builtin);
	if (list->paths)
		g_ptr_array_unref(list->paths);
}

static void add_each(struct module_list *list, const char *const *names)
{
	const char *missing;

	for (size_t i = 0; names[i]; i++) {
		const char *const one[] = { names[i], NULL };

		(void)modules_resolve(list->dep, list->builtin, one, list->paths, &missing);
	}
}

static int module_list_make(const struct kernel *kernel, const struct initramfs_parts *parts,
			    struct module_list *list, char **ret_message)
{
	g_autofree char *dep = g_build_filename(kernel->modules, "modules.dep", NULL);
	g_autofree char *builtin = g_build_filename(kernel->modules, "modules.builtin", NULL);
	const char *missing;
	int ret;

	list->paths = g_ptr_array_new_with_free_func(g_free);
	if (!g_file_get_contents(dep, &list->dep, NULL, NULL)) {
		*ret_message = g_strdup_printf("%s: cannot be read; run: sudo depmod %s", dep,
					       kernel->version);
		return -ENOENT;
	}
	if (!g_file_get_contents(builtin, &list->builtin, NULL, NULL))
		list->builtin = g_strdup("");
	ret = modules_resolve(list->dep, list->builtin, needed, list->paths, &missing);
	if (!ret && parts->disks)
		ret = modules_resolve(list->dep, list->builtin, for_disks, list->paths, &missing);
	if (ret) {
		*ret_message = g_strdup_printf("the kernel %s has no module %s; give another one "
					       "by --kernel",
					       kernel->version, missing);
		return ret;
	}
	list->n_needed = list->paths->len;
	add_each(list, useful);
	if (parts->screens)
		add_each(list, for_screens);
	return 0;
}

void run_conf_add(GByteArray *conf, const char *key, const char *value)
{
	g_byte_array_append(conf, (const guint8 *)key, (guint)strlen(key));
	g_byte_array_append(conf, (const guint8 *)"=", 1);
	g_byte_array_append(conf, (const guint8 *)value, (guint)strlen(value) + 1);
}

static void add_modules(struct cpio *cpio, const struct kernel *kernel,
			const struct module_list *list, GByteArray *conf)
{
	for (guint i = 0; i < list->paths->len; i++) {
		const char *path = g_ptr_array_index(list->paths, i);
		g_autofree char *source = g_build_filename(kernel->modules, path, NULL);
		g_autofree char *file = g_path_get_basename(path);
		g_autofree char *target = g_strconcat(LODGE_RUN_CONF_MODULES + 1, "/", file, NULL);

		cpio_add_file(cpio, target, 0644, source);
		run_conf_add(conf,
			     i < list->n_needed ? LODGE_RUN_CONF_MODULE
						: LODGE_RUN_CONF_LATE_MODULE,
			     file);
	}
}

static int pack(int fd, const char *path, const char *init, const struct kernel *kernel,
		const struct module_list *list, GByteArray *conf, char **ret_message)
{
	static const char *const dirs[] = { "dev", "proc", "sys", "lodge", "lodge/modules" };
	struct cpio cpio;
	int ret;

	cpio_init(&cpio, fd);
	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++)
		cpio_add_dir(&cpio, dirs[i], 0755);
	cpio_add_file(&cpio, "init", 0755, init);
	if (list->paths)
		add_modules(&cpio, kernel, list, conf);
	cpio_add_bytes(&cpio, LODGE_RUN_CONF_PATH + 1, 0600, conf->data, conf->len);
	ret = cpio_finish(&cpio);
	if (ret && cpio.unread)
		*ret_message = g_strdup_printf("%s: cannot be read: %s; install it anew",
					       cpio.unread, g_strerror(-ret));
	else if (ret)
		*ret_message = g_strdup_printf("%s: cannot be written: %s; make room there", path,
					       g_strerror(-ret));
	g_free(cpio.unread);
	return ret;
}

int initramfs_build(const char *path, const struct kernel *kernel,
		    const struct initramfs_parts *parts, GByteArray *conf, char **ret_message)
{
	g_autofree char *init = paths_helper("lodge-init");
	struct module_list list = { 0 };
	autofd fd = -1;
	int ret = 0;

	if (!init) {
		*ret_message = g_strdup("lodge-init is not installed beside lodge; install it, or "
					"set LODGE_LIBEXEC to its folder");
		return -ENOENT;
	}
	if (!parts->hello && kernel->modules)
		ret = module_list_make(kernel, parts, &list, ret_message);
	if (!ret) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0) {
			ret = -errno;
			*ret_message = g_strdup_printf("%s: cannot be made: %s; make room there",
						       path, g_strerror(-ret));
		} else {
			ret = pack(fd, path, init, kernel, &list, conf, ret_message);
		}
	}
	module_list_clear(&list);
	if (!ret && conf->len > LODGE_RUN_CONF_MAX) {
		*ret_message = g_strdup("the command and its environment are larger than 4 MiB; "
					"put them in a script");
		ret = -E2BIG;
	}
	return ret;
}

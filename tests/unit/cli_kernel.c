// SPDX-License-Identifier: GPL-2.0-or-later
// Which kernel an instant VM boots, and which modules it needs in which order.
#include <check.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/cli/kernel.h"
#include "tests/unit/unit.h"

static const char dep[] = "kernel/fs/fuse/fuse.ko:\n"
			  "kernel/fs/fuse/virtiofs.ko: kernel/v/virtio.ko kernel/v/virtio_ring.ko "
			  "kernel/fs/fuse/fuse.ko\n"
			  "kernel/v/virtio.ko: kernel/v/virtio_ring.ko\n"
			  "kernel/v/virtio_ring.ko:\n"
			  "kernel/d/virtio-rng.ko.xz: kernel/v/virtio.ko kernel/v/virtio_ring.ko\n"
			  "kernel/x/myvirtio.ko:\n"
			  "kernel/y/a.ko.zst: kernel/y/a_b.ko.zst";
static const char builtin[] = "kernel/fs/overlayfs/overlay.ko\nkernel/drivers/evdev.ko\n";

static void assert_order(const char *const *names, const char *expected)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *joined = NULL;
	const char *missing;

	ck_assert_int_eq(modules_resolve(dep, builtin, names, paths, &missing), 0);
	g_ptr_array_add(paths, NULL);
	joined = g_strjoinv(" ", (char **)paths->pdata);
	ck_assert_str_eq(joined, expected);
}

START_TEST(modules_come_after_what_they_need)
{
	assert_order((const char *[]){ "virtiofs", NULL },
		     "kernel/fs/fuse/fuse.ko kernel/v/virtio_ring.ko kernel/v/virtio.ko "
		     "kernel/fs/fuse/virtiofs.ko");
	assert_order((const char *[]){ "virtio_rng", "virtio-rng", "virtio", NULL },
		     "kernel/v/virtio_ring.ko kernel/v/virtio.ko kernel/d/virtio-rng.ko.xz");
	assert_order((const char *[]){ "overlay", "evdev", NULL }, "");
	assert_order((const char *[]){ "a", NULL }, "kernel/y/a_b.ko.zst kernel/y/a.ko.zst");
	assert_order((const char *[]){ NULL }, "");
}
END_TEST

START_TEST(missing_modules_are_named)
{
	static const char *const names[] = { "fuse", "virti", "myvirt", NULL };
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	const char *missing = NULL;

	ck_assert_int_eq(modules_resolve(dep, builtin, names, paths, &missing), -ENOENT);
	ck_assert_str_eq(missing, "virti");
	ck_assert_int_eq(modules_resolve("", "", names, paths, &missing), -ENOENT);
}
END_TEST

static void put(const char *dir, const char *path, const char *text, size_t len)
{
	g_autofree char *file = g_build_filename(dir, path, NULL);
	g_autofree char *parent = g_path_get_dirname(file);

	ck_assert_int_eq(g_mkdir_with_parents(parent, 0700), 0);
	ck_assert(g_file_set_contents(file, text, (gssize)len, NULL));
}

static void remove_all(const char *dir)
{
	g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
	const char *name;

	while (open && (name = g_dir_read_name(open))) {
		g_autofree char *path = g_build_filename(dir, name, NULL);

		remove_all(path);
	}
	ck_assert_int_eq(g_remove(dir), 0);
}

START_TEST(newest_kernel_with_modules)
{
	char dir[] = "/tmp/kernel-XXXXXX";
	g_autofree char *boot = NULL;
	g_autofree char *lib = NULL;
	g_autofree char *message = NULL;
	struct kernel kernel;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	boot = g_build_filename(dir, "boot", NULL);
	lib = g_build_filename(dir, "lib", NULL);
	ck_assert_int_eq(kernel_find(boot, lib, &kernel, &message), -ENOENT);
	ck_assert_ptr_nonnull(strstr(message, "linux-image-amd64"));
	g_clear_pointer(&message, g_free);
	put(dir, "boot/vmlinuz-6.1.0-9-amd64", "x", 1);
	put(dir, "lib/6.1.0-9-amd64/modules.dep", "", 0);
	put(dir, "boot/vmlinuz-6.1.0-10-amd64", "x", 1);
	put(dir, "lib/6.1.0-10-amd64/modules.dep", "", 0);
	/* Modules without an image, and an image without modules. */
	put(dir, "lib/6.9.0/modules.dep", "", 0);
	put(dir, "boot/vmlinuz-6.10.0", "x", 1);
	ck_assert_int_eq(kernel_find(boot, lib, &kernel, &message), 0);
	ck_assert_str_eq(kernel.version, "6.1.0-10-amd64");
	ck_assert(g_str_has_suffix(kernel.image, "/boot/vmlinuz-6.1.0-10-amd64"));
	ck_assert(g_str_has_suffix(kernel.modules, "/lib/6.1.0-10-amd64"));
	kernel_clear(&kernel);
	/* Fedora keeps the image beside the modules. */
	put(dir, "lib/6.9.0/vmlinuz", "x", 1);
	ck_assert_int_eq(kernel_find(boot, lib, &kernel, &message), 0);
	ck_assert_str_eq(kernel.version, "6.9.0");
	kernel_clear(&kernel);
	remove_all(dir);
}
END_TEST

START_TEST(version_comes_from_the_image)
{
	char dir[] = "/tmp/kernel-XXXXXX";
	char image[0x400] = "";
	g_autofree char *path = NULL;
	g_autofree char *message = NULL;
	struct kernel kernel;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = g_build_filename(dir, "image", NULL);
	memcpy(image + 0x202, "HdrS", 4);
	image[0x20e] = 0x40;
	image[0x20f] = 0x01;
	strcpy(image + 0x340, "6.1.0-18-amd64 (x@y) #1");
	put(dir, "image", image, sizeof(image));
	ck_assert_int_eq(kernel_from_image(path, "/nonexistent", &kernel, &message), 0);
	ck_assert_str_eq(kernel.version, "6.1.0-18-amd64");
	ck_assert_ptr_null(kernel.modules);
	kernel_clear(&kernel);
	/* One whose version would lie beyond the file, one with a path in it, and no bzImage. */
	image[0x20f] = (char)0xff;
	put(dir, "image", image, sizeof(image));
	ck_assert_int_eq(kernel_from_image(path, "/", &kernel, &message), 0);
	ck_assert_ptr_null(kernel.version);
	kernel_clear(&kernel);
	image[0x20f] = 0x01;
	strcpy(image + 0x340, "../../etc x");
	put(dir, "image", image, sizeof(image));
	ck_assert_int_eq(kernel_from_image(path, "/", &kernel, &message), 0);
	ck_assert_ptr_null(kernel.modules);
	kernel_clear(&kernel);
	put(dir, "image", "", 0);
	ck_assert_int_eq(kernel_from_image(path, "/", &kernel, &message), 0);
	kernel_clear(&kernel);
	ck_assert_int_eq(kernel_from_image("/nonexistent/k", "/", &kernel, &message), -ENOENT);
	ck_assert_ptr_nonnull(message);
	remove_all(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernel");
	TCase *tcase = tcase_create("kernel");

	tcase_add_test(tcase, modules_come_after_what_they_need);
	tcase_add_test(tcase, missing_modules_are_named);
	tcase_add_test(tcase, newest_kernel_with_modules);
	tcase_add_test(tcase, version_comes_from_the_image);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

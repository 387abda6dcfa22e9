// SPDX-License-Identifier: GPL-2.0-or-later
// Direct boot: files into memory, then what the chosen protocol's entry wants to find.
#include "host-vmm/boot/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/boot/image.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define PAGE		4096ull
#define LARGE_PAGE	(2ull << 20)
#define PTE_PRESENT	0x1ull
#define PTE_WRITE	0x2ull
#define PTE_LARGE	0x80ull
#define IDENTITY_GIB	4u
#define LOADER_UNKNOWN	0xffu
#define SCREEN_IS_VGA	1 /* zero-page.rst, screen_info: what the kernel's own setup code says */
#define PVH_START_MAGIC 0x336ec578u
#define PVH_VERSION	1u

/* Where the initrds went. */
struct initrd {
	uint64_t start, size;
};

struct pvh_start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp, map;
	uint32_t n_map, reserved;
};

struct pvh_module {
	uint64_t address, size, cmdline, reserved;
};

struct pvh_range {
	uint64_t start, size;
	uint32_t type, reserved;
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h: version 1");
_Static_assert(sizeof(struct pvh_module) == 32, "start_info.h");
_Static_assert(sizeof(struct pvh_range) == 24, "start_info.h");

size_t boot_map(const struct memory *memory, struct boot_range ranges[BOOT_RANGES_MAX])
{
	const struct memory_region *regions;
	size_t n_regions, n = 0;

	regions = memory_regions(memory, &n_regions);
	ranges[n++] = (struct boot_range){ 0, LAYOUT_EBDA, BOOT_RAM };
	ranges[n++] = (struct boot_range){ LAYOUT_EBDA, LAYOUT_VGA - LAYOUT_EBDA, BOOT_RESERVED };
	ranges[n++] = (struct boot_range){ LAYOUT_ACPI, LAYOUT_ACPI_SIZE, BOOT_RESERVED };
	ranges[n++] = (struct boot_range){ LAYOUT_HIMEM, regions[0].size - LAYOUT_HIMEM, BOOT_RAM };
	ranges[n++] = (struct boot_range){ LAYOUT_ECAM, LAYOUT_ECAM_SIZE, BOOT_RESERVED };
	/* Pages that KVM itself uses there. */
	ranges[n++] = (struct boot_range){ LAYOUT_IDENTITY_MAP, 4 * PAGE, BOOT_RESERVED };
	for (size_t i = 1; i < n_regions; i++)
		ranges[n++] = (struct boot_range){ regions[i].gpa, regions[i].size, BOOT_RAM };
	return n;
}

static int open_file(const char *what, const char *path, int *ret_fd)
{
	autofd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0) {
		int ret = -errno;

		log_error("%s '%s' cannot be opened: %s; correct [boot] %s", what, path,
			  strerror(-ret), what);
		return ret;
	}
	if (!S_ISREG(status.st_mode)) {
		log_error("%s '%s' is not a file; correct [boot] %s", what, path, what);
		return -EINVAL;
	}
	*ret_fd = fd_steal(&fd);
	return 0;
}

int boot_open(const struct vm_config *config, struct boot_files *ret_files)
{
	struct boot_files files = { .kernel = -1 };
	size_t n = 0;
	int ret;

	while (config->initrds && config->initrds[n])
		n++;
	files.initrds = calloc(n + 1, sizeof(files.initrds[0]));
	if (!files.initrds)
		return -ENOMEM;
	ret = open_file("kernel", config->kernel, &files.kernel);
	for (size_t i = 0; i < n && ret == 0; i++) {
		ret = open_file("initrd", config->initrds[i], &files.initrds[i]);
		files.n_initrds += ret == 0;
	}
	if (ret < 0)
		boot_close(&files);
	else
		*ret_files = files;
	return ret;
}

void boot_close(struct boot_files *files)
{
	while (files->n_initrds > 0)
		close(files->initrds[--files->n_initrds]);
	free(files->initrds);
	files->initrds = NULL;
	fd_close(&files->kernel);
}

static uint64_t file_size(int fd)
{
	struct stat status;

	return fstat(fd, &status) < 0 ? 0 : (uint64_t)status.st_size;
}

static int load_kernel(const struct memory *memory, const char *path, int fd, struct image *image)
{
	const char *why = "cannot be read";
	int ret = image_load(memory, fd, file_size(fd), image, &why);

	if (ret == -ENOEXEC || ret == -ENOSPC)
		log_error("kernel '%s' %s", path, why);
	else if (ret < 0)
		log_error("kernel '%s' %s: %s", path, why, strerror(-ret));
	return ret;
}

static int initrd_sizes(char *const *paths, const struct boot_files *files, uint64_t *ret_total)
{
	uint64_t total = 0;

	for (size_t i = 0; i < files->n_initrds; i++) {
		uint64_t size = file_size(files->initrds[i]);

		if (size == 0) {
			log_error("initrd '%s' is empty: make it again, or take it out of [boot] "
				  "initrd",
				  paths[i]);
			return -EINVAL;
		}
		if (size > LAYOUT_LOW_RAM_END) {
			log_error("initrd '%s' is too large (%llu MiB): make a smaller one",
				  paths[i], (unsigned long long)(size >> 20));
			return -EFBIG;
		}
		total = ((total + 3) & ~3ull) + size;
	}
	*ret_total = total;
	return 0;
}

static int load_one_initrd(const struct memory *memory, const char *path, int fd, uint64_t end,
			   uint64_t *at)
{
	uint64_t size = file_size(fd);
	int ret;

	*at = (*at + 3) & ~3ull;
	/* Only what was counted before: somebody may be writing to the file. */
	ret = *at > end || size > end - *at ? -EFBIG : memory_load(memory, *at, fd, 0, size);
	if (ret < 0)
		log_error("initrd '%s' cannot be read: %s; is it being written?", path,
			  strerror(-ret));
	*at += size;
	return ret;
}

/* As high as it may be, so that the kernel can unpack below it. */
static int load_initrds(const struct memory *memory, char *const *paths,
			const struct boot_files *files, const struct image *image,
			struct initrd *ret_initrd)
{
	const struct memory_region *regions;
	uint64_t total, top, at;
	size_t n_regions;
	int ret;

	*ret_initrd = (struct initrd){ 0 };
	ret = initrd_sizes(paths, files, &total);
	if (ret < 0 || total == 0)
		return ret;
	regions = memory_regions(memory, &n_regions);
	top = regions[0].size;
	if (top > image->initrd_max + 1)
		top = image->initrd_max + 1;
	if (top < total || ((top - total) & ~(PAGE - 1)) < image->end) {
		log_error("kernel and initrds (%llu MiB) do not fit: give the VM more memory "
			  "([memory] size)",
			  (unsigned long long)(total >> 20));
		return -ENOSPC;
	}
	ret_initrd->start = at = (top - total) & ~(PAGE - 1);
	ret_initrd->size = total;
	for (size_t i = 0; i < files->n_initrds; i++) {
		ret = load_one_initrd(memory, paths[i], files->initrds[i],
				      ret_initrd->start + total, &at);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int write_cmdline(const struct memory *memory, const char *text, size_t max)
{
	size_t len = strlen(text);

	if (max > LAYOUT_CMDLINE_MAX - 1)
		max = LAYOUT_CMDLINE_MAX - 1;
	if (len > max) {
		log_error("the kernel's command line has %zu bytes, and this kernel takes %zu: "
			  "shorten [boot] append",
			  len, max);
		return -E2BIG;
	}
	return memory_write(memory, LAYOUT_BOOT_CMDLINE, text, len + 1);
}

/* A flat 64-bit code segment at 0x10, data at 0x18, and the first 4 GiB mapped one to one. */
static int write_long_mode(const struct memory *memory)
{
	const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	uint64_t table[PAGE / sizeof(uint64_t)] = { 0 };
	uint64_t at = LAYOUT_BOOT_PAGES;
	int ret;

	ret = memory_write(memory, LAYOUT_BOOT_GDT, gdt, sizeof(gdt));
	if (ret < 0)
		return ret;
	table[0] = (at + PAGE) | PTE_PRESENT | PTE_WRITE;
	ret = memory_write(memory, at, table, sizeof(table));
	for (unsigned int i = 0; i < IDENTITY_GIB; i++)
		table[i] = (at + (2 + i) * PAGE) | PTE_PRESENT | PTE_WRITE;
	if (ret == 0)
		ret = memory_write(memory, at + PAGE, table, sizeof(table));
	for (unsigned int gib = 0; gib < IDENTITY_GIB && ret == 0; gib++) {
		for (uint64_t i = 0; i < 512; i++)
			table[i] = (gib * 512 + i) * LARGE_PAGE | PTE_PRESENT | PTE_WRITE |
				   PTE_LARGE;
		ret = memory_write(memory, at + (2 + gib) * PAGE, table, sizeof(table));
	}
	return ret;
}

/* The text mode that the VGA is in at power-on: the kernel's console is there from its first line.
 */
static void describe_screen(struct screen_info *screen)
{
	screen->orig_video_mode = 3;
	screen->orig_video_cols = 80;
	screen->orig_video_lines = 25;
	screen->orig_video_isVGA = SCREEN_IS_VGA;
	screen->orig_video_points = 16;
}

static int enter_linux(const struct memory *memory, const struct image *image,
		       const struct initrd *initrd, bool has_vga, struct boot_entry *ret_entry)
{
	struct boot_range ranges[BOOT_RANGES_MAX];
	struct boot_params *params;
	int ret;

	params = calloc(1, sizeof(*params));
	if (!params)
		return -ENOMEM;
	params->hdr = image->header;
	params->hdr.type_of_loader = LOADER_UNKNOWN;
	params->hdr.code32_start = (uint32_t)(image->entry - 0x200);
	params->hdr.cmd_line_ptr = LAYOUT_BOOT_CMDLINE;
	params->hdr.ramdisk_image = (uint32_t)initrd->start;
	params->hdr.ramdisk_size = (uint32_t)initrd->size;
	params->acpi_rsdp_addr = LAYOUT_ACPI;
	if (has_vga)
		describe_screen(&params->screen_info);
	params->e820_entries = boot_map(memory, ranges);
	for (unsigned int i = 0; i < params->e820_entries; i++)
		params->e820_table[i] = (struct boot_e820_entry){
			.addr = ranges[i].start,
			.size = ranges[i].size,
			.type = ranges[i].type,
		};
	ret = memory_write(memory, LAYOUT_BOOT_PARAMS, params, sizeof(*params));
	free(params);
	if (ret == 0)
		ret = write_long_mode(memory);
	*ret_entry = (struct boot_entry){ true, image->entry, LAYOUT_BOOT_PARAMS };
	return ret;
}

/* PVH has no word for a screen: such a kernel finds none until a driver of its own lights it up. */
static int enter_pvh(const struct memory *memory, const struct image *image,
		     const struct initrd *initrd, struct boot_entry *ret_entry)
{
	struct {
		struct pvh_start_info info;
		struct pvh_module module;
		struct pvh_range map[BOOT_RANGES_MAX];
	} pvh = {
		.info = {
			.magic = PVH_START_MAGIC,
			.version = PVH_VERSION,
			.n_modules = initrd->size > 0,
			.modules = LAYOUT_PVH_START + sizeof(pvh.info),
			.cmdline = LAYOUT_BOOT_CMDLINE,
			.rsdp = LAYOUT_ACPI,
			.map = LAYOUT_PVH_START + sizeof(pvh.info) + sizeof(pvh.module),
		},
		.module = { .address = initrd->start, .size = initrd->size },
	};
	struct boot_range ranges[BOOT_RANGES_MAX];

	pvh.info.n_map = boot_map(memory, ranges);
	for (unsigned int i = 0; i < pvh.info.n_map; i++)
		pvh.map[i] =
			(struct pvh_range){ ranges[i].start, ranges[i].size, ranges[i].type, 0 };
	*ret_entry = (struct boot_entry){ false, image->entry, LAYOUT_PVH_START };
	return memory_write(memory, LAYOUT_PVH_START, &pvh, sizeof(pvh));
}

int boot_load(const struct memory *memory, const struct vm_config *config,
	      const struct boot_files *files, struct boot_entry *ret_entry)
{
	struct initrd initrd;
	struct image image;
	int ret;

	ret = load_kernel(memory, config->kernel, files->kernel, &image);
	if (ret < 0)
		return ret;
	ret = load_initrds(memory, config->initrds, files, &image, &initrd);
	if (ret < 0)
		return ret;
	ret = write_cmdline(memory, config->append ? config->append : "", image.cmdline_max);
	if (ret < 0)
		return ret;
	if (image.kind == IMAGE_BZIMAGE)
		ret = enter_linux(memory, &image, &initrd, config->heads > 0, ret_entry);
	else
		ret = enter_pvh(memory, &image, &initrd, ret_entry);
	if (ret < 0)
		log_error("the boot parameters cannot be written: %s; give the VM more memory "
			  "([memory] size)",
			  strerror(-ret));
	return ret;
}

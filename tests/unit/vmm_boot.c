// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest finds when it starts: kernels good and bad, initrds, ACPI's tables, CPUID.
#include <asm/bootparam.h>
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/boot/aml.h"
#include "host-vmm/boot/boot.h"
#include "host-vmm/boot/image.h"
#include "host-vmm/devices/pm.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "protocol/lib/log.h"
#include "tests/unit/tiny_kernel.h"
#include "tests/unit/unit.h"

TINY_CODE(some_code, 32, "hlt\n .skip 5000, 0x90\n");

static char dir[] = "/tmp/vmm_boot.XXXXXX", kernel[64], initrds[2][64];
static struct memory *memory;
static const char *why;

static void setup(void)
{
	ck_assert_int_eq(memory_create(32 << 20, MEMORY_PRIVATE, &memory), 0);
	why = NULL;
}

static void teardown(void)
{
	memory_destroy(memory);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

static size_t read_file(const char *path, uint8_t *bytes, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(file);
	n = fread(bytes, 1, room, file);
	fclose(file);
	return n;
}

static int load(struct image *image)
{
	int fd = open(kernel, O_RDONLY | O_CLOEXEC), ret;
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	ret = image_load(memory, fd, status.st_size, image, &why);
	close(fd);
	return ret;
}

static int load_bytes(const void *bytes, size_t len)
{
	struct image image;

	write_file(kernel, bytes, len);
	return load(&image);
}

START_TEST(kernels_are_told_apart)
{
	struct image image;

	tiny_kernel_write_elf(kernel, some_code);
	ck_assert_int_eq(load(&image), 0);
	ck_assert_int_eq(image.kind, IMAGE_PVH);
	ck_assert_uint_eq(image.entry, TINY_KERNEL_ADDRESS);
	ck_assert_uint_ge(image.end, TINY_KERNEL_ADDRESS + 5001);
	tiny_kernel_write_bzimage(kernel, some_code);
	ck_assert_int_eq(load(&image), 0);
	ck_assert_int_eq(image.kind, IMAGE_BZIMAGE);
	ck_assert_uint_eq(image.entry, 2 * TINY_KERNEL_ADDRESS + 512);
	ck_assert_uint_eq(image.cmdline_max, 255);
}
END_TEST

static void write_head(uint8_t *bytes, const char *head, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)head[i];
}

START_TEST(what_is_no_kernel_is_refused)
{
	uint8_t bytes[8192] = { 0 };

	ck_assert_int_eq(load_bytes("", 0), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "empty"));
	ck_assert_int_eq(load_bytes("x", 1), -ENOEXEC);
	ck_assert_int_eq(load_bytes("#!/bin/sh\n", 10), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "no Linux kernel"));
	ck_assert_int_eq(load_bytes(bytes, sizeof(bytes)), -ENOEXEC);
	write_head(bytes, "\x1f\x8b\x08", 3);
	ck_assert_int_eq(load_bytes(bytes, sizeof(bytes)), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "gzip"));
	write_head(bytes, "MZ\0\0zimg", 8);
	ck_assert_int_eq(load_bytes(bytes, sizeof(bytes)), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "zboot"));
	write_head(bytes, "\177ELF\1\1\1", 7);
	ck_assert_int_eq(load_bytes(bytes, sizeof(bytes)), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "another processor"));
	ck_assert_int_eq(load_bytes(bytes, 20), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "truncated"));
}
END_TEST

/* Every truncation of a good file: loads, or says why not. */
static void cut(void (*make)(const char *path, struct tiny_code code))
{
	static uint8_t bytes[16384];
	size_t len;

	make(kernel, some_code);
	len = read_file(kernel, bytes, sizeof(bytes));
	for (size_t i = 0; i < len; i += i < 700 ? 1 : 97) {
		ck_assert_int_eq(load_bytes(bytes, i), -ENOEXEC);
		ck_assert_ptr_nonnull(why);
	}
	ck_assert_int_eq(load_bytes(bytes, len), 0);
}

START_TEST(truncated_kernels_are_refused)
{
	cut(tiny_kernel_write_elf);
	cut(tiny_kernel_write_bzimage);
}
END_TEST

static struct setup_header *header_of(uint8_t *bytes)
{
	return (struct setup_header *)(bytes + 0x1f1);
}

START_TEST(bad_setup_headers_are_refused)
{
	uint8_t good[16384], bytes[16384];
	size_t len;

	tiny_kernel_write_bzimage(kernel, some_code);
	len = read_file(kernel, good, sizeof(good));

	memcpy(bytes, good, len);
	header_of(bytes)->version = 0x20b;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "older"));
	memcpy(bytes, good, len);
	header_of(bytes)->xloadflags = 0;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "32-bit"));
	memcpy(bytes, good, len);
	header_of(bytes)->init_size = 0;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOSPC);
	header_of(bytes)->init_size = 0xffffffff;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(why, "memory"));
	memcpy(bytes, good, len);
	header_of(bytes)->pref_address = UINT64_MAX - 10;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOSPC);
	header_of(bytes)->pref_address = 0x1000;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOSPC);
	memcpy(bytes, good, len);
	header_of(bytes)->setup_sects = 255;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	header_of(bytes)->syssize = 0xffffffff;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
}
END_TEST

START_TEST(bad_elf_files_are_refused)
{
	uint8_t good[16384], bytes[16384];
	Elf64_Ehdr *ehdr = (Elf64_Ehdr *)bytes;
	Elf64_Phdr *phdrs = (Elf64_Phdr *)(bytes + sizeof(*ehdr));
	size_t len;

	tiny_kernel_write_elf(kernel, some_code);
	len = read_file(kernel, good, sizeof(good));

	memcpy(bytes, good, len);
	phdrs[0].p_type = PT_NULL;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(why, "CONFIG_PVH"));
	memcpy(bytes, good, len);
	phdrs[0].p_offset = UINT64_MAX - 4;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	memcpy(bytes, good, len);
	phdrs[1].p_offset = UINT64_MAX - 4;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	memcpy(bytes, good, len);
	phdrs[1].p_filesz = phdrs[1].p_memsz + 1;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	memcpy(bytes, good, len);
	phdrs[1].p_paddr = 0;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	phdrs[1].p_paddr = UINT64_MAX - 100;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOSPC);
	memcpy(bytes, good, len);
	phdrs[1].p_memsz = 1 << 30;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOSPC);
	memcpy(bytes, good, len);
	ehdr->e_phnum = 0xffff;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	ehdr->e_phnum = 0;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	memcpy(bytes, good, len);
	ehdr->e_phoff = UINT64_MAX - 8;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
	memcpy(bytes, good, len);
	ehdr->e_machine = EM_AARCH64;
	ck_assert_int_eq(load_bytes(bytes, len), -ENOEXEC);
}
END_TEST

static int boot_with_heads(char *append, size_t n_initrds, unsigned int heads,
			   struct boot_entry *entry)
{
	char *paths[3] = { initrds[0], n_initrds > 1 ? initrds[1] : NULL, NULL };
	struct vm_config config = {
		.kernel = kernel,
		.append = append,
		.initrds = n_initrds ? paths : NULL,
		.heads = heads,
	};
	struct boot_files files;
	int ret = boot_open(&config, &files);

	if (ret == 0) {
		ret = boot_load(memory, &config, &files, entry);
		boot_close(&files);
	}
	return ret;
}

static int boot(char *append, size_t n_initrds, struct boot_entry *entry)
{
	return boot_with_heads(append, n_initrds, 0, entry);
}

START_TEST(linux_finds_its_parameters)
{
	static struct boot_params params;
	char text[64] = "";
	struct boot_entry entry;

	tiny_kernel_write_bzimage(kernel, some_code);
	write_file(initrds[0], "first", 5);
	write_file(initrds[1], "second", 6);
	ck_assert_int_eq(boot((char[]){ "console=ttyS0" }, 2, &entry), 0);
	ck_assert(entry.long_mode);
	ck_assert_int_eq(memory_read(memory, entry.info, &params, sizeof(params)), 0);
	ck_assert_uint_eq(params.hdr.header, 0x53726448);
	ck_assert_uint_eq(params.hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(params.acpi_rsdp_addr, LAYOUT_ACPI);
	ck_assert_int_eq(memory_read(memory, params.hdr.cmd_line_ptr, text, 14), 0);
	ck_assert_str_eq(text, "console=ttyS0");
	/* One behind the other, each on a multiple of four. */
	ck_assert_uint_eq(params.hdr.ramdisk_size, 8 + 6);
	ck_assert_int_eq(memory_read(memory, params.hdr.ramdisk_image, text, 14), 0);
	ck_assert_int_eq(memcmp(text, "first\0\0\0second", 14), 0);
	ck_assert_uint_eq(params.hdr.ramdisk_image % 4096, 0);
	ck_assert_uint_ge(params.e820_entries, 4);
	for (int i = 1; i < params.e820_entries; i++)
		ck_assert_uint_ge(params.e820_table[i].addr,
				  params.e820_table[i - 1].addr + params.e820_table[i - 1].size);
}
END_TEST

/* The VGA's text mode is the kernel's console from its first line on; without a head there is no
 * screen to describe. */
START_TEST(linux_finds_its_screen)
{
	struct screen_info screen;
	struct boot_entry entry;

	tiny_kernel_write_bzimage(kernel, some_code);
	for (unsigned int heads = 0; heads <= 1; heads++) {
		ck_assert_int_eq(boot_with_heads(NULL, 0, heads, &entry), 0);
		ck_assert_int_eq(memory_read(memory, entry.info, &screen, sizeof(screen)), 0);
		ck_assert_uint_eq(screen.orig_video_isVGA, heads);
		ck_assert_uint_eq(screen.orig_video_cols, heads * 80);
		ck_assert_uint_eq(screen.orig_video_lines, heads * 25);
		ck_assert_uint_eq(screen.orig_video_points, heads * 16);
		ck_assert_uint_eq(screen.orig_video_mode, heads * 3);
	}
}
END_TEST

START_TEST(pvh_finds_its_start_info)
{
	struct {
		uint32_t magic, version, flags, n_modules;
		uint64_t modules, cmdline, rsdp, map;
		uint32_t n_map, reserved;
	} info;
	uint64_t module[2];
	struct boot_entry entry;

	tiny_kernel_write_elf(kernel, some_code);
	write_file(initrds[0], "first", 5);
	ck_assert_int_eq(boot(NULL, 1, &entry), 0);
	ck_assert(!entry.long_mode);
	ck_assert_int_eq(memory_read(memory, entry.info, &info, sizeof(info)), 0);
	ck_assert_uint_eq(info.magic, 0x336ec578);
	ck_assert_uint_eq(info.n_modules, 1);
	ck_assert_uint_eq(info.rsdp, LAYOUT_ACPI);
	ck_assert_uint_ge(info.n_map, 4);
	ck_assert_int_eq(memory_read(memory, info.modules, module, sizeof(module)), 0);
	ck_assert_uint_eq(module[1], 5);
}
END_TEST

START_TEST(bad_files_are_refused)
{
	char *large = calloc(1, 1000);
	struct boot_entry entry;

	memset(large, 'x', 999);
	tiny_kernel_write_bzimage(kernel, some_code);
	ck_assert_int_eq(boot(large, 0, &entry), -E2BIG);
	large[255] = '\0';
	ck_assert_int_eq(boot(large, 0, &entry), 0);
	write_file(initrds[0], "", 0);
	ck_assert_int_eq(boot(NULL, 1, &entry), -EINVAL);
	ck_assert_int_eq(truncate(initrds[0], 32 << 20), 0);
	ck_assert_int_eq(boot(NULL, 1, &entry), -ENOSPC);
	ck_assert_int_eq(truncate(initrds[0], 1ll << 40), 0);
	ck_assert_int_eq(boot(NULL, 1, &entry), -EFBIG);
	ck_assert_int_eq(unlink(initrds[0]), 0);
	ck_assert_int_eq(boot(NULL, 1, &entry), -ENOENT);
	ck_assert_int_eq(mkdir(initrds[0], 0700), 0);
	ck_assert_int_eq(boot(NULL, 1, &entry), -EINVAL);
	ck_assert_int_eq(rmdir(initrds[0]), 0);
	ck_assert_int_eq(mkfifo(initrds[0], 0600), 0);
	ck_assert_int_eq(boot(NULL, 1, &entry), -EINVAL);
	ck_assert_int_eq(unlink(initrds[0]), 0);
	ck_assert_int_eq(unlink(kernel), 0);
	ck_assert_int_eq(boot(NULL, 0, &entry), -ENOENT);
	free(large);
}
END_TEST

static uint64_t field(const uint8_t *bytes, size_t at, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes + at, size);
	return value;
}

static void check_sum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += bytes[i];
	ck_assert_uint_eq(sum, 0);
}

/* The compiler of ACPI's authors must be able to read a table. */
static void disassemble(const char *name, const uint8_t *table, size_t len)
{
	char path[96], command[256];

	if (system("command -v iasl > /dev/null 2>&1") != 0)
		return;
	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	write_file(path, table, len);
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d %s.aml > log 2>&1 && ! grep -Eiq 'error|invalid' log %s.dsl",
		 dir, name, name);
	ck_assert_int_eq(system(command), 0);
	if (strcmp(name, "DSDT") == 0) {
		/* And compiles again, without an error. */
		snprintf(command, sizeof(command), "cd %s && iasl DSDT.dsl > log 2>&1", dir);
		ck_assert_int_eq(system(command), 0);
	}
	snprintf(command, sizeof(command), "rm -f %s/%s.* %s/log", dir, name, dir);
	ck_assert_int_eq(system(command), 0);
}

static const uint8_t *at_gpa(const uint8_t *tables, uint64_t gpa, int len)
{
	ck_assert_uint_ge(gpa, LAYOUT_ACPI);
	ck_assert_uint_le(gpa + 36, LAYOUT_ACPI + len);
	return tables + (gpa - LAYOUT_ACPI);
}

static void check_table(const char *name, const uint8_t *table)
{
	size_t len = field(table, 4, 4);

	ck_assert_int_eq(memcmp(table, name, 4), 0);
	check_sum(table, len);
	disassemble(name, table, len);
}

START_TEST(acpi_tables)
{
	const struct acpi_options options = {
		.cpus = 64,
		.has_serial = true,
		.has_i8042 = true,
		.has_rtc = true,
		.has_pci = true,
		.has_vga = true,
		.pci_mmio64 = 0x6000000000,
		.pci_mmio64_size = 0x2000000000,
	};
	const char *const names[] = { "FACP", "APIC", "MCFG" };
	uint8_t tables[ACPI_TABLES_MAX] = { 0 };
	const uint8_t *xsdt, *fadt;
	int len = acpi_build(&options, LAYOUT_ACPI, tables);

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(memcmp(tables, "RSD PTR ", 8), 0);
	check_sum(tables, 20);
	check_sum(tables, 36);
	xsdt = at_gpa(tables, field(tables, 24, 8), len);
	check_sum(xsdt, field(xsdt, 4, 4));
	ck_assert_uint_eq(field(xsdt, 4, 4), 36 + 3 * 8);
	for (int i = 0; i < 3; i++)
		check_table(names[i], at_gpa(tables, field(xsdt, 36 + 8 * i, 8), len));
	fadt = at_gpa(tables, field(xsdt, 36, 8), len);
	check_table("DSDT", at_gpa(tables, field(fadt, 140, 8), len));
	ck_assert_int_eq(memcmp(at_gpa(tables, field(fadt, 36, 4), len), "FACS", 4), 0);
	ck_assert_uint_eq(field(fadt, 36, 4) % 64, 0);
	ck_assert_uint_eq(field(fadt, 109, 2) & 0x26, 0x02); /* RTC, VGA, 8042 */
}
END_TEST

START_TEST(acpi_reduced_hardware)
{
	const struct acpi_options options = { .cpus = 1, .has_serial = true, .reduced = true };
	uint8_t tables[ACPI_TABLES_MAX] = { 0 };
	const uint8_t *xsdt, *fadt, *madt;
	int len = acpi_build(&options, LAYOUT_ACPI, tables);

	ck_assert_int_gt(len, 0);
	xsdt = at_gpa(tables, field(tables, 24, 8), len);
	ck_assert_uint_eq(field(xsdt, 4, 4), 36 + 2 * 8); /* no MCFG without functions */
	fadt = at_gpa(tables, field(xsdt, 36, 8), len);
	check_table("FACP", fadt);
	ck_assert_uint_eq(field(fadt, 112, 4) >> 20 & 1, 1); /* HW_REDUCED_ACPI */
	ck_assert_uint_eq(field(fadt, 109, 2) & 0x26, 0x24); /* no RTC, VGA, 8042 */
	ck_assert_uint_eq(field(fadt, 56, 4), 0); /* no PM1a */
	ck_assert_uint_eq(field(fadt, 244 + 4, 8), LAYOUT_PORT_PM + PM_SLEEP_CONTROL);
	ck_assert_uint_eq(field(fadt, 256 + 4, 8), LAYOUT_PORT_PM + PM_SLEEP_STATUS);
	madt = at_gpa(tables, field(xsdt, 44, 8), len);
	check_table("APIC", madt);
	ck_assert_uint_eq(field(madt, 40, 4), 0); /* no PIC */
	check_table("DSDT", at_gpa(tables, field(fadt, 140, 8), len));
	ck_assert_ptr_nonnull(memmem(tables, len, "ACPI0013", 9));
}
END_TEST

START_TEST(aml_errors_stick)
{
	uint8_t bytes[16];
	struct aml aml;

	aml_init(&aml, bytes, sizeof(bytes));
	aml_scope(&aml, "_SB_");
	ck_assert_int_eq(aml_error(&aml), -EINVAL);
	aml_end(&aml);
	ck_assert_int_eq(aml_error(&aml), 0);
	aml_end(&aml);
	ck_assert_int_eq(aml_error(&aml), -EINVAL);
	aml_init(&aml, bytes, sizeof(bytes));
	for (int i = 0; i < 20; i++)
		aml_integer(&aml, 0x12345678);
	ck_assert_int_eq(aml_error(&aml), -ENOSPC);
	aml_init(&aml, bytes, sizeof(bytes));
	aml_name(&aml, "TOOLONG");
	ck_assert_int_eq(aml_error(&aml), -EINVAL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("vmm_boot");
	TCase *tcase = tcase_create("boot");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, kernels_are_told_apart);
	tcase_add_test(tcase, what_is_no_kernel_is_refused);
	tcase_add_test(tcase, truncated_kernels_are_refused);
	tcase_add_test(tcase, bad_setup_headers_are_refused);
	tcase_add_test(tcase, bad_elf_files_are_refused);
	tcase_add_test(tcase, linux_finds_its_parameters);
	tcase_add_test(tcase, linux_finds_its_screen);
	tcase_add_test(tcase, pvh_finds_its_start_info);
	tcase_add_test(tcase, bad_files_are_refused);
	tcase_add_test(tcase, acpi_tables);
	tcase_add_test(tcase, acpi_reduced_hardware);
	tcase_add_test(tcase, aml_errors_stick);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status;

	log_init("vmm_boot", LOG_LEVEL_ERROR);
	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	for (int i = 0; i < 2; i++)
		snprintf(initrds[i], sizeof(initrds[i]), "%s/initrd%d", dir, i);
	status = unit_run(make_suite());
	(void)unlink(kernel);
	for (int i = 0; i < 2; i++)
		(void)unlink(initrds[i]);
	(void)rmdir(dir);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Kernels of a few instructions, as files that boot_load() takes.
#include "tests/unit/tiny_kernel.h"

#include <asm/bootparam.h>
#include <check.h>
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct tiny_note {
	Elf64_Nhdr head;
	char name[4];
	uint64_t entry;
} __attribute__((packed));

struct tiny_elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdrs[2];
	struct tiny_note note;
};

static void write_parts(const char *path, const void *head, size_t head_len, struct tiny_code code)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(head, 1, head_len, file), head_len);
	ck_assert_uint_eq(fwrite(code.start, 1, code.end - code.start, file),
			  code.end - code.start);
	ck_assert_int_eq(fclose(file), 0);
}

void tiny_kernel_write_elf(const char *path, struct tiny_code code)
{
	size_t len = code.end - code.start;
	struct tiny_elf elf = {
		.ehdr = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_phoff = offsetof(struct tiny_elf, phdrs),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.phdrs = {
			{
				.p_type = PT_NOTE,
				.p_offset = offsetof(struct tiny_elf, note),
				.p_filesz = sizeof(struct tiny_note),
			},
			{
				.p_type = PT_LOAD,
				.p_offset = sizeof(struct tiny_elf),
				.p_paddr = TINY_KERNEL_ADDRESS,
				.p_filesz = len,
				.p_memsz = len + 4096,
			},
		},
		.note = {
			.head = { .n_namesz = 4, .n_descsz = 8, .n_type = 18 },
			.name = "Xen",
			.entry = TINY_KERNEL_ADDRESS,
		},
	};

	write_parts(path, &elf, sizeof(elf), code);
}

void tiny_kernel_write_bzimage(const char *path, struct tiny_code code)
{
	/* One boot sector, one of setup, then the protected-mode part, whose 64-bit entry is 512
	 * bytes in. */
	uint8_t head[3 * 512] = { 0 };
	struct setup_header *header = (struct setup_header *)(head + 0x1f1);
	size_t len = 512 + (code.end - code.start);

	header->setup_sects = 1;
	header->boot_flag = 0xaa55;
	header->jump = 0x6aeb; /* a short jump over the header: tells where it ends */
	header->header = 0x53726448;
	header->version = 0x020f;
	header->loadflags = LOADED_HIGH;
	header->xloadflags = XLF_KERNEL_64;
	header->syssize = (len + 15) / 16;
	header->pref_address = 2 * TINY_KERNEL_ADDRESS;
	header->init_size = 64 << 10;
	header->initrd_addr_max = 0x7fffffff;
	header->cmdline_size = 255;
	write_parts(path, head, sizeof(head), code);
}

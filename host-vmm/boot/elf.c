// SPDX-License-Identifier: GPL-2.0-or-later
// ELF kernels: PT_LOAD segments to their physical addresses, and the PVH entry from a note.
#include "host-vmm/boot/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/boot/image.h"
#include "host-vmm/layout.h"
#include "host-vmm/memory.h"

#define SEGMENTS_MAX		 32u /* Linux has 4 or 5 */
#define NOTES_MAX		 65536u /* bytes of notes that are searched */
#define NOTE_NAME_MAX		 16u
#define XEN_ELFNOTE_PHYS32_ENTRY 18u /* xen/include/public/elfnote.h */
#define PVH_INITRD_MAX		 0xffffffffull

static const char truncated[] = "is a truncated ELF file: copy or install it again";

static bool within(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

static int read_at(int fd, uint64_t offset, void *buffer, size_t len)
{
	return pread(fd, buffer, len, offset) == (ssize_t)len ? 0 : -EIO;
}

static int check_ehdr(const Elf64_Ehdr *ehdr, uint64_t size, const char **ret_why)
{
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB ||
	    ehdr->e_machine != EM_X86_64) {
		*ret_why = "is an ELF file for another processor: use one for x86-64";
		return -ENOEXEC;
	}
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr) || ehdr->e_phnum == 0 ||
	    ehdr->e_phnum > SEGMENTS_MAX) {
		*ret_why = "is an ELF file but no kernel: give a vmlinux with CONFIG_PVH=y, or a "
			   "bzImage (/boot/vmlinuz-*)";
		return -ENOEXEC;
	}
	if (!within(ehdr->e_phoff, (uint64_t)ehdr->e_phnum * sizeof(Elf64_Phdr), size)) {
		*ret_why = truncated;
		return -ENOEXEC;
	}
	return 0;
}

/* The gap between file and memory size is zero already: this is fresh memory. */
static int load_segment(const struct memory *memory, int fd, uint64_t size, const Elf64_Phdr *phdr,
			struct image *image, const char **ret_why)
{
	struct iovec room;
	int ret;

	if (phdr->p_memsz == 0)
		return 0;
	if (phdr->p_filesz > phdr->p_memsz || !within(phdr->p_offset, phdr->p_filesz, size)) {
		*ret_why = truncated;
		return -ENOEXEC;
	}
	if (phdr->p_paddr < LAYOUT_HIMEM) {
		*ret_why = "is an ELF file but no kernel (it wants to lie below 1 MiB): give a "
			   "vmlinux with CONFIG_PVH=y, or a bzImage (/boot/vmlinuz-*)";
		return -ENOEXEC;
	}
	if (memory_iov(memory, phdr->p_paddr, phdr->p_memsz, &room) < 0) {
		*ret_why = "does not fit: give the VM more memory ([memory] size)";
		return -ENOSPC;
	}
	ret = memory_load(memory, phdr->p_paddr, fd, phdr->p_offset, phdr->p_filesz);
	if (ret < 0) {
		*ret_why = "cannot be read";
		return ret;
	}
	if (phdr->p_paddr + phdr->p_memsz > image->end)
		image->end = phdr->p_paddr + phdr->p_memsz;
	return 0;
}

static uint64_t align4(uint64_t value)
{
	return (value + 3) & ~3ull;
}

/* 1 and the entry if the notes of @phdr tell one, 0 if not. Notes are aligned to 4 bytes. */
static int find_entry(int fd, uint64_t size, const Elf64_Phdr *phdr, uint64_t *ret_entry)
{
	uint64_t at = 0, len = phdr->p_filesz < NOTES_MAX ? phdr->p_filesz : NOTES_MAX;

	if (!within(phdr->p_offset, len, size))
		return 0;
	while (within(at, sizeof(Elf64_Nhdr), len)) {
		char name[NOTE_NAME_MAX] = "";
		uint64_t name_at = at + sizeof(Elf64_Nhdr), desc_at;
		Elf64_Nhdr note;

		if (read_at(fd, phdr->p_offset + at, &note, sizeof(note)) < 0)
			return 0;
		desc_at = name_at + align4(note.n_namesz);
		if (!within(desc_at, note.n_descsz, len))
			return 0;
		if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
		    (note.n_descsz == 4 || note.n_descsz == 8) &&
		    read_at(fd, phdr->p_offset + name_at, name, 4) == 0 &&
		    memcmp(name, "Xen", 4) == 0) {
			*ret_entry = 0;
			return read_at(fd, phdr->p_offset + desc_at, ret_entry, note.n_descsz) == 0;
		}
		at = desc_at + align4(note.n_descsz);
	}
	return 0;
}

/* What an ELF file says of itself, checked as far as the file alone can tell. */
struct elf_kernel {
	Elf64_Phdr phdrs[SEGMENTS_MAX];
	unsigned int n_phdrs;
	uint64_t entry;
};

static int read_kernel(int fd, uint64_t size, struct elf_kernel *kernel, const char **ret_why)
{
	Elf64_Ehdr ehdr;
	int ret;

	if (size < sizeof(ehdr)) {
		*ret_why = truncated;
		return -ENOEXEC;
	}
	*ret_why = "cannot be read";
	ret = read_at(fd, 0, &ehdr, sizeof(ehdr));
	if (ret < 0)
		return ret;
	ret = check_ehdr(&ehdr, size, ret_why);
	if (ret < 0)
		return ret;
	*ret_why = "cannot be read";
	kernel->n_phdrs = ehdr.e_phnum;
	ret = read_at(fd, ehdr.e_phoff, kernel->phdrs, ehdr.e_phnum * sizeof(kernel->phdrs[0]));
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < kernel->n_phdrs; i++) {
		if (kernel->phdrs[i].p_type == PT_NOTE &&
		    find_entry(fd, size, &kernel->phdrs[i], &kernel->entry) == 1 &&
		    kernel->entry <= UINT32_MAX)
			return 0;
	}
	*ret_why = "is an ELF file without a PVH entry: build the kernel with CONFIG_PVH=y, or "
		   "give its bzImage (/boot/vmlinuz-*)";
	return -ENOEXEC;
}

int elf_check(int fd, uint64_t size, const char **ret_why)
{
	char magic[SELFMAG];
	struct elf_kernel kernel;

	*ret_why = "is no ELF file";
	if (read_at(fd, 0, magic, sizeof(magic)) < 0 || memcmp(magic, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	return read_kernel(fd, size, &kernel, ret_why);
}

int elf_load(const struct memory *memory, int fd, uint64_t size, struct image *image,
	     const char **ret_why)
{
	struct elf_kernel kernel;
	int ret;

	ret = read_kernel(fd, size, &kernel, ret_why);
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < kernel.n_phdrs; i++) {
		if (kernel.phdrs[i].p_type != PT_LOAD)
			continue;
		ret = load_segment(memory, fd, size, &kernel.phdrs[i], image, ret_why);
		if (ret < 0)
			return ret;
	}
	image->kind = IMAGE_PVH;
	image->entry = kernel.entry;
	image->initrd_max = PVH_INITRD_MAX;
	image->cmdline_max = 2047; /* COMMAND_LINE_SIZE of Linux on x86, less the NUL */
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: what kind a file is, and a bzImage's way into guest memory.
#include "host-vmm/boot/image.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/boot/elf.h"
#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "protocol/lib/fd.h"

#define SETUP_HEADER_AT	  0x1f1u /* in the file: Documentation/arch/x86/boot.rst */
#define SETUP_MAGIC	  0x53726448u /* "HdrS" */
#define SETUP_VERSION_MIN 0x020cu /* Linux 3.8: xloadflags */
#define SETUP_SECTS_OLD	  4u /* what 0 in setup_sects means */
#define SECTOR		  512u
#define ENTRY_64	  0x200u /* the 64-bit entry, from the start of the loaded part */
#define LOADED_BY_OTHER	  0xffu /* type_of_loader: none of the known */
#define BOOT_FLAG	  0xaa55u
#define GZIP_MAGIC	  "\x1f\x8b"
#define EFI_ZBOOT_AT	  4u
#define HEADER_BYTES	  4096u /* all that is read to tell what a file is */

static int check_header(const struct setup_header *header, uint64_t size, const char **ret_why)
{
	uint64_t setup = header->setup_sects ? header->setup_sects : SETUP_SECTS_OLD;
	uint64_t start = (setup + 1) * SECTOR;

	if (header->version < SETUP_VERSION_MIN) {
		*ret_why = "is older than Linux 3.8 (boot protocol below 2.12): use a newer kernel";
		return -ENOEXEC;
	}
	if (!(header->xloadflags & XLF_KERNEL_64)) {
		*ret_why = "is a 32-bit kernel: use one for x86-64";
		return -ENOEXEC;
	}
	if (!(header->loadflags & LOADED_HIGH)) {
		*ret_why = "is a zImage: build it as bzImage";
		return -ENOEXEC;
	}
	if (start >= size || (uint64_t)header->syssize * 16 > size - start + 15 ||
	    header->syssize == 0) {
		*ret_why = "is a truncated Linux kernel: copy or install it again";
		return -ENOEXEC;
	}
	return 0;
}

static int load_bzimage(const struct memory *memory, int fd, uint64_t size, struct image *image,
			const char **ret_why)
{
	const struct setup_header *header = &image->header;
	uint64_t setup = header->setup_sects ? header->setup_sects : SETUP_SECTS_OLD;
	uint64_t start = (setup + 1) * SECTOR, load = header->pref_address;
	struct iovec room;
	int ret;

	ret = check_header(header, size, ret_why);
	if (ret < 0)
		return ret;
	/* The kernel unpacks itself in place, within init_size bytes from where it is loaded. */
	if (load < LAYOUT_HIMEM || size - start > header->init_size ||
	    memory_iov(memory, load, header->init_size, &room) < 0) {
		*ret_why = "does not fit: give the VM more memory ([memory] size)";
		return -ENOSPC;
	}
	ret = memory_load(memory, load, fd, start, size - start);
	if (ret < 0) {
		*ret_why = "cannot be read";
		return ret;
	}
	image->kind = IMAGE_BZIMAGE;
	image->entry = load + ENTRY_64;
	image->end = load + header->init_size;
	image->initrd_max = header->initrd_addr_max;
	image->cmdline_max = header->cmdline_size;
	return 0;
}

/* The header's own length is told by the jump at 0x200: its end is at 0x202 plus the offset. */
static void copy_header(const uint8_t *head, struct setup_header *header)
{
	size_t len = 0x202 + head[0x201] - SETUP_HEADER_AT;

	memset(header, 0, sizeof(*header));
	memcpy(header, head + SETUP_HEADER_AT, len < sizeof(*header) ? len : sizeof(*header));
}

static const char *tell_what_it_is(const uint8_t *head, size_t len)
{
	if (len >= 2 && memcmp(head, GZIP_MAGIC, 2) == 0)
		return "is compressed with gzip and no kernel for x86: unpack it, or give a bzImage "
		       "(/boot/vmlinuz-*)";
	if (len >= 8 && memcmp(head, "MZ", 2) == 0 && memcmp(head + EFI_ZBOOT_AT, "zimg", 4) == 0)
		return "is an EFI zboot image of another architecture: use one for x86-64";
	return "is no Linux kernel (neither bzImage nor ELF): give /boot/vmlinuz-* or a vmlinux";
}

int image_load(const struct memory *memory, int fd, uint64_t size, struct image *ret_image,
	       const char **ret_why)
{
	uint8_t head[HEADER_BYTES] = { 0 };
	size_t len = size < sizeof(head) ? size : sizeof(head);
	struct setup_header *header = &ret_image->header;

	*ret_image = (struct image){ 0 };
	if (size == 0) {
		*ret_why = "is empty: copy or install it again";
		return -ENOEXEC;
	}
	if (pread(fd, head, len, 0) != (ssize_t)len) {
		*ret_why = "cannot be read";
		return -EIO;
	}
	if (len >= 4 && memcmp(head, "\177ELF", 4) == 0)
		return elf_load(memory, fd, size, ret_image, ret_why);
	if (len >= SETUP_HEADER_AT + sizeof(*header)) {
		copy_header(head, header);
		if (header->boot_flag == BOOT_FLAG && header->header == SETUP_MAGIC)
			return load_bzimage(memory, fd, size, ret_image, ret_why);
	}
	*ret_why = tell_what_it_is(head, len);
	return -ENOEXEC;
}

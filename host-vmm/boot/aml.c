// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI machine language: just enough of an encoder for our DSDT.
#include "host-vmm/boot/aml.h"

#include <errno.h>
#include <string.h>

/* Opcodes: ACPI 6.4 table 20.8. */
#define ZERO_OP	      0x00u
#define ONE_OP	      0x01u
#define NAME_OP	      0x08u
#define BYTE_PREFIX   0x0au
#define WORD_PREFIX   0x0bu
#define DWORD_PREFIX  0x0cu
#define STRING_PREFIX 0x0du
#define QWORD_PREFIX  0x0eu
#define SCOPE_OP      0x10u
#define BUFFER_OP     0x11u
#define PACKAGE_OP    0x12u
#define METHOD_OP     0x14u
#define DUAL_PREFIX   0x2eu
#define EXT_PREFIX    0x5bu
#define NOTIFY_OP     0x86u
#define DEVICE_EXT_OP 0x82u

#define METHOD_SERIALIZED (1u << 3)

/* Resource descriptors: ACPI 6.4 section 6.4. */
#define IO_TAG		   0x47u
#define IRQ_TAG		   0x22u /* no flags byte: edge, active high, exclusive */
#define END_TAG		   0x79u
#define FIXED_MEMORY_TAG   0x86u
#define WORD_SPACE_TAG	   0x88u
#define INTERRUPT_TAG	   0x89u
#define INTERRUPT_CONSUMER (1u << 0)
#define INTERRUPT_EDGE	   (1u << 1)
#define QWORD_SPACE_TAG	   0x8au
#define SPACE_MEMORY	   0u
#define SPACE_IO	   1u
#define SPACE_BUS	   2u
#define SPACE_FIXED_LIMITS 0x0cu /* minimum and maximum are fixed, positive decode, producer */
#define IO_ENTIRE_RANGE	   3u
#define MEMORY_READ_WRITE  1u /* non-cacheable */

#define LENGTH_BYTES 3u /* of a package length, always in this form */
#define LENGTH_MAX   0xfffffu

void aml_init(struct aml *aml, void *bytes, size_t room)
{
	*aml = (struct aml){ .bytes = bytes, .room = room };
}

int aml_error(const struct aml *aml)
{
	return aml->depth > 0 && aml->error == 0 ? -EINVAL : aml->error;
}

static void put(struct aml *aml, const void *bytes, size_t len)
{
	if (aml->error == 0 && len > aml->room - aml->len)
		aml->error = -ENOSPC;
	if (aml->error < 0)
		return;
	memcpy(aml->bytes + aml->len, bytes, len);
	aml->len += len;
}

/* The low @size bytes of @value. */
static void put_int(struct aml *aml, uint64_t value, unsigned int size)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < size; i++)
		bytes[i] = value >> (8 * i) & 0xff;
	put(aml, bytes, size);
}

static void begin(struct aml *aml)
{
	if (aml->depth == AML_DEPTH_MAX) {
		aml->error = -EINVAL;
		return;
	}
	memset(&aml->open[aml->depth], 0, sizeof(aml->open[0]));
	aml->open[aml->depth++].length_at = aml->len;
	put_int(aml, 0, LENGTH_BYTES);
}

/* An element of the innermost package, if that is where we are. */
static void count_element(struct aml *aml)
{
	if (aml->error == 0 && aml->depth > 0 && aml->open[aml->depth - 1].count_at > 0)
		aml->bytes[aml->open[aml->depth - 1].count_at]++;
}

void aml_end(struct aml *aml)
{
	size_t at, len;

	if (aml->error == 0 && aml->depth == 0)
		aml->error = -EINVAL;
	if (aml->error < 0)
		return;
	at = aml->open[--aml->depth].length_at;
	len = aml->len - at;
	if (len > LENGTH_MAX) {
		aml->error = -ENOSPC;
		return;
	}
	/* Two bytes follow the first, which holds that number and the lowest four bits. */
	aml->bytes[at] = (LENGTH_BYTES - 1) << 6 | (len & 0xf);
	aml->bytes[at + 1] = len >> 4 & 0xff;
	aml->bytes[at + 2] = len >> 12 & 0xff;
}

static void put_path(struct aml *aml, const char *name)
{
	if (*name == '\\')
		put(aml, name++, 1);
	if (strlen(name) != 4)
		aml->error = -EINVAL;
	else
		put(aml, name, 4);
}

void aml_scope(struct aml *aml, const char *name)
{
	put_int(aml, SCOPE_OP, 1);
	begin(aml);
	put_path(aml, name);
}

void aml_device(struct aml *aml, const char *name)
{
	put_int(aml, EXT_PREFIX, 1);
	put_int(aml, DEVICE_EXT_OP, 1);
	begin(aml);
	put_path(aml, name);
}

void aml_name(struct aml *aml, const char *name)
{
	put_int(aml, NAME_OP, 1);
	put_path(aml, name);
}

void aml_package(struct aml *aml)
{
	count_element(aml);
	put_int(aml, PACKAGE_OP, 1);
	begin(aml);
	if (aml->error == 0)
		aml->open[aml->depth - 1].count_at = aml->len;
	put_int(aml, 0, 1);
}

void aml_method(struct aml *aml, const char *name, unsigned int arguments)
{
	put_int(aml, METHOD_OP, 1);
	begin(aml);
	put_path(aml, name);
	put_int(aml, METHOD_SERIALIZED | (arguments & 7), 1);
}

void aml_notify(struct aml *aml, const char *name, uint8_t value)
{
	put_int(aml, NOTIFY_OP, 1);
	put_path(aml, name);
	put_int(aml, BYTE_PREFIX, 1);
	put_int(aml, value, 1);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	count_element(aml);
	if (value <= 1) {
		put_int(aml, value ? ONE_OP : ZERO_OP, 1);
	} else if (value <= UINT8_MAX) {
		put_int(aml, BYTE_PREFIX, 1);
		put_int(aml, value, 1);
	} else if (value <= UINT16_MAX) {
		put_int(aml, WORD_PREFIX, 1);
		put_int(aml, value, 2);
	} else if (value <= UINT32_MAX) {
		put_int(aml, DWORD_PREFIX, 1);
		put_int(aml, value, 4);
	} else {
		put_int(aml, QWORD_PREFIX, 1);
		put_int(aml, value, 8);
	}
}

static uint32_t hex_digit(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* Three letters of five bits, four digits of four; the result's bytes are swapped. */
void aml_eisaid(struct aml *aml, const char *id)
{
	uint32_t value = 0;

	if (strlen(id) != 7) {
		aml->error = -EINVAL;
		return;
	}
	for (unsigned int i = 0; i < 3; i++)
		value = value << 5 | ((uint32_t)(id[i] - 'A' + 1) & 0x1f);
	for (unsigned int i = 3; i < 7; i++)
		value = value << 4 | (hex_digit(id[i]) & 0xf);
	count_element(aml);
	put_int(aml, DWORD_PREFIX, 1);
	put_int(aml, __builtin_bswap32(value), 4);
}

void aml_string(struct aml *aml, const char *text)
{
	count_element(aml);
	put_int(aml, STRING_PREFIX, 1);
	put(aml, text, strlen(text) + 1);
}

void aml_resources(struct aml *aml)
{
	put_int(aml, BUFFER_OP, 1);
	begin(aml);
	put_int(aml, WORD_PREFIX, 1);
	if (aml->error == 0)
		aml->open[aml->depth - 1].size_at = aml->len;
	put_int(aml, 0, 2);
}

void aml_resources_end(struct aml *aml)
{
	size_t at, len;

	put_int(aml, END_TAG, 1);
	put_int(aml, 0, 1); /* checksum: 0 means none */
	if (aml->error == 0 && aml->depth > 0) {
		at = aml->open[aml->depth - 1].size_at;
		len = aml->len - at - 2;
		aml->bytes[at] = len & 0xff;
		aml->bytes[at + 1] = len >> 8 & 0xff;
	}
	aml_end(aml);
}

void aml_io(struct aml *aml, uint16_t base, uint8_t len)
{
	put_int(aml, IO_TAG, 1);
	put_int(aml, 1, 1); /* decodes 16 bits */
	put_int(aml, base, 2);
	put_int(aml, base, 2);
	put_int(aml, 1, 1); /* alignment */
	put_int(aml, len, 1);
}

void aml_irq(struct aml *aml, unsigned int irq)
{
	put_int(aml, IRQ_TAG, 1);
	put_int(aml, 1u << irq, 2);
}

void aml_edge_interrupt(struct aml *aml, uint32_t gsi)
{
	put_int(aml, INTERRUPT_TAG, 1);
	put_int(aml, 6, 2);
	put_int(aml, INTERRUPT_CONSUMER | INTERRUPT_EDGE, 1);
	put_int(aml, 1, 1);
	put_int(aml, gsi, 4);
}

void aml_fixed_memory(struct aml *aml, uint32_t base, uint32_t len)
{
	put_int(aml, FIXED_MEMORY_TAG, 1);
	put_int(aml, 9, 2);
	put_int(aml, MEMORY_READ_WRITE, 1);
	put_int(aml, base, 4);
	put_int(aml, len, 4);
}

static void put_window(struct aml *aml, unsigned int space, unsigned int flags, uint64_t base,
		       uint64_t len, unsigned int width)
{
	put_int(aml, width == 8 ? QWORD_SPACE_TAG : WORD_SPACE_TAG, 1);
	put_int(aml, 3 + 5 * width, 2);
	put_int(aml, space, 1);
	put_int(aml, SPACE_FIXED_LIMITS, 1);
	put_int(aml, flags, 1);
	put_int(aml, 0, width); /* granularity */
	put_int(aml, base, width);
	put_int(aml, base + len - 1, width);
	put_int(aml, 0, width); /* translation */
	put_int(aml, len, width);
}

void aml_bus_window(struct aml *aml, uint16_t first, uint16_t last)
{
	put_window(aml, SPACE_BUS, 0, first, last - first + 1u, 2);
}

void aml_io_window(struct aml *aml, uint16_t base, uint32_t len)
{
	put_window(aml, SPACE_IO, IO_ENTIRE_RANGE, base, len, 2);
}

void aml_memory_window(struct aml *aml, uint64_t base, uint64_t len)
{
	put_window(aml, SPACE_MEMORY, MEMORY_READ_WRITE, base, len, 8);
}

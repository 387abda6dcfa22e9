// SPDX-License-Identifier: GPL-2.0-or-later
// SMBIOS tables: each a packed struct and its strings, one behind the other.
#include "host-vmm/boot/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENTRY_ALIGN	     16u
#define CHARACTERISTICS_NONE (1ull << 3) /* "not supported": the bits above say nothing */
#define EXTENSION2_VIRTUAL   (1u << 4) /* the table describes a virtual machine */
#define WAKE_POWER_SWITCH    6u
#define CHASSIS_OTHER	     1u
#define STATE_UNKNOWN	     2u
#define UNKNOWN_RELEASE	     0xffu

struct smbios_entry {
	char anchor[5];
	uint8_t checksum, length, major, minor, docrev, revision, reserved;
	uint32_t size_max;
	uint64_t tables;
} __attribute__((packed));

struct smbios_header {
	uint8_t type, length;
	uint16_t handle;
} __attribute__((packed));

struct smbios_bios {
	struct smbios_header header;
	uint8_t vendor, version;
	uint16_t segment;
	uint8_t date, rom_size;
	uint64_t characteristics;
	uint8_t extension[2], major, minor, controller_major, controller_minor;
} __attribute__((packed));

struct smbios_system {
	struct smbios_header header;
	uint8_t vendor, product, version, serial, uuid[16], wake_up, sku, family;
} __attribute__((packed));

struct smbios_chassis {
	struct smbios_header header;
	uint8_t vendor, type, version, serial, asset, boot_state, power_state, thermal_state,
		security;
	uint32_t oem;
	uint8_t height, cords, n_elements, element_length;
} __attribute__((packed));

_Static_assert(sizeof(struct smbios_entry) == 24, "DSP0134 5.2.2");
_Static_assert(sizeof(struct smbios_bios) == 0x18, "DSP0134 7.1");
_Static_assert(sizeof(struct smbios_system) == 0x1b, "DSP0134 7.2");
_Static_assert(sizeof(struct smbios_chassis) == 0x15, "DSP0134 7.4, no elements");

/* Errors stick. */
struct writer {
	uint8_t *bytes;
	size_t len;
	int error;
};

static void put(struct writer *writer, const void *bytes, size_t len)
{
	if (writer->error < 0 || len > SMBIOS_TABLES_MAX - writer->len) {
		writer->error = -ENOSPC;
		return;
	}
	memcpy(writer->bytes + writer->len, bytes, len);
	writer->len += len;
}

/* A table, whose string fields count from 1, and its strings up to a NULL. */
static void put_table(struct writer *writer, const void *table, const char *const *strings)
{
	const struct smbios_header *header = table;

	put(writer, table, header->length);
	for (size_t i = 0; strings[i]; i++)
		put(writer, strings[i], strlen(strings[i]) + 1);
	put(writer, "\0", strings[0] ? 1 : 2);
}

static void put_bios(struct writer *writer)
{
	static const char *const strings[] = { "Lodge", LODGE_VERSION, "01/01/2026", NULL };
	const struct smbios_bios bios = {
		.header = { 0, sizeof(bios), 0x0000 },
		.vendor = 1,
		.version = 2,
		.segment = 0xe800,
		.date = 3,
		.characteristics = CHARACTERISTICS_NONE,
		.extension = { 0, EXTENSION2_VIRTUAL },
		.major = UNKNOWN_RELEASE,
		.minor = UNKNOWN_RELEASE,
		.controller_major = UNKNOWN_RELEASE,
		.controller_minor = UNKNOWN_RELEASE,
	};

	put_table(writer, &bios, strings);
}

/* The first three fields of a UUID are little-endian numbers here. */
static void put_uuid(uint8_t to[16], const uint8_t uuid[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (size_t i = 0; i < 16; i++)
		to[i] = uuid[order[i]];
}

static void put_system(struct writer *writer, const uint8_t uuid[16])
{
	char serial[sizeof("Lodge-") + 32] = "Lodge-";
	const char *const strings[] = { "Lodge", "Lodge virtual machine", LODGE_VERSION, serial,
					NULL };
	struct smbios_system system = {
		.header = { 1, sizeof(system), 0x0100 },
		.vendor = 1,
		.product = 2,
		.version = 3,
		.serial = 4,
		.wake_up = WAKE_POWER_SWITCH,
	};

	for (size_t i = 0; i < 16; i++)
		snprintf(serial + 6 + 2 * i, 3, "%02x", uuid[i]);
	put_uuid(system.uuid, uuid);
	put_table(writer, &system, strings);
}

static void put_chassis(struct writer *writer)
{
	static const char *const strings[] = { "Lodge", NULL };
	const struct smbios_chassis chassis = {
		.header = { 3, sizeof(chassis), 0x0300 },
		.vendor = 1,
		.type = CHASSIS_OTHER,
		.boot_state = STATE_UNKNOWN,
		.power_state = STATE_UNKNOWN,
		.thermal_state = STATE_UNKNOWN,
		.security = STATE_UNKNOWN,
	};

	put_table(writer, &chassis, strings);
}

static void put_end(struct writer *writer)
{
	static const char *const strings[] = { NULL };
	const struct smbios_header end = { 127, sizeof(end), 0x7f00 };

	put_table(writer, &end, strings);
}

int smbios_build(const uint8_t uuid[16], uint64_t gpa, uint8_t bytes[SMBIOS_TABLES_MAX])
{
	const size_t first =
		(sizeof(struct smbios_entry) + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
	struct writer writer = { .bytes = bytes, .len = first };
	struct smbios_entry entry = {
		.anchor = { '_', 'S', 'M', '3', '_' },
		.length = sizeof(entry),
		.major = 3,
		.minor = 4,
		.revision = 1,
		.tables = gpa + first,
	};
	uint8_t sum = 0;

	put_bios(&writer);
	put_system(&writer, uuid);
	put_chassis(&writer);
	put_end(&writer);
	if (writer.error < 0)
		return writer.error;
	entry.size_max = (uint32_t)(writer.len - first);
	for (size_t i = 0; i < sizeof(entry); i++)
		sum += ((const uint8_t *)&entry)[i];
	entry.checksum = -sum;
	memset(bytes, 0, first);
	memcpy(bytes, &entry, sizeof(entry));
	return (int)writer.len;
}

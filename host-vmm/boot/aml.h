/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI machine language: just enough of an encoder for our DSDT.
 *
 * A term with a body is opened and closed (aml_end), and its length is filled in when it closes.
 * Errors stick: check aml_error() once at the end. Source: ACPI 6.4, chapters 6.4 (resources) and
 * 20.2 (grammar).
 */
#ifndef LODGE_VMM_BOOT_AML_H
#define LODGE_VMM_BOOT_AML_H

#include <stddef.h>
#include <stdint.h>

#define AML_DEPTH_MAX 8

struct aml {
	uint8_t *bytes; /* the caller's */
	size_t len, room;
	struct {
		size_t length_at; /* where its length goes */
		size_t count_at; /* where its number of elements goes; 0: has none */
		size_t size_at; /* of a buffer: where its size goes, 5 bytes; 0: is no buffer */
	} open[AML_DEPTH_MAX];
	unsigned int depth;
	int error;
};

void aml_init(struct aml *aml, void *bytes, size_t room);
/* -ENOSPC where the room did not suffice, -EINVAL where terms were left open. */
int aml_error(const struct aml *aml);

/* Names are paths of 4-character segments: "_SB_", "PCI0", "\\_S5_". */
void aml_scope(struct aml *aml, const char *name);
void aml_device(struct aml *aml, const char *name);
/* Name (@name, ...): the value is the next term. */
void aml_name(struct aml *aml, const char *name);
void aml_package(struct aml *aml);
/* A serialized method: its statements are the next terms. */
void aml_method(struct aml *aml, const char *name, unsigned int arguments);
void aml_end(struct aml *aml);
/* Notify (@name, @value) */
void aml_notify(struct aml *aml, const char *name, uint8_t value);

void aml_integer(struct aml *aml, uint64_t value);
/* A compressed identifier: "PNP0A08". */
void aml_eisaid(struct aml *aml, const char *id);
void aml_string(struct aml *aml, const char *text);

/* A resource template: descriptors between aml_resources() and aml_resources_end(). */
void aml_resources(struct aml *aml);
void aml_resources_end(struct aml *aml);
void aml_io(struct aml *aml, uint16_t base, uint8_t len);
void aml_irq(struct aml *aml, unsigned int irq);
/* Edge-triggered, active high, as a consumer. */
void aml_edge_interrupt(struct aml *aml, uint32_t gsi);
void aml_fixed_memory(struct aml *aml, uint32_t base, uint32_t len);
void aml_bus_window(struct aml *aml, uint16_t first, uint16_t last);
void aml_io_window(struct aml *aml, uint16_t base, uint32_t len);
void aml_memory_window(struct aml *aml, uint64_t base, uint64_t len);

#endif

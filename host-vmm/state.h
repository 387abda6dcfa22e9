/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device's state as bytes: what save() writes and load() reads back.
 *
 * Little-endian fields, in the order of the calls. Errors stick: check once, at the end, with
 * state_error(). A reader never reads past the end; what is missing reads as 0 and sets -EBADMSG.
 */
#ifndef LODGE_VMM_STATE_H
#define LODGE_VMM_STATE_H

#include <stddef.h>
#include <stdint.h>

struct state {
	uint8_t *bytes; /* owned when writing, borrowed when reading */
	size_t len; /* bytes written, or bytes there are to read */
	size_t room; /* allocated, when writing */
	size_t at; /* next byte to read */
	int error; /* 0 or the first negative errno */
};

/* Zero-initialise a writer; finish frees it. A reader is made over bytes of the caller's. */
void state_finish(struct state *state);
void state_read_from(struct state *state, const void *bytes, size_t len);

void state_put(struct state *state, const void *bytes, size_t len);
void state_put_u8(struct state *state, uint8_t value);
void state_put_u16(struct state *state, uint16_t value);
void state_put_u32(struct state *state, uint32_t value);
void state_put_u64(struct state *state, uint64_t value);

void state_get(struct state *state, void *bytes, size_t len);
uint8_t state_get_u8(struct state *state);
uint16_t state_get_u16(struct state *state);
uint32_t state_get_u32(struct state *state);
uint64_t state_get_u64(struct state *state);

int state_error(const struct state *state);

#endif

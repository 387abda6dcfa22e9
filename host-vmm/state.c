// SPDX-License-Identifier: GPL-2.0-or-later
// A device's state as bytes: a growing buffer to write to, a bounded cursor to read from.
#include "host-vmm/state.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void state_finish(struct state *state)
{
	if (state->room > 0)
		free(state->bytes);
	*state = (struct state){ 0 };
}

void state_read_from(struct state *state, const void *bytes, size_t len)
{
	*state = (struct state){ .bytes = (uint8_t *)bytes, .len = len };
}

void state_put(struct state *state, const void *bytes, size_t len)
{
	if (state->error < 0 || len == 0)
		return;
	if (len > state->room - state->len) {
		size_t room = state->room + (len > state->room ? len : state->room) + 64;
		uint8_t *grown = realloc(state->room > 0 ? state->bytes : NULL, room);

		if (!grown) {
			state->error = -ENOMEM;
			return;
		}
		state->bytes = grown;
		state->room = room;
	}
	memcpy(state->bytes + state->len, bytes, len);
	state->len += len;
}

void state_put_u8(struct state *state, uint8_t value)
{
	state_put(state, &value, sizeof(value));
}

void state_put_u16(struct state *state, uint16_t value)
{
	value = htole16(value);
	state_put(state, &value, sizeof(value));
}

void state_put_u32(struct state *state, uint32_t value)
{
	value = htole32(value);
	state_put(state, &value, sizeof(value));
}

void state_put_u64(struct state *state, uint64_t value)
{
	value = htole64(value);
	state_put(state, &value, sizeof(value));
}

void state_get(struct state *state, void *bytes, size_t len)
{
	if (state->error < 0 || len > state->len - state->at) {
		memset(bytes, 0, len);
		if (state->error == 0)
			state->error = -EBADMSG;
		return;
	}
	if (len > 0)
		memcpy(bytes, state->bytes + state->at, len);
	state->at += len;
}

uint8_t state_get_u8(struct state *state)
{
	uint8_t value;

	state_get(state, &value, sizeof(value));
	return value;
}

uint16_t state_get_u16(struct state *state)
{
	uint16_t value;

	state_get(state, &value, sizeof(value));
	return le16toh(value);
}

uint32_t state_get_u32(struct state *state)
{
	uint32_t value;

	state_get(state, &value, sizeof(value));
	return le32toh(value);
}

uint64_t state_get_u64(struct state *state)
{
	uint64_t value;

	state_get(state, &value, sizeof(value));
	return le64toh(value);
}

int state_error(const struct state *state)
{
	return state->error;
}

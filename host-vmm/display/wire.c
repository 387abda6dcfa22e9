// SPDX-License-Identifier: GPL-2.0-or-later
// Cuts and checks what windows say.
#include "host-vmm/display/wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

struct kind {
	enum lodge_display_type type;
	size_t size; /* of the body */
	/* The body's words, and whether they will do. */
	bool (*parse)(const struct wire *wire, const uint32_t *words, struct wire_message *message);
};

static bool parse_attach(const struct wire *wire, const uint32_t *words,
			 struct wire_message *message)
{
	message->heads = words[1];
	return words[0] == LODGE_DISPLAY_VERSION && !(words[1] >> wire->n_heads);
}

static bool parse_shown(const struct wire *wire, const uint32_t *words,
			struct wire_message *message)
{
	(void)wire;
	message->serial = words[0];
	return !words[1];
}

static bool parse_measure(const struct wire *wire, const uint32_t *words,
			  struct wire_message *message)
{
	(void)wire;
	message->resize.width = words[0];
	message->resize.height = words[1];
	message->resize.width_mm = words[2];
	message->resize.height_mm = words[3];
	return true;
}

static bool parse_resize(const struct wire *wire, const uint32_t *words,
			 struct wire_message *message)
{
	return parse_measure(wire, words, message) && !words[4] && !words[5];
}

static bool parse_key(const struct wire *wire, const uint32_t *words, struct wire_message *message)
{
	(void)wire;
	message->key.code = words[0];
	message->key.down = words[1];
	return words[1] <= 1;
}

static bool parse_point(const struct wire *wire, const uint32_t *words,
			struct wire_message *message)
{
	(void)wire;
	message->point.x = words[0];
	message->point.y = words[1];
	return true;
}

static bool parse_move(const struct wire *wire, const uint32_t *words, struct wire_message *message)
{
	(void)wire;
	message->move.dx = (int32_t)words[0];
	message->move.dy = (int32_t)words[1];
	return true;
}

static bool parse_nothing(const struct wire *wire, const uint32_t *words,
			  struct wire_message *message)
{
	(void)wire;
	(void)words;
	(void)message;
	return true;
}

static const struct kind kinds[] = {
	{ LODGE_DISPLAY_ATTACH, sizeof(struct lodge_display_attach), parse_attach },
	{ LODGE_DISPLAY_SHOWN, sizeof(struct lodge_display_shown), parse_shown },
	{ LODGE_DISPLAY_RESIZE, sizeof(struct lodge_display_resize), parse_resize },
	{ LODGE_DISPLAY_KEY, sizeof(struct lodge_display_key), parse_key },
	{ LODGE_DISPLAY_POINT, sizeof(struct lodge_display_point), parse_point },
	{ LODGE_DISPLAY_MOVE, sizeof(struct lodge_display_move), parse_move },
	{ LODGE_DISPLAY_BUTTON, sizeof(struct lodge_display_key), parse_key },
	{ LODGE_DISPLAY_WHEEL, sizeof(struct lodge_display_move), parse_move },
	{ LODGE_DISPLAY_RELEASE, 0, parse_nothing },
	{ LODGE_DISPLAY_MEASURE, sizeof(struct lodge_display_measure), parse_measure },
};

/* The kind of the message whose header is there, or NULL. */
static const struct kind *check_header(const struct wire *wire,
				       const struct lodge_display_header *header)
{
	const uint16_t type = le16toh(header->type);

	if (le16toh(header->head) >= wire->n_heads ||
	    (type == LODGE_DISPLAY_ATTACH) == wire->attached)
		return NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == type)
			return kinds[i].size == le32toh(header->size) ? &kinds[i] : NULL;
	return NULL;
}

static int deliver(struct wire *wire, const struct kind *kind,
		   const struct lodge_display_header *header, wire_fn fn, void *opaque)
{
	struct wire_message message = { .type = kind->type, .head = le16toh(header->head) };
	uint32_t words[WIRE_BODY_MAX / sizeof(uint32_t)];

	memcpy(words, wire->bytes + sizeof(*header), kind->size);
	for (size_t i = 0; i < kind->size / sizeof(*words); i++)
		words[i] = le32toh(words[i]);
	if (!kind->parse(wire, words, &message))
		return -EBADMSG;
	wire->have = 0;
	wire->attached = true;
	return fn(opaque, &message);
}

/* Takes what is missing of @need bytes; false: not all there. */
static bool gather(struct wire *wire, size_t need, const unsigned char **at, size_t *len)
{
	size_t take = need - wire->have;

	if (wire->have >= need)
		return true;
	if (take > *len)
		take = *len;
	memcpy(wire->bytes + wire->have, *at, take);
	wire->have += take;
	*at += take;
	*len -= take;
	return wire->have == need;
}

int wire_feed(struct wire *wire, const void *bytes, size_t len, wire_fn fn, void *opaque)
{
	const unsigned char *at = bytes;
	struct lodge_display_header header;

	while (gather(wire, sizeof(header), &at, &len)) {
		const struct kind *kind;
		int ret;

		memcpy(&header, wire->bytes, sizeof(header));
		kind = check_header(wire, &header);
		if (!kind)
			return -EBADMSG;
		if (!gather(wire, sizeof(header) + kind->size, &at, &len))
			return 0;
		ret = deliver(wire, kind, &header, fn, opaque);
		if (ret)
			return ret;
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The JSON of SetGuestDiskInfo: {"version":"1","disks":[{"name":BASE64,"free":"N","size":"N",
 * "fstype":TEXT,"devices":[...]}]}.
 *
 * A reader of its own, for a guest's text must not make a parser recurse: values that are not
 * looked at are skipped by counting brackets. Nothing that is looked at needs escapes.
 */
#include "host-vmm/backdoor/diskinfo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

struct json {
	const char *at, *end;
};

struct span {
	const char *start;
	size_t len;
};

static void skip_blanks(struct json *json)
{
	while (json->at < json->end && strchr(" \t\r\n", *json->at) && *json->at)
		json->at++;
}

/* Takes @what if it is next. */
static bool take(struct json *json, char what)
{
	skip_blanks(json);
	if (json->at == json->end || *json->at != what)
		return false;
	json->at++;
	return true;
}

/* Between the quotes, escapes as they are. */
static bool take_string(struct json *json, struct span *ret_span)
{
	if (!take(json, '"'))
		return false;
	ret_span->start = json->at;
	for (; json->at < json->end; json->at++) {
		if (*json->at == '"') {
			ret_span->len = (size_t)(json->at - ret_span->start);
			json->at++;
			return true;
		}
		if (*json->at == '\\' && ++json->at == json->end)
			return false;
	}
	return false;
}

/* Any value, however deep. */
static bool skip_value(struct json *json)
{
	size_t depth = 0;
	struct span unused;

	do {
		skip_blanks(json);
		if (json->at == json->end || *json->at == '\0')
			return false;
		if (*json->at == '"') {
			if (!take_string(json, &unused))
				return false;
			continue;
		}
		if (strchr("[{", *json->at))
			depth++;
		else if (strchr("]}", *json->at) && depth-- == 0)
			return false;
		json->at++;
		/* A number or a word outside of brackets ends before what follows it. */
		while (depth == 0 && json->at < json->end && !strchr(",]} \t\r\n", *json->at))
			json->at++;
	} while (depth > 0);
	return true;
}

static bool is(const struct span *span, const char *text)
{
	return span->len == strlen(text) && memcmp(span->start, text, span->len) == 0;
}

static int base64_digit(char byte)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = byte ? strchr(digits, byte) : NULL;

	return found ? (int)(found - digits) : -1;
}

static void decode(const struct span *span, char *to, size_t room)
{
	char bytes[256];
	uint32_t bits = 0;
	size_t n_bits = 0, len = 0;

	for (size_t i = 0; i < span->len && len < sizeof(bytes); i++) {
		int digit = base64_digit(span->start[i]);

		if (digit < 0)
			break;
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		bytes[len++] = (char)(bits >> n_bits);
	}
	backdoor_clean_text(to, room, bytes, len);
}

static uint64_t to_number(const struct span *span)
{
	uint64_t value = 0;

	for (size_t i = 0; i < span->len; i++) {
		unsigned int digit = (unsigned char)span->start[i] - '0';

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return 0;
		value = value * 10 + digit;
	}
	return value;
}

static void set_field(struct facts_disk *disk, const struct span *key, const struct span *value)
{
	if (is(key, "name"))
		decode(value, disk->mount, sizeof(disk->mount));
	else if (is(key, "free"))
		disk->free = to_number(value);
	else if (is(key, "size"))
		disk->size = to_number(value);
	else if (is(key, "fstype"))
		backdoor_clean_text(disk->fstype, sizeof(disk->fstype), value->start, value->len);
}

static bool read_disk(struct json *json, struct facts_disk *disk)
{
	if (!take(json, '{'))
		return false;
	if (take(json, '}'))
		return true;
	do {
		struct span key, value;

		if (!take_string(json, &key) || !take(json, ':'))
			return false;
		skip_blanks(json);
		if (json->at < json->end && *json->at == '"') {
			if (!take_string(json, &value))
				return false;
			set_field(disk, &key, &value);
		} else if (!skip_value(json)) {
			return false;
		}
	} while (take(json, ','));
	return take(json, '}');
}

static bool read_disks(struct json *json, struct tools_facts *made)
{
	struct facts_disk beyond = { 0 };

	if (!take(json, '['))
		return false;
	if (take(json, ']'))
		return true;
	do {
		struct facts_disk *disk = &beyond;

		if (made->n_disks < FACTS_DISKS_MAX)
			disk = &made->disks[made->n_disks++];
		if (!read_disk(json, disk))
			return false;
	} while (take(json, ','));
	return take(json, ']');
}

static bool read_all(struct json *json, struct tools_facts *made)
{
	if (!take(json, '{'))
		return false;
	if (take(json, '}'))
		return true;
	do {
		struct span key;

		if (!take_string(json, &key) || !take(json, ':'))
			return false;
		if (is(&key, "disks") && made->n_disks == 0 ? !read_disks(json, made)
							    : !skip_value(json))
			return false;
	} while (take(json, ','));
	return take(json, '}');
}

int diskinfo_parse(const char *text, size_t len, struct tools_facts *facts)
{
	struct json json = { .at = text, .end = text + len };
	struct tools_facts *made = calloc(1, sizeof(*made));
	int ret = -EBADMSG;

	if (!made)
		return -ENOMEM;
	if (read_all(&json, made)) {
		facts->n_disks = made->n_disks;
		memcpy(facts->disks, made->disks, sizeof(facts->disks));
		ret = 0;
	}
	free(made);
	return ret;
}

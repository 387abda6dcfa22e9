// SPDX-License-Identifier: GPL-2.0-or-later
// UUIDs as digests of what makes a VM the VM that it is: the host and the folder.
#include "host-vmm/conf/uuid.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define VERSION_CUSTOM 0x80u /* RFC 9562 section 5.8 */
#define VARIANT	       0x80u

void vm_uuid_make(const char *host_id, const char *dir, uint8_t ret_uuid[16])
{
	/* Keyed, so that a guest does not learn the host's id by trying. */
	GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, (const guchar *)host_id, strlen(host_id));
	guint8 digest[32];
	gsize len = sizeof(digest);

	g_hmac_update(hmac, (const guchar *)dir, (gssize)strlen(dir));
	g_hmac_get_digest(hmac, digest, &len);
	g_hmac_unref(hmac);
	memcpy(ret_uuid, digest, 16);
	ret_uuid[6] = (ret_uuid[6] & 0x0f) | VERSION_CUSTOM;
	ret_uuid[8] = (ret_uuid[8] & 0x3f) | VARIANT;
}

void vm_uuid_of(const char *dir, uint8_t ret_uuid[16])
{
	g_autofree char *host_id = NULL;

	if (!g_file_get_contents("/etc/machine-id", &host_id, NULL, NULL))
		host_id = g_strdup("");
	g_strstrip(host_id);
	vm_uuid_make(host_id, dir, ret_uuid);
}

static bool is_dash(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

int vm_uuid_parse(const char *text, uint8_t ret_uuid[16])
{
	uint8_t uuid[16] = { 0 };
	size_t digits = 0;
	unsigned int sum = 0;

	if (strlen(text) != VM_UUID_TEXT - 1)
		return -EINVAL;
	for (size_t at = 0; text[at]; at++) {
		int digit = g_ascii_xdigit_value(text[at]);

		if (is_dash(at) ? text[at] != '-' : digit < 0)
			return -EINVAL;
		if (is_dash(at))
			continue;
		uuid[digits / 2] |= (uint8_t)(digit << (digits % 2 ? 0 : 4));
		digits++;
	}
	for (size_t i = 0; i < sizeof(uuid); i++)
		sum += uuid[i];
	if (sum == 0 || sum == sizeof(uuid) * UINT8_MAX)
		return -EINVAL;
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}

void vm_uuid_format(const uint8_t uuid[16], char ret_text[VM_UUID_TEXT])
{
	size_t len = 0;

	for (size_t i = 0; i < 16; i++) {
		if (is_dash(len))
			ret_text[len++] = '-';
		len += (size_t)snprintf(ret_text + len, VM_UUID_TEXT - len, "%02x", uuid[i]);
	}
}

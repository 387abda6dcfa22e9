// SPDX-License-Identifier: GPL-2.0-or-later
// vm.conf: any bytes are a config or a one-line error, and what is a config survives a change.
#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void change(const char *text, size_t len)
{
	struct vm_config *config;
	char *message, *made;
	size_t made_len;

	if (vm_config_change("/v", "c", text, len, "memory.size", "64M", &made, &made_len,
			     &message))
		abort();
	if (vm_config_parse("/v", "c", made, made_len, &config, &message) ||
	    config->memory != 64ull << 20)
		abort();
	vm_config_free(config);
	g_free(made);
}

static size_t count_shares(const char *text)
{
	struct vm_config *config;
	size_t n_shares;
	char *message;

	if (vm_config_parse("/v", "c", text, strlen(text), &config, &message))
		abort();
	n_shares = config->n_shares;
	vm_config_free(config);
	return n_shares;
}

/* One share more, one less, and then the first one of the file. */
static void change_shares(const char *bytes, size_t len, const struct vm_config *config)
{
	const struct vm_share share = { .name = (char *)"new one", .path = (char *)"/\\ p" };
	g_autofree char *text = g_strndup(bytes, len);
	char *more, *less, *message = NULL;

	if (strlen(text) != len || config->n_shares == VM_SHARES_MAX ||
	    vm_config_add_share("/v", "c", text, &share, &more, &message)) {
		g_free(message); /* it is too long by now, or has that name */
		return;
	}
	if (count_shares(more) != config->n_shares + 1 ||
	    vm_config_remove_share("/v", "c", more, share.name, &less, &message) ||
	    count_shares(less) != config->n_shares)
		abort();
	g_free(less);
	g_free(more);
	if (config->n_shares &&
	    (vm_config_remove_share("/v", "c", text, config->shares[0].name, &less, &message) ||
	     count_shares(less) != config->n_shares - 1))
		abort();
	if (config->n_shares)
		g_free(less);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct vm_config *config;
	char *message;

	if (vm_config_parse("/v", "c", text, size, &config, &message)) {
		if (!message || strchr(message, '\n'))
			abort();
		g_free(message);
		return 0;
	}
	if (!config->kernel || config->cpus < 1 || config->cpus > VM_CPUS_MAX ||
	    config->memory < VM_MEMORY_MIN || config->n_disks > VM_DISKS_MAX ||
	    config->n_shares > VM_SHARES_MAX)
		abort();
	change_shares(text, size, config);
	vm_config_free(config);
	change(text, size);
	return 0;
}

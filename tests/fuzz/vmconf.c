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
	vm_config_free(config);
	change(text, size);
	return 0;
}

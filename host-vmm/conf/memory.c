// SPDX-License-Identifier: GPL-2.0-or-later
// The keys of [memory] that say how much of its memory a guest has: their words, and which fit.
#include "host-vmm/conf/memory.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"

static const char *const modes[] = {
	[VM_MEMORY_OFF] = "off",
	[VM_MEMORY_MANUAL] = "manual",
	[VM_MEMORY_AUTO] = "auto",
};

int vm_parse_memory_mode(const char *text, enum vm_memory_mode *ret_mode)
{
	for (size_t i = VM_MEMORY_OFF; i < G_N_ELEMENTS(modes); i++) {
		if (!strcmp(text, modes[i])) {
			*ret_mode = (enum vm_memory_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *vm_memory_mode_name(enum vm_memory_mode mode)
{
	return modes[mode];
}

static int refuse(const char *key, const char *problem, const char **ret_key, char **ret_problem)
{
	*ret_key = key;
	*ret_problem = g_strdup(problem);
	return -EINVAL;
}

int vm_config_check_memory(const struct vm_config *config, const char **ret_key, char **ret_problem)
{
	const struct {
		const char *key;
		uint64_t value;
	} parts[] = {
		{ "target", config->memory_target },
		{ "min", config->memory_min },
		{ "max", config->memory_max },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (parts[i].value > config->memory)
			return refuse(parts[i].key,
				      "is more than the VM's size; raise size, or lower this",
				      ret_key, ret_problem);
	}
	if (config->memory_max && config->memory_min > config->memory_max)
		return refuse("min", "is more than max; lower it, or raise max", ret_key,
			      ret_problem);
	if (config->memory_mode == VM_MEMORY_MANUAL && !config->memory_target)
		return refuse("mode", "manual wants a target; add target=SIZE, or say auto",
			      ret_key, ret_problem);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// What `lodge set` does with memory.mode, .target, .min and .max.
#include "host-vmm/cli/memory.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/client.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/memory-policy/policy.h"

#define SHORT_WORD "memory="

char **memory_expand(char **changes)
{
	GPtrArray *all = g_ptr_array_new();
	enum vm_memory_mode mode;

	for (; *changes; changes++) {
		const char *value = *changes + strlen(SHORT_WORD);

		if (!g_str_has_prefix(*changes, SHORT_WORD)) {
			g_ptr_array_add(all, g_strdup(*changes));
		} else if (!vm_parse_memory_mode(value, &mode) && mode != VM_MEMORY_MANUAL) {
			g_ptr_array_add(all, g_strconcat("memory.mode=", value, NULL));
		} else {
			/* In this order each step is a vm.conf that will do. */
			g_ptr_array_add(all, g_strconcat("memory.target=", value, NULL));
			g_ptr_array_add(all, g_strdup("memory.mode=manual"));
		}
	}
	g_ptr_array_add(all, NULL);
	return (char **)g_ptr_array_free(all, FALSE);
}

bool memory_is_live(const char *change)
{
	static const char *const words[] = { "memory.mode=", "memory.target=", "memory.min=",
					     "memory.max=" };

	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if (g_str_has_prefix(change, words[i]))
			return true;
	return false;
}

/* Everything is said, so that what was taken out of vm.conf is what it is without. */
static char *params_of(const struct memory_limits *limits)
{
	g_autoptr(JsonObject) params = json_object_new();

	json_object_set_string_member(params, "mode", vm_memory_mode_name(limits->mode));
	json_object_set_int_member(params, "want", (gint64)limits->want);
	json_object_set_int_member(params, "min", (gint64)limits->min);
	json_object_set_int_member(params, "max", (gint64)limits->max);
	return json_object_text(params);
}

/* The size is that with which it was started, which vm.conf may have changed since. */
static int tell(const struct vm *vm, const struct vm_config *config, char **ret_message)
{
	g_autofree char *params = NULL;
	struct memory_limits limits;
	JsonObject *result;
	int ret = client_ask(vm->socket, "memory", NULL, &result, ret_message);

	if (ret)
		return ret;
	limits = memory_limits_of(
		config->memory_mode,
		(uint64_t)json_object_get_int_member_with_default(result, "size", 0),
		config->memory_min, config->memory_max, config->memory_target);
	json_object_unref(result);
	params = params_of(&limits);
	ret = client_ask(vm->socket, "memory-set", params, &result, ret_message);
	if (!ret)
		json_object_unref(result);
	return ret;
}

int memory_apply(const struct vm *vm, const char *text, unsigned long len)
{
	g_autofree char *message = NULL;
	struct vm_config *config;
	int ret = vm_config_parse(vm->dir, "vm.conf", text, len, &config, &message);

	if (ret)
		return fail(EX_CONFIG, "%s", message);
	ret = tell(vm, config, &message);
	vm_config_free(config);
	return ret ? fail(EX_UNAVAILABLE,
			  "%s: its vm.conf is changed, but not the VM that runs: %s", vm->name,
			  message)
		   : EX_OK;
}

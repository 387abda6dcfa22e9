// SPDX-License-Identifier: GPL-2.0-or-later
// The methods that are about the guest's tools: who they are, what they told, variables, power.
#include "host-vmm/control/tools.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/control/json.h"
#include "host-vmm/machine.h"

/* NULL with the error said where this VM has no doors. */
static struct backdoor *need_backdoor(void *opaque, struct control_error *error)
{
	struct machine *machine = opaque;

	if (machine->backdoor)
		return machine->backdoor;
	error->message = g_strdup("this VM has no doors for its guest's tools");
	error->hint = g_strdup("turn one on in [backdoor] of vm.conf and start it anew");
	return NULL;
}

static json_t *heartbeat_json(const struct tools_status *status)
{
	json_t *object = json_object();

	json_object_set_new(object, "every", json_integer((json_int_t)status->heartbeat_seconds));
	json_object_set_new(object, "age", json_integer((json_int_t)status->heartbeat_age));
	json_object_set_new(object, "missed", json_boolean(status->heartbeat_missed));
	return object;
}

int control_tools(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct machine *machine = opaque;
	struct tools_status status = {
		.why = "this VM has no doors for them: [backdoor] of vm.conf"
	};
	struct tools_facts *facts;

	(void)params;
	(void)error;
	if (machine->backdoor)
		tools_get_status(machine->backdoor, &status);
	json_object_set_new(result, "up", json_boolean(status.up));
	if (status.up) {
		json_object_set_new(result, "door", control_string(rpc_door_name(status.door)));
		json_object_set_new(result, "privilege",
				    control_string(rpc_privilege_name(status.privilege)));
		json_object_set_new(result, "app", control_string(status.app));
		json_object_set_new(result, "version", control_string(status.version));
		json_object_set_new(result, "guest_ops", json_boolean(status.guest_ops));
		json_object_set_new(result, "power", json_boolean(status.power));
		json_object_set_new(result, "heartbeat", heartbeat_json(&status));
		json_object_set_new(result, "up_since", json_integer((json_int_t)status.up_since));
	} else {
		json_object_set_new(result, "why", control_string(status.why));
	}
	if (machine->backdoor && !tools_get_facts(machine->backdoor, &facts)) {
		json_object_set_new(result, "facts", control_facts_json(facts));
		free(facts);
	}
	return 0;
}

/* Bytes that JSON cannot carry, or only at many times their size, go as base64. */
static bool is_text(const char *value, size_t len)
{
	if (!g_utf8_validate(value, (gssize)len, NULL))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (g_ascii_iscntrl(value[i]) && !strchr("\n\r\t", value[i]))
			return false;
	}
	return true;
}

static void set_value(json_t *object, const char *value, size_t len)
{
	g_autofree char *coded = NULL;

	if (is_text(value, len)) {
		json_object_set_new(object, "value", control_string(value));
		return;
	}
	coded = g_base64_encode((const guchar *)value, len);
	json_object_set_new(object, "base64", control_string(coded));
}

static int explain_var(int ret, const char *name, struct control_error *error)
{
	switch (-ret) {
	case 0:
		return 0;
	case ENOENT:
		error->message = g_strdup_printf("there is no variable '%s'", name);
		error->hint = g_strdup("var-list names those there are");
		break;
	case EINVAL:
		error->message = g_strdup_printf("'%s' cannot name a variable", name);
		error->hint = g_strdup("names are guestinfo.WORD, of printable ASCII");
		break;
	case EMSGSIZE:
		error->message = g_strdup_printf("'%s': the name or the value is too long", name);
		error->hint = g_strdup_printf("%u bytes of name, %u of value at most",
					      TOOLS_VAR_NAME_MAX, TOOLS_VAR_VALUE_MAX);
		break;
	case ENOSPC:
		error->message = g_strdup("this VM's variables are full");
		error->hint = g_strdup_printf("%d of them, %u bytes together at most; remove some",
					      TOOLS_VARS_MAX, TOOLS_VARS_BYTES);
		break;
	default:
		error->message = g_strdup_printf("'%s': %s", name, g_strerror(-ret));
	}
	return ret;
}

int control_var_get(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct backdoor *backdoor = need_backdoor(opaque, error);
	const char *name = backdoor ? control_need_string(params, "name", error) : NULL;
	char *value;
	size_t len;
	int ret;

	if (!name)
		return -EINVAL;
	ret = tools_var_get(backdoor, name, &value, &len);
	if (ret)
		return explain_var(ret, name, error);
	set_value(result, value, len);
	free(value);
	return 0;
}

int control_var_set(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct backdoor *backdoor = need_backdoor(opaque, error);
	const char *name = backdoor ? control_need_string(params, "name", error) : NULL;
	const char *value = json_string_value(json_object_get(params, "value"));
	const char *coded = json_string_value(json_object_get(params, "base64"));
	g_autofree guchar *bytes = NULL;
	gsize len = value ? strlen(value) : 0;

	(void)result;
	if (!name)
		return -EINVAL;
	if (!value && coded) {
		bytes = g_base64_decode(coded, &len);
		value = (const char *)bytes;
	}
	return explain_var(tools_var_set(backdoor, name, value, len), name, error);
}

int control_var_list(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct backdoor *backdoor = need_backdoor(opaque, error);
	struct tools_var *vars;
	json_t *rows;
	size_t count;
	int ret;

	(void)params;
	if (!backdoor)
		return -EINVAL;
	ret = tools_vars_list(backdoor, &vars, &count);
	if (ret)
		return ret;
	rows = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();

		json_object_set_new(row, "name", control_string(vars[i].name));
		set_value(row, vars[i].value, vars[i].len);
		json_array_append_new(rows, row);
	}
	json_object_set_new(result, "vars", rows);
	tools_vars_free(vars, count);
	return 0;
}

int control_power(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	static const struct {
		const char *word;
		enum tools_power what;
	} words[] = {
		{ "halt", TOOLS_HALT },
		{ "reboot", TOOLS_REBOOT },
		{ "suspend", TOOLS_SUSPEND },
	};
	struct backdoor *backdoor = need_backdoor(opaque, error);
	const char *word = backdoor ? control_need_string(params, "what", error) : NULL;
	size_t i = 0;
	int ret;

	(void)result;
	if (!word)
		return -EINVAL;
	while (i < G_N_ELEMENTS(words) && strcmp(words[i].word, word) != 0)
		i++;
	if (i == G_N_ELEMENTS(words)) {
		error->message = g_strdup("what is none of halt, reboot, suspend");
		error->hint = g_strdup("send {\"what\":\"halt\"}");
		return -EINVAL;
	}
	ret = tools_power(backdoor, words[i].what);
	if (ret == -ENOTCONN || ret == -EOPNOTSUPP) {
		struct tools_status status;

		tools_get_status(backdoor, &status);
		error->message = status.up ? g_strdup("the guest's tools do not take that")
					   : g_strdup_printf("no tools: %s", status.why);
		error->hint = g_strdup("stop presses the power button");
	}
	return ret;
}

int control_events(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)opaque;
	(void)params;
	(void)result;
	(void)error;
	return CONTROL_FOLLOWS;
}

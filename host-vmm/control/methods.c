// SPDX-License-Identifier: GPL-2.0-or-later
// What a running machine answers to on its control socket.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/control/shares.h"
#include "host-vmm/control/tools.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"
#include "host-vmm/virtio/balloon.h"
#include "host-vmm/virtio/console.h"
#include "host-vmm/virtio/fs_choice.h"

static int ping(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	(void)opaque;
	(void)params;
	(void)error;
	json_object_set_string_member(result, "version", LODGE_VERSION);
	return 0;
}

static int status(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	struct machine *machine = opaque;
	enum machine_event event;
	int guest_status;

	(void)params;
	(void)error;
	pthread_mutex_lock(&machine->event_lock);
	event = machine->event;
	guest_status = machine->guest_status;
	pthread_mutex_unlock(&machine->event_lock);
	json_object_set_string_member(result, "name", machine->config->name);
	json_object_set_string_member(result, "state",
				      event == MACHINE_NONE    ? "running"
				      : event == MACHINE_RESET ? "resetting"
							       : "stopping");
	json_object_set_string_member(result, "dir", machine->config->dir);
	json_object_set_int_member(result, "pid", getpid());
	json_object_set_int_member(result, "cpus", machine->config->cpus);
	json_object_set_int_member(result, "memory", (gint64)machine->config->memory);
	if (guest_status >= 0)
		json_object_set_int_member(result, "guest_status", guest_status);
	return 0;
}

static int stop(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	int ret = machine_press_power_button(opaque);

	(void)params;
	(void)result;
	if (ret) {
		error->message = g_strdup("this machine has no power button");
		error->hint = g_strdup("lodge kill pulls the plug");
	}
	return ret;
}

static int kill_machine(void *opaque, JsonObject *params, JsonObject *result,
			struct control_error *error)
{
	(void)params;
	(void)result;
	(void)error;
	machine_request(opaque, MACHINE_KILL);
	return 0;
}

const char *control_need_string(JsonObject *params, const char *key, struct control_error *error)
{
	JsonNode *node = json_object_get_member(params, key);

	if (node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
		return json_node_get_string(node);
	error->message = g_strdup_printf("the parameter %s is missing, or no string", key);
	error->hint = g_strdup_printf("add \"%s\":\"...\" to params", key);
	return NULL;
}

static int resize(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	gint64 cols = json_object_get_int_member_with_default(params, "cols", 0);
	gint64 rows = json_object_get_int_member_with_default(params, "rows", 0);

	(void)result;
	if (cols < 1 || cols > UINT16_MAX || rows < 1 || rows > UINT16_MAX) {
		error->message = g_strdup("cols and rows are 1 to 65535");
		error->hint = g_strdup("send {\"cols\":80,\"rows\":24}");
		return -EINVAL;
	}
	virtio_console_resize(opaque, (uint16_t)cols, (uint16_t)rows);
	return 0;
}

static JsonArray *list_devices(const struct machine *machine)
{
	JsonArray *devices = json_array_new();

	for (size_t i = 0; i < machine->n_devices; i++) {
		const struct device *device = machine->devices[i];
		JsonObject *row = json_object_new();

		json_object_set_string_member(row, "name", device->name);
		json_object_set_string_member(row, "help", device->type->help);
		json_array_add_object_element(devices, row);
	}
	return devices;
}

static void add_feature(JsonArray *features, const char *word, int rung, const char *by)
{
	JsonObject *row = json_object_new();

	json_object_set_string_member(row, "feature", word);
	if (rung >= 0)
		json_object_set_int_member(row, "rung", rung);
	else
		json_object_set_null_member(row, "rung");
	json_object_set_string_member(row, "by", by);
	json_array_add_object_element(features, row);
}

static void add_memory(struct machine *machine, JsonArray *features, JsonObject *result)
{
	struct balloon_info info;
	JsonObject *balloon;

	if (balloon_get_info(machine, &info)) {
		add_feature(features, "memory", -1, "turned off in vm.conf");
		return;
	}
	if (info.driver)
		add_feature(features, "memory", 0, "virtio-balloon");
	else
		add_feature(features, "memory", -1, "the guest has no driver for its balloon");
	balloon = json_object_new();
	json_object_set_int_member(balloon, "target", (gint64)info.target);
	json_object_set_int_member(balloon, "actual", (gint64)info.actual);
	json_object_set_int_member(balloon, "reported", (gint64)info.reported);
	json_object_set_object_member(result, "balloon", balloon);
}

/* Rung 0 is what the guest's own drivers do; nothing of ours in a guest reports itself yet. */
static int info(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	struct machine *machine = opaque;
	const struct vm_config *config = machine->config;
	JsonArray *features = json_array_new();
	bool shared = fs_devices(config);

	(void)params;
	(void)error;
	add_feature(features, "fs", shared ? 0 : -1, shared ? "virtio-fs" : "no share is set");
	add_memory(machine, features, result);
	add_feature(features, "clock", 0, "kvm-clock");
	json_object_set_array_member(result, "features", features);
	json_object_set_array_member(result, "devices", list_devices(machine));
	return 0;
}

static int balloon(void *opaque, JsonObject *params, JsonObject *result,
		   struct control_error *error)
{
	gint64 target = json_object_get_int_member_with_default(params, "target", -1);
	int ret = target < 0 ? -ERANGE : balloon_set_target(opaque, (uint64_t)target);

	(void)result;
	if (ret == -ENODEV) {
		error->message = g_strdup("this VM has no balloon");
		error->hint = g_strdup("set device.balloon=yes and start it anew");
	} else if (ret == -ERANGE) {
		error->message = g_strdup("target is the bytes that the guest gives up: 0 or more, "
					  "and less than it has");
		error->hint = g_strdup("status tells how many it has");
	}
	return ret;
}

/* clang-format off */
const struct control_method control_machine_methods[] = {
	{ "ping", ping },
	{ "status", status },
	{ "stop", stop },
	{ "kill", kill_machine },
	{ "info", info },
	{ "share-add", control_share_add },
	{ "share-remove", control_share_remove },
	{ "share-list", control_share_list },
	{ "balloon", balloon },
	{ "resize", resize },
	{ "tools", control_tools },
	{ "var-get", control_var_get },
	{ "var-set", control_var_set },
	{ "var-list", control_var_list },
	{ "power", control_power },
	{ "events", control_events },
	{ NULL, NULL },
};
/* clang-format on */

int control_start(struct machine *machine, const char *path, struct control **ret_control)
{
	return control_start_with(path, control_machine_methods, machine, ret_control);
}

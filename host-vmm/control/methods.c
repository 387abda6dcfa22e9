// SPDX-License-Identifier: GPL-2.0-or-later
// What a running machine answers to on its control socket.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/control/tools.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"
#include "host-vmm/virtio/balloon.h"
#include "host-vmm/virtio/console.h"
#include "host-vmm/virtio/fs.h"

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

static bool get_flag(JsonObject *params, const char *key)
{
	JsonNode *node = json_object_get_member(params, key);

	return node && JSON_NODE_HOLDS_VALUE(node) &&
	       json_node_get_value_type(node) == G_TYPE_BOOLEAN && json_node_get_boolean(node);
}

static int explain_share(int ret, const char *name, struct control_error *error)
{
	if (ret == -ENODEV) {
		error->message = g_strdup("this VM was started without shares");
		error->hint = g_strdup("add one to vm.conf and start it anew");
	} else if (ret == -EEXIST) {
		error->message = g_strdup_printf("there is a share '%s' already", name);
		error->hint = g_strdup("remove it first, or take another name");
	} else if (ret == -ENOENT) {
		error->message = g_strdup_printf("there is no share '%s'", name);
		error->hint = g_strdup("share-list names those there are");
	} else if (ret) {
		error->message = g_strdup_printf("share '%s': %s", name, g_strerror(-ret));
		error->hint = g_strdup("give a folder that you may read, and a name without /");
	}
	return ret;
}

static int share_add(void *opaque, JsonObject *params, JsonObject *result,
		     struct control_error *error)
{
	struct fs_share_info info = { 0 };
	int fd;

	(void)result;
	info.name = control_need_string(params, "name", error);
	info.path = info.name ? control_need_string(params, "path", error) : NULL;
	if (!info.path)
		return -EINVAL;
	info.read_only = get_flag(params, "read_only");
	info.owner_exact = get_flag(params, "owner_exact");
	if (vm_check_share_name(info.name))
		return explain_share(-EINVAL, info.name, error);
	fd = open(info.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		error->message = g_strdup_printf("%s: %s", info.path, g_strerror(errno));
		error->hint = g_strdup("a share must be a folder that you may read");
		return -EINVAL;
	}
	return explain_share(fs_share_add(opaque, &info, fd), info.name, error);
}

static int share_remove(void *opaque, JsonObject *params, JsonObject *result,
			struct control_error *error)
{
	const char *name = control_need_string(params, "name", error);

	(void)result;
	return name ? explain_share(fs_share_remove(opaque, name), name, error) : -EINVAL;
}

static void add_share_row(void *opaque, const struct fs_share_info *info)
{
	JsonObject *row = json_object_new();

	json_object_set_string_member(row, "name", info->name);
	json_object_set_string_member(row, "path", info->path);
	json_object_set_boolean_member(row, "read_only", info->read_only);
	json_object_set_boolean_member(row, "owner_exact", info->owner_exact);
	json_array_add_object_element(opaque, row);
}

static int share_list(void *opaque, JsonObject *params, JsonObject *result,
		      struct control_error *error)
{
	JsonArray *rows = json_array_new();
	int ret = fs_share_each(opaque, add_share_row, rows);

	(void)params;
	json_object_set_array_member(result, "shares", rows);
	return ret == -ENODEV ? 0 : explain_share(ret, "", error);
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
	bool shared = config->n_shares || config->root || config->n_fs;

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
	{ "share-add", share_add },
	{ "share-remove", share_remove },
	{ "share-list", share_list },
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

// SPDX-License-Identifier: GPL-2.0-or-later
// What a running machine answers to on its control socket.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/conf/uuid.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/control/clock.h"
#include "host-vmm/control/display.h"
#include "host-vmm/control/json.h"
#include "host-vmm/control/keys.h"
#include "host-vmm/control/memory.h"
#include "host-vmm/control/shares.h"
#include "host-vmm/control/tools.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"
#include "host-vmm/virtio/console.h"
#include "host-vmm/virtio/fs_choice.h"

static int ping(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)opaque;
	(void)params;
	(void)error;
	json_object_set_new(result, "version", control_string(LODGE_VERSION));
	return 0;
}

static int status(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct machine *machine = opaque;
	int guest_status;

	(void)params;
	(void)error;
	pthread_mutex_lock(&machine->event_lock);
	guest_status = machine->guest_status;
	pthread_mutex_unlock(&machine->event_lock);
	json_object_set_new(result, "name", control_string(machine->config->name));
	json_object_set_new(result, "state", control_string(control_state(machine)));
	json_object_set_new(result, "dir", control_string(machine->config->dir));
	json_object_set_new(result, "pid", json_integer((json_int_t)(getpid())));
	json_object_set_new(result, "cpus", json_integer((json_int_t)machine->config->cpus));
	json_object_set_new(result, "memory", json_integer((json_int_t)machine->config->memory));
	if (guest_status >= 0)
		json_object_set_new(result, "guest_status", json_integer((json_int_t)guest_status));
	return 0;
}

static int stop(void *opaque, json_t *params, json_t *result, struct control_error *error)
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

static int kill_machine(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)params;
	(void)result;
	(void)error;
	machine_request(opaque, MACHINE_KILL);
	return 0;
}

static int resize(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	json_int_t cols = control_get_int(params, "cols", 0);
	json_int_t rows = control_get_int(params, "rows", 0);

	(void)result;
	if (cols < 1 || cols > UINT16_MAX || rows < 1 || rows > UINT16_MAX) {
		error->message = g_strdup("cols and rows are 1 to 65535");
		error->hint = g_strdup("send {\"cols\":80,\"rows\":24}");
		return -EINVAL;
	}
	virtio_console_resize(opaque, (uint16_t)cols, (uint16_t)rows);
	return 0;
}

static json_t *list_devices(const struct machine *machine)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < machine->n_devices; i++) {
		const struct device *device = machine->devices[i];
		json_t *row = json_object();

		json_object_set_new(row, "name", control_string(device->name));
		json_object_set_new(row, "help", control_string(device->type->help));
		json_array_append_new(devices, row);
	}
	return devices;
}

static void add_feature(json_t *features, const char *word, int rung, const char *by)
{
	json_t *row = json_object();

	json_object_set_new(row, "feature", control_string(word));
	if (rung >= 0)
		json_object_set_new(row, "rung", json_integer((json_int_t)rung));
	else
		json_object_set_new(row, "rung", json_null());
	json_object_set_new(row, "by", control_string(by));
	json_array_append_new(features, row);
}

static void add_memory(struct machine *machine, json_t *features, json_t *result)
{
	json_t *balloon = control_balloon_figures(machine);
	const char *by;
	int rung = control_memory_rung(machine, &by);

	add_feature(features, "memory", rung, by);
	if (balloon)
		json_object_set_new(result, "balloon", balloon);
}

/* The guest's word counts for its own part: where its tools have the shares. */
static void add_shares(struct machine *machine, const struct tools_facts *facts, json_t *features)
{
	if (!fs_devices(machine->config))
		add_feature(features, "fs", -1, "this VM has no device for shares");
	else if (facts && *facts->shares_mount)
		add_feature(features, "fs", strcmp(facts->shares_by, "lodge_fs") ? 1 : 2,
			    facts->shares_by);
	else
		add_feature(features, "fs", 0, "virtio-fs");
}

static void add_display(struct machine *machine, const struct tools_facts *facts, json_t *features,
			json_t *result)
{
	json_t *screens = control_screens(machine);
	const char *by;
	int rung = control_display_rung(machine, facts, &by);

	add_feature(features, "display", rung, by);
	if (screens)
		json_object_set_new(result, "screens", screens);
}

static void add_clock(struct machine *machine, const struct tools_facts *facts, json_t *features,
		      json_t *result)
{
	json_t *clock = control_clock(machine);
	const char *by;
	int rung = control_clock_rung(facts, clock != NULL, &by);

	add_feature(features, "clock", rung, by);
	if (clock)
		json_object_set_new(result, "clock", clock);
}

/* Rung 0 is what the guest's own drivers do, 1 what its daemon does, 2 what our modules do. */
static int info(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct machine *machine = opaque;
	json_t *features = json_array();
	struct tools_facts *facts = NULL;
	char uuid[VM_UUID_TEXT];

	(void)params;
	(void)error;
	if (machine->backdoor)
		(void)tools_get_facts(machine->backdoor, &facts);
	add_shares(machine, facts, features);
	add_display(machine, facts, features, result);
	add_memory(machine, features, result);
	add_clock(machine, facts, features, result);
	json_object_set_new(result, "state", control_string(control_state(machine)));
	free(facts);
	vm_uuid_format(machine->uuid, uuid);
	json_object_set_new(result, "uuid", json_string(uuid));
	json_object_set_new(result, "features", features);
	json_object_set_new(result, "devices", list_devices(machine));
	return 0;
}

/* clang-format off */
const struct control_method control_machine_methods[] = {
	{ "ping", ping },
	{ "status", status },
	{ "stop", stop },
	{ "kill", kill_machine },
	{ "pause", control_pause },
	{ "resume", control_resume },
	{ "info", info },
	{ "share-add", control_share_add },
	{ "share-remove", control_share_remove },
	{ "share-list", control_share_list },
	{ "balloon", control_balloon },
	{ "memory", control_memory },
	{ "memory-set", control_memory_set },
	{ "resize", resize },
	{ "keys", control_keys },
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

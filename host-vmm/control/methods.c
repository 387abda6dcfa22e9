// SPDX-License-Identifier: GPL-2.0-or-later
// What a running machine answers to on its control socket.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"

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

static void add_feature(JsonArray *features, const char *word, const char *by, bool there)
{
	JsonObject *row = json_object_new();

	json_object_set_string_member(row, "feature", word);
	if (there)
		json_object_set_int_member(row, "rung", 0);
	else
		json_object_set_null_member(row, "rung");
	json_object_set_string_member(row, "by", by);
	json_array_add_object_element(features, row);
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
	add_feature(features, "fs", shared ? "virtio-fs" : "no share is set", shared);
	add_feature(features, "memory",
		    config->balloon ? "virtio-balloon" : "turned off in vm.conf", config->balloon);
	add_feature(features, "clock", "kvm-clock", true);
	json_object_set_array_member(result, "features", features);
	json_object_set_array_member(result, "devices", list_devices(machine));
	return 0;
}

const struct control_method control_machine_methods[] = {
	{ "ping", ping },	  { "status", status }, { "stop", stop },
	{ "kill", kill_machine }, { "info", info },	{ NULL, NULL },
};

int control_start(struct machine *machine, const char *path, struct control **ret_control)
{
	return control_start_with(path, control_machine_methods, machine, ret_control);
}

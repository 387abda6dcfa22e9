// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge list`: the user's VMs, and whatever else of theirs runs.
#include "host-vmm/cli/cli.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/json.h"
#include "host-vmm/cli/client.h"
#include "host-vmm/cli/list.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/throwaway.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/conf/words.h"

static int by_name(const void *a, const void *b)
{
	const struct vm *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static void add_mine(GArray *vms, const char *base)
{
	g_autofree char *root = paths_vms();
	g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *folder = g_build_filename(root, name, NULL);
		g_autofree char *conf = g_build_filename(folder, "vm.conf", NULL);
		g_autofree char *runtime = g_build_filename(base, name, NULL);
		struct vm vm;

		if (!g_file_test(conf, G_FILE_TEST_EXISTS))
			continue;
		vm_open(name, folder, runtime, &vm);
		g_array_append_val(vms, vm);
	}
}

static bool is_listed(const GArray *vms, const char *name)
{
	for (guint i = 0; i < vms->len; i++) {
		if (!strcmp(g_array_index(vms, struct vm, i).name, name))
			return true;
	}
	return false;
}

/* Where the VM's folder is only its monitor knows, if it is not one of the user's. */
static char *ask_dir(const struct vm *vm)
{
	g_autofree char *message = NULL;
	JsonObject *result;
	char *dir;

	if (client_ask(vm->socket, "status", NULL, &result, &message))
		return NULL;
	dir = g_strdup(json_text(result, "dir", NULL));
	json_object_unref(result);
	return dir;
}

static void add_running(GArray *vms, const char *base)
{
	g_autoptr(GDir) dir = g_dir_open(base, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *runtime = g_build_filename(base, name, NULL);
		struct vm vm;

		if (is_listed(vms, name))
			continue;
		vm_open(name, NULL, runtime, &vm);
		if (vm.running)
			vm.dir = ask_dir(&vm);
		if (vm.dir)
			g_array_append_val(vms, vm);
		else
			vm_clear(&vm);
	}
}

/* As the monitor tells it. g_free(). */
static char *state_of(const struct vm *vm)
{
	g_autofree char *message = NULL;
	JsonObject *result;
	char *state;

	if (!vm->running)
		return g_strdup("off");
	if (client_ask(vm->socket, "status", NULL, &result, &message))
		return g_strdup("running");
	state = g_strdup(json_text(result, "state", "running"));
	json_object_unref(result);
	return state;
}

static void print_json(const GArray *vms)
{
	g_autoptr(JsonArray) rows = json_array_new();

	for (guint i = 0; i < vms->len; i++) {
		const struct vm *vm = &g_array_index(vms, struct vm, i);
		JsonObject *row = json_object_new();
		g_autofree char *state = state_of(vm);
		g_autofree char *message = NULL;
		struct vm_config *config;

		json_object_set_string_member(row, "name", vm->name);
		json_object_set_string_member(row, "state", state);
		json_object_set_string_member(row, "dir", vm->dir);
		if (!vm_config_load(vm->dir, &config, &message)) {
			json_object_set_int_member(row, "cpus", config->cpus);
			json_object_set_int_member(row, "memory", (gint64)config->memory);
			vm_config_free(config);
		}
		if (vm->pid)
			json_object_set_int_member(row, "pid", vm->pid);
		json_array_add_object_element(rows, row);
	}
	json_print_array(rows);
}

static void print_table(const GArray *vms)
{
	if (vms->len)
		print_shown("%-20s  %-8s  %4s  %8s  %s\n", "NAME", "STATE", "CPUS", "MEMORY",
			    "FOLDER");
	for (guint i = 0; i < vms->len; i++) {
		const struct vm *vm = &g_array_index(vms, struct vm, i);
		g_autofree char *state = state_of(vm);
		g_autofree char *message = NULL;
		g_autofree char *size = NULL;
		struct vm_config *config;

		if (vm_config_load(vm->dir, &config, &message)) {
			print_shown("%-20s  %-8s  %4s  %8s  %s\n", vm->name,
				    vm->running ? "running" : "bad conf", "-", "-", vm->dir);
			continue;
		}
		size = vm_format_size(config->memory);
		print_shown("%-20s  %-8s  %4u  %8s  %s\n", vm->name, state, config->cpus, size,
			    vm->dir);
		vm_config_free(config);
	}
}

static void clear_one(void *vm)
{
	vm_clear(vm);
}

int list_vms(GArray **ret_vms, char **ret_message)
{
	g_autofree char *base = NULL;
	int ret = paths_runtime_base(&base, ret_message);
	GArray *vms;

	if (ret)
		return ret;
	vms = g_array_new(FALSE, TRUE, sizeof(struct vm));
	g_array_set_clear_func(vms, clear_one);
	add_mine(vms, base);
	add_running(vms, base);
	g_array_sort(vms, by_name);
	*ret_vms = vms;
	return 0;
}

static int list(bool json)
{
	g_autofree char *message = NULL;
	GArray *vms;
	int ret;

	throwaway_sweep();
	ret = list_vms(&vms, &message);
	if (ret)
		return fail(status_of(ret), "%s", message);
	if (json)
		print_json(vms);
	else
		print_table(vms);
	g_array_unref(vms);
	return EX_OK;
}

int verb_list(int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ 0 },
	};
	int status = parse_options(&argc, &argv, "", "Lists VMs, running or not.", NULL, entries);

	if (!status && argc > 1)
		status = fail(EX_USAGE, "list: '%s' is one word too many; it takes none", argv[1]);
	return status ? status : list(json);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge show` and `lodge set`: a VM's settings, as GROUP.KEY=VALUE.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/json.h"
#include "host-vmm/cli/memory.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/conf/file.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/conf/words.h"
#include "protocol/lib/fd.h"

static int load(const struct vm *vm, GKeyFile **ret_file)
{
	g_autofree char *path = g_build_filename(vm->dir, "vm.conf", NULL);
	g_autofree char *message = NULL;
	g_autofree char *text = NULL;
	struct vm_config *config;
	size_t len;
	int ret;

	ret = conf_file_read(path, &text, &len, &message);
	if (ret)
		return fail(status_of(ret), "%s", message);
	ret = vm_config_parse(vm->dir, path, text, len, &config, &message);
	vm_config_free(config);
	if (ret)
		return fail(EX_CONFIG, "%s", message);
	*ret_file = g_key_file_new();
	g_key_file_load_from_data(*ret_file, text, len, G_KEY_FILE_NONE, NULL);
	return 0;
}

/* "[disk data] file" is disk.data.file: what `lodge set` takes. */
static char *word_of(const char *group, const char *key)
{
	g_autofree char *word = g_strdup_printf("%s.%s", group, key);
	char *space = strchr(word, ' ');

	if (space && space < word + strlen(group))
		*space = '.';
	return g_steal_pointer(&word);
}

typedef void (*each_fn)(void *opaque, const char *word, const char *value);

static void each_setting(GKeyFile *file, each_fn each, void *opaque)
{
	g_auto(GStrv) names = g_key_file_get_groups(file, NULL);

	for (char **group = names; *group; group++) {
		g_auto(GStrv) keys = g_key_file_get_keys(file, *group, NULL, NULL);

		for (char **key = keys; key && *key; key++) {
			g_autofree char *value = vm_get_text(file, *group, *key);
			g_autofree char *word = word_of(*group, *key);

			each(opaque, word, value);
		}
	}
}

static void print_setting(void *opaque, const char *word, const char *value)
{
	(void)opaque;
	printf("%s=%s\n", word, value);
}

static void add_setting(void *opaque, const char *word, const char *value)
{
	json_object_set_string_member(opaque, word, value);
}

struct wanted {
	const char *word;
	bool found;
};

static void print_wanted(void *opaque, const char *word, const char *value)
{
	struct wanted *wanted = opaque;

	if (strcmp(word, wanted->word))
		return;
	printf("%s\n", value);
	wanted->found = true;
}

static void print_json(const struct vm *vm, GKeyFile *file)
{
	g_autoptr(JsonObject) object = json_object_new();
	JsonObject *settings = json_object_new();

	each_setting(file, add_setting, settings);
	json_object_set_string_member(object, "name", vm->name);
	json_object_set_string_member(object, "state", vm->running ? "running" : "off");
	json_object_set_string_member(object, "dir", vm->dir);
	json_object_set_object_member(object, "settings", settings);
	json_print_object(object);
}

static int show(const struct vm *vm, const char *key, bool json)
{
	g_autoptr(GKeyFile) file = NULL;
	struct wanted wanted = { key, false };
	int status = load(vm, &file);

	if (status)
		return status;
	if (key) {
		each_setting(file, print_wanted, &wanted);
		return wanted.found ? EX_OK
				    : fail(EX_DATAERR,
					   "%s does not set %s; lodge show %s lists what it sets",
					   vm->name, key, vm->name);
	}
	if (json)
		print_json(vm, file);
	else
		each_setting(file, print_setting, NULL);
	return EX_OK;
}

int verb_show(int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ 0 },
	};
	struct vm vm = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME [GROUP.KEY]",
			       "Shows what a VM's vm.conf sets, or the one value.", NULL, entries);
	if (!status && argc != 3)
		status = one_name(argc, argv, "show");
	if (!status)
		status = vm_find(argv[1], &vm);
	if (!status)
		status = show(&vm, argc == 3 ? argv[2] : NULL, json);
	vm_clear(&vm);
	return status;
}

/* All changes or none: each is made to the text, and the file is written once. */
static int set_all(const struct vm *vm, char **changes)
{
	g_autofree char *path = g_build_filename(vm->dir, "vm.conf", NULL);
	g_autofree char *message = NULL;
	g_autofree char *text = NULL;
	size_t len = 0;
	autofd lock = conf_file_lock(vm->dir, &message);
	bool live = false, later = false;
	int ret = lock < 0 ? lock : conf_file_read(path, &text, &len, &message);

	for (; !ret && *changes; changes++) {
		char *equals = strchr(*changes, '=');
		g_autofree char *word = NULL;
		char *made;

		if (!equals)
			return fail(EX_USAGE,
				    "set: '%s' will not do; write GROUP.KEY=VALUE, or "
				    "GROUP.KEY= to take it out",
				    *changes);
		word = g_strndup(*changes, (size_t)(equals - *changes));
		ret = vm_config_change(vm->dir, path, text, len, word,
				       equals[1] ? equals + 1 : NULL, &made, &len, &message);
		if (ret)
			break;
		g_free(text);
		text = made;
		live |= memory_is_live(*changes);
		later |= !memory_is_live(*changes);
	}
	if (!ret)
		ret = conf_file_write(path, text, len, &message);
	if (ret)
		return fail(status_of(ret), "%s", message);
	if (vm->running && live) {
		ret = memory_apply(vm, text, len);
		if (ret)
			return ret;
	}
	if (vm->running && later)
		fprintf(stderr, "%s runs; the change takes effect at its next start.\n", vm->name);
	return EX_OK;
}

int verb_set(int argc, char **argv)
{
	const GOptionEntry entries[] = { { 0 } };
	struct vm vm = { 0 };
	char **changes;
	int status;

	status = parse_options(
		&argc, &argv, "NAME GROUP.KEY=VALUE...",
		"Changes a VM's vm.conf: all of the changes, or none.",
		"GROUP.NAME.KEY=VALUE for disks and shares: disk.data.file=data.img;\n"
		"GROUP.KEY= takes a setting out. vm.conf(5) tells them all.\n"
		"memory=1.5G, memory=auto and memory=off say how much memory the guest has\n"
		"of its memory.size; also a VM that runs has that at once.",
		entries);
	if (!status && argc < 3)
		status = fail(EX_USAGE, "set: what is to change? say NAME GROUP.KEY=VALUE, as in: "
					"lodge set box memory.size=2G");
	if (!status)
		status = vm_find(argv[1], &vm);
	if (!status) {
		changes = memory_expand(argv + 2);
		status = set_all(&vm, changes);
		g_strfreev(changes);
	}
	vm_clear(&vm);
	return status;
}

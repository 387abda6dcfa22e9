// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge share`: a VM's shared folders, in vm.conf and in the machine that runs.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/cli/vm_options.h"
#include "host-vmm/conf/file.h"
#include "host-vmm/conf/vmconf.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/folder.h"

struct options {
	gboolean read_only, json;
	char *owner, *mask, *file_mask, *dir_mask;
};

struct conf {
	int lock; /* -1: nothing is to be changed */
	char *path, *text;
};

/* To be changed: until conf_clear() nobody else does. */
static int conf_open(const struct vm *vm, struct conf *conf)
{
	g_autofree char *message = NULL;
	size_t len = 0;
	int ret;

	conf->path = g_build_filename(vm->dir, "vm.conf", NULL);
	conf->lock = conf_file_lock(vm->dir, &message);
	ret = conf->lock < 0 ? conf->lock : conf_file_read(conf->path, &conf->text, &len, &message);
	if (!ret && memchr(conf->text, '\0', len))
		return fail(EX_CONFIG, "%s: holds a NUL; it must be text", conf->path);
	return ret ? fail(status_of(ret), "%s", message) : 0;
}

static void conf_clear(struct conf *conf)
{
	fd_close(&conf->lock);
	g_free(conf->path);
	g_free(conf->text);
}

/* ---- the machine that runs ---- */

static char *params_of(const struct vm_share *share, bool all)
{
	g_autoptr(JsonObject) params = json_object_new();
	g_autofree char *owner = vm_format_owner(&share->rules);
	g_autofree char *file_mask = g_strdup_printf("%o", share->rules.file_mask);
	g_autofree char *dir_mask = g_strdup_printf("%o", share->rules.dir_mask);

	json_object_set_string_member(params, "name", share->name);
	if (all) {
		json_object_set_string_member(params, "path", share->path);
		json_object_set_boolean_member(params, "read_only", share->rules.read_only);
		json_object_set_string_member(params, "owner", owner);
		json_object_set_string_member(params, "file_mask", file_mask);
		json_object_set_string_member(params, "dir_mask", dir_mask);
	}
	return json_object_text(params);
}

static int tell(const struct vm *vm, const char *method, const struct vm_share *share)
{
	g_autofree char *params = params_of(share, method[strlen("share-")] == 'a');
	g_autofree char *message = NULL;
	JsonObject *result;
	int ret = client_ask(vm->socket, method, params, &result, &message);

	if (ret)
		return fail(ret == -EREMOTEIO ? EX_DATAERR : EX_UNAVAILABLE, "%s: %s", vm->name,
			    message);
	json_object_unref(result);
	return 0;
}

/* What share-list tells; NULL with the error printed. */
static JsonObject *ask_list(const struct vm *vm)
{
	g_autofree char *message = NULL;
	JsonObject *result;

	if (!client_ask(vm->socket, "share-list", NULL, &result, &message))
		return result;
	(void)fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	return NULL;
}

static JsonArray *rows_of(JsonObject *list)
{
	JsonNode *node = json_object_get_member(list, "shares");

	return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

/* NULL behind the last, and where it is none. */
static JsonObject *row_at(JsonArray *rows, guint i)
{
	JsonNode *node;

	if (!rows || i >= json_array_get_length(rows))
		return NULL;
	node = json_array_get_element(rows, i);
	return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static const char *text_of(JsonObject *row, const char *key)
{
	return json_text(row, key, "");
}

static bool has_share(JsonObject *list, const char *name)
{
	JsonArray *rows = rows_of(list);
	JsonObject *row;

	for (guint i = 0; (row = row_at(rows, i)); i++) {
		if (!strcmp(text_of(row, "name"), name))
			return true;
	}
	return false;
}

/* ---- add, remove ---- */

/* Both places or none: the machine first, since it may refuse, and taken back where the file cannot
 * be written. */
static int change(const struct vm *vm, const char *method, const char *undo,
		  const struct vm_share *share, const struct conf *conf, const char *made)
{
	g_autofree char *message = NULL;
	int status = method ? tell(vm, method, share) : 0;

	if (status || !made || !conf_file_write(conf->path, made, strlen(made), &message))
		return status;
	if (method && undo)
		(void)tell(vm, undo, share);
	return fail(EX_CANTCREAT, "%s", message);
}

static int add_checked(const struct vm *vm, const struct vm_share *share)
{
	bool kept = vm_can_start(vm), now = vm->running;
	g_autoptr(JsonObject) list = NULL;
	g_autofree char *message = NULL;
	g_autofree char *made = NULL;
	struct conf conf = { .lock = -1 };
	int status = kept ? conf_open(vm, &conf) : 0;

	if (!status && kept &&
	    vm_config_add_share(vm->dir, conf.path, conf.text, share, &made, &message))
		status = fail(EX_DATAERR, "%s: %s", vm->name, message);
	if (!status && now) {
		list = ask_list(vm);
		status = list ? 0 : EX_UNAVAILABLE;
	}
	/* One that was started without the device gets the share at its next start. */
	if (!status && now && kept)
		now = json_object_get_boolean_member_with_default(list, "device", FALSE);
	if (!status)
		status = change(vm, now ? "share-add" : NULL, "share-remove", share, &conf, made);
	if (!status && vm->running && !now)
		fprintf(stderr,
			"%s runs without a device for shares; '%s' is there from its next start.\n",
			vm->name, share->name);
	conf_clear(&conf);
	return status;
}

static int parse_masks(const struct options *options, struct vm_share_rules *rules)
{
	const struct {
		const char *option, *text;
		unsigned int *mask, *other;
	} masks[] = {
		{ "--mask", options->mask, &rules->file_mask, &rules->dir_mask },
		{ "--file-mask", options->file_mask, &rules->file_mask, NULL },
		{ "--dir-mask", options->dir_mask, &rules->dir_mask, NULL },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(masks); i++) {
		if (!masks[i].text)
			continue;
		if (vm_parse_mask(masks[i].text, masks[i].mask))
			return fail(EX_USAGE,
				    "share: %s '%s' will not do; give permission bits to base 8, "
				    "such as 022",
				    masks[i].option, masks[i].text);
		if (masks[i].other)
			*masks[i].other = *masks[i].mask;
	}
	return 0;
}

/* One that is mounted here from a machine that does not answer can be shared all the same. */
static int check_folder(const char *path)
{
	g_autofree struct folder *folder = g_new(struct folder, 1);
	bool is_open;

	folder_init(folder, path);
	folders_open(folder, 1);
	is_open = folder->fd >= 0;
	folder_check(folder);
	folder_close(folder);
	if (is_open && folder->error)
		return fail(EX_NOINPUT, "share: '%s': %s; give a folder that you may read", path,
			    g_strerror(-folder->error));
	if (folder->error == -ETIMEDOUT)
		return fail(EX_TEMPFAIL,
			    "share: '%s' is on a machine that does not answer; try again when it "
			    "does",
			    path);
	return !folder->error ? 0
			      : fail(EX_NOINPUT,
				     "share: '%s' is no folder; give one that you may read", path);
}

static int add(const struct vm *vm, const char *word, const struct options *options)
{
	g_autofree char *message = NULL;
	struct vm_share share;
	int status;

	if (vm_options_parse_share(word, &share, &message))
		return fail(EX_USAGE, "share: %s", message);
	share.rules.read_only = share.rules.read_only || options->read_only;
	status = parse_masks(options, &share.rules);
	if (!status && options->owner && vm_parse_owner(options->owner, &share.rules))
		status = fail(EX_USAGE,
			      "share: --owner '%s' will not do; say user, exact, or two numbers "
			      "as in 1000:1000",
			      options->owner);
	if (!status)
		status = check_folder(share.path);
	if (!status)
		status = add_checked(vm, &share);
	g_free(share.name);
	g_free(share.path);
	return status;
}

/* A share may be in one of the two places only: somebody has edited vm.conf. */
static int remove_share(const struct vm *vm, const char *name)
{
	const struct vm_share share = { .name = (char *)name };
	g_autoptr(JsonObject) list = NULL;
	g_autofree char *message = NULL;
	g_autofree char *made = NULL;
	struct conf conf = { .lock = -1 };
	bool now = false;
	int status = vm_can_start(vm) ? conf_open(vm, &conf) : 0, ret = -ENOENT;

	if (!status && vm->running) {
		list = ask_list(vm);
		status = list ? 0 : EX_UNAVAILABLE;
	}
	now = !status && list && has_share(list, name);
	if (!status && conf.text)
		ret = vm_config_remove_share(vm->dir, conf.path, conf.text, name, &made, &message);
	if (!status && ret && (ret != -ENOENT || !now))
		status = fail(EX_DATAERR, "%s: %s", vm->name,
			      message ? message
				      : "no share has that name; lodge share list "
					"shows those there are");
	if (!status)
		status = change(vm, now ? "share-remove" : NULL, NULL, &share, &conf, made);
	conf_clear(&conf);
	return status;
}

/* ---- list ---- */

static void add_row(JsonArray *rows, const struct vm_share *share)
{
	g_autofree char *owner = vm_format_owner(&share->rules);
	const unsigned int masks[] = { share->rules.file_mask, share->rules.dir_mask };
	JsonObject *row = json_object_new();

	json_object_set_string_member(row, "name", share->name);
	json_object_set_string_member(row, "path", share->path);
	json_object_set_boolean_member(row, "read_only", share->rules.read_only);
	json_object_set_string_member(row, "owner", owner);
	for (size_t i = 0; i < G_N_ELEMENTS(masks); i++) {
		g_autofree char *text = g_strdup_printf("%03o", masks[i]);

		if (masks[i])
			json_object_set_string_member(row, i ? "dir_mask" : "file_mask", text);
	}
	json_array_add_object_element(rows, row);
}

/* In the form of share-list's result. */
static JsonObject *list_conf(const struct vm *vm)
{
	JsonArray *rows = json_array_new();
	JsonObject *list = json_object_new();
	g_autofree char *message = NULL;
	struct vm_config *config;
	int ret = vm_config_load(vm->dir, &config, &message);

	json_object_set_array_member(list, "shares", rows);
	for (size_t i = 0; !ret && i < config->n_shares; i++)
		add_row(rows, &config->shares[i]);
	vm_config_free(config);
	if (!ret)
		return list;
	(void)fail(ret == -EINVAL ? EX_CONFIG : status_of(ret), "%s", message);
	json_object_unref(list);
	return NULL;
}

static void print_row(JsonObject *row)
{
	GString *rules = g_string_new(
		json_object_get_boolean_member_with_default(row, "read_only", FALSE) ? "ro" : "rw");

	if (strcmp(text_of(row, "owner"), "user") != 0)
		g_string_append_printf(rules, ",owner=%s", text_of(row, "owner"));
	if (*text_of(row, "file_mask"))
		g_string_append_printf(rules, ",file-mask=%s", text_of(row, "file_mask"));
	if (*text_of(row, "dir_mask"))
		g_string_append_printf(rules, ",dir-mask=%s", text_of(row, "dir_mask"));
	print_shown("%-20s  %-10s  %s\n", text_of(row, "name"), rules->str, text_of(row, "path"));
	g_string_free(rules, TRUE);
}

static int list(const struct vm *vm, bool json)
{
	g_autoptr(JsonObject) list = vm->running ? ask_list(vm) : list_conf(vm);
	JsonObject *row;

	if (!list)
		return vm->running ? EX_UNAVAILABLE : EX_CONFIG;
	if (json) {
		json_object_set_string_member(list, "name", vm->name);
		json_object_set_string_member(list, "state", vm->running ? "running" : "off");
		json_print_object(list);
		return EX_OK;
	}
	print_shown("%-20s  %-10s  %s\n", "SHARE", "RULES", "PATH");
	for (guint i = 0; (row = row_at(rows_of(list), i)); i++)
		print_row(row);
	return EX_OK;
}

/* ---- the verb ---- */

static int run(const struct options *options, int argc, char **argv)
{
	static const char usage[] = "add NAME SHARE=PATH, remove NAME SHARE, or list NAME";
	const char *what = argc > 1 ? argv[1] : "";
	bool adds = !strcmp(what, "add"), lists = !strcmp(what, "list");
	struct vm vm = { 0 };
	int status;

	if (!adds && !lists && strcmp(what, "remove") != 0)
		return fail(EX_USAGE, "share: %s%s%s say %s", *what ? "'" : "", what,
			    *what ? "' is no word of it;" : "what is to be done?", usage);
	if (argc != (lists ? 3 : 4))
		return fail(EX_USAGE, "share %s: the words do not fit; say %s", what, usage);
	status = vm_find(argv[2], &vm);
	if (!status && adds)
		status = add(&vm, argv[3], options);
	else if (!status && lists)
		status = list(&vm, options->json);
	else if (!status)
		status = remove_share(&vm, argv[3]);
	vm_clear(&vm);
	return status;
}

int verb_share(int argc, char **argv)
{
	struct options options = { 0 };
	/* clang-format off */
	const GOptionEntry entries[] = {
		{ "read-only", 'r', 0, G_OPTION_ARG_NONE, &options.read_only, "the guest changes nothing", NULL },
		{ "owner", 'o', 0, G_OPTION_ARG_STRING, &options.owner,
		  "whose files they are in the guest; user if not given", "user|exact|UID:GID" },
		{ "mask", 0, 0, G_OPTION_ARG_STRING, &options.mask, "permission bits that the guest does not see", "MODE" },
		{ "file-mask", 0, 0, G_OPTION_ARG_STRING, &options.file_mask, "of files only", "MODE" },
		{ "dir-mask", 0, 0, G_OPTION_ARG_STRING, &options.dir_mask, "of folders only", "MODE" },
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "list: print JSON", NULL },
		{ 0 },
	};
	/* clang-format on */
	int status = parse_options(
		&argc, &argv, "add|remove|list NAME [SHARE=PATH|SHARE]",
		"Adds, removes and lists shared folders of a VM, whether it runs or not.",
		"In the guest they are at /mnt/lodge/SHARE. They stay in vm.conf; a VM of\n"
		"lodge run has none, and forgets them when it ends.",
		entries);

	if (!status)
		status = run(&options, argc, argv);
	g_free(options.owner);
	g_free(options.mask);
	g_free(options.file_mask);
	g_free(options.dir_mask);
	return status;
}

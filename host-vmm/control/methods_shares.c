// SPDX-License-Identifier: GPL-2.0-or-later
// The methods that are about shared folders: they come and go while the guest runs.
#include "host-vmm/control/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/control/json.h"
#include "host-vmm/control/tools.h"
#include "host-vmm/machine.h"
#include "host-vmm/virtio/fs.h"
#include "host-vmm/virtio/fs_choice.h"

static bool get_flag(const json_t *params, const char *key)
{
	return json_is_true(json_object_get(params, key));
}

/* @why: lodge-fsd's words, where it refused. */
static int explain(int ret, const char *name, const char *why, struct control_error *error)
{
	if (ret == -ENODEV) {
		error->message = g_strdup("this VM was started without the device for shares");
		error->hint = g_strdup("set device.shares=yes and start it anew");
	} else if (ret == -EEXIST) {
		error->message = g_strdup_printf("there is a share '%s' already", name);
		error->hint = g_strdup("remove it first, or take another name");
	} else if (ret == -ENOENT) {
		error->message = g_strdup_printf("there is no share '%s'", name);
		error->hint = g_strdup("share-list names those there are");
	} else if (ret == -EREMOTEIO) {
		error->message = g_strdup_printf("share '%s': lodge-fsd says: %s", name, why);
	} else if (ret == -ENOSPC) {
		error->message = g_strdup_printf("there are %d shares already", FS_SHARES_MAX);
		error->hint = g_strdup("share a folder above some of them");
	} else if (ret) {
		error->message = g_strdup_printf("share '%s': %s", name, g_strerror(-ret));
		error->hint = g_strdup("give a folder that you may read, and a name without /");
	}
	return ret;
}

/* False where it is there and will not do. */
static bool get_mask(json_t *params, const char *key, unsigned int *ret_mask)
{
	const char *text = json_string_value(json_object_get(params, key));

	return !text || !vm_parse_mask(text, ret_mask);
}

static int get_rules(json_t *params, struct vm_share_rules *rules, struct control_error *error)
{
	const char *owner = json_string_value(json_object_get(params, "owner"));

	rules->read_only = get_flag(params, "read_only");
	if (owner && vm_parse_owner(owner, rules)) {
		error->message = g_strdup_printf("'%s' is no owner", owner);
		error->hint = g_strdup("say user, exact, or two numbers as in 1000:1000");
		return -EINVAL;
	}
	if (!get_mask(params, "file_mask", &rules->file_mask) ||
	    !get_mask(params, "dir_mask", &rules->dir_mask)) {
		error->message = g_strdup("file_mask and dir_mask are permission bits");
		error->hint = g_strdup("write them to base 8, such as \"022\"");
		return -EINVAL;
	}
	return 0;
}

/* So that the guest's tools look at once; without them the guest's kernel still sees the change. */
static void tell_tools(struct machine *machine)
{
	static const char word[] = "lodge.shares";
	struct tools_status status;

	if (!machine->backdoor)
		return;
	tools_get_status(machine->backdoor, &status);
	if (status.up && status.guest_ops)
		(void)tools_command(machine->backdoor, status.epoch, word, sizeof(word) - 1, NULL,
				    NULL, NULL);
}

int control_share_add(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct fs_share_info info = { 0 };
	char why[FS_WHY_MAX] = "";
	int fd, ret;

	(void)result;
	info.name = control_need_string(params, "name", error);
	info.path = info.name ? control_need_string(params, "path", error) : NULL;
	if (!info.path)
		return -EINVAL;
	ret = get_rules(params, &info.rules, error);
	if (ret)
		return ret;
	if (vm_check_share_name(info.name))
		return explain(-EINVAL, info.name, "", error);
	fd = open(info.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		error->message = g_strdup_printf("%s: %s", info.path, g_strerror(errno));
		error->hint = g_strdup("a share must be a folder that you may read");
		return -EINVAL;
	}
	ret = explain(fs_share_add(opaque, &info, fd, why), info.name, why, error);
	if (!ret)
		tell_tools(opaque);
	return ret;
}

int control_share_remove(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	const char *name = control_need_string(params, "name", error);
	char why[FS_WHY_MAX] = "";
	int ret = name ? explain(fs_share_remove(opaque, name, why), name, why, error) : -EINVAL;

	(void)result;
	if (!ret)
		tell_tools(opaque);
	return ret;
}

static void set_mask(json_t *row, const char *key, unsigned int mask)
{
	g_autofree char *text = g_strdup_printf("%03o", mask);

	if (mask)
		json_object_set_new(row, key, control_string(text));
}

static void add_row(void *opaque, const struct fs_share_info *info)
{
	g_autofree char *owner = vm_format_owner(&info->rules);
	json_t *row = json_object();

	json_object_set_new(row, "name", control_string(info->name));
	json_object_set_new(row, "path", control_string(info->path));
	json_object_set_new(row, "read_only", json_boolean(info->rules.read_only));
	json_object_set_new(row, "owner", control_string(owner));
	set_mask(row, "file_mask", info->rules.file_mask);
	set_mask(row, "dir_mask", info->rules.dir_mask);
	json_array_append_new(opaque, row);
}

int control_share_list(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	const struct machine *machine = opaque;
	json_t *rows = json_array();
	int ret = fs_share_each(opaque, add_row, rows);

	(void)params;
	json_object_set_new(result, "device", json_boolean(fs_shares_device(machine->config)));
	json_object_set_new(result, "shares", rows);
	return ret == -ENODEV ? 0 : explain(ret, "", "", error);
}

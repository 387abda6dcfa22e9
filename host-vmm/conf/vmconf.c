// SPDX-License-Identifier: GPL-2.0-or-later
// Reads vm.conf: const tables say which groups and keys there are, and how a value becomes a field.
#include "host-vmm/conf/vmconf.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/conf/defaults.h"
#include "host-vmm/conf/groups.h"
#include "host-vmm/conf/locate.h"
#include "host-vmm/conf/memory.h"
#include "host-vmm/conf/uuid.h"
#include "host-vmm/conf/words.h"

struct reader {
	struct vm_config *config;
	GKeyFile *file;
	const char *path, *text;
	size_t len;
	char *message;
};

/* Sets *field from @value, or sets *ret_problem: what is wrong, and the remedy. */
typedef int (*set_fn)(const struct vm_config *config, const char *value, void *field,
		      char **ret_problem);

struct key_row {
	const char *name;
	set_fn set;
	size_t offset; /* of the field in the group's struct */
};

struct group_row {
	const char *kind;
	const struct key_row *keys; /* ends with a NULL name */
	/* For groups with a name: checks it and appends an element, which is returned. */
	void *(*add)(struct vm_config *config, const char *name, char **ret_problem);
	const char *required; /* a key that must be there, or NULL */
};

static int fault(struct reader *reader, const char *group, const char *key, const char *problem)
{
	unsigned int line = conf_locate(reader->text, reader->len, group, key);
	g_autofree char *shown = conf_quote(group);

	if (!line)
		line = conf_locate(reader->text, reader->len, group, NULL);
	if (line)
		reader->message = g_strdup_printf("%s:%u: [%s]%s%s: %s", reader->path, line, shown,
						  key ? " " : "", key ? key : "", problem);
	else
		reader->message = g_strdup_printf("%s: [%s]%s%s: %s", reader->path, shown,
						  key ? " " : "", key ? key : "", problem);
	return -EINVAL;
}

static int bad_value(const char *value, const char *remedy, char **ret_problem)
{
	g_autofree char *shown = conf_quote(value);

	*ret_problem = g_strdup_printf("'%s' will not do; %s", shown, remedy);
	return -EINVAL;
}

static int set_text(const struct vm_config *config, const char *value, void *field,
		    char **ret_problem)
{
	char **text = field;

	(void)config;
	(void)ret_problem;
	g_free(*text);
	*text = g_strdup(value);
	return 0;
}

static int set_serial_number(const struct vm_config *config, const char *value, void *field,
			     char **ret_problem)
{
	if (!*value || strlen(value) > VM_DISK_SERIAL_MAX)
		return bad_value(value, "give 1 to 20 bytes", ret_problem);
	return set_text(config, value, field, ret_problem);
}

static int set_uuid(const struct vm_config *config, const char *value, void *field,
		    char **ret_problem)
{
	struct vm_uuid *uuid = field;

	(void)config;
	if (vm_uuid_parse(value, uuid->bytes))
		return bad_value(value, "give a UUID such as uuidgen(1) makes", ret_problem);
	uuid->given = true;
	return 0;
}

static int set_path(const struct vm_config *config, const char *value, void *field,
		    char **ret_problem)
{
	char **path = field;

	if (!*value)
		return bad_value(value, "give a path, or take the line out", ret_problem);
	g_free(*path);
	*path = g_canonicalize_filename(value, config->dir);
	return 0;
}

static int set_paths(const struct vm_config *config, const char *value, void *field,
		     char **ret_problem)
{
	g_auto(GStrv) parts = g_strsplit(value, ",", -1);
	char ***paths = field;
	size_t n = g_strv_length(parts);
	char **made;

	for (size_t i = 0; i < n; i++) {
		if (!*parts[i])
			return bad_value(value, "give paths with one comma between two",
					 ret_problem);
	}
	made = g_new0(char *, n + 1);
	for (size_t i = 0; i < n; i++)
		made[i] = g_canonicalize_filename(parts[i], config->dir);
	g_strfreev(*paths);
	*paths = made;
	return 0;
}

static int set_flag(const struct vm_config *config, const char *value, void *field,
		    char **ret_problem)
{
	(void)config;
	if (vm_parse_flag(value, field))
		return bad_value(value, "say yes or no", ret_problem);
	return 0;
}

/* One of two words: the flag is whether it is the second. */
static int set_choice(const char *value, const char *off, const char *on, bool *flag,
		      char **ret_problem)
{
	g_autofree char *remedy = NULL;

	if (!strcmp(value, off) || !strcmp(value, on)) {
		*flag = !strcmp(value, on);
		return 0;
	}
	remedy = g_strdup_printf("say %s or %s", off, on);
	return bad_value(value, remedy, ret_problem);
}

static int set_on_reset(const struct vm_config *config, const char *value, void *field,
			char **ret_problem)
{
	(void)config;
	return set_choice(value, "restart", "stop", field, ret_problem);
}

static int set_owner(const struct vm_config *config, const char *value, void *field,
		     char **ret_problem)
{
	(void)config;
	if (vm_parse_owner(value, field))
		return bad_value(value, "say user, exact, or two numbers as in 1000:1000",
				 ret_problem);
	return 0;
}

static int set_mask(const struct vm_config *config, const char *value, void *field,
		    char **ret_problem)
{
	(void)config;
	if (vm_parse_mask(value, field))
		return bad_value(value, "give permission bits to base 8, such as 022", ret_problem);
	return 0;
}

static int set_hypervisor(const struct vm_config *config, const char *value, void *field,
			  char **ret_problem)
{
	static const char *const words[] = { "lodge", "kvm", "vmware", NULL };
	enum vm_hypervisor *hypervisor = field;
	int i = vm_find_word(value, words);

	(void)config;
	if (i < 0)
		return bad_value(value, "say lodge, kvm or vmware", ret_problem);
	*hypervisor = (enum vm_hypervisor)(VM_HYPERVISOR_LODGE + i);
	return 0;
}

static int set_cpus(const struct vm_config *config, const char *value, void *field,
		    char **ret_problem)
{
	unsigned int *cpus = field;
	guint64 number;

	(void)config;
	if (!g_ascii_string_to_unsigned(value, 10, 1, VM_CPUS_MAX, &number, NULL))
		return bad_value(value, "give a number of CPUs from 1 to 64", ret_problem);
	*cpus = (unsigned int)number;
	return 0;
}

static int set_seconds(const char *value, unsigned int least, unsigned int *seconds,
		       char **ret_problem)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(value, 10, least, 86400, &number, NULL))
		return bad_value(value, "give a number of seconds, at most 86400", ret_problem);
	*seconds = (unsigned int)number;
	return 0;
}

static int set_heartbeat(const struct vm_config *config, const char *value, void *field,
			 char **ret_problem)
{
	(void)config;
	return set_seconds(value, 0, field, ret_problem);
}

static int set_period(const struct vm_config *config, const char *value, void *field,
		      char **ret_problem)
{
	(void)config;
	return set_seconds(value, 1, field, ret_problem);
}

static int set_memory(const struct vm_config *config, const char *value, void *field,
		      char **ret_problem)
{
	uint64_t *memory = field;

	(void)config;
	return vm_check_memory(value, memory, ret_problem);
}

static int set_memory_mode(const struct vm_config *config, const char *value, void *field,
			   char **ret_problem)
{
	(void)config;
	if (vm_parse_memory_mode(value, field))
		return bad_value(value, "say off, manual or auto", ret_problem);
	return 0;
}

/* A BAR has a power of two. */
static bool is_bar_size(uint64_t bytes, uint64_t min, uint64_t max)
{
	return bytes >= min && bytes <= max && !(bytes & (bytes - 1));
}

static int set_dax_size(const struct vm_config *config, const char *value, void *field,
			char **ret_problem)
{
	uint64_t *size = field;
	uint64_t bytes;

	(void)config;
	/* Linux maps in pieces of 2 MiB. */
	if (vm_parse_size(value, &bytes) ||
	    (bytes && !is_bar_size(bytes, VM_DAX_SIZE_MIN, VM_DAX_SIZE_MAX)))
		return bad_value(value, "give a power of two from 2M to 64G, or 0 for no window",
				 ret_problem);
	*size = bytes;
	return 0;
}

static int set_heads(const struct vm_config *config, const char *value, void *field,
		     char **ret_problem)
{
	unsigned int *heads = field;
	guint64 number;

	(void)config;
	if (!g_ascii_string_to_unsigned(value, 10, 0, VM_HEADS_MAX, &number, NULL))
		return bad_value(value, "give a number of screens from 0 to 16", ret_problem);
	*heads = (unsigned int)number;
	return 0;
}

static int set_display_memory(const struct vm_config *config, const char *value, void *field,
			      char **ret_problem)
{
	uint64_t *size = field;
	uint64_t bytes;

	(void)config;
	if (vm_parse_size(value, &bytes) ||
	    !is_bar_size(bytes, VM_DISPLAY_MEMORY_MIN, VM_DISPLAY_MEMORY_MAX))
		return bad_value(value, "give a power of two from 16M to 256M", ret_problem);
	*size = bytes;
	return 0;
}

static int set_dax_files(const struct vm_config *config, const char *value, void *field,
			 char **ret_problem)
{
	(void)config;
	return set_choice(value, "auto", "all", field, ret_problem);
}

static int set_shares_cache(const struct vm_config *config, const char *value, void *field,
			    char **ret_problem)
{
	(void)config;
	return set_choice(value, "auto", "never", field, ret_problem);
}

static int set_shares_locks(const struct vm_config *config, const char *value, void *field,
			    char **ret_problem)
{
	(void)config;
	return set_choice(value, "guest", "host", field, ret_problem);
}

static int set_backend(const struct vm_config *config, const char *value, void *field,
		       char **ret_problem)
{
	char **backend = field;
	char *made;

	if (vm_normalise_backend(config->dir, value, &made))
		return bad_value(value,
				 "say none, stdio, pty, run-status, tools, fd:IN[,OUT], file:PATH "
				 "or socket:PATH",
				 ret_problem);
	g_free(*backend);
	*backend = made;
	return 0;
}

/* clang-format off */
#define AT(type, field) offsetof(struct type, field)
static const struct key_row cpu_keys[] = {
	{ "count", set_cpus, AT(vm_config, cpus) },
	{ "hypervisor", set_hypervisor, AT(vm_config, hypervisor) },
	{ NULL, NULL, 0 },
};
static const struct key_row machine_keys[] = {
	{ "uuid", set_uuid, AT(vm_config, uuid) },
	{ NULL, NULL, 0 },
};
static const struct key_row memory_keys[] = {
	{ "size", set_memory, AT(vm_config, memory) },
	{ "mode", set_memory_mode, AT(vm_config, memory_mode) },
	{ "target", set_memory, AT(vm_config, memory_target) },
	{ "min", set_memory, AT(vm_config, memory_min) },
	{ "max", set_memory, AT(vm_config, memory_max) },
	{ NULL, NULL, 0 },
};
static const struct key_row boot_keys[] = {
	{ "kernel", set_path, AT(vm_config, kernel) },
	{ "initrd", set_paths, AT(vm_config, initrds) },
	{ "append", set_text, AT(vm_config, append) },
	{ "on-reset", set_on_reset, AT(vm_config, stop_on_reset) },
	{ NULL, NULL, 0 },
};
static const struct key_row disk_keys[] = {
	{ "file", set_path, AT(vm_disk, file) },
	{ "read-only", set_flag, AT(vm_disk, read_only) },
	{ "direct", set_flag, AT(vm_disk, direct) },
	{ "serial", set_serial_number, AT(vm_disk, serial) },
	{ NULL, NULL, 0 },
};
static const struct key_row share_keys[] = {
	{ "path", set_path, AT(vm_share, path) },
	{ "read-only", set_flag, AT(vm_share, rules.read_only) },
	{ "owner", set_owner, AT(vm_share, rules) },
	{ "file-mask", set_mask, AT(vm_share, rules.file_mask) },
	{ "dir-mask", set_mask, AT(vm_share, rules.dir_mask) },
	{ NULL, NULL, 0 },
};
static const struct key_row root_keys[] = {
	{ "path", set_path, AT(vm_config, root) },
	{ NULL, NULL, 0 },
};
static const struct key_row fs_keys[] = {
	{ "socket", set_path, AT(vm_fs, socket) },
	{ NULL, NULL, 0 },
};
static const struct key_row display_keys[] = {
	{ "heads", set_heads, AT(vm_config, heads) },
	{ "memory", set_display_memory, AT(vm_config, display_memory) },
	{ NULL, NULL, 0 },
};
static const struct key_row serial_keys[] = {
	{ "backend", set_backend, AT(vm_config, serial) },
	{ NULL, NULL, 0 },
};
static const struct key_row port_keys[] = {
	{ "backend", set_backend, AT(vm_port, backend) },
	{ NULL, NULL, 0 },
};
static const struct key_row device_keys[] = {
	{ "balloon", set_flag, AT(vm_config, balloon) },
	{ "clock", set_flag, AT(vm_config, clock) },
	{ "rng", set_flag, AT(vm_config, rng) },
	{ "i8042", set_flag, AT(vm_config, i8042) },
	{ "legacy", set_flag, AT(vm_config, legacy) },
	{ "dax-size", set_dax_size, AT(vm_config, dax_size) },
	{ "dax-files", set_dax_files, AT(vm_config, dax_all) },
	{ "shares", set_flag, AT(vm_config, shares_device) },
	{ "shares-cache", set_shares_cache, AT(vm_config, shares_strict) },
	{ "shares-locks", set_shares_locks, AT(vm_config, shares_host_locks) },
	{ NULL, NULL, 0 },
};
static const struct key_row backdoor_keys[] = {
	{ "device", set_flag, AT(vm_config, backdoor_device) },
	{ "port", set_flag, AT(vm_config, backdoor_port) },
	{ "ports", set_flag, AT(vm_config, backdoor_ports) },
	{ NULL, NULL, 0 },
};
static const struct key_row tools_keys[] = {
	{ "heartbeat", set_heartbeat, AT(vm_config, tools_heartbeat) },
	{ "power-scripts", set_flag, AT(vm_config, tools_scripts) },
	{ "broadcast-ip", set_flag, AT(vm_config, tools_broadcast_ip) },
	{ "time-sync", set_flag, AT(vm_config, tools_synctime) },
	{ "time-sync-period", set_period, AT(vm_config, tools_synctime_period) },
	{ NULL, NULL, 0 },
};

static const struct group_row groups[] = {
	{ "cpu", cpu_keys, NULL, NULL },
	{ "machine", machine_keys, NULL, NULL },
	{ "memory", memory_keys, NULL, NULL },
	{ "boot", boot_keys, NULL, "kernel" },
	{ "disk", disk_keys, group_add_disk, "file" },
	{ "share", share_keys, group_add_share, "path" },
	{ "root", root_keys, NULL, "path" },
	{ "fs", fs_keys, group_add_fs, "socket" },
	{ "display", display_keys, NULL, NULL },
	{ "serial", serial_keys, NULL, NULL },
	{ "port", port_keys, group_add_port, "backend" },
	{ "device", device_keys, NULL, NULL },
	{ "backdoor", backdoor_keys, NULL, NULL },
	{ "tools", tools_keys, NULL, NULL },
};
/* clang-format on */

static const struct key_row *find_key(const struct group_row *row, const char *name)
{
	for (const struct key_row *key = row->keys; key->name; key++) {
		if (!strcmp(key->name, name))
			return key;
	}
	return NULL;
}

static char *key_names(const struct group_row *row)
{
	GString *names = g_string_new(NULL);

	for (const struct key_row *key = row->keys; key->name; key++)
		g_string_append_printf(names, "%s%s", names->len ? ", " : "", key->name);
	return g_string_free(names, FALSE);
}

static int read_key(struct reader *reader, const char *group, const struct group_row *row,
		    const char *name, void *target)
{
	const struct key_row *key = find_key(row, name);
	g_autofree char *value = NULL;
	g_autofree char *problem = NULL;

	if (!key) {
		g_autofree char *known = key_names(row);

		problem = g_strdup_printf("there is no such key; [%s] knows %s", row->kind, known);
		return fault(reader, group, name, problem);
	}
	value = vm_get_text(reader->file, group, name);
	if (!value)
		return fault(reader, group, name,
			     "a \\ stands before what is none of s, n, t, r, \\; write \\\\");
	if (key->set(reader->config, value, (char *)target + key->offset, &problem))
		return fault(reader, group, name, problem);
	return 0;
}

static const struct group_row *find_group(const char *group, const char **ret_name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
		size_t len = strlen(groups[i].kind);

		if (strncmp(group, groups[i].kind, len))
			continue;
		*ret_name = group + len + 1;
		if (groups[i].add ? group[len] == ' ' : !group[len])
			return &groups[i];
	}
	return NULL;
}

static int read_group(struct reader *reader, const char *group)
{
	g_autofree char *problem = NULL;
	g_auto(GStrv) keys = NULL;
	const struct group_row *row;
	const char *name = NULL;
	void *target = reader->config;
	int ret;

	row = find_group(group, &name);
	if (!row)
		return fault(
			reader, group, NULL,
			"there is no such group; known are [machine], [cpu], [memory], [boot], "
			"[disk NAME], [share NAME], [root], [fs TAG], [display], [serial], "
			"[port NAME], [device], [backdoor] and [tools]");
	if (row->add) {
		target = row->add(reader->config, name, &problem);
		if (!target)
			return fault(reader, group, NULL, problem);
	}
	if (row->required && !g_key_file_has_key(reader->file, group, row->required, NULL)) {
		problem = g_strdup_printf("the key '%s' is missing; add %s=...", row->required,
					  row->required);
		return fault(reader, group, NULL, problem);
	}
	keys = g_key_file_get_keys(reader->file, group, NULL, NULL);
	for (char **key = keys; key && *key; key++) {
		ret = read_key(reader, group, row, *key, target);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_all(struct reader *reader)
{
	g_auto(GStrv) names = NULL;
	g_autofree char *what = NULL;
	g_autofree char *problem = NULL;
	const char *key;
	unsigned int line;
	int ret;

	line = conf_find_fault(reader->text, reader->len, &what);
	if (line) {
		reader->message = g_strdup_printf("%s:%u: %s", reader->path, line, what);
		return -EINVAL;
	}
	if (!g_key_file_load_from_data(reader->file, reader->text, reader->len, G_KEY_FILE_NONE,
				       NULL)) {
		reader->message = g_strdup_printf("%s: not a file of [group] and key=value lines; "
						  "see vm.conf(5)",
						  reader->path);
		return -EINVAL;
	}
	names = g_key_file_get_groups(reader->file, NULL);
	for (char **name = names; *name; name++) {
		ret = read_group(reader, *name);
		if (ret)
			return ret;
	}
	if (!reader->config->kernel) {
		reader->message =
			g_strdup_printf("%s: [boot] kernel is missing; "
					"add the lines [boot] and kernel=/boot/vmlinuz-...",
					reader->path);
		return -EINVAL;
	}
	if (vm_config_complete(reader->config, &problem))
		return fault(reader, "backdoor", "port", problem);
	if (vm_config_check_memory(reader->config, &key, &problem))
		return fault(reader, "memory", key, problem);
	return 0;
}

int vm_config_parse(const char *dir, const char *path, const char *text, size_t len,
		    struct vm_config **ret_config, char **ret_message)
{
	struct reader reader = { .path = path, .text = text, .len = len };
	int ret;

	*ret_config = NULL;
	*ret_message = NULL;
	if (len > VM_CONF_BYTES_MAX) {
		*ret_message = g_strdup_printf("%s: larger than %d KiB; is it a vm.conf?", path,
					       VM_CONF_BYTES_MAX >> 10);
		return -EFBIG;
	}
	reader.config = vm_config_default(dir);
	reader.file = g_key_file_new();
	ret = read_all(&reader);
	g_key_file_free(reader.file);
	if (ret) {
		vm_config_free(reader.config);
		*ret_message = reader.message;
		return ret;
	}
	*ret_config = reader.config;
	return 0;
}

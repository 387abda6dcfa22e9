// SPDX-License-Identifier: GPL-2.0-or-later
// What is told of the guest's system: names, load, users, file systems.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <utmpx.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/lodged/facts.h"

#define DISKS_MAX 64
#define USERS_MAX 64

char *facts_os_release(const char *key)
{
	static const char *const files[] = { "/etc/os-release", "/usr/lib/os-release" };
	g_autofree char *text = NULL, *prefix = g_strconcat(key, "=", NULL), *value = NULL;
	g_auto(GStrv) lines = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(files) && !text; i++)
		(void)g_file_get_contents(files[i], &text, NULL, NULL);
	if (!text)
		return NULL;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		if (!g_str_has_prefix(*line, prefix))
			continue;
		/* The values are as a shell reads them. */
		value = g_shell_unquote(*line + strlen(prefix), NULL);
		return g_steal_pointer(&value);
	}
	return NULL;
}

static void add_text(struct fields_builder *out, const char *key, char *value)
{
	if (value && *value)
		fields_add(out, key, value);
	g_free(value);
}

void facts_system(struct fields_builder *out)
{
	struct utsname name;
	struct timespec real, boot;

	fields_add(out, "part", "system");
	add_text(out, "os-id", facts_os_release("ID"));
	add_text(out, "os-name", facts_os_release("PRETTY_NAME"));
	add_text(out, "os-version", facts_os_release("VERSION_ID"));
	if (!uname(&name)) {
		fields_add(out, "hostname", name.nodename);
		fields_add(out, "kernel", name.release);
		fields_add(out, "arch", name.machine);
	}
	if (!clock_gettime(CLOCK_REALTIME, &real) && !clock_gettime(CLOCK_BOOTTIME, &boot))
		fields_addf(out, "boot-time", "%lld", (long long)(real.tv_sec - boot.tv_sec));
}

/* @key's number in kB, as bytes. */
static unsigned long long meminfo(const char *text, const char *key)
{
	const char *found = strstr(text, key);

	return found ? strtoull(found + strlen(key), NULL, 10) * 1024 : 0;
}

void facts_load(struct fields_builder *out)
{
	g_autofree char *memory = NULL;
	double load[3];
	struct sysinfo info;

	fields_add(out, "part", "load");
	if (getloadavg(load, 3) == 3)
		fields_addf(out, "load", "%.2f %.2f %.2f", load[0], load[1], load[2]);
	if (g_file_get_contents("/proc/meminfo", &memory, NULL, NULL)) {
		unsigned long long available = meminfo(memory, "MemAvailable:");

		/* Kernels before 3.14 do not say what is available. */
		if (!available)
			available = meminfo(memory, "MemFree:") + meminfo(memory, "\nCached:");
		fields_addf(out, "memory", "%llu %llu", meminfo(memory, "MemTotal:"), available);
	}
	if (!sysinfo(&info))
		fields_addf(out, "processes", "%u", info.procs);
}

void facts_users(struct fields_builder *out)
{
	const struct utmpx *entry;
	int users = 0;

	fields_add(out, "part", "users");
	setutxent();
	while (users < USERS_MAX && (entry = getutxent())) {
		char host[sizeof(entry->ut_host) + 1];

		if (entry->ut_type != USER_PROCESS || !entry->ut_user[0])
			continue;
		snprintf(host, sizeof(host), "%.*s", (int)sizeof(entry->ut_host), entry->ut_host);
		fields_addf(out, "user", "%.*s %.*s %lld %s", (int)sizeof(entry->ut_user),
			    entry->ut_user, (int)sizeof(entry->ut_line), entry->ut_line,
			    (long long)entry->ut_tv.tv_sec, *host ? host : "-");
		users++;
	}
	endutxent();
}

static bool is_storage(const struct mount_line *line)
{
	static const char *const shares[] = { "9p",   "nfs",  "nfs4",	"cifs",
					      "smb3", "ceph", "vboxsf", "fuse.vmhgfs-fuse",
					      NULL };

	if (!strcmp(line->type, "squashfs") || !strcmp(line->type, "iso9660"))
		return false;
	return g_str_has_prefix(line->source, "/dev/") || mounts_transport(line->type) ||
	       g_strv_contains(shares, line->type) || !strcmp(line->type, "zfs") ||
	       !strcmp(line->type, "btrfs");
}

/* One word, whatever was given to mount(8): a share of CIFS may have blanks in its name. */
static char *device_word(const char *source)
{
	return g_strdelimit(g_strdup(*source ? source : "-"), " \t\n", '_');
}

/* False: not one to tell of. */
static bool add_mount(struct fields_builder *out, const struct mount_line *line, GHashTable *seen)
{
	g_autofree char *device = device_word(line->source);
	struct statvfs st;

	if (!is_storage(line) || !g_hash_table_add(seen, g_strdup(line->device)) ||
	    statvfs(line->point, &st) || !st.f_blocks)
		return false;
	fields_addf(out, "disk", "%s %s %llu %llu %s", device, line->type,
		    (unsigned long long)st.f_blocks * st.f_frsize,
		    (unsigned long long)st.f_bavail * st.f_frsize, line->point);
	return true;
}

void facts_disks(struct fields_builder *out)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autofree struct mount_line *line = g_new(struct mount_line, 1);
	g_autofree char *text = NULL;
	const char *at;
	int disks = 0;

	fields_add(out, "part", "disks");
	if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
		return;
	at = text;
	while (disks < DISKS_MAX && mountinfo_next(&at, line))
		disks += add_mount(out, line, seen);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the figures of a monitor and its helpers from /proc.
#include "host-vmm/cli/top_usage.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 4 /* a monitor's starter, its keepers, and who serves */

static char *read_file(pid_t pid, const char *name)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, name);
	char *text;

	return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* The number behind "KEY:" of a line. */
static uint64_t number_of(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *line = text;

	while (line && *line) {
		if (!strncmp(line, key, len) && line[len] == ':')
			return g_ascii_strtoull(line + len + 1, NULL, 10);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return 0;
}

/* Fields 14 and 15; the name before them may hold anything. */
static uint64_t cpu_of(const char *stat)
{
	const char *behind = stat ? strrchr(stat, ')') : NULL;
	unsigned long user, system;

	if (!behind || sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			      &user, &system) != 2)
		return 0;
	return (uint64_t)(user + system) * G_USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void add(pid_t pid, unsigned int depth, struct usage *usage);

static void add_children(pid_t pid, unsigned int depth, struct usage *usage)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/task", (int)pid);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *task;

	while (dir && (task = g_dir_read_name(dir))) {
		g_autofree char *name = g_strdup_printf("task/%s/children", task);
		g_autofree char *text = read_file(pid, name);
		char *at = text, *end;

		for (long child; at && (child = strtol(at, &end, 10)) > 0; at = end)
			add((pid_t)child, depth + 1, usage);
	}
}

static void add(pid_t pid, unsigned int depth, struct usage *usage)
{
	g_autofree char *stat = read_file(pid, "stat");
	g_autofree char *status = read_file(pid, "status");
	g_autofree char *io = read_file(pid, "io");

	usage->cpu_us += cpu_of(stat);
	/* Helpers have the guest's memory mapped, too: it counts once. */
	if (status)
		usage->resident += number_of(status, depth ? "RssAnon" : "VmRSS") << 10;
	if (io) {
		usage->disk += number_of(io, "read_bytes") + number_of(io, "write_bytes");
		usage->disk_known = true;
	}
	if (depth < DEPTH_MAX)
		add_children(pid, depth, usage);
}

void usage_of(pid_t pid, struct usage *ret_usage)
{
	*ret_usage = (struct usage){ 0 };
	add(pid, 0, ret_usage);
}

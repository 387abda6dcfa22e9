// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge top`: a line for each VM that runs: what its guest has and gives, waits for, and uses.
#include "host-vmm/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/list.h"
#include "host-vmm/cli/top_usage.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/conf/words.h"

#define INTERVAL_MAX_S 3600

struct sample {
	struct usage usage;
	gint64 time; /* microseconds, monotonic */
};

struct options {
	gboolean json, once;
	int interval_s;
};

static void free_sample(void *sample)
{
	g_free(sample);
}

/* What was used per second since @last, which is updated. Nothing the first time. */
static void add_usage(JsonObject *row, struct sample *last, pid_t pid)
{
	struct sample now = { .time = g_get_monotonic_time() };
	double seconds = (double)(now.time - last->time) / G_USEC_PER_SEC;

	usage_of(pid, &now.usage);
	json_object_set_int_member(row, "resident", (gint64)now.usage.resident);
	if (last->time && seconds > 0 && now.usage.cpu_us >= last->usage.cpu_us) {
		json_object_set_double_member(row, "cpu_percent",
					      (double)(now.usage.cpu_us - last->usage.cpu_us) /
						      seconds * 100 / G_USEC_PER_SEC);
		if (now.usage.disk_known && now.usage.disk >= last->usage.disk)
			json_object_set_int_member(
				row, "disk_bytes_per_second",
				(gint64)((double)(now.usage.disk - last->usage.disk) / seconds));
	}
	*last = now;
}

static JsonObject *row_of(const struct vm *vm, struct sample *last)
{
	JsonObject *row = json_object_new(), *memory;
	g_autofree char *message = NULL;

	json_object_set_string_member(row, "name", vm->name);
	json_object_set_int_member(row, "pid", vm->pid);
	add_usage(row, last, vm->pid);
	if (!client_ask(vm->socket, "memory", NULL, &memory, &message))
		json_object_set_object_member(row, "memory", memory);
	return row;
}

static JsonArray *take_rows(GHashTable *samples, const GArray *vms)
{
	JsonArray *rows = json_array_new();

	for (guint i = 0; i < vms->len; i++) {
		const struct vm *vm = &g_array_index(vms, struct vm, i);
		struct sample *last = g_hash_table_lookup(samples, vm->name);

		if (!vm->running || !vm->pid)
			continue;
		if (!last) {
			last = g_new0(struct sample, 1);
			g_hash_table_insert(samples, g_strdup(vm->name), last);
		}
		json_array_add_object_element(rows, row_of(vm, last));
	}
	return rows;
}

/* ---- the table ---- */

/* Whole units, so that columns stay narrow. "-" where it is not told. */
static char *size_text(JsonObject *object, const char *key)
{
	gint64 bytes = object ? json_object_get_int_member_with_default(object, key, -1) : -1;

	if (bytes < 0)
		return g_strdup("-");
	if (bytes < 10ll << 20)
		return g_strdup_printf("%" G_GINT64_FORMAT "K", bytes >> 10);
	return g_strdup_printf("%" G_GINT64_FORMAT "M", bytes >> 20);
}

static JsonObject *member(JsonObject *object, const char *key)
{
	JsonNode *node = object ? json_object_get_member(object, key) : NULL;

	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static char *percent_text(double percent)
{
	return percent < 0 ? g_strdup("-") : g_strdup_printf("%.1f", percent);
}

static void print_row(JsonObject *row)
{
	JsonObject *memory = member(row, "memory"), *guest = member(memory, "guest");
	double stall = -1;
	g_autofree char *cpu =
		percent_text(json_object_get_double_member_with_default(row, "cpu_percent", -1));
	g_autofree char *disk = size_text(row, "disk_bytes_per_second");
	g_autofree char *resident = size_text(row, "resident");
	g_autofree char *size = size_text(memory, "size");
	g_autofree char *given = size_text(memory, "given");
	g_autofree char *available = size_text(guest, "available");
	g_autofree char *stalled = NULL;

	if (guest && json_object_has_member(guest, "stall_permille"))
		stall = (double)json_object_get_int_member_with_default(guest, "stall_permille",
									0) /
			10;
	stalled = percent_text(stall);
	print_shown("%-20s  %6s  %8s  %8s  %8s  %8s  %6s  %8s  %s\n", json_text(row, "name", "-"),
		    cpu, size, given, available, resident, stalled, disk,
		    memory ? json_text(memory, "mode", "-") : "-");
}

static void print_table(JsonArray *rows)
{
	print_shown("%-20s  %6s  %8s  %8s  %8s  %8s  %6s  %8s  %s\n", "NAME", "CPU%", "MEMORY",
		    "BALLOON", "AVAIL", "ON-HOST", "STALL%", "DISK/s", "MODE");
	for (guint i = 0; i < json_array_get_length(rows); i++)
		print_row(json_array_get_object_element(rows, i));
}

/* ---- the verb ---- */

/* One look; @print: whether it is shown. */
static int look(const struct options *options, GHashTable *samples, bool print)
{
	g_autofree char *message = NULL;
	JsonArray *rows;
	GArray *vms;
	int ret = list_vms(&vms, &message);

	if (ret)
		return fail(status_of(ret), "%s", message);
	rows = take_rows(samples, vms);
	if (print && options->json) {
		json_print_array_line(rows);
	} else if (print) {
		if (!options->once && isatty(STDOUT_FILENO))
			printf("\033[H\033[J");
		print_table(rows);
	}
	json_array_unref(rows);
	g_array_unref(vms);
	return fflush(stdout) || ferror(stdout) ? EX_IOERR : EX_OK;
}

static int top(const struct options *options)
{
	GHashTable *samples = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_sample);
	int status = look(options, samples, false);

	while (!status) {
		g_usleep((gulong)options->interval_s * G_USEC_PER_SEC);
		status = look(options, samples, true);
		if (options->once)
			break;
	}
	g_hash_table_unref(samples);
	return status;
}

int verb_top(int argc, char **argv)
{
	struct options options = { .interval_s = 2 };
	const GOptionEntry entries[] = {
		{ "once", '1', 0, G_OPTION_ARG_NONE, &options.once,
		  "look for one interval, and end", NULL },
		{ "interval", 'i', 0, G_OPTION_ARG_INT, &options.interval_s, "2 if not given",
		  "SECONDS" },
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &options.json,
		  "print JSON, an array on a line each time", NULL },
		{ 0 },
	};
	int status = parse_options(
		&argc, &argv, "", "Shows what each VM that runs has and uses, again and again.",
		"MEMORY is what the guest could have, BALLOON what it has given of it, "
		"AVAIL what it\ncould use without swapping, ON-HOST what the VM has of "
		"this host. STALL is the part\nof the time that programs in the guest "
		"wait for memory. \"-\": not told, or not known.",
		entries);

	if (!status && argc > 1)
		status = fail(EX_USAGE, "top: '%s' is one word too many; it takes none", argv[1]);
	if (!status && (options.interval_s < 1 || options.interval_s > INTERVAL_MAX_S))
		status = fail(EX_USAGE, "--interval: %d will not do; give 1 to %d seconds",
			      options.interval_s, INTERVAL_MAX_S);
	return status ? status : top(&options);
}

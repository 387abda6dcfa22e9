// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge ps`: the processes of a running VM's guest.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "host-vmm/cli/guest_link.h"
#include "host-vmm/cli/guest_open.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"

#define LINE_MAX_BYTES (1 << 20) /* of a process: its command line among it */
#define DEPTH_MAX      8 /* of what a line holds: an object of texts and numbers, today */
#define ROWS_MAX       1000000
#define BYTES_MAX      (64u << 20) /* of all: a guest must not fill our memory */
#define PATIENCE_MS    30000 /* without a byte */

struct ps {
	GString *rows; /* NULL: a table is printed at once */
	unsigned int n_rows;
	size_t n_bytes;
	GString *line;
};

/* The guest's word: a member may be of any type, and the library gives back no default for a wrong
 * one. */
static JsonNode *value_of(JsonObject *row, const char *key, GType type)
{
	JsonNode *node = json_object_get_member(row, key);

	return node && json_node_get_value_type(node) == type ? node : NULL;
}

static const char *text_of(JsonObject *row, const char *key)
{
	JsonNode *node = value_of(row, key, G_TYPE_STRING);

	return node ? json_node_get_string(node) : "-";
}

static gint64 number_of(JsonObject *row, const char *key)
{
	JsonNode *node = value_of(row, key, G_TYPE_INT64);

	return node ? json_node_get_int(node) : 0;
}

/* The library calls itself for each bracket within brackets, and a line has room for more of them
 * than our stack has for calls. Its scanner knows more quotes and comments than JSON: none of them.
 */
static bool is_plain(const char *line)
{
	unsigned int depth = 0;
	bool quoted = false;

	for (; *line; line++) {
		if (quoted && *line == '\\' && line[1])
			line++;
		else if (*line == '"')
			quoted = !quoted;
		else if (!quoted &&
			 (strchr("'/#", *line) || (strchr("[{", *line) && ++depth > DEPTH_MAX)))
			return false;
		else if (!quoted && strchr("]}", *line) && depth)
			depth--;
	}
	return true;
}

static void print_row(JsonObject *row)
{
	g_autoptr(GDateTime) since = g_date_time_new_from_unix_local(number_of(row, "started"));
	g_autofree char *started = since ? g_date_time_format(since, "%b%d %H:%M") : g_strdup("-");
	g_autofree char *user = shown_text(text_of(row, "user"), -1, "");
	g_autofree char *state = shown_text(text_of(row, "state"), -1, "");
	g_autofree char *command = shown_text(text_of(row, "command"), -1, "");
	gint64 cpu = number_of(row, "cpu") / 1000;

	printf("%7" G_GINT64_FORMAT " %7" G_GINT64_FORMAT " %-12s %-2s %9" G_GINT64_FORMAT
	       " %4" G_GINT64_FORMAT ":%02d %-12s %s\n",
	       number_of(row, "pid"), number_of(row, "ppid"), user, state,
	       number_of(row, "rss") >> 10, cpu / 60, (int)(cpu % 60), started, command);
}

/* As text: as nodes they would take fifty times as much memory, which the guest could choose. */
static void add_row(GString *rows, JsonObject *row)
{
	g_autofree char *text = json_object_text(row);

	g_string_append_printf(rows, "%s\n  ", rows->len > 1 ? "," : "");
	g_string_append(rows, text);
}

static int take_line(struct ps *ps)
{
	bool plain = is_plain(ps->line->str);
	g_autoptr(JsonNode) node = plain ? json_from_string(ps->line->str, NULL) : NULL;

	g_string_set_size(ps->line, 0);
	if (!node || !JSON_NODE_HOLDS_OBJECT(node) || ++ps->n_rows > ROWS_MAX)
		return -EBADMSG;
	if (ps->rows)
		add_row(ps->rows, json_node_get_object(node));
	else
		print_row(json_node_get_object(node));
	return 0;
}

static int take_bytes(struct ps *ps, const char *bytes, size_t len)
{
	int ret = 0;

	ps->n_bytes += len;
	if (ps->n_bytes > BYTES_MAX)
		return -EMSGSIZE;
	for (size_t i = 0; !ret && i < len; i++) {
		if (bytes[i] == '\n')
			ret = take_line(ps);
		else if (ps->line->len < LINE_MAX_BYTES)
			g_string_append_c(ps->line, bytes[i]);
		else
			ret = -EBADMSG;
	}
	return ret;
}

/* Reads @stream to its end and the command to its result. */
static int read_all(struct ps *ps, struct guest_link *link, struct guest_stream *stream,
		    const struct guest_command *command)
{
	int ret = 0;

	while (!ret && !(command->done && !stream->len)) {
		const unsigned char *bytes;
		size_t len = guest_stream_peek(stream, &bytes);

		if (!len) {
			ret = guest_link_wait(link, PATIENCE_MS);
			continue;
		}
		ret = take_bytes(ps, (const char *)bytes, len);
		if (!ret)
			ret = guest_stream_take(link, stream, len);
	}
	return ret;
}

static int ask(struct ps *ps, struct guest_link *link, const char *name)
{
	struct fields_builder text = FIELDS_BUILDER(LODGE_RPC_DATA_MAX);
	struct guest_command command = { 0 };
	struct guest_stream stream;
	g_autofree char *problem = NULL;
	const char *fields;
	size_t len;
	int ret = guest_stream_open(link, true, &stream);

	if (!ret) {
		fields_raw(&text, "lodge.ps ");
		fields_addf(&text, "stdout", "%u", stream.number);
		ret = guest_command_send(link, &text, &command);
	}
	fields_free(&text);
	if (!ret)
		ret = read_all(ps, link, &stream, &command);
	if (!ret && !guest_command_outcome(&command, &fields, &len, &problem))
		ret = EX_OK;
	else if (!ret)
		ret = fail(EX_UNAVAILABLE, "%s: %s", name, problem);
	else
		ret = fail(EX_UNAVAILABLE, "%s: its processes cannot be listed: %s", name,
			   g_strerror(-ret));
	guest_link_close(link);
	return ret;
}

int verb_ps(int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ 0 },
	};
	struct ps ps = { 0 };
	struct guest_link *link;
	struct vm vm = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME", "Lists the processes of a running VM's guest.",
			       "RSS is in KiB, CPU in minutes and seconds.", entries);
	if (!status)
		status = one_name(argc, argv, "ps");
	if (!status)
		status = guest_open(argv[1], &vm, &link);
	if (!status) {
		ps.line = g_string_new(NULL);
		ps.rows = json ? g_string_new("[") : NULL;
		if (!json)
			printf("%7s %7s %-12s %-2s %9s %7s %-12s %s\n", "PID", "PPID", "USER", "S",
			       "RSS", "CPU", "STARTED", "COMMAND");
		status = ask(&ps, link, vm.name);
		if (json && !status)
			printf("%s\n]\n", ps.rows->str);
		g_string_free(ps.line, TRUE);
	}
	if (ps.rows)
		g_string_free(ps.rows, TRUE);
	vm_clear(&vm);
	return status;
}

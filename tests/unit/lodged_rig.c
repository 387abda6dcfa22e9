// SPDX-License-Identifier: GPL-2.0-or-later
// The host's end for tests of lodged.
#include "tests/unit/lodged_rig.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-daemon/lodged/timekeeping.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"

static int keep_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct rig *rig = opaque;
	struct rig_frame *kept = g_new(struct rig_frame, 1);

	kept->frame = *frame;
	kept->payload = g_malloc(frame->size + 1);
	memcpy(kept->payload, payload, frame->size + 1);
	g_queue_push_tail(&rig->received, kept);
	return 0;
}

static void receive(struct rig *rig)
{
	char bytes[65536];
	ssize_t got;

	if (rig->host < 0)
		return;
	while ((got = recv(rig->host, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		ck_assert_int_eq(
			frame_cutter_feed(&rig->cutter, bytes, (size_t)got, keep_frame, rig), 0);
}

void rig_until(struct rig *rig, bool (*done)(struct rig *rig, void *opaque), void *opaque)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)RIG_SECONDS * G_USEC_PER_SEC;

	for (;;) {
		struct pollfd pfd = { rig->host, POLLIN, 0 };

		while (g_main_context_iteration(NULL, FALSE))
			;
		receive(rig);
		if (done(rig, opaque))
			return;
		ck_assert_msg(g_get_monotonic_time() < deadline, "waited in vain");
		(void)poll(&pfd, 1, 1);
	}
}

static bool connected(struct rig *rig, void *opaque)
{
	(void)opaque;
	rig->host = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return rig->host >= 0;
}

void rig_accept(struct rig *rig)
{
	fd_close(&rig->host);
	frame_cutter_reset(&rig->cutter);
	rig_until(rig, connected, NULL);
}

/* How often the system would have been ended, for rig_ended(). */
static int ended[3];

static void end_nothing(struct children *children, enum shutdown what)
{
	(void)children;
	ended[what]++;
}

static struct rig_clock the_clock;

static int step_nothing(int64_t by_ns)
{
	the_clock.steps++;
	the_clock.by = by_ns;
	return 0;
}

static int slew_nothing(double ppm, int64_t error_ns)
{
	(void)ppm;
	(void)error_ns;
	the_clock.slews++;
	return 0;
}

static int take_zone(const char *name)
{
	snprintf(the_clock.zone, sizeof(the_clock.zone), "%s", name);
	return 0;
}

static const struct timekeeping_clock no_clock = { step_nothing, slew_nothing, take_zone };

struct rig_clock *rig_clock(void)
{
	return &the_clock;
}

static const struct display_system *the_display;

void rig_display(const struct display_system *display)
{
	the_display = display;
}

int rig_ended(enum shutdown what)
{
	return ended[what];
}

static int listen_at(const char *path)
{
	int fd = unix_listen(path, 4);

	ck_assert_int_ge(fd, 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void start(struct rig *rig, const char *conf, int door)
{
	struct lodged_options options = { .door = door };
	g_autofree char *self = NULL, *here = NULL;
	bool no_folder;

	memset(rig, 0, sizeof(*rig));
	rig->folder = g_dir_make_tmp("lodged-XXXXXX", NULL);
	ck_assert_ptr_nonnull(rig->folder);
	rig->socket = g_build_filename(rig->folder, "host.sock", NULL);
	no_folder = !g_strcmp0(conf, RIG_NO_FOLDER);
	rig->conf = g_build_filename(rig->folder, no_folder ? "later" : ".", "tools.conf", NULL);
	if (conf && !no_folder)
		ck_assert(g_file_set_contents(rig->conf, conf, -1, NULL));
	rig->host = -1;
	rig->listener = listen_at(rig->socket);
	rig->port_listener = -1;
	rig->dev = g_build_filename(rig->folder, "lodge", NULL);
	rig->cutter.types = FRAMES_FROM_GUEST;
	g_queue_init(&rig->received);
	rig->requests = g_ptr_array_new_with_free_func(g_free);
	options.paths[DOOR_DEV] = rig->dev;
	options.paths[DOOR_PORT] = rig->socket;
	options.conf = rig->conf;
	options.run_folder = rig->folder;
	options.end_system = end_nothing;
	options.clock = the_clock.on ? &no_clock : NULL;
	options.display = the_display;
	self = g_file_read_link("/proc/self/exe", NULL);
	here = g_path_get_dirname(self);
	rig->helpers = g_build_filename(here, "..", "bin", NULL);
	options.helpers = rig->helpers;
	ck_assert_int_eq(lodged_start(&rig->lodged, &options), 0);
	rig_accept(rig);
}

void rig_start(struct rig *rig, const char *conf)
{
	start(rig, conf, DOOR_PORT);
}

void rig_start_free(struct rig *rig, const char *conf)
{
	start(rig, conf, -1);
}

void rig_open_dev(struct rig *rig)
{
	rig->port_listener = rig->listener;
	rig->listener = listen_at(rig->dev);
}

void rig_close_dev(struct rig *rig)
{
	fd_close(&rig->listener);
	ck_assert_int_eq(unlink(rig->dev), 0);
	rig->listener = fd_steal(&rig->port_listener);
}

static void free_frame(gpointer data)
{
	struct rig_frame *frame = data;

	g_free(frame->payload);
	g_free(frame);
}

void rig_remove(const char *folder)
{
	GDir *dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_DIR) &&
		    !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
			rig_remove(path);
		else
			(void)unlink(path);
	}
	if (dir)
		g_dir_close(dir);
	(void)rmdir(folder);
}

void rig_stop(struct rig *rig)
{
	lodged_stop(&rig->lodged);
	fd_close(&rig->host);
	fd_close(&rig->listener);
	fd_close(&rig->port_listener);
	frame_cutter_reset(&rig->cutter);
	g_queue_clear_full(&rig->received, free_frame);
	g_ptr_array_unref(rig->requests);
	for (size_t i = 0; i < G_N_ELEMENTS(rig->streams); i++) {
		if (rig->streams[i])
			g_byte_array_unref(rig->streams[i]);
	}
	rig_remove(rig->folder);
	g_free(rig->folder);
	g_free(rig->helpers);
	g_free(rig->socket);
	g_free(rig->dev);
	g_free(rig->conf);
}

void rig_send_bytes(struct rig *rig, const void *bytes, size_t len)
{
	const char *at = bytes;
	gint64 deadline = g_get_monotonic_time() + (gint64)RIG_SECONDS * G_USEC_PER_SEC;

	while (len) {
		ssize_t sent = send(rig->host, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			return; /* lodged has closed: the test will see */
		ck_assert_msg(g_get_monotonic_time() < deadline, "lodged reads nothing");
		if (sent > 0) {
			at += sent;
			len -= (size_t)sent;
		} else {
			(void)g_main_context_iteration(NULL, FALSE);
			receive(rig);
		}
	}
}

void rig_send(struct rig *rig, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
	      const void *payload, size_t len)
{
	struct frame frame = { .size = (uint32_t)len, .type = type, .flags = flags, .tag = tag };
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	frame_build(&frame, header);
	rig_send_bytes(rig, header, sizeof(header));
	rig_send_bytes(rig, payload, len);
}

static bool has_frame(struct rig *rig, void *opaque)
{
	(void)opaque;
	return !g_queue_is_empty(&rig->received);
}

static void take_data(struct rig *rig, const struct rig_frame *kept)
{
	uint32_t number = kept->frame.tag, credit = htole32(kept->frame.size);

	ck_assert_uint_lt(number, G_N_ELEMENTS(rig->streams));
	ck_assert(!rig->ended[number]);
	if (!rig->streams[number])
		rig->streams[number] = g_byte_array_new();
	g_byte_array_append(rig->streams[number], kept->payload, kept->frame.size);
	if (kept->frame.flags & LODGE_RPC_F_END)
		rig->ended[number] = true;
	else
		rig_send(rig, LODGE_RPC_CREDIT, 0, number, &credit, sizeof(credit));
}

struct rig_frame rig_next(struct rig *rig, bool requests)
{
	for (;;) {
		struct rig_frame *kept, found;

		rig_until(rig, has_frame, NULL);
		kept = g_queue_pop_head(&rig->received);
		found = *kept;
		g_free(kept);
		if (found.frame.type == LODGE_RPC_DATA) {
			take_data(rig, &found);
			g_free(found.payload);
		} else if (found.frame.type == LODGE_RPC_REQUEST && !requests) {
			rig_send(rig, LODGE_RPC_REPLY, 0, found.frame.tag, "1 ", 2);
			g_ptr_array_add(rig->requests, found.payload);
		} else {
			return found;
		}
	}
}

void rig_greet(struct rig *rig)
{
	static const char greeting[] = "1 version=0.0.0\0door=port\0privilege=root";
	struct rig_frame hello = rig_next(rig, true);

	ck_assert_int_eq(hello.frame.type, LODGE_RPC_REQUEST);
	ck_assert(!strncmp((char *)hello.payload, "lodge.hello app=toolbox", 23));
	rig->hello_tag = hello.frame.tag;
	g_free(hello.payload);
	rig_send(rig, LODGE_RPC_REPLY, 0, rig->hello_tag, greeting, sizeof(greeting));
}

void rig_up(struct rig *rig, const char *conf)
{
	rig_start(rig, conf);
	rig_greet(rig);
}

uint32_t rig_command(struct rig *rig, const void *text, size_t len)
{
	rig_send(rig, LODGE_RPC_COMMAND, 0, ++rig->next_tag, text, len);
	return rig->next_tag;
}

char *rig_result(struct rig *rig, uint32_t tag)
{
	struct rig_frame found = rig_next(rig, false);

	ck_assert_int_eq(found.frame.type, LODGE_RPC_RESULT);
	ck_assert_uint_eq(found.frame.tag, tag);
	return (char *)found.payload;
}

char *rig_ask(struct rig *rig, const char *text)
{
	return rig_result(rig, rig_command(rig, text, strlen(text)));
}

const char *rig_request(struct rig *rig, const char *prefix)
{
	for (;;) {
		struct rig_frame found;

		for (guint i = 0; i < rig->requests->len; i++) {
			const char *text = g_ptr_array_index(rig->requests, i);

			if (g_str_has_prefix(text, prefix))
				return text;
		}
		found = rig_next(rig, true);
		ck_assert_int_eq(found.frame.type, LODGE_RPC_REQUEST);
		rig_send(rig, LODGE_RPC_REPLY, 0, found.frame.tag, "1 ", 2);
		g_ptr_array_add(rig->requests, found.payload);
	}
}

uint32_t rig_fields_of(struct rig *rig, const char *word, const char *const *fields)
{
	struct fields_builder text = FIELDS_BUILDER(65536);
	uint32_t tag;

	fields_raw(&text, word);
	fields_raw(&text, " ");
	for (; *fields; fields += 2)
		fields_add(&text, fields[0], fields[1]);
	ck_assert_int_eq(fields_done(&text), 0);
	tag = rig_command(rig, text.bytes, text.len);
	fields_free(&text);
	return tag;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// A window: its messages carried out, and what it is told put into its socket as it takes it.
#include "host-vmm/display/window.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/display/display.h"
#include "host-vmm/display/server.h"
#include "host-vmm/display/viewer.h"
#include "host-vmm/display/wire.h"
#include "host-vmm/input/input.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"

#define CHUNK	    4096
#define LAST_CHUNKS 16 /* of a window that cannot be told any more */

/* A message on its way; few, as nothing is begun while one waits. */
struct packet {
	struct packet *next;
	int fd; /* goes with the first byte; or -1 */
	size_t len, done;
	unsigned char bytes[];
};

struct window {
	const struct window_host *host;
	int fd;
	struct loop_source *source;
	uint32_t events;
	struct wire wire;
	struct display_viewer viewer;
	bool attached;
	struct input_giver *giver;
	bool input_owed;
	bool dead; /* its turn to go comes by the socket's end */
	struct packet *out;
	unsigned int idle_s; /* seconds in which it took nothing of what waits */
};

/* ---- what it is told ---- */

static void packet_free(struct packet *packet)
{
	fd_close(&packet->fd);
	free(packet);
}

static void doom(struct window *window)
{
	window->dead = true;
	shutdown(window->fd, SHUT_RDWR);
}

static void watch(struct window *window)
{
	const uint32_t events = EPOLLIN | (window->out ? EPOLLOUT : 0);

	if (events == window->events)
		return;
	window->events = events;
	if (loop_modify(window->source, events))
		doom(window);
}

static ssize_t send_some(int socket, struct packet *packet, int pass)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { packet->bytes + packet->done, packet->len - packet->done };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (pass >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&msg);
		*cmsg = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(cmsg), &pass, sizeof(pass));
	}
	return sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* As much of the packet as goes now: 0 once all of it went, -EAGAIN, or why the window is lost. */
static int push(struct window *window, struct packet *packet, int pass)
{
	while (packet->done < packet->len) {
		ssize_t sent = send_some(window->fd, packet, packet->done ? -1 : pass);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		packet->done += (size_t)sent;
		window->idle_s = 0;
	}
	return 0;
}

/* Sends @len bytes behind a header, with the descriptor @pass, or -1, which stays the caller's. */
static void tell(struct window *window, enum lodge_display_type type, unsigned int head,
		 const void *body, size_t len, int pass)
{
	const struct lodge_display_header header = {
		.size = htole32((uint32_t)len),
		.type = htole16(type),
		.head = htole16((uint16_t)head),
	};
	struct packet *packet = malloc(sizeof(*packet) + sizeof(header) + len), **at = &window->out;
	int ret;

	if (!packet) {
		doom(window);
		return;
	}
	*packet = (struct packet){ .fd = -1, .len = sizeof(header) + len };
	memcpy(packet->bytes, &header, sizeof(header));
	memcpy(packet->bytes + sizeof(header), body, len);
	ret = window->out ? -EAGAIN : push(window, packet, pass);
	if (ret == -EAGAIN && pass >= 0 && !packet->done) {
		packet->fd = fcntl(pass, F_DUPFD_CLOEXEC, 0);
		if (packet->fd < 0)
			ret = -errno;
	}
	if (ret != -EAGAIN) {
		packet_free(packet);
		if (ret)
			doom(window);
		return;
	}
	while (*at)
		at = &(*at)->next;
	*at = packet;
	window->host->waits(window->host->opaque);
	watch(window);
}

static bool is_ready(void *opaque)
{
	const struct window *window = opaque;

	return !window->dead && !window->out;
}

static void tell_frame(void *opaque, unsigned int head, const struct display_view *view)
{
	const struct lodge_display_frame frame = {
		.width = htole32(view->width),
		.height = htole32(view->height),
		.stride = htole32(view->stride),
		.source = htole32(view->source),
		.x = htole32(view->x),
		.y = htole32(view->y),
	};

	tell(opaque, LODGE_DISPLAY_FRAME, head, &frame, sizeof(frame), view->fd);
}

static void tell_damage(void *opaque, unsigned int head, uint32_t serial,
			const struct display_rect *rects, unsigned int n_rects)
{
	struct {
		struct lodge_display_damage damage;
		struct lodge_display_rect rects[LODGE_DISPLAY_RECTS_MAX];
	} body = { .damage = { htole32(serial), htole32(n_rects) } };

	for (unsigned int i = 0; i < n_rects; i++)
		body.rects[i] = (struct lodge_display_rect){
			.x = htole32(rects[i].x),
			.y = htole32(rects[i].y),
			.width = htole32(rects[i].width),
			.height = htole32(rects[i].height),
		};
	tell(opaque, LODGE_DISPLAY_DAMAGE, head, &body,
	     sizeof(body.damage) + n_rects * sizeof(body.rects[0]), -1);
}

static void tell_cursor(void *opaque, unsigned int head, const struct display_cursor *cursor)
{
	const size_t n = (size_t)cursor->width * cursor->height;
	struct {
		struct lodge_display_cursor cursor;
		uint32_t pixels[LODGE_DISPLAY_CURSOR_MAX * LODGE_DISPLAY_CURSOR_MAX];
	} body = { .cursor = { htole32(cursor->width), htole32(cursor->height),
			       htole32(cursor->hot_x), htole32(cursor->hot_y) } };

	for (size_t i = 0; i < n; i++)
		body.pixels[i] = htole32(cursor->argb[i]);
	tell(opaque, LODGE_DISPLAY_CURSOR, head, &body,
	     sizeof(body.cursor) + n * sizeof(body.pixels[0]), -1);
}

static void tell_cursor_at(void *opaque, unsigned int head, uint32_t x, uint32_t y)
{
	const struct lodge_display_cursor_at at = { htole32(x), htole32(y) };

	tell(opaque, LODGE_DISPLAY_CURSOR_AT, head, &at, sizeof(at), -1);
}

static const struct display_viewer_ops viewer_ops = {
	.ready = is_ready,
	.frame = tell_frame,
	.damage = tell_damage,
	.cursor = tell_cursor,
	.cursor_at = tell_cursor_at,
};

void window_input_changed(struct window *window)
{
	const struct window_host *host = window->host;
	const struct lodge_display_input body = { htole32(input_is_absolute(host->input)),
						  htole32(input_leds(host->input)) };

	window->input_owed = !is_ready(window);
	if (window->attached && !window->input_owed)
		tell(window, LODGE_DISPLAY_INPUT, 0, &body, sizeof(body), -1);
}

static void say_hello(struct window *window)
{
	const struct window_host *host = window->host;
	struct lodge_display_hello hello = {
		.version = htole32(LODGE_DISPLAY_VERSION),
		.heads = htole32(display_heads(host->display)),
		.memory_max = htole64(display_memory(host->display)),
	};

	for (size_t i = 0; i + 1 < sizeof(hello.name) && host->name[i]; i++)
		hello.name[i] = (uint8_t)host->name[i];
	tell(window, LODGE_DISPLAY_HELLO, 0, &hello, sizeof(hello), -1);
}

/* ---- what it says ---- */

static void take_attach(struct window *window, const struct wire_message *message)
{
	window->viewer = (struct display_viewer){ .ops = &viewer_ops,
						  .opaque = window,
						  .heads = message->heads };
	window->attached = true;
	window_input_changed(window);
	display_attach(window->host->display, &window->viewer);
}

static const char *why_refused(int ret, const struct wire_message *message)
{
	if (ret != -E2BIG)
		return "there is no such size";
	if (message->resize.width > LODGE_DISPLAY_SIDE_MAX ||
	    message->resize.height > LODGE_DISPLAY_SIDE_MAX)
		return "a side is longer than any picture's";
	return "[display] memory is too small for that";
}

static void take_resize(struct window *window, const struct wire_message *message)
{
	int ret = display_resize(window->host->display, message->head, message->resize.width,
				 message->resize.height, message->resize.width_mm,
				 message->resize.height_mm);

	if (ret)
		log_ratelimited(window->host->limit, LOG_LEVEL_WARN,
				"a window asks for %ux%u on screen %u: %s", message->resize.width,
				message->resize.height, message->head + 1,
				why_refused(ret, message));
}

static void take_point(struct window *window, const struct wire_message *message)
{
	uint32_t x = message->point.x, y = message->point.y, width, height;
	struct display_rect place;

	if (!display_place(window->host->display, message->head, &place, &width, &height))
		return;
	/* The window may have had another size when it said this. */
	x = x < place.width ? x : place.width - 1;
	y = y < place.height ? y : place.height - 1;
	input_point(window->giver, place.x + x, place.y + y, width, height);
}

static int take(void *opaque, const struct wire_message *message)
{
	struct window *window = opaque;

	switch (message->type) {
	case LODGE_DISPLAY_ATTACH:
		take_attach(window, message);
		break;
	case LODGE_DISPLAY_SHOWN:
		display_shown(window->host->display, &window->viewer, message->head,
			      message->serial);
		break;
	case LODGE_DISPLAY_RESIZE:
		take_resize(window, message);
		break;
	case LODGE_DISPLAY_MEASURE:
		display_measure(window->host->display, message->head, message->resize.width,
				message->resize.height, message->resize.width_mm,
				message->resize.height_mm);
		break;
	/* Codes that no device of ours has are other keyboards', and no fault. */
	case LODGE_DISPLAY_KEY:
		if (message->key.code <= UINT16_MAX)
			(void)input_key(window->giver, (uint16_t)message->key.code,
					message->key.down);
		break;
	case LODGE_DISPLAY_BUTTON:
		if (message->key.code <= UINT16_MAX)
			(void)input_button(window->giver, (uint16_t)message->key.code,
					   message->key.down);
		break;
	case LODGE_DISPLAY_POINT:
		take_point(window, message);
		break;
	case LODGE_DISPLAY_MOVE:
		input_move(window->giver, message->move.dx, message->move.dy);
		break;
	case LODGE_DISPLAY_WHEEL:
		input_wheel(window->giver, message->move.dx, message->move.dy);
		break;
	case LODGE_DISPLAY_RELEASE:
		input_release(window->giver);
		break;
	default:
		return -EBADMSG;
	}
	return 0;
}

/* False where the window is over. */
static bool hear(struct window *window)
{
	unsigned char chunk[CHUNK];
	ssize_t got = recv(window->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	int ret;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!got)
		return false;
	ret = wire_feed(&window->wire, chunk, (size_t)got, take, window);
	if (ret)
		log_ratelimited(window->host->limit, LOG_LEVEL_WARN,
				"display.sock: a window does not keep to the protocol; closed");
	return !ret;
}

/* False where the window is over. */
static bool go_on(struct window *window)
{
	while (window->out) {
		struct packet *packet = window->out;
		int ret = push(window, packet, packet->fd);

		if (ret)
			return ret == -EAGAIN;
		window->out = packet->next;
		packet_free(packet);
	}
	if (window->input_owed)
		window_input_changed(window);
	if (window->attached)
		display_viewer_ready(window->host->display, &window->viewer);
	return true;
}

static void ready(void *opaque, uint32_t events)
{
	struct window *window = opaque;
	bool alive = true, lost = window->dead;

	if (!lost && events & EPOLLOUT)
		lost = !go_on(window);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		alive = hear(window);
	/* What it said before it went still counts. */
	lost = lost || window->dead;
	for (unsigned int i = 0; i < LAST_CHUNKS && alive && lost; i++)
		alive = hear(window);
	if (!alive || lost) {
		window->host->over(window->host->opaque, window);
		return;
	}
	watch(window);
}

/* ---- its life ---- */

int window_create(const struct window_host *host, int fd, struct window **ret_window)
{
	struct window *window = calloc(1, sizeof(*window));
	int ret = -ENOMEM;

	if (!window)
		return -ENOMEM;
	window->host = host;
	window->fd = fd;
	window->wire.n_heads = display_heads(host->display);
	window->events = EPOLLIN;
	window->giver = input_giver_create(host->input);
	if (window->giver)
		ret = loop_add(display_loop(host->display), fd, EPOLLIN, ready, window,
			       &window->source);
	if (ret) {
		input_giver_destroy(window->giver);
		free(window);
		return ret;
	}
	say_hello(window);
	*ret_window = window;
	return 0;
}

void window_destroy(struct window *window)
{
	loop_remove(window->source);
	if (window->attached)
		display_detach(window->host->display, &window->viewer);
	input_giver_destroy(window->giver);
	while (window->out) {
		struct packet *packet = window->out;

		window->out = packet->next;
		packet_free(packet);
	}
	close(window->fd);
	free(window);
}

bool window_check(struct window *window, bool *waits)
{
	if (!window->out)
		return true;
	*waits = true;
	return ++window->idle_s < DISPLAY_STALL_S;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of display.sock, from the window's side.
 *
 * A header is read alone, then its body: so descriptors, which come with a message's first byte,
 * always belong to the header that was just read.
 */
#include "host-vmm/view/link.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define OUT_MAX	 65536u /* bytes that may wait for a monitor that is slow */
#define OUT_SLOW 4096u

struct link {
	int socket;
	const struct link_ops *ops;
	void *opaque;
	unsigned int heads; /* 0: no hello so far */
	int error; /* of sending */

	struct lodge_display_header header;
	size_t have; /* bytes of the header, then of the body */
	int fd; /* came with this message, or -1 */
	unsigned char body[LODGE_DISPLAY_BODY_MAX] __attribute__((aligned(8)));

	size_t out_len;
	unsigned char out[OUT_MAX];
};

int link_adopt(int socket, const struct link_ops *ops, void *opaque, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		close(socket);
		return -ENOMEM;
	}
	link->fd = -1;
	link->ops = ops;
	link->opaque = opaque;
	link->socket = socket;
	*ret_link = link;
	return 0;
}

int link_open(const char *path, const struct link_ops *ops, void *opaque, struct link **ret_link)
{
	int socket = unix_connect(path);

	if (socket < 0)
		return socket;
	(void)fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
	return link_adopt(socket, ops, opaque, ret_link);
}

void link_close(struct link *link)
{
	if (!link)
		return;
	fd_close(&link->fd);
	fd_close(&link->socket);
	free(link);
}

int link_fd(const struct link *link)
{
	return link->socket;
}

/* ---- in ---- */

static int take_hello(struct link *link)
{
	const struct lodge_display_hello *wire = (const void *)link->body;
	struct link_hello hello = {
		.heads = le32toh(wire->heads),
		.memory_max = le64toh(wire->memory_max),
	};

	if (le32toh(wire->version) != LODGE_DISPLAY_VERSION || hello.heads == 0 ||
	    hello.heads > LODGE_DISPLAY_HEADS_MAX || wire->name[sizeof(wire->name) - 1] != 0)
		return -EBADMSG;
	memcpy(hello.name, wire->name, sizeof(hello.name));
	log_make_printable(hello.name, strlen(hello.name));
	link->heads = hello.heads;
	link->ops->hello(link->opaque, &hello);
	return 0;
}

static bool holds(int fd, uint64_t bytes)
{
	struct stat status;

	return fstat(fd, &status) == 0 && status.st_size >= 0 && (uint64_t)status.st_size >= bytes;
}

static int take_frame(struct link *link, unsigned int head)
{
	const struct lodge_display_frame *wire = (const void *)link->body;
	struct link_frame frame = {
		.source = le32toh(wire->source),
		.width = le32toh(wire->width),
		.height = le32toh(wire->height),
		.stride = le32toh(wire->stride),
	};

	if (frame.source == LODGE_DISPLAY_NONE) {
		if (frame.width != 0 || frame.height != 0 || link->fd >= 0)
			return -EBADMSG;
	} else if (frame.source > LODGE_DISPLAY_GPU || frame.width == 0 || frame.height == 0 ||
		   frame.width > LODGE_DISPLAY_SIDE_MAX || frame.height > LODGE_DISPLAY_SIDE_MAX ||
		   frame.stride % 4 != 0 || frame.stride / 4 < frame.width ||
		   frame.stride / 4 > 2 * LODGE_DISPLAY_SIDE_MAX || link->fd < 0 ||
		   !holds(link->fd, (uint64_t)frame.stride * frame.height)) {
		return -EBADMSG;
	}
	link->ops->frame(link->opaque, head, &frame, fd_steal(&link->fd));
	return 0;
}

static int take_damage(struct link *link, unsigned int head, size_t size)
{
	const struct lodge_display_damage *wire = (const void *)link->body;
	const struct lodge_display_rect *rects = (const void *)(wire + 1);
	struct link_rect list[LODGE_DISPLAY_RECTS_MAX];
	uint32_t n_rects = le32toh(wire->n_rects);

	if (n_rects == 0 || n_rects > LODGE_DISPLAY_RECTS_MAX ||
	    size != sizeof(*wire) + n_rects * sizeof(*rects))
		return -EBADMSG;
	for (uint32_t i = 0; i < n_rects; i++)
		list[i] = (struct link_rect){
			.x = le32toh(rects[i].x),
			.y = le32toh(rects[i].y),
			.width = le32toh(rects[i].width),
			.height = le32toh(rects[i].height),
		};
	link->ops->damage(link->opaque, head, le32toh(wire->serial), list, n_rects);
	return 0;
}

static int take_cursor(struct link *link, unsigned int head, size_t size)
{
	const struct lodge_display_cursor *wire = (const void *)link->body;
	struct link_cursor cursor = {
		.width = le32toh(wire->width),
		.height = le32toh(wire->height),
		.hot_x = le32toh(wire->hot_x),
		.hot_y = le32toh(wire->hot_y),
		.pixels = (const void *)(wire + 1),
	};

	if (cursor.width > LODGE_DISPLAY_CURSOR_MAX || cursor.height > LODGE_DISPLAY_CURSOR_MAX ||
	    (cursor.width == 0) != (cursor.height == 0) ||
	    (cursor.width > 0 && (cursor.hot_x >= cursor.width || cursor.hot_y >= cursor.height)) ||
	    size != sizeof(*wire) + 4ul * cursor.width * cursor.height)
		return -EBADMSG;
	link->ops->cursor(link->opaque, head, &cursor);
	return 0;
}

static int take_cursor_at(struct link *link, unsigned int head)
{
	const struct lodge_display_cursor_at *wire = (const void *)link->body;

	if (link->ops->cursor_at)
		link->ops->cursor_at(link->opaque, head, (int32_t)le32toh(wire->x),
				     (int32_t)le32toh(wire->y));
	return 0;
}

static int take_input(struct link *link)
{
	const struct lodge_display_input *wire = (const void *)link->body;

	link->ops->input(link->opaque, le32toh(wire->absolute) != 0, le32toh(wire->leds));
	return 0;
}

/* Bytes of a body. 0, or -EBADMSG for types and sizes that cannot be. */
static int check_size(enum lodge_display_type type, size_t size)
{
	static const struct {
		size_t least, most;
	} sizes[] = {
		[LODGE_DISPLAY_HELLO] = { sizeof(struct lodge_display_hello),
					  sizeof(struct lodge_display_hello) },
		[LODGE_DISPLAY_FRAME] = { sizeof(struct lodge_display_frame),
					  sizeof(struct lodge_display_frame) },
		[LODGE_DISPLAY_DAMAGE] = { sizeof(struct lodge_display_damage),
					   LODGE_DISPLAY_BODY_MAX },
		[LODGE_DISPLAY_CURSOR] = { sizeof(struct lodge_display_cursor),
					   LODGE_DISPLAY_BODY_MAX },
		[LODGE_DISPLAY_CURSOR_AT] = { sizeof(struct lodge_display_cursor_at),
					      sizeof(struct lodge_display_cursor_at) },
		[LODGE_DISPLAY_INPUT] = { sizeof(struct lodge_display_input),
					  sizeof(struct lodge_display_input) },
	};

	if (type >= sizeof(sizes) / sizeof(sizes[0]) || sizes[type].most == 0 ||
	    size < sizes[type].least || size > sizes[type].most)
		return -EBADMSG;
	return 0;
}

static int take_message(struct link *link)
{
	enum lodge_display_type type = le16toh(link->header.type);
	unsigned int head = le16toh(link->header.head);
	size_t size = le32toh(link->header.size);

	/* The hello is first, and comes once. */
	if ((type == LODGE_DISPLAY_HELLO) != (link->heads == 0))
		return -EBADMSG;
	if (type == LODGE_DISPLAY_HELLO)
		return take_hello(link);
	if (head >= link->heads)
		return -EBADMSG;
	switch (type) {
	case LODGE_DISPLAY_FRAME:
		return take_frame(link, head);
	case LODGE_DISPLAY_DAMAGE:
		return take_damage(link, head, size);
	case LODGE_DISPLAY_CURSOR:
		return take_cursor(link, head, size);
	case LODGE_DISPLAY_INPUT:
		return take_input(link);
	default:
		return take_cursor_at(link, head);
	}
}

/* The rest of the header or of the body: 1 when it is there, 0: more has to come. */
static int fill(struct link *link, void *to, size_t len, size_t offset)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t got;

	if (link->have - offset == len)
		return 1;
	got = fd_recv(link->socket, (char *)to + link->have - offset, len - (link->have - offset),
		      fds, &n_fds);
	if (got == -EAGAIN || got == -EINTR)
		return 0;
	if (got <= 0)
		return got == -EPROTO ? -EBADMSG : -EPIPE;
	if (n_fds == 1 && link->have == 0) {
		link->fd = fds[0];
	} else if (n_fds > 0) {
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
		return -EBADMSG;
	}
	link->have += (size_t)got;
	return link->have - offset == len;
}

/* 1 with a message taken, 0: more has to come. */
static int read_one(struct link *link)
{
	const size_t header = sizeof(link->header);
	int ret;

	if (link->have < header) {
		ret = fill(link, &link->header, header, 0);
		if (ret <= 0)
			return ret;
		ret = check_size(le16toh(link->header.type), le32toh(link->header.size));
		if (ret < 0)
			return ret;
	}
	ret = fill(link, link->body, le32toh(link->header.size), header);
	if (ret <= 0)
		return ret;
	link->have = 0;
	ret = take_message(link);
	if (ret == 0 && link->fd >= 0)
		ret = -EBADMSG;
	return ret < 0 ? ret : 1;
}

int link_read(struct link *link)
{
	int ret = 1;

	/* Not without end: X events have their turn, too. */
	for (int i = 0; i < 64 && ret > 0; i++)
		ret = read_one(link);
	return ret < 0 ? ret : 0;
}

/* ---- out ---- */

void link_send(struct link *link, enum lodge_display_type type, unsigned int head, const void *body,
	       size_t size)
{
	struct lodge_display_header header = {
		.size = htole32((uint32_t)size),
		.type = htole16((uint16_t)type),
		.head = htole16((uint16_t)head),
	};

	if (link->out_len + sizeof(header) + size > sizeof(link->out)) {
		link->error = -ENOBUFS;
		return;
	}
	memcpy(link->out + link->out_len, &header, sizeof(header));
	link->out_len += sizeof(header);
	if (size > 0)
		memcpy(link->out + link->out_len, body, size);
	link->out_len += size;
	(void)link_flush(link);
}

int link_flush(struct link *link)
{
	if (link->out_len > 0 && link->error == 0) {
		ssize_t sent = send(link->socket, link->out, link->out_len, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			link->error = -EPIPE;
		if (sent > 0) {
			link->out_len -= (size_t)sent;
			memmove(link->out, link->out + sent, link->out_len);
		}
	}
	if (link->error < 0)
		return link->error;
	return link->out_len > 0;
}

bool link_is_slow(const struct link *link)
{
	return link->out_len > OUT_SLOW;
}

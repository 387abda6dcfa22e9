// SPDX-License-Identifier: GPL-2.0-or-later
/* vhost-user messages over a stream socket: bounded in time, every reply checked. */
#include "host-vmm/vhost-user/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

/* Only what the front end sends: messages name these. */
static const char *const request_names[] = {
	[VHOST_USER_GET_FEATURES] = "GET_FEATURES",
	[VHOST_USER_SET_FEATURES] = "SET_FEATURES",
	[VHOST_USER_SET_OWNER] = "SET_OWNER",
	[VHOST_USER_SET_MEM_TABLE] = "SET_MEM_TABLE",
	[VHOST_USER_SET_VRING_NUM] = "SET_VRING_NUM",
	[VHOST_USER_SET_VRING_ADDR] = "SET_VRING_ADDR",
	[VHOST_USER_SET_VRING_BASE] = "SET_VRING_BASE",
	[VHOST_USER_GET_VRING_BASE] = "GET_VRING_BASE",
	[VHOST_USER_SET_VRING_KICK] = "SET_VRING_KICK",
	[VHOST_USER_SET_VRING_CALL] = "SET_VRING_CALL",
	[VHOST_USER_SET_VRING_ERR] = "SET_VRING_ERR",
	[VHOST_USER_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[VHOST_USER_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[VHOST_USER_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[VHOST_USER_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[VHOST_USER_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
	[VHOST_USER_GET_CONFIG] = "GET_CONFIG",
	[VHOST_USER_SET_CONFIG] = "SET_CONFIG",
	[VHOST_USER_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[VHOST_USER_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
	[VHOST_USER_RESET_DEVICE] = "RESET_DEVICE",
	[VHOST_USER_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
	[VHOST_USER_ADD_MEM_REG] = "ADD_MEM_REG",
	[VHOST_USER_SET_STATUS] = "SET_STATUS",
	[VHOST_USER_GET_STATUS] = "GET_STATUS",
	[VHOST_USER_GET_SHMEM_CONFIG] = "GET_SHMEM_CONFIG",
};

const char *vhost_request_name(uint32_t request, char room[24])
{
	if (request < sizeof(request_names) / sizeof(request_names[0]) && request_names[request])
		return request_names[request];
	snprintf(room, 24, "request %u", request);
	return room;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int vhost_wire_init(struct vhost_wire *wire, int socket)
{
	int flags = fcntl(socket, F_GETFL);

	*wire = (struct vhost_wire){ .socket = socket, .timeout_ms = VHOST_WIRE_TIMEOUT_MS };
	if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	vhost_wire_begin(wire);
	return 0;
}

void vhost_wire_finish(struct vhost_wire *wire)
{
	fd_close(&wire->socket);
}

void vhost_wire_begin(struct vhost_wire *wire)
{
	wire->deadline = now_ms() + wire->timeout_ms;
}

int vhost_wire_fail(struct vhost_wire *wire, int error, const char *format, ...)
{
	va_list args;

	if (!wire->broken) {
		wire->broken = error;
		va_start(args, format);
		vsnprintf(wire->why, sizeof(wire->why), format, args);
		va_end(args);
	}
	return wire->broken;
}

static int fail_errno(struct vhost_wire *wire, int error, const char *doing, uint32_t request)
{
	char room[24];
	const char *name = vhost_request_name(request, room);

	if (error == -EPIPE || error == -ECONNRESET)
		return vhost_wire_fail(wire, -EPIPE, "closed the connection at %s", name);
	if (error == -ETIMEDOUT)
		return vhost_wire_fail(wire, error, "did not answer %s within %u ms", name,
				       wire->timeout_ms);
	return vhost_wire_fail(wire, error, "%s %s: %s", doing, name, strerror(-error));
}

/* Until @events are there; an end of the connection counts as readiness: recv and send tell. */
static int wait_for(const struct vhost_wire *wire, short events)
{
	struct pollfd pfd = { .fd = wire->socket, .events = events };
	int64_t left;
	int ret;

	do {
		left = wire->deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		ret = poll(&pfd, 1, (int)left);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	return ret ? 0 : -ETIMEDOUT;
}

static void add_fds(struct msghdr *msg, void *control, const int *fds, size_t n_fds)
{
	struct cmsghdr *cmsg;

	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
}

static int send_all(const struct vhost_wire *wire, struct msghdr *msg, struct iovec *iov)
{
	while (iov->iov_len) {
		ssize_t sent = sendmsg(wire->socket, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		int ret = 0;

		if (sent >= 0) {
			iov->iov_base = (char *)iov->iov_base + sent;
			iov->iov_len -= (size_t)sent;
			msg->msg_control = NULL;
			msg->msg_controllen = 0;
		} else if (errno == EAGAIN) {
			ret = wait_for(wire, POLLOUT);
		} else if (errno != EINTR) {
			ret = -errno;
		}
		if (ret)
			return ret;
	}
	return 0;
}

int vhost_wire_send(struct vhost_wire *wire, uint32_t request, uint32_t flags, const void *payload,
		    size_t len, const int *fds, size_t n_fds)
{
	union {
		char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct {
		struct vhost_user_header header;
		uint8_t payload[sizeof(union vhost_user_payload)];
	} message = { .header = { request, VHOST_USER_VERSION | flags, (uint32_t)len } };
	struct iovec iov = { &message, sizeof(message.header) + len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ret;

	if (wire->broken)
		return wire->broken;
	if (len > sizeof(message.payload) || n_fds > FD_PASS_MAX)
		return -EINVAL;
	if (len)
		memcpy(message.payload, payload, len);
	if (fds && n_fds)
		add_fds(&msg, control.bytes, fds, n_fds);
	ret = send_all(wire, &msg, &iov);
	return ret ? fail_errno(wire, ret, "sending", request) : 0;
}

/* Descriptors that a reply brought; bounded over all its pieces. */
struct fd_list {
	int fds[FD_PASS_MAX];
	size_t count;
};

static void close_list(struct fd_list *list)
{
	while (list->count)
		close(list->fds[--list->count]);
}

static int take_piece(struct fd_list *list, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list->count < FD_PASS_MAX)
			list->fds[list->count++] = fds[i];
		else
			close(fds[i]);
	}
	return list->count < FD_PASS_MAX ? 0 : -EPROTO;
}

static int recv_all(const struct vhost_wire *wire, void *data, size_t len, struct fd_list *list)
{
	size_t done = 0;

	while (done < len) {
		int fds[FD_PASS_MAX];
		size_t n_fds;
		ssize_t got = fd_recv(wire->socket, (char *)data + done, len - done, fds, &n_fds);
		int ret = 0;

		if (got > 0) {
			done += (size_t)got;
			ret = take_piece(list, fds, n_fds);
		} else if (got == -EAGAIN) {
			ret = wait_for(wire, POLLIN);
		} else {
			ret = got ? (int)got : -EPIPE;
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int check_header(struct vhost_wire *wire, const struct vhost_user_header *header,
			uint32_t request, size_t len)
{
	char room[24], other[24];
	const char *name = vhost_request_name(request, room);

	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    !(header->flags & VHOST_USER_FLAG_REPLY))
		return vhost_wire_fail(wire, -EPROTO, "answered %s with flags 0x%x", name,
				       header->flags);
	if (header->request != request)
		return vhost_wire_fail(wire, -EPROTO, "answered %s with a reply to %s", name,
				       vhost_request_name(header->request, other));
	if (header->size != len)
		return vhost_wire_fail(wire, -EPROTO, "answered %s with %u bytes instead of %zu",
				       name, header->size, len);
	return 0;
}

int vhost_wire_reply(struct vhost_wire *wire, uint32_t request, void *ret_payload, size_t len,
		     int *ret_fd)
{
	uint8_t payload[sizeof(union vhost_user_payload)];
	struct vhost_user_header header;
	struct fd_list list = { .count = 0 };
	char room[24];
	int ret;

	if (wire->broken)
		return wire->broken;
	if (len > sizeof(payload))
		return -EINVAL;
	ret = recv_all(wire, &header, sizeof(header), &list);
	if (!ret) {
		ret = check_header(wire, &header, request, len);
		if (!ret)
			ret = recv_all(wire, payload, len, &list);
	}
	if (ret) {
		close_list(&list);
		return fail_errno(wire, ret, "reading the answer to", request);
	}
	if (list.count != (ret_fd ? 1 : 0)) {
		size_t count = list.count;

		close_list(&list);
		return vhost_wire_fail(wire, -EPROTO, "answered %s with %zu descriptors",
				       vhost_request_name(request, room), count);
	}
	if (ret_fd)
		*ret_fd = list.fds[0];
	if (len)
		memcpy(ret_payload, payload, len);
	return 0;
}

int vhost_wire_idle_check(struct vhost_wire *wire)
{
	uint8_t byte;
	ssize_t got;

	if (wire->broken)
		return wire->broken;
	do {
		got = recv(wire->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		return vhost_wire_fail(wire, -EPROTO, "sent a message that nobody asked for");
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return vhost_wire_fail(wire, -EPIPE, "closed the connection");
}

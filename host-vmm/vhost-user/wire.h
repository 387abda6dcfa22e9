/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vhost-user message out, one reply in, with a time limit: what the front end is built on.
 *
 * The peer is another process that may be dead, frozen or hostile. No call waits longer than the
 * connection's time limit, which starts anew with vhost_wire_begin(); every reply is checked for
 * version, request number, size and descriptors before anybody reads it. The first failure marks
 * the connection broken, `why` tells a person what the peer did, and all later calls fail at once.
 *
 * Locking: none; one thread at a time.
 */
#ifndef LODGE_VMM_VHOST_WIRE_H
#define LODGE_VMM_VHOST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lodge/vhost_user.h>

#define VHOST_WIRE_TIMEOUT_MS 5000
#define VHOST_WIRE_WHY_MAX    160

struct vhost_wire {
	int socket; /* owned, non-blocking; -1 once closed */
	unsigned int timeout_ms;
	int64_t deadline; /* CLOCK_MONOTONIC, milliseconds */
	int broken; /* 0 or the first negative errno */
	char why[VHOST_WIRE_WHY_MAX]; /* what the peer did, without its name: "closed the ..." */
};

/* Takes @socket over. */
int vhost_wire_init(struct vhost_wire *wire, int socket);
void vhost_wire_finish(struct vhost_wire *wire);

/* A new operation: the following calls together get timeout_ms. */
void vhost_wire_begin(struct vhost_wire *wire);

/* "SET_MEM_TABLE", or "request 77" for what has no name; static or in @room. */
const char *vhost_request_name(uint32_t request, char room[24]);

/*
 * Sends @request with @len bytes of @payload and @n_fds descriptors (borrowed). -ETIMEDOUT,
 * -EPIPE where the peer is gone, or the errno of sendmsg(2).
 */
int vhost_wire_send(struct vhost_wire *wire, uint32_t request, uint32_t flags, const void *payload,
		    size_t len, const int *fds, size_t n_fds);

/*
 * Waits for the reply to @request, whose payload must have exactly @len bytes, and which brings
 * one descriptor if @ret_fd is not NULL and none otherwise. -ETIMEDOUT, -EPIPE, or -EPROTO for a
 * reply that is not that.
 */
int vhost_wire_reply(struct vhost_wire *wire, uint32_t request, void *ret_payload, size_t len,
		     int *ret_fd);

/* Marks the connection broken for a reason that only the caller can see: returns @error. */
int vhost_wire_fail(struct vhost_wire *wire, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What the socket says while no reply is due: 0 where it is quiet, -EPIPE where the peer is gone,
 * -EPROTO where it talks unasked.
 */
int vhost_wire_idle_check(struct vhost_wire *wire);

#endif

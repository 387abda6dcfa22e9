/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user side of the server: one front end at a time, its messages, the queues.
 *
 * All of it runs on the main thread. A message that changes what queues look at stops their threads
 * and waits for the workers first.
 */
#ifndef LODGE_FSD_VHOST_H
#define LODGE_FSD_VHOST_H

#include <stdint.h>

#include <lodge/vhost_user.h>

#include "shared-fs/server/memory.h"
#include "shared-fs/server/queue.h"
#include "shared-fs/server/workers.h"

#define QUEUES_MAX 32 /* one of high priority and the request queues */
#define TAG_MAX	   36 /* virtio 1.2, 5.11.4: bytes of the tag in the configuration space */

struct backend {
	struct fs *fs;
	const char *tag; /* NULL: the front end has the configuration space */
	int connection; /* -1: none */
	uint64_t features;
	uint64_t protocol_features;
	struct log_ratelimit bad_messages;
	struct guest_memory memory;
	struct workers workers;
	struct queue queues[QUEUES_MAX];
};

/* @tag is kept. */
int backend_create(struct fs *fs, const char *tag, struct backend **ret_backend);
void backend_destroy(struct backend *backend);
/* Takes a connected socket; there must be none. */
void backend_connect(struct backend *backend, int fd);
/* Reads one message and does what it says. A negative result: the connection is of no use (0 bytes:
 * -ECONNRESET); call backend_disconnect(). */
int backend_message(struct backend *backend);
/* Stops everything, forgets everything that the guest held, closes the connection. */
void backend_disconnect(struct backend *backend);

#endif

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
	bool busy; /* with a message of it, which may be half read */
	uint64_t features;
	uint64_t protocol_features;
	struct log_ratelimit bad_messages;
	struct guest_memory memory;
	struct workers workers;
	struct queue_record *records; /* one for each queue */
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
/*
 * In a new server, after fs_recover(): goes on where the one that died was. It lies, with all that
 * it points to, in memory that outlives the process (shared.h). A negative result: the connection
 * is of no use, as with backend_message().
 */
int backend_recover(struct backend *backend);
/* Calls @keep for each descriptor that is needed. */
void backend_each_fd(const struct backend *backend, void (*keep)(void *opaque, int fd),
		     void *opaque);
/* Stops everything, forgets everything that the guest held, closes the connection. */
void backend_disconnect(struct backend *backend);

#endif

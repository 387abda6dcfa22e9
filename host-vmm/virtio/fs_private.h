/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the virtio-fs device share: its state, and its back end as fs.c keeps it. */
#ifndef LODGE_VMM_FS_PRIVATE_H
#define LODGE_VMM_FS_PRIVATE_H

#include <linux/virtio_fs.h>
#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/virtio/fs_backend.h"
#include "host-vmm/virtio/fs_choice.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

struct fs_notify;
struct fs_stream;
struct fs_window;
struct loop;
struct loop_source;
struct vhost_user;

/* Linux spreads requests over the queues from 6.11 on; each costs the guest 28 KiB. */
#define FS_REQUEST_QUEUES_MAX 4
#define FS_QUEUES_MAX	      (1 + FS_REQUEST_QUEUES_MAX) /* the first is for FORGET and INTERRUPT */

struct virtio_fs {
	struct virtio_model model;
	struct fs_choice choice;
	struct virtio_fs_config config;
	uint64_t features; /* of the first back end; what the guest was offered */
	struct fs_window *window; /* NULL: no file is mapped */
	struct fs_notify *notify; /* NULL: nobody is told of changes by the host */
	struct fs_stream *stream; /* NULL: no messages come over the backdoor */

	/* The loop's: */
	struct loop *loop;
	struct vhost_user *vu; /* NULL: orphaned or away */
	bool started; /* the driver is there */
	bool has_ring; /* the back end was given the stream's memory, not the guest's */
	uint32_t streaming; /* session of the stream that the back end serves; 0: none */
	struct loop_source *watch; /* the back end's socket */
	struct loop_source *err_watch, *retry_watch, *stream_watch;
	struct loop_source *kicks[FS_QUEUES_MAX]; /* only while orphaned */
	int err_fd, retry_fd;
	struct log_ratelimit log_limit;
};

/* ---- fs.c: on the device's loop, or where the device is made ---- */

/* A back end where there is none: fs->vu; the features in @needed at least. @timeout_ms of 0: as
 * vhost_user_create() has it. *@ret_why follows "the back end". */
int fs_connect_backend(struct virtio_fs *fs, uint64_t needed, unsigned int timeout_ms,
		       char ret_why[FS_WHY_MAX]);
/* Sees to it that its death is noticed. */
int fs_watch_backend(struct virtio_fs *fs);
/* Ends the one that there is, which has failed: one line in the log. */
void fs_drop_backend(struct virtio_fs *fs);
/* The same of one that did nothing wrong, and at once. */
void fs_end_backend(struct virtio_fs *fs);

/* ---- fs_streaming.c: messages over the backdoor, in place of the guest's driver ---- */

int fs_streaming_create(struct virtio_fs *fs);
/* Not on a loop; before the loops go. */
void fs_streaming_destroy(struct virtio_fs *fs);
/* On the device's loop, the driver being there now: the back end is to serve that alone. */
void fs_streaming_yield(struct virtio_fs *fs);
/* On the device's loop: the back end was dropped. */
void fs_streaming_lost(struct virtio_fs *fs);

#endif

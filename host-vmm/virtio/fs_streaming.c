// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-fs without the guest's driver: the back end serves the ring of fs_stream.c.
 *
 * A back end serves the guest's queues or that ring, never both, and each change of the two is a
 * new back end: memory that was added to one stays with it (ADD_MEM_REG).
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/fs_private.h"
#include "host-vmm/virtio/fs_ring.h"
#include "host-vmm/virtio/fs_stream.h"

#define FEATURES (1ull << VIRTIO_F_VERSION_1)

/* The first request queue is the one that is used. */
#define QUEUES 2

static int give_ring(struct virtio_fs *fs, char ret_why[FS_WHY_MAX])
{
	struct vhost_user_vring rings[QUEUES] = { { .size = 0 } };
	struct fs_ring *ring;
	int ret;

	if (!fs->has_ring)
		fs_end_backend(fs);
	ring = fs_stream_ring(fs->stream);
	ret = fs->vu ? 0 : fs_connect_backend(fs, FEATURES, 0, ret_why);
	if (ret)
		return ret;
	fs->has_ring = true;
	rings[QUEUES - 1] = fs_ring_vring(ring);
	ret = vhost_user_start(fs->vu, FEATURES, fs_ring_memory(ring), rings, QUEUES);
	if (!ret)
		ret = fs_watch_backend(fs);
	if (ret) {
		snprintf(ret_why, FS_WHY_MAX, "%s", vhost_user_why(fs->vu));
		fs_drop_backend(fs);
	}
	return ret;
}

static void start(struct virtio_fs *fs, uint32_t session)
{
	char why[FS_WHY_MAX] = "", text[FS_WHY_MAX + 64];
	bool had_one = fs->has_ring;
	int ret;

	if (fs->started) {
		fs_stream_refuse(fs->stream, session,
				 "a driver of the guest's kernel has the shares' device");
		return;
	}
	ret = give_ring(fs, why);
	/* It may have died while nobody looked. */
	if (ret && had_one)
		ret = give_ring(fs, why);
	if (ret) {
		snprintf(text, sizeof(text), "the back end %s", why);
		fs_stream_refuse(fs->stream, session, text);
		return;
	}
	fs->streaming = session;
	fs_stream_served(fs->stream, session);
}

/* The back end stays, for the next session. */
static void stop(struct virtio_fs *fs)
{
	fs->streaming = 0;
	loop_remove(fs->watch);
	fs->watch = NULL;
	if (fs->vu && vhost_user_stop(fs->vu, NULL))
		fs_drop_backend(fs);
	/* Its memory goes back to the host. */
	(void)fs_stream_ring(fs->stream);
}

static void changed(void *opaque, uint32_t events)
{
	struct virtio_fs *fs = opaque;
	uint32_t wanted = fs_stream_wanted(fs->stream);

	(void)events;
	if (wanted == fs->streaming)
		return;
	if (fs->streaming)
		stop(fs);
	if (wanted)
		start(fs, wanted);
}

void fs_streaming_yield(struct virtio_fs *fs)
{
	uint32_t session = fs->streaming;

	fs->streaming = 0;
	if (fs->has_ring)
		fs_end_backend(fs);
	if (session)
		fs_stream_refuse(fs->stream, session,
				 "a driver of the guest's kernel takes the shares' device");
}

void fs_streaming_lost(struct virtio_fs *fs)
{
	uint32_t session = fs->streaming;

	if (!session)
		return;
	fs->streaming = 0;
	fs_stream_refuse(fs->stream, session, "the file server ended");
}

int fs_streaming_create(struct virtio_fs *fs)
{
	const struct machine *machine = fs->model.device.machine;
	int ret = fs_stream_create(machine->backdoor, machine->loop, &fs->stream);

	return ret ? ret
		   : loop_add(fs->loop, fs_stream_fd(fs->stream), EPOLLIN, changed, fs,
			      &fs->stream_watch);
}

void fs_streaming_destroy(struct virtio_fs *fs)
{
	loop_remove(fs->stream_watch);
	fs->stream_watch = NULL;
	fs_stream_destroy(fs->stream);
	fs->stream = NULL;
}

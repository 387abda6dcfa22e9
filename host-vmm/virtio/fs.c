// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-fs: a device whose queues a vhost-user back end serves.
 *
 * Theory of operation. The device is in one of these states; all changes happen on its own loop:
 *
 *	ready	  connected and negotiated, the guest's driver is not there
 *	serving	  the back end has the queues; we only watch its socket and the error eventfd
 *	orphaned  the driver is there and the back end is not: we answer every request with ENOTCONN
 *		  and try to get a back end again, at once and then each second
 *	away	  neither is there; the next start of the driver tries again
 *
 * A back end that dies, breaks the protocol or does not answer in time goes serving -> orphaned;
 * one that is ours is ended for sure before anybody touches the rings. What it had in hand is
 * answered (fs_orphans.h), what waits in the rings is for the next one. The guest sees errors,
 * never silence.
 */
#include "host-vmm/virtio/fs.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/irq.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/fs_orphans.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define BIT(n) (1ull << (n))

/* A queue of 1,024 holds a FUSE request of 256 pages (FUSE_MAX_MAX_PAGES of Linux), the limit that
 * the driver takes from the queue's size. */
#define FS_QUEUE_SIZE 1024
/* Linux spreads requests over the queues from 6.11 on; each costs the guest 28 KiB. */
#define FS_REQUEST_QUEUES_MAX 4
#define FS_RETRY_SECONDS      1
/* Mass storage, other: what a folder comes nearest to. */
#define FS_CLASS_CODE 0x018000

/* Without these two the transport and the ring code differ from what the back end does. */
#define FS_NEEDED_FEATURES (BIT(VIRTIO_F_VERSION_1))
#define FS_KNOWN_FEATURES \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

struct virtio_fs {
	struct device device;
	struct virtio_device vdev;
	const char *tag;
	struct virtio_fs_config config;
	uint64_t features; /* of the first back end; what the guest was offered */
	struct fs_backend *backend;

	/* The loop's: */
	struct loop *loop;
	struct vhost_user *vu; /* NULL: orphaned or away */
	bool started; /* the driver is there */
	struct loop_source *watch; /* the back end's socket */
	struct loop_source *err_watch, *retry_watch;
	struct loop_source *kicks[1 + FS_REQUEST_QUEUES_MAX]; /* only while orphaned */
	int err_fd, retry_fd;
	struct log_ratelimit log_limit;
};

static struct virtio_fs *fs_of(struct virtio_device *vdev)
{
	return (struct virtio_fs *)vdev->device;
}

static void unwatch(struct loop_source **source)
{
	loop_remove(*source);
	*source = NULL;
}

/* Connects and negotiates; logs nothing. */
static int connect_backend(struct virtio_fs *fs, uint64_t needed)
{
	int socket, ret;

	ret = fs_backend_open(fs->backend, &socket);
	if (ret)
		return ret;
	ret = vhost_user_create(socket, 0, &fs->vu);
	if (ret)
		return ret;
	return vhost_user_handshake(fs->vu, needed);
}

/* Ends the connection and, if it is ours, the process, with one line about both. */
static void drop_backend(struct virtio_fs *fs, const char *doing)
{
	char end[64];

	fs_backend_close(fs->backend, 100, end);
	log_ratelimited(&fs->log_limit, LOG_LEVEL_ERROR, "%s (%s): the back end %s%s%s%s%s",
			fs->device.name, fs->tag, vhost_user_why(fs->vu), *doing ? ", " : "", doing,
			*end ? ": " : "", end);
	unwatch(&fs->watch);
	vhost_user_destroy(fs->vu);
	fs->vu = NULL;
}

static void arm_retry(struct virtio_fs *fs, unsigned int seconds)
{
	struct itimerspec when = { .it_value.tv_sec = seconds };

	timerfd_settime(fs->retry_fd, 0, &when, NULL);
}

static void backend_lost(struct virtio_fs *fs);

static void on_socket(void *opaque, uint32_t events)
{
	struct virtio_fs *fs = opaque;

	(void)events;
	if (fs->vu && vhost_user_check(fs->vu))
		backend_lost(fs);
}

static int start_backend(struct virtio_fs *fs)
{
	struct vhost_user_vring rings[1 + FS_REQUEST_QUEUES_MAX];
	struct virtio_device *vdev = &fs->vdev;
	const uint64_t kick = 1;

	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		struct virtqueue *vq = &vdev->queues[i];
		struct irq_msi *msi = __atomic_load_n(&vq->msi, __ATOMIC_ACQUIRE);

		rings[i] = (struct vhost_user_vring){
			.size = vq->enabled ? vq->size : 0,
			.base = vq->last_avail,
			.desc = vq->desc,
			.available = vq->driver,
			.used = vq->device,
			.kick_fd = vq->kick_fd,
			.call_fd = msi ? irq_msi_fd(msi) : -1,
			.err_fd = fs->err_fd,
		};
	}
	int ret = vhost_user_start(fs->vu, vdev->driver_features, fs->device.machine->memory, rings,
				   vdev->n_queues);
	if (ret)
		return ret;
	/* What came while nobody listened. */
	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		if (rings[i].size && write(rings[i].kick_fd, &kick, sizeof(kick)) < 0)
			log_debug("%s: kick: %m", fs->device.name);
	}
	return 0;
}

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
 * In ready and away the back end may serve messages of the backdoor (fs_streaming.c).
 *
 * A back end that dies, breaks the protocol or does not answer in time goes serving -> orphaned;
 * one that is ours is ended for sure before anybody touches the rings. What it had in hand is
 * answered (fs_orphans.h), what waits in the rings is for the next one. The guest sees errors,
 * never silence.
 */
#include "host-vmm/virtio/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <poll.h>
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
#include "host-vmm/vhost-user/spawn.h"
#include "host-vmm/virtio/fs_late.h"
#include "host-vmm/virtio/fs_notify.h"
#include "host-vmm/virtio/fs_orphans.h"
#include "host-vmm/virtio/fs_private.h"
#include "host-vmm/virtio/fs_window.h"
#include "protocol/lib/fd.h"

#define BIT(n) (1ull << (n))

/* A queue of 1,024 holds a FUSE request of 256 pages (FUSE_MAX_MAX_PAGES of Linux), the limit that
 * the driver takes from the queue's size. */
#define FS_QUEUE_SIZE	 1024
#define FS_RETRY_SECONDS 1
#define FS_START_MS \
	30000 /* for a lodge-fsd to come up on a busy host; nothing waits but the start */
#define FS_GONE_MS  2000 /* for a killed one to be really gone */
#define FS_STOP_MS  2000 /* for one of ours to have done what it had in hand at a reset */
#define FS_GRACE_MS 100 /* for a lodge-fsd that ends by itself, to see how it ended */
/* Mass storage, other: what a folder comes nearest to. */
#define FS_CLASS_CODE 0x018000

#define FS_NEEDED_FEATURES (BIT(VIRTIO_F_VERSION_1))
#define FS_KNOWN_FEATURES \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

static struct virtio_fs *fs_of(struct virtio_device *vdev)
{
	return (struct virtio_fs *)vdev->device;
}

static void unwatch(struct loop_source **source)
{
	loop_remove(*source);
	*source = NULL;
}

static void arm_retry(struct virtio_fs *fs, unsigned int seconds)
{
	struct itimerspec when = { .it_value.tv_sec = seconds };

	timerfd_settime(fs->retry_fd, 0, &when, NULL);
}

static int shake_hands(struct virtio_fs *fs, uint64_t needed)
{
	int ret;

	if (fs->choice.wants_window)
		vhost_user_want_shmem(fs->vu);
	ret = vhost_user_handshake(fs->vu, needed);
	/* The first back end decides on the window: the guest sees it, so later ones must do. */
	if (!ret && fs->window &&
	    vhost_user_shmem_size(fs->vu, FS_WINDOW_SHMID) == fs->model.vdev.shm_size)
		ret = fs_window_connect(fs->window, fs->vu);
	return ret;
}

int fs_connect_backend(struct virtio_fs *fs, uint64_t needed, unsigned int timeout_ms,
		       char ret_why[FS_WHY_MAX])
{
	char end[SPAWN_STATUS_MAX];
	int socket, ret;

	ret = fs_backend_open(fs->choice.backend, &socket, ret_why);
	if (ret)
		return ret;
	ret = vhost_user_create(socket, timeout_ms, &fs->vu);
	if (!ret)
		ret = shake_hands(fs, needed);
	if (!ret) {
		vhost_user_set_timeout(fs->vu, 0);
		fs_notify_connect(fs->notify, fs_backend_take_notify(fs->choice.backend));
		return 0;
	}
	fs_backend_close(fs->choice.backend, FS_GRACE_MS, end);
	snprintf(ret_why, FS_WHY_MAX, "%s%s%s", fs->vu ? vhost_user_why(fs->vu) : strerror(-ret),
		 *end ? "; it ended with " : "", end);
	vhost_user_destroy(fs->vu);
	fs->vu = NULL;
	return ret;
}

/* A lodge-fsd that was killed lets go of the guest's memory before it lets go of its sockets. */
static void wait_gone(struct virtio_fs *fs)
{
	struct pollfd pfd = { .fd = vhost_user_fd(fs->vu) };

	if (fs_backend_is_own(fs->choice.backend))
		(void)!poll(&pfd, 1, FS_GONE_MS);
}

/* Connection and, if it is ours, process; vhost_user_destroy() is left to do. */
static void end_backend(struct virtio_fs *fs, unsigned int grace_ms, char ret_end[SPAWN_STATUS_MAX])
{
	unwatch(&fs->watch);
	fs->has_ring = false;
	fs_backend_close(fs->choice.backend, grace_ms, ret_end);
	wait_gone(fs);
	if (fs->window)
		fs_window_disconnect(fs->window);
}

void fs_end_backend(struct virtio_fs *fs)
{
	char end[SPAWN_STATUS_MAX];

	if (!fs->vu)
		return;
	(void)vhost_user_stop(fs->vu, NULL);
	end_backend(fs, 0, end);
	vhost_user_destroy(fs->vu);
	fs->vu = NULL;
}

void fs_drop_backend(struct virtio_fs *fs)
{
	char end[SPAWN_STATUS_MAX];

	end_backend(fs, FS_GRACE_MS, end);
	log_ratelimited(&fs->log_limit, LOG_LEVEL_ERROR, "%s (%s): the back end %s%s%s",
			fs->model.device.name, fs->choice.tag, vhost_user_why(fs->vu),
			*end ? "; it ended with " : "", end);
	for (unsigned int i = 0; fs->started && i < fs->model.vdev.n_queues; i++) {
		struct virtqueue *vq = &fs->model.vdev.queues[i];
		int ret = fs_orphans_take_over(vq, fs->vu);

		if (ret)
			virtio_device_fail(&fs->model.vdev,
					   vq->broken ? vq->broken_why : strerror(-ret));
	}
	vhost_user_destroy(fs->vu);
	fs->vu = NULL;
}

static void on_socket(void *opaque, uint32_t events);

int fs_watch_backend(struct virtio_fs *fs)
{
	return loop_add(fs->loop, vhost_user_fd(fs->vu), EPOLLIN | EPOLLRDHUP, on_socket, fs,
			&fs->watch);
}

static int give_queues(struct virtio_fs *fs)
{
	struct vhost_user_vring rings[FS_QUEUES_MAX];
	struct virtio_device *vdev = &fs->model.vdev;
	const uint64_t kick = 1;
	int ret;

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
	if (fs->window)
		fs_window_announce(fs->window, fs->choice.backend);
	ret = vhost_user_start(fs->vu, vdev->driver_features, fs->model.device.machine->memory,
			       rings, vdev->n_queues);
	if (ret)
		return ret;
	/* What came while nobody listened. An eventfd at its limit has been rung already. */
	for (unsigned int i = 0; i < vdev->n_queues; i++) {
		if (rings[i].size)
			(void)!write(rings[i].kick_fd, &kick, sizeof(kick));
	}
	return fs_watch_backend(fs);
}

static void on_orphan_kick(void *opaque, uint32_t events)
{
	struct virtio_fs *fs = opaque;

	(void)events;
	for (unsigned int i = 0; i < fs->model.vdev.n_queues; i++) {
		struct virtqueue *vq = &fs->model.vdev.queues[i];
		int ret = fs_orphans_serve(vq);

		if (ret)
			virtio_device_fail(&fs->model.vdev,
					   vq->broken ? vq->broken_why : strerror(-ret));
	}
}

static void leave_orphaned(struct virtio_fs *fs)
{
	arm_retry(fs, 0);
	for (unsigned int i = 0; i < FS_QUEUES_MAX; i++)
		unwatch(&fs->kicks[i]);
}

static void enter_orphaned(struct virtio_fs *fs)
{
	arm_retry(fs, FS_RETRY_SECONDS);
	for (unsigned int i = 0; i < fs->model.vdev.n_queues; i++) {
		struct virtqueue *vq = &fs->model.vdev.queues[i];
		int ret;

		if (!vq->enabled || fs->kicks[i])
			continue;
		/* Edge-triggered and not read: the next back end is to find the kick, too. */
		ret = loop_add(fs->loop, vq->kick_fd, EPOLLIN | EPOLLET, on_orphan_kick, fs,
			       &fs->kicks[i]);
		if (ret)
			virtio_device_fail(&fs->model.vdev, strerror(-ret));
	}
	on_orphan_kick(fs, 0);
}

static int try_server(struct virtio_fs *fs, char ret_why[FS_WHY_MAX])
{
	int ret = 0;

	if (!fs->vu)
		ret = fs_connect_backend(fs, fs->features, 0, ret_why);
	if (ret)
		return ret;
	ret = give_queues(fs);
	if (ret == -EFAULT) {
		snprintf(ret_why, FS_WHY_MAX, "was given a queue outside of memory");
	} else if (ret) {
		snprintf(ret_why, FS_WHY_MAX, "%s", vhost_user_why(fs->vu));
		fs_drop_backend(fs);
	}
	return ret;
}

/* A back end for a driver that is there: the one we have, else a new one. */
static int find_server(struct virtio_fs *fs, char ret_why[FS_WHY_MAX])
{
	bool had_one = fs->vu;
	int ret = try_server(fs, ret_why);

	/* It may have died while the guest had no driver and nobody looked. */
	return ret && ret != -EFAULT && had_one ? try_server(fs, ret_why) : ret;
}

static void backend_lost(struct virtio_fs *fs)
{
	char why[FS_WHY_MAX];

	fs_drop_backend(fs);
	fs_streaming_lost(fs);
	if (!fs->started)
		return;
	if (!find_server(fs, why)) {
		log_info("%s (%s): a new back end serves on", fs->model.device.name,
			 fs->choice.tag);
		return;
	}
	log_ratelimited(&fs->log_limit, LOG_LEVEL_ERROR,
			"%s (%s): the back end %s; requests fail until one is there",
			fs->model.device.name, fs->choice.tag, why);
	enter_orphaned(fs);
}

static void on_socket(void *opaque, uint32_t events)
{
	struct virtio_fs *fs = opaque;

	(void)events;
	if (fs->vu && vhost_user_check(fs->vu))
		backend_lost(fs);
}

static void on_retry(void *opaque, uint32_t events)
{
	struct virtio_fs *fs = opaque;
	uint64_t expirations;
	char why[FS_WHY_MAX];

	(void)events;
	if (read(fs->retry_fd, &expirations, sizeof(expirations)) < 0 || !fs->started || fs->vu)
		return;
	/* What waits was answered; from here on it is the new back end's, or ours again. */
	leave_orphaned(fs);
	if (find_server(fs, why))
		enter_orphaned(fs);
	else
		log_info("%s (%s): a back end is there again", fs->model.device.name,
			 fs->choice.tag);
}

/* The back end says that a ring is broken: its word is enough to stop the device. */
static void on_ring_error(void *opaque, uint32_t events)
{
	struct virtio_fs *fs = opaque;
	uint64_t count;

	(void)events;
	if (read(fs->err_fd, &count, sizeof(count)) == sizeof(count) && fs->started)
		virtio_device_fail(&fs->model.vdev, "the back end reports a broken queue");
}

static uint64_t fs_features(struct virtio_device *vdev)
{
	return fs_of(vdev)->features;
}

static void fs_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	const struct virtio_fs_config *config = &fs_of(vdev)->config;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] =
			offset + i < sizeof(*config) ? ((const uint8_t *)config)[offset + i] : 0;
}

static int fs_start(struct virtio_device *vdev)
{
	struct virtio_fs *fs = fs_of(vdev);
	char why[FS_WHY_MAX];
	int ret;

	fs_backend_forgive(fs->choice.backend);
	fs_streaming_yield(fs);
	fs->started = true;
	ret = find_server(fs, why);
	if (!ret)
		return 0;
	if (ret == -EFAULT) {
		fs->started = false;
		return ret;
	}
	log_ratelimited(&fs->log_limit, LOG_LEVEL_ERROR,
			"%s (%s): the back end %s; requests fail until one is there",
			fs->model.device.name, fs->choice.tag, why);
	enter_orphaned(fs);
	return 0;
}

static void fs_stop(struct virtio_device *vdev)
{
	struct virtio_fs *fs = fs_of(vdev);
	uint16_t bases[FS_QUEUES_MAX];

	leave_orphaned(fs);
	unwatch(&fs->watch);
	if (fs->vu && fs_backend_is_own(fs->choice.backend))
		vhost_user_set_timeout(fs->vu, FS_STOP_MS);
	if (fs->vu && vhost_user_stop(fs->vu, bases)) {
		/* It waits for another machine's file system, which may not answer. */
		fs_drop_backend(fs);
		fs_backend_end_session(fs->choice.backend);
	} else if (fs->vu) {
		/* All that was taken was given back, so both rings stand where it stopped. */
		for (unsigned int i = 0; i < vdev->n_queues; i++) {
			struct virtqueue *vq = &vdev->queues[i];

			vq->last_avail = vq->avail = vq->used = bases[i];
		}
	}
	fs->started = false;
	if (fs->vu)
		vhost_user_set_timeout(fs->vu, 0);
	if (fs->window)
		fs_window_clear(fs->window);
}

static void fs_shm_placed(struct virtio_device *vdev, bool enabled, uint64_t gpa)
{
	fs_window_place(fs_of(vdev)->window, enabled, gpa);
}

static enum shm_repair fs_repair(struct device *device)
{
	struct virtio_fs *fs = (struct virtio_fs *)device;

	return fs->window ? fs_window_repair(fs->window) : SHM_REPAIR_NONE;
}

static const struct virtio_ops fs_ops = {
	.id = VIRTIO_ID_FS,
	.class_code = FS_CLASS_CODE,
	.no_ring_features = true,
	.features = fs_features,
	.config_read = fs_config_read,
	.start = fs_start,
	.stop = fs_stop,
	.shm_placed = fs_shm_placed,
};

static int open_fds(struct virtio_fs *fs)
{
	const struct machine *machine = fs->model.device.machine;
	char name[16];
	int ret;

	fs->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fs->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fs->err_fd < 0 || fs->retry_fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "fs-%s", fs->choice.tag);
	ret = loop_create(name, &fs->loop);
	if (!ret)
		ret = loop_add(fs->loop, fs->err_fd, EPOLLIN, on_ring_error, fs, &fs->err_watch);
	if (!ret)
		ret = loop_add(fs->loop, fs->retry_fd, EPOLLIN, on_retry, fs, &fs->retry_watch);
	if (!ret && machine->backdoor && fs_backend_tells(fs->choice.backend))
		ret = fs_notify_create(machine->backdoor, machine->loop, &fs->notify);
	if (!ret && fs->notify)
		ret = fs_streaming_create(fs);
	return ret;
}

static void fill_config(struct virtio_fs *fs)
{
	unsigned int queues = fs->model.device.machine->config->cpus;
	unsigned int limit = fs->vu ? vhost_user_queue_limit(fs->vu) : FS_QUEUES_MAX;

	if (queues > FS_REQUEST_QUEUES_MAX)
		queues = FS_REQUEST_QUEUES_MAX;
	if (limit < 1 + queues)
		queues = limit > 2 ? limit - 1 : 1;
	memcpy(fs->config.tag, fs->choice.tag, strlen(fs->choice.tag));
	fs->config.num_request_queues = queues;
	fs->features = FS_KNOWN_FEATURES & (fs->vu ? vhost_user_features(fs->vu) : UINT64_MAX);
	fs->model.vdev.ops = &fs_ops;
	fs->model.vdev.loop = fs->loop;
	fs->model.vdev.n_queues = 1 + queues;
	fs->model.vdev.queue_size = FS_QUEUE_SIZE;
}

static void fs_destroy(struct device *device)
{
	struct virtio_fs *fs = (struct virtio_fs *)device;

	virtio_model_destroy(device);
	fs_notify_destroy(fs->notify);
	fs_streaming_destroy(fs);
	if (fs->loop) {
		unwatch(&fs->watch);
		unwatch(&fs->err_watch);
		unwatch(&fs->retry_watch);
		loop_destroy(fs->loop);
	}
	fs_window_destroy(fs->window);
	vhost_user_destroy(fs->vu);
	fs_late_destroy(fs->choice.late);
	fs_backend_destroy(fs->choice.backend);
	fd_close(&fs->err_fd);
	fd_close(&fs->retry_fd);
}

/* Of the size that the back end wants, or will want, if it does. */
static int make_window(struct virtio_fs *fs)
{
	uint64_t size = fs->vu ? vhost_user_shmem_size(fs->vu, FS_WINDOW_SHMID) : fs->choice.window;
	int ret;

	if (!size)
		return 0;
	ret = fs_window_create(&fs->model.device, fs->choice.tag, size, &fs->window);
	if (ret)
		return ret;
	fs->model.vdev.shm_size = size;
	return fs->vu ? fs_window_connect(fs->window, fs->vu) : 0;
}

/* Ours is given time; what serves a socket of the user's is there, or is not. */
static unsigned int start_timeout(const struct virtio_fs *fs)
{
	return fs_backend_is_own(fs->choice.backend) ? FS_START_MS : 0;
}

static int bring_up(struct virtio_fs *fs)
{
	char why[FS_WHY_MAX];
	int ret;

	if (strlen(fs->choice.tag) > sizeof(fs->config.tag)) {
		log_error("fs %s: the tag has more than %zu bytes", fs->choice.tag,
			  sizeof(fs->config.tag));
		return -ENAMETOOLONG;
	}
	ret = open_fds(fs);
	if (ret) {
		log_error("%s (%s): %s", fs->model.device.name, fs->choice.tag, strerror(-ret));
		return ret;
	}
	/* The starter is needed now: no process is made once the guest runs. */
	ret = fs->choice.idle ? fs_backend_prepare(fs->choice.backend, why)
			      : fs_connect_backend(fs, FS_NEEDED_FEATURES, start_timeout(fs), why);
	if (ret) {
		log_error("%s (%s): the back end %s", fs->model.device.name, fs->choice.tag, why);
		return ret;
	}
	fill_config(fs);
	ret = make_window(fs);
	if (ret) {
		log_error("%s (%s): the window for mapped files: %s", fs->model.device.name,
			  fs->choice.tag, strerror(-ret));
		return ret;
	}
	return virtio_model_register(&fs->model);
}

static int fs_create(struct device *device)
{
	struct virtio_fs *fs = (struct virtio_fs *)device;
	int ret;

	fs->err_fd = fs->retry_fd = -1;
	ret = fs_choose(device->machine->config, device->index, &fs->choice);
	if (!ret)
		ret = bring_up(fs);
	if (ret)
		fs_destroy(device);
	return ret;
}

const struct device_type virtio_fs_type = {
	.name = "virtio-fs",
	.help = "folders of the host, served by lodge-fsd or another vhost-user back end",
	.shares_memory = true,
	.size = sizeof(struct virtio_fs),
	.count = fs_devices,
	.create = fs_create,
	.reset = virtio_model_reset,
	.destroy = fs_destroy,
	.save = virtio_model_save,
	.load = virtio_model_load,
	.repair = fs_repair,
};

struct fs_backend *virtio_fs_backend(const struct device *device)
{
	return ((const struct virtio_fs *)device)->choice.backend;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The DAX window of a virtio-fs device, and the back end's requests for it. */
#include "host-vmm/virtio/fs_window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "host-vmm/device.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/channel.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/fs_backend.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

/* KVM's slots from here on are windows, one for each device; RAM has the lower ones. */
#define FIRST_SLOT 64u
/* How long zeroes stand in for the cut end of a file: for the guest to get over one instruction. */
#define RESTORE_MS 20
/* While files are mapped: how often to look whether a vCPU is stuck on one (vcpu_faults.h), and how
 * many faults between two looks say so. It will touch more of that file, so for a while after it
 * was one looks closely. */
#define LOOK_MS		  500
#define LOOK_FAULTS	  64
#define CLOSE_LOOK_MS	  10
#define CLOSE_LOOK_FAULTS 8
#define CLOSE_LOOKS	  50

struct fs_window {
	struct device *device;
	struct shm_window *shm;
	struct loop *loop; /* the back end's requests, and the timer */
	struct vhost_channel *channel; /* NULL: there is no back end */
	struct loop_source *restore_watch, *look_watch;
	int restore_fd, look_fd;
	bool looking; /* the loop's, as what follows */
	unsigned int close_looks; /* that are left */
	uint64_t faults; /* when it was looked last */
	struct log_ratelimit log_limit, cut_limit;
};

static void arm(int timer_fd, unsigned int ms)
{
	const struct itimerspec when = { .it_value = { ms / 1000, ms % 1000 * 1000000L } };

	timerfd_settime(timer_fd, 0, &when, NULL);
}

static void start_looking(struct fs_window *window)
{
	if (window->looking)
		return;
	window->looking = true;
	window->faults = machine_unresolved_faults(window->device->machine);
	arm(window->look_fd, LOOK_MS);
}

static void on_look(void *opaque, uint32_t events)
{
	struct fs_window *window = opaque;
	uint64_t expirations, faults;
	bool stuck;

	(void)events;
	if (read(window->look_fd, &expirations, sizeof(expirations)) <= 0)
		return;
	faults = machine_unresolved_faults(window->device->machine);
	stuck = faults > window->faults &&
		faults - window->faults >= (window->close_looks ? CLOSE_LOOK_FAULTS : LOOK_FAULTS);
	window->faults = faults;
	if (window->close_looks)
		window->close_looks--;
	if (stuck && fs_window_repair(window))
		window->close_looks = CLOSE_LOOKS;
	shm_window_note_stores(window->shm);
	window->looking = shm_window_pieces(window->shm);
	if (window->looking)
		arm(window->look_fd, window->close_looks ? CLOSE_LOOK_MS : LOOK_MS);
}

static int on_map(void *opaque, const struct vhost_user_mmap *mmap, int fd)
{
	struct fs_window *window = opaque;
	const struct shm_piece piece = {
		.offset = mmap->shm_offset,
		.len = mmap->len,
		.file_offset = mmap->fd_offset,
		.writable = mmap->flags & VHOST_USER_MMAP_WRITE,
	};
	int ret = mmap->shmid == FS_WINDOW_SHMID ? shm_window_map(window->shm, fd, &piece)
						 : -EINVAL;

	if (ret)
		log_ratelimited(&window->log_limit, LOG_LEVEL_WARN,
				"%s: the back end's mapping of 0x%llx bytes at 0x%llx is refused: "
				"%s",
				window->device->name, (unsigned long long)mmap->len,
				(unsigned long long)mmap->shm_offset, strerror(-ret));
	start_looking(window);
	return ret;
}

static int on_unmap(void *opaque, const struct vhost_user_mmap *mmap)
{
	struct fs_window *window = opaque;

	if (mmap->shmid != FS_WINDOW_SHMID)
		return -EINVAL;
	if (mmap->shm_offset == 0 && mmap->len == shm_window_size(window->shm)) {
		shm_window_clear(window->shm);
		return 0;
	}
	return shm_window_unmap(window->shm, mmap->shm_offset, mmap->len);
}

static void on_broken(void *opaque, const char *why)
{
	struct fs_window *window = opaque;

	log_ratelimited(&window->log_limit, LOG_LEVEL_ERROR,
			"%s: the back end %s: its requests for mappings are heard no more",
			window->device->name, why);
}

static const struct vhost_channel_ops channel_ops = { on_map, on_unmap, on_broken };

static void on_restore(void *opaque, uint32_t events)
{
	struct fs_window *window = opaque;
	uint64_t expirations;

	(void)events;
	if (read(window->restore_fd, &expirations, sizeof(expirations)) > 0)
		shm_window_restore(window->shm);
}

static int start_loop(struct fs_window *window, const char *tag)
{
	char name[16];
	int ret;

	window->restore_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	window->look_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (window->restore_fd < 0 || window->look_fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "dax-%s", tag);
	ret = loop_create(name, &window->loop);
	if (ret)
		return ret;
	ret = loop_add(window->loop, window->restore_fd, EPOLLIN, on_restore, window,
		       &window->restore_watch);
	if (ret)
		return ret;
	return loop_add(window->loop, window->look_fd, EPOLLIN, on_look, window,
			&window->look_watch);
}

int fs_window_create(struct device *device, const char *tag, uint64_t size,
		     struct fs_window **ret_window)
{
	struct fs_window *window = calloc(1, sizeof(*window));
	int ret;

	if (!window)
		return -ENOMEM;
	window->device = device;
	window->restore_fd = window->look_fd = -1;
	ret = shm_window_create(size, device->machine->vm_fd, FIRST_SLOT + (uint32_t)device->index,
				&window->shm);
	if (!ret)
		ret = start_loop(window, tag);
	if (ret) {
		fs_window_destroy(window);
		return ret;
	}
	*ret_window = window;
	return 0;
}

void fs_window_destroy(struct fs_window *window)
{
	if (!window)
		return;
	vhost_channel_destroy(window->channel);
	loop_remove(window->restore_watch);
	loop_remove(window->look_watch);
	loop_destroy(window->loop);
	shm_window_destroy(window->shm);
	fd_close(&window->restore_fd);
	fd_close(&window->look_fd);
	free(window);
}

int fs_window_connect(struct fs_window *window, struct vhost_user *vu)
{
	int peer, ret;

	if (window->channel)
		return 0;
	ret = vhost_channel_create(window->loop, &channel_ops, window, &window->channel, &peer);
	if (ret)
		return ret;
	ret = vhost_user_set_backend_fd(vu, peer);
	close(peer);
	return ret;
}

void fs_window_announce(struct fs_window *window, struct fs_backend *backend)
{
	char why[FS_WHY_MAX];

	if (fs_backend_place_window(backend, shm_window_gpa(window->shm), why))
		log_ratelimited(&window->log_limit, LOG_LEVEL_WARN,
				"%s: requests with buffers in the window will fail: %s",
				window->device->name, why);
}

void fs_window_disconnect(struct fs_window *window)
{
	vhost_channel_destroy(window->channel);
	window->channel = NULL;
}

void fs_window_clear(struct fs_window *window)
{
	shm_window_clear(window->shm);
}

void fs_window_place(struct fs_window *window, bool enabled, uint64_t gpa)
{
	int ret = shm_window_place(window->shm, enabled, gpa);

	memory_set_window(window->device->machine->memory, (unsigned int)window->device->index, gpa,
			  enabled ? shm_window_size(window->shm) : 0);
	if (ret)
		log_ratelimited(&window->log_limit, LOG_LEVEL_ERROR,
				"%s: KVM takes no memory at 0x%llx: %s; files are not mapped there",
				window->device->name, (unsigned long long)gpa, strerror(-ret));
}

enum shm_repair fs_window_repair(struct fs_window *window)
{
	enum shm_repair ret = shm_window_repair(window->shm);

	if (ret != SHM_REPAIR_DONE)
		return ret;
	arm(window->restore_fd, RESTORE_MS);
	log_ratelimited(&window->cut_limit, LOG_LEVEL_WARN,
			"%s: the guest touched the end of a file that was cut off on the host; it "
			"sees zeroes there",
			window->device->name);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of lodge_display among themselves: a mode setting driver for virtio-gpu's 2D device
 * (virtio 1.2 section 5.7).
 *
 *	main.c      the module, the virtio driver and the DRM driver
 *	device.c    struct lodge_display: start, stop, suspend, and what the device tells of itself
 *	command.c   commands on their way to the device and back, posted or called
 *	buffer.c    framebuffers: guest memory that the device knows as a resource
 *	wants.c     what each head should be, as the device says: size, place, EDID
 *	head.c      connector, encoder and CRTC of a head
 *	primary.c   the picture of a head: damage becomes a batch of commands
 *	cursor.c    its cursor
 *	console.c   the picture of the kernel's text console
 *	pace.c      vblanks of a head: at the device's pace, by a timer where it is silent
 *
 * Nothing in a commit is allocated and nothing in it fails: a head has the commands of one frame,
 * and what the device must agree to is asked when a framebuffer is made or a cursor prepared. A
 * device that does not answer costs a commit FRAME_TIMEOUT_MS once; then it is taken for silent and
 * nothing waits for it, until it answers anything.
 *
 * Locks: a ring's lock is taken by interrupts, inside nothing else of ours; done() of a command is
 * called without it. head->pace_lock and head->cursor_lock are leaves but for a ring's; DRM's
 * vblank locks are taken outside of pace_lock alone. Mutexes: wants_lock keeps what the device said
 * last; resources_lock the list of them.
 */
#ifndef LODGE_DISPLAY_DRIVER_H
#define LODGE_DISPLAY_DRIVER_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "compat/display.h"

/* Side of a cursor: what every virtio-gpu device takes. */
#define LODGE_CURSOR_SIDE 64u
/* Sides of a mode and of a framebuffer. */
#define LODGE_SIDE_MAX 16384
/* Damage rectangles of a frame that are told one by one; of more, what holds them all. */
#define LODGE_RECTS_MAX 8
/* What a device gets to answer in. */
#define LODGE_CALL_TIMEOUT_MS  5000
#define LODGE_FRAME_TIMEOUT_MS 1000

struct lodge_command;
struct lodge_display;

enum lodge_ring_number {
	LODGE_RING_CONTROL, /* virtio 1.2 section 5.7.2 */
	LODGE_RING_CURSOR,
	LODGE_RINGS,
};

struct lodge_ring {
	spinlock_t lock;
	struct virtqueue *vq;
	bool live; /* takes commands */
	unsigned int in_flight;
	struct list_head backlog; /* commands that found no room */
};

union lodge_request {
	struct virtio_gpu_ctrl_hdr header;
	struct virtio_gpu_resource_create_2d create_2d;
	struct virtio_gpu_resource_create_blob create_blob;
	struct virtio_gpu_resource_attach_backing attach_backing;
	struct virtio_gpu_resource_unref unref;
	struct virtio_gpu_set_scanout set_scanout;
	struct virtio_gpu_set_scanout_blob set_scanout_blob;
	struct virtio_gpu_transfer_to_host_2d transfer;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_cmd_get_edid get_edid;
	struct virtio_gpu_update_cursor cursor;
};

struct lodge_command {
	struct list_head link;
	/* Once, in any context: error and used are set. */
	void (*done)(struct lodge_command *command);
	void *owner; /* of done() */
	int error;
	u32 used; /* bytes of the answer */
	u32 size; /* of the request */
	union lodge_request request;
	struct scatterlist *more; /* of the request, or NULL */
	void *answer; /* begins with a header; NULL: there is none */
	u32 answer_size;
	struct virtio_gpu_ctrl_hdr header; /* the answer of commands without a larger one */
};

/* Makes a command of @type out of memory that is free. */
void lodge_command_init(struct lodge_command *command, u32 type, u32 size);
/*
 * Sends commands[0..n), in this order and with one doorbell: done() of each is called. -ENODEV: the
 * device is gone, nothing was sent. Any context.
 */
int lodge_commands_post(struct lodge_display *display, enum lodge_ring_number ring,
			struct lodge_command *commands, unsigned int n);

/* A command that somebody waits for. It outlives him, if the device takes too long. */
struct lodge_call {
	struct lodge_command command;
	struct kref ref;
	struct completion done;
	unsigned long deadline; /* jiffies, from when it was posted on */
	unsigned int n_chunks;
	void **chunks; /* memory of command.more */
	struct scatterlist *table;
	u8 answer[];
};

/* @answer_size 0: a header. NULL: no memory. */
struct lodge_call *lodge_call_create(u32 type, u32 size, u32 answer_size);
/* What the device reads behind the request: @n entries of the pages of @table. */
int lodge_call_add_entries(struct lodge_call *call, struct sg_table *table, bool mapped,
			   u32 *ret_n);
int lodge_call_post(struct lodge_display *display, struct lodge_call *call);
/*
 * Waits, and ends the call whatever comes; for calls that were posted together no longer than for
 * one. -ENODEV, -ETIMEDOUT, -EIO (silent), -EPROTO (an answer that is none), -EINVAL, -ENOMEM: what
 * the device says.
 */
int lodge_call_wait(struct lodge_display *display, struct lodge_call *call);
void lodge_call_put(struct lodge_call *call);

struct lodge_resource {
	struct list_head link; /* display->resources, or display->dead */
	struct lodge_display *display;
	struct drm_gem_object *object;
	struct sg_table *table;
	bool mapped; /* table holds addresses of the device's bus, which are ours to unmap */
	u32 id;
	u32 width, height, format; /* of a resource that is no blob */
	struct lodge_command destroy;
};

struct lodge_framebuffer {
	union {
		struct drm_framebuffer base;
		struct lodge_drm_fb drm;
	};
	struct lodge_resource *resource;
};

/* What a head should be. */
struct lodge_want {
	bool enabled;
	u32 x, y, width, height; /* pixels */
	u32 edid_size; /* 0: none, or none that is valid */
	u8 edid[1024]; /* virtio 1.2 section 5.7.6.8, struct virtio_gpu_resp_edid */
};

enum lodge_cursor_step {
	LODGE_CURSOR_KEPT,
	LODGE_CURSOR_MOVED,
	LODGE_CURSOR_CHANGED,
};

struct lodge_head {
	struct drm_crtc crtc;
	struct drm_plane primary;
	struct drm_plane cursor;
	struct drm_encoder encoder;
	struct drm_connector connector;
	struct lodge_display *display;
	u32 number;
	struct lodge_want want; /* display->wants_lock */

	/* A frame's commands, and how many of them the device has. Commits of a CRTC come one by
	 * one. */
	struct lodge_command batch[1 + 2 * LODGE_RECTS_MAX];
	unsigned int n_batch;
	atomic_t in_flight;
	wait_queue_head_t idle;
	bool stale; /* the device does not know what it should show */
	bool paced; /* the frame being committed ends when the device has shown it */

	spinlock_t pace_lock;
	struct hrtimer timer;
	bool ticking;
	ktime_t last; /* vblank */
	u64 frame_ns;
	struct drm_pending_vblank_event *flip;
	ktime_t flip_since;

	spinlock_t cursor_lock;
	struct lodge_command cursor_command;
	bool cursor_busy;
	enum lodge_cursor_step cursor_step; /* what is to be told when it is not busy */
	u32 cursor_resource;
	s32 cursor_x, cursor_y;
	u32 cursor_hot_x, cursor_hot_y;
};

struct lodge_display {
	struct drm_device *drm;
	struct virtio_device *vdev;
	struct lodge_ring rings[LODGE_RINGS];
	bool has_edid, has_blob;
	bool silent; /* it let something wait for too long, and has answered nothing since */
	bool frozen; /* suspended, under the device's lock */
	atomic_t resource_ids;
	atomic64_t fence_ids;
	struct mutex resources_lock;
	struct list_head resources;
	spinlock_t dead_lock;
	struct list_head dead; /* resources that the device has forgotten */
	struct work_struct reap;
	struct mutex wants_lock;
	struct work_struct change;
	struct delayed_work renew;
	struct drm_property *mode_update; /* of connectors whose preferred mode is to be followed */
	struct task_struct *console_task; /* that makes the console */
	const struct lodge_console_makers *console_makers; /* the kernel's own */
	unsigned int n_heads;
	struct lodge_head *heads[VIRTIO_GPU_MAX_SCANOUTS];
};

static inline struct lodge_head *lodge_head_of(struct drm_crtc *crtc)
{
	return container_of(crtc, struct lodge_head, crtc);
}

static inline struct lodge_framebuffer *lodge_framebuffer_of(struct drm_framebuffer *fb)
{
	return container_of(fb, struct lodge_framebuffer, base);
}

/* main.c */
extern const struct drm_driver lodge_drm_driver;

/* device.c */
int lodge_display_create(struct virtio_device *vdev, struct lodge_display **ret_display);
void lodge_display_destroy(struct lodge_display *display);
int lodge_display_freeze(struct lodge_display *display);
int lodge_display_restore(struct lodge_display *display);
/* The device asks for a reset. Any context. */
void lodge_display_broken(struct lodge_display *display);

/* command.c */
void lodge_rings_init(struct lodge_display *display);
/* The device is ready behind it. */
int lodge_rings_start(struct lodge_display *display);
/* Resets the device; what it had is done, with -ENODEV. */
void lodge_rings_stop(struct lodge_display *display);

/* buffer.c */
struct drm_framebuffer *lodge_framebuffer_create(LODGE_FB_PARAMETERS);
/* Tells a device that was reset of all resources. Under resources_lock. */
void lodge_resources_again(struct lodge_display *display);
void lodge_resources_reap(struct work_struct *work);
/* 0: no such format */
u32 lodge_format(u32 fourcc);

/* wants.c */
/* Asks the device. True: something is not as it was. */
bool lodge_wants_update(struct lodge_display *display);
/* Modes of a connector, as drm_connector_helper_funcs.get_modes() */
int lodge_wants_modes(struct drm_connector *connector);
bool lodge_wants_enabled(struct lodge_head *head);

/* head.c */
/* In display->heads[number], which is zeroes. */
int lodge_head_create(struct lodge_display *display, unsigned int number);

/* primary.c, cursor.c */
extern const struct drm_plane_funcs lodge_plane_funcs; /* of both */
int lodge_primary_create(struct lodge_head *head);
int lodge_cursor_create(struct lodge_head *head);
/* Sends what the planes of this commit have to say. */
void lodge_batch_submit(struct lodge_head *head);

/* console.c */
void lodge_console_create(struct lodge_display *display);
/* Makes the console's picture: the kernel asks. */
int lodge_console_probe(struct drm_fb_helper *helper, struct drm_fb_helper_surface_size *sizes);
/* Somebody asks for a connector's modes. */
void lodge_console_asked(struct lodge_display *display);

/* pace.c */
void lodge_pace_init(struct lodge_head *head);
void lodge_pace_mode(struct lodge_head *head, const struct drm_display_mode *mode);
/* Completes @event when the frame that is submitted next has been shown, or with the next vblank if
 * there is none. */
void lodge_pace_flip(struct lodge_head *head, struct drm_pending_vblank_event *event);
/* The device has given back the whole batch. Any context. */
void lodge_pace_shown(struct lodge_head *head);
/* Completes what waits. No timer runs behind it. */
void lodge_pace_stop(struct lodge_head *head);
int lodge_pace_enable_vblank(struct drm_crtc *crtc);
void lodge_pace_disable_vblank(struct drm_crtc *crtc);
bool lodge_pace_timestamp(struct drm_crtc *crtc, int *ret_error, ktime_t *ret_time,
			  bool in_interrupt);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/* clang-format off */
/*
 * The parts of lodge_backdoor among themselves.
 *
 *	main.c     the virtio driver: which device, what happens to it
 *	device.c   struct lodge_door: its queues, from start to stop
 *	events.c   what the host sends by itself, and sessions that are over
 *	session.c  who may send and keep how much; a session's number, from open to the host's last word
 *	frame.c    one message: its memory, and whether its header makes sense
 *	file.c     /dev/lodge
 *	client.c   sessions of other modules
 *	balloon.c  the queue of the module lodge_balloon
 *
 * door->lock is the one lock of queues, sessions and counters; interrupts take it. Memory is given
 * back outside of it: functions that find frames to free under the lock move them to a list of the
 * caller. Doorbells are rung outside of it, too: the host may answer before the write to one
 * returns, and who waits for the lock meanwhile waits for an exit. door->queues_there is held
 * from the lock to the bell, so that the queue is not deleted between them.
 *
 * Life of a session's number: the opener holds the session, and so does each frame that the device
 * has. When the opener goes, CLOSE is sent behind all that it had sent; when the device has given
 * back everything, the events that were sent before are taken from the queue and dropped, and then
 * the number is free for another.
 */
/* clang-format on */
#ifndef LODGE_DOOR_H
#define LODGE_DOOR_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <lodge/backdoor.h>
#include <lodge/rpc.h>

struct lodge_client;

/* Least reply_max, rpc.md "Frames". */
#define LODGE_REPLY_MAX_LEAST 64u

/* Event buffers that the host has, each of event_size: 64 KiB of a stream travel in one. */
#define LODGE_EVENT_BUFFERS 8u

/*
 * What a frame's memory is counted as, for a session and for all together.
 * REQUESTS: from write to the reading of the reply. Only the program itself ends that.
 * SENDS: other frames, until the device has taken them, which it does at once.
 * EVENTS: from the host, until they are read.
 */
enum lodge_pool {
	LODGE_POOL_REQUESTS,
	LODGE_POOL_SENDS,
	LODGE_POOL_EVENTS,
	LODGE_POOLS,
};

struct lodge_waiter;

/* One message, with room for its reply. */
struct lodge_frame {
	struct list_head link; /* session->received, or somebody's list of the dead */
	struct lodge_session *session;
	struct lodge_waiter *waiter; /* a module that waits for this reply, or NULL. door->lock */
	enum lodge_pool pool;
	size_t charge; /* bytes of the pool */
	u16 type;
	u32 tag;
	struct lodge_rpc_header header; /* of what was received: the copy that was checked */
	void *buffer; /* kvmalloc'ed: out, then in */
	u8 *out; /* device-readable; out_size bytes */
	u8 *in; /* device-writable; in_size bytes */
	size_t out_size;
	size_t in_size;
	unsigned int out_segments;
	unsigned int in_segments;
	struct scatterlist sg[];
};

struct lodge_waiter {
	bool done; /* the frame has come back */
	int error; /* the host's reply makes no sense: -EPROTO */
	struct lodge_frame *reply; /* the waiter's to free; NULL: the session ended */
};

/* All but the first group under door->lock. */
struct lodge_session {
	struct lodge_door *door;
	u32 number;
	bool root;
	kuid_t owner;
	struct lodge_client *client; /* a module's, or NULL */

	unsigned int holders; /* the opener, and frames that the device has */
	int error; /* not 0: nothing is sent or received any more; what its calls return */
	bool open; /* the opener has it */
	bool attached; /* a module's: attach() was called, detach() is due. clients_lock */
	bool spoke; /* the host has heard of it */
	bool ended_by_host; /* CLOSE came */
	unsigned int requests; /* whose reply nobody has read */
	size_t charge[LODGE_POOLS];
	struct lodge_frame *close; /* ready to be sent; NULL: was sent */
	struct list_head received;
	struct list_head link; /* door->closing or door->ended */
	wait_queue_head_t wait; /* received, error, or room to send */
};

struct lodge_event_buffer {
	u8 *memory; /* vmalloc'ed, door->event_size bytes */
	struct scatterlist *sg;
	unsigned int segments;
};

struct lodge_door {
	struct kref ref; /* the bound driver's, and one for each session */
	struct virtio_device *vdev; /* while bound */
	struct miscdevice misc;
	struct list_head link; /* of all doors. clients_lock */
	u32 payload_max;
	u32 sessions_max;
	u32 event_size;
	size_t memory_max; /* for all sessions together */

	struct rw_semaphore queues_there; /* to ring; to change live to false */
	spinlock_t lock;
	bool live; /* the queues are there */
	bool frozen; /* the device was stopped to be started again */
	bool ring_full;
	bool bell; /* the host wants to be told of what was submitted */
	struct virtqueue *request_vq;
	unsigned int ring_size;
	struct virtqueue *balloon_vq; /* NULL: the host has none */
	struct lodge_session *sessions[LODGE_RPC_SESSIONS_MAX];
	bool client_waits; /* a module found no number free */
	size_t memory; /* that sessions hold */
	size_t user_memory; /* of it: sessions without ROOT */
	struct list_head closing; /* sessions whose CLOSE waits for room in the ring */
	struct list_head ended; /* sessions that the device is done with */
	wait_queue_head_t room; /* in the ring */

	/* Only the work uses the event queue while the door is live. */
	struct virtqueue *event_vq;
	struct lodge_event_buffer event_buffers[LODGE_EVENT_BUFFERS];
	struct workqueue_struct *queue; /* of events */
	struct work_struct events;
	struct delayed_work attach; /* clients that have no session here */
	long retry_delay; /* jiffies between its attempts, or 0. The work's */
	struct delayed_work renew; /* the device asks to be reset */
	struct work_struct changed; /* tells clients of configuration */
};

/* device.c. create .. destroy frame the binding; start and stop its stretches of life. */
int lodge_door_create(struct virtio_device *vdev, struct lodge_door **ret_door);
/* It has stopped. Its memory stays while sessions are open. */
void lodge_door_destroy(struct lodge_door *door);
void lodge_door_put(struct lodge_door *door);
/* The device has its features; sets DRIVER_OK. Negative errno: nothing is left. */
int lodge_door_start(struct lodge_door *door);
/* All sessions fail with @error (negative); the device is reset. Fine for one that is not live. */
void lodge_door_stop(struct lodge_door *door, int error);
/* Stops it, and ends the sessions of modules, until restore: the device has its features again. */
void lodge_door_freeze(struct lodge_door *door);
int lodge_door_restore(struct lodge_door *door);
/* Hands @frame to the device: 0; -EAGAIN, the ring is full; -ENOMEM; -ENODEV. Locked. Who unlocks
 * rings: see lodge_door_unlock(). */
int lodge_door_submit(struct lodge_door *door, struct lodge_frame *frame);
/* For who may submit, in process context: door->lock and what keeps the queue there; then both are
 * given back, and the doorbell is rung where something was submitted. */
void lodge_door_lock(struct lodge_door *door) __acquires(&door->lock);
void lodge_door_unlock(struct lodge_door *door) __releases(&door->lock);
/* The device or a queue is broken: has it reset in a while. Any context. */
void lodge_door_renew(struct lodge_door *door);

/* events.c */
int lodge_events_prepare(struct lodge_door *door); /* memory for the buffers */
void lodge_events_release(struct lodge_door *door);
/* The event queue, at start: 0, or negative errno if the host would have no buffer at all. */
int lodge_events_fill(struct lodge_door *door);
void lodge_events_work(struct work_struct *work);

/* frame.c */
/* NULL: no memory, or none that @segments_max descriptors can tell. May sleep. */
struct lodge_frame *lodge_frame_alloc(size_t out_size, size_t in_size, unsigned int segments_max);
void lodge_frame_free(struct lodge_frame *frame); /* NULL is fine */
void lodge_frames_free(struct list_head *frames);
/* What a frame of these sizes is counted as. */
size_t lodge_frame_charge(size_t out_size, size_t in_size);
/* May a program send this? 0, -EINVAL, -EMSGSIZE. @count: bytes of header and payload. */
int lodge_header_check(const struct lodge_rpc_header *header, size_t count, u32 payload_max);
/* Does @frame's reply make sense? Sets frame->header either way: to the reply's, or, with a text of
 * ours, to that of a refusal. */
int lodge_frame_take_reply(struct lodge_frame *frame, unsigned int used);

/* session.c. "locked": under door->lock. */
/* -ENODEV, -EBUSY (too many), -ENOMEM. */
int lodge_session_open(struct lodge_door *door, struct lodge_client *client, bool root,
		       kuid_t owner, struct lodge_session **ret_session);
/* The opener's end. */
void lodge_session_close(struct lodge_session *session);
/* Counts @bytes before they are taken: 0; -EAGAIN, may go by itself; -EBUSY, when replies are read;
 * -ENOBUFS, all sessions together hold too much; the session's error. Locked. */
int lodge_session_charge(struct lodge_session *session, enum lodge_pool pool, size_t bytes);
void lodge_session_uncharge(struct lodge_session *session, enum lodge_pool pool, size_t bytes);
/* A frame for a message of the opener's, its bytes counted: 0; what lodge_session_charge() says;
 * -ENOMEM. May sleep. */
int lodge_session_frame(struct lodge_session *session, enum lodge_pool pool, size_t out_size,
			size_t in_size, struct lodge_frame **ret_frame);
/* The end of one that was not sent. */
void lodge_session_unsent(struct lodge_session *session, struct lodge_frame *frame);
/* Do @bytes more of @pool fit what the session may hold? Any context, for those who wait. */
bool lodge_session_fits(const struct lodge_session *session, enum lodge_pool pool, size_t bytes);
/* Does any frame fit, other than a REQUEST? */
bool lodge_session_has_room(const struct lodge_session *session);
/* Fills in session and flags, and sends @header with what lodge_session_frame() gave for it.
 * @frame is the device's if 0 is returned; -EAGAIN for a full ring. */
int lodge_session_send(struct lodge_session *session, struct lodge_frame *frame,
		       const struct lodge_rpc_header *header);
/* One frame came back from the device. Dead frames go to @dead. Locked. */
void lodge_session_returned(struct lodge_frame *frame, unsigned int used, struct list_head *dead);
/* Something of the host's for this session, or its end. True: @frame was taken. Locked. */
bool lodge_session_receive(struct lodge_session *session, struct lodge_frame *frame,
			   struct list_head *dead);
/* Takes @frame, which was read, off the counters. Locked. */
void lodge_session_consumed(struct lodge_session *session, struct lodge_frame *frame);
/* Nothing more for this session but @error. Its frames go to @dead. Locked. */
void lodge_session_fail(struct lodge_session *session, int error, struct list_head *dead);
/* Sends the CLOSEs that wait for room. Locked. */
void lodge_sessions_close_pending(struct lodge_door *door);
/* The device is done with it and so is its opener: it is not in any table any more. */
void lodge_session_free(struct lodge_session *session);
/* Drops one holder. Locked. */
void lodge_session_drop(struct lodge_session *session);

/* file.c */
int lodge_file_register(struct lodge_door *door);
void lodge_file_unregister(struct lodge_door *door);

/* client.c */
void lodge_clients_add_door(struct lodge_door *door);
void lodge_clients_remove_door(struct lodge_door *door);
void lodge_clients_detach(struct lodge_door *door); /* the door has stopped */
void lodge_clients_attach_work(struct work_struct *work);
void lodge_clients_attach_in(struct lodge_door *door, unsigned long delay); /* jiffies */
/* Configuration has changed. */
void lodge_clients_changed_work(struct work_struct *work);
/* For @frame, a COMMAND to a module's session, on the work of events. */
void lodge_client_command(struct lodge_session *session, struct lodge_frame *frame);

/* balloon.c */
void lodge_balloon_done(struct virtqueue *vq); /* the queue's callback */
/* Ends all jobs; the device is reset. */
void lodge_balloon_take_back(struct lodge_door *door, struct virtqueue *vq);

#endif

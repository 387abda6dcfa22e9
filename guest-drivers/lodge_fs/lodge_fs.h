/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of lodge_fs among themselves.
 *
 *	main.c     the module: its parts in order, and the virtio driver
 *	device.c   struct lodge_fs: one virtio-fs device and its file's name, while it is bound
 *	session.c  struct lodge_fs_session: the queues, made anew for each opening of the file
 *	slot.c     memory that the program and the device share, and exchanges through it
 *	message.c  small messages that are copied
 *	file.c     /dev/lodge-fs/TAG; protocol/spec/fs-device.md is its contract
 *	events.c   /dev/lodge-fs-events; protocol/spec/fs-notify.md
 *
 * Locks: fs->lock (a mutex) holds off unbinding while a file is opened or closed. Each queue's lock
 * is that of its ring; interrupts take it. A slot's lock, and session->messages_lock, which is that
 * of replies that wait for a reader, may be taken under a queue's. fs->session_lock keeps the
 * session while the device's change of state is told to it.
 *
 * When a session has failed (error is not 0) nothing is added to a ring any more, and everybody who
 * waits is woken; what the device has stays the device's until it is reset, by the last close or by
 * unbinding.
 */
#ifndef LODGE_FS_DRIVER_H
#define LODGE_FS_DRIVER_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/wait.h>

#include <lodge/fs_device.h>

#define LODGE_FS_QUEUES_MAX (LODGE_FS_QUEUE_REQUEST + LODGE_FS_REQUEST_QUEUES_MAX)
/* "lodge-fs/" and a tag whose every byte is %XX */
#define LODGE_FS_NAME_SIZE (9 + 3 * LODGE_FS_TAG_SIZE + 1)

/* What the ring gives back. */
enum lodge_fs_kind {
	LODGE_FS_SLOT,
	LODGE_FS_MESSAGE,
};

struct lodge_fs_token {
	enum lodge_fs_kind kind;
};

enum lodge_fs_slot_state {
	LODGE_FS_SLOT_UNMAPPED, /* no memory */
	LODGE_FS_SLOT_IDLE,
	LODGE_FS_SLOT_TAKEN, /* by a thread, or by the device */
	LODGE_FS_SLOT_DONE, /* the device has given it back, the thread does not know */
};

struct lodge_fs_slot {
	struct lodge_fs_token token;
	spinlock_t lock; /* of state and used */
	enum lodge_fs_slot_state state;
	u32 used; /* bytes of the reply */
	struct lodge_fs_queue *queue; /* that has it; while it is taken */
	struct page **pages; /* each page of it, whatever it is a part of */
	struct scatterlist *sg;
	wait_queue_head_t wait;
};

struct lodge_fs_message {
	struct lodge_fs_token token;
	struct list_head link; /* session->replies */
	bool quiet; /* no reply */
	u32 used;
	u8 *out;
	u8 *in; /* LODGE_FS_MESSAGE_MAX bytes, or NULL */
	struct scatterlist sg[2];
};

struct lodge_fs_queue {
	spinlock_t lock;
	struct virtqueue *vq; /* NULL: the device was reset */
	wait_queue_head_t room;
	atomic_t slots; /* that are in it */
};

struct lodge_fs_session {
	struct lodge_fs *fs;
	bool open; /* a file has it. fs->lock */
	int error; /* not 0: it is over, negative errno */
	unsigned int n_queues; /* hiprio among them */
	unsigned int ring_size; /* least of all queues */
	struct lodge_fs_queue queues[LODGE_FS_QUEUES_MAX];
	struct rw_semaphore queues_there; /* held while something is added; to take them down */

	struct mutex slots_lock; /* slots are made */
	u32 n_slots;
	u32 slot_size; /* bytes */
	struct lodge_fs_slot slots[LODGE_FS_SLOTS_MAX];

	spinlock_t messages_lock;
	unsigned int n_messages; /* with a reply, until it is read */
	unsigned int n_quiet;
	struct list_head replies;
	wait_queue_head_t readers; /* of replies, and writers who wait for quiet ones */
};

struct lodge_fs {
	struct kref ref; /* the bound driver's, and the session's */
	struct mutex lock;
	struct virtio_device *vdev; /* NULL: unbound. lock */
	struct lodge_fs_session *session; /* NULL: unbound. lock, and session_lock to change it */
	spinlock_t session_lock;
	struct list_head link; /* of all devices */
	u32 request_queues;
	char tag[LODGE_FS_TAG_SIZE + 1];
	char name[24];
	char node[LODGE_FS_NAME_SIZE];
	struct miscdevice misc;
};

/* device.c. Made at binding, given back at unbinding; memory stays while the file is open. */
int lodge_fs_create(struct virtio_device *vdev, struct lodge_fs **ret_fs);
void lodge_fs_destroy(struct lodge_fs *fs);
void lodge_fs_put(struct lodge_fs *fs);
/* The device asks for a reset. Any context. */
void lodge_fs_broken(struct lodge_fs *fs);
/* -EBUSY while the file is open, else the device is reset; and back. */
int lodge_fs_suspend(struct lodge_fs *fs);
int lodge_fs_resume(struct lodge_fs *fs);

/* A part of the module: refuses a suspend, while the file of a device is open, before tasks are
 * frozen. */
int lodge_fs_suspend_begin(void);
void lodge_fs_suspend_end(void);

/* session.c */
/* Resets the device and makes its queues, for the next who opens the file. Under fs->lock. -ENOMEM,
 * -EIO, -ENOENT. */
int lodge_fs_session_make(struct lodge_fs *fs);
/* The file is opened: -EBUSY, -ENODEV; what making returns. And closed. */
int lodge_fs_session_open(struct lodge_fs *fs, struct lodge_fs_session **ret_session);
void lodge_fs_session_release(struct lodge_fs_session *session);
/* Ends fs->session, if there is one, and resets the device: whoever has it open gets @error. Under
 * fs->lock. */
void lodge_fs_session_close(struct lodge_fs *fs, int error);
/* It is over, for the reason @error (negative). Any context. */
void lodge_fs_session_fail(struct lodge_fs_session *session, int error);
/* What the device gets: a table that it reads, and one that it writes or NULL. */
struct lodge_fs_buffers {
	struct scatterlist *out;
	struct scatterlist *in;
	unsigned int segments; /* of both */
};
/* Gives @buffers to the device, waiting for room in the ring: 0; -EINTR; the session's error;
 * -EMSGSIZE: never; -EAGAIN: with @wait false. */
int lodge_fs_queue_add(struct lodge_fs_session *session, struct lodge_fs_queue *queue,
		       const struct lodge_fs_buffers *buffers, struct lodge_fs_token *token,
		       bool wait);
/* Takes what the device has given back without saying so, as it may with what nobody waits for.
 * False: nothing. */
bool lodge_fs_queue_reap(struct lodge_fs_session *session, struct lodge_fs_queue *queue);
static inline struct lodge_fs_queue *lodge_fs_request_queue(struct lodge_fs_session *session,
							    u32 number)
{
	return &session->queues[LODGE_FS_QUEUE_REQUEST +
				number % (session->n_queues - LODGE_FS_QUEUE_REQUEST)];
}

/* slot.c */
void lodge_fs_slots_init(struct lodge_fs_session *session);
int lodge_fs_slots_set(struct lodge_fs_session *session, const struct lodge_fs_slots *wanted);
/* Makes slot @number and maps it. */
int lodge_fs_slot_map(struct lodge_fs_session *session, struct vm_area_struct *vma);
int lodge_fs_slot_exchange(struct lodge_fs_session *session, struct lodge_fs_exchange *exchange);
/* From the ring, in any context. */
void lodge_fs_slot_done(struct lodge_fs_slot *slot, u32 used);
void lodge_fs_slots_free(struct lodge_fs_session *session);

/* message.c */
void lodge_fs_messages_init(struct lodge_fs_session *session);
ssize_t lodge_fs_message_write(struct lodge_fs_session *session, const char __user *from,
			       size_t count, bool wait);
ssize_t lodge_fs_message_read(struct lodge_fs_session *session, char __user *to, size_t count,
			      bool wait);
bool lodge_fs_message_ready(const struct lodge_fs_session *session);
/* From the ring, in any context. */
void lodge_fs_message_done(struct lodge_fs_session *session, struct lodge_fs_message *message,
			   u32 used);
void lodge_fs_message_free(struct lodge_fs_message *message);
void lodge_fs_messages_free(struct lodge_fs_session *session);

/* file.c */
extern const struct file_operations lodge_fs_file_operations;

/* events.c: a part of the module. */
int lodge_fs_events_begin(void);
void lodge_fs_events_end(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fake front end and virtio-fs driver: lodge-fsd's back end runs in this process, behind a
 * socketpair, with rings in a memfd, as a VMM and a guest would use it.
 *
 * One request at a time, unless a test writes the ring by hand.
 */
#ifndef LODGE_TESTS_FSD_HARNESS_H
#define LODGE_TESTS_FSD_HARNESS_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <lodge/vhost_user.h>

#include "shared-fs/server/vhost.h"

#define RIG_QUEUE_SIZE 64
#define RIG_MEMORY     (8u << 20)
#define RIG_GUEST_BASE 0x100000000ull
#define RIG_USER_BASE  0x7f0000000000ull
#define RIG_QUEUES     2
/* Offsets in the memory. */
#define RIG_RINGS  0x0 /* one every 64 KiB: descriptors, available, used */
#define RIG_OUT	   0x100000
#define RIG_IN	   0x300000
#define RIG_BUFFER 0x200000 /* bytes of each */
#define RIG_SLOT   1024

struct fsd_rig {
	char folder[64]; /* the export, a fresh one */
	struct fs *fs;
	struct backend *backend;
	pthread_t thread;
	int socket;
	int server_socket; /* its other end, the back end's */
	int memory_fd;
	int session_fd; /* of a program */
	uint8_t *memory;
	int kick[RIG_QUEUES];
	int call[RIG_QUEUES];
	int err[RIG_QUEUES];
	uint16_t avail[RIG_QUEUES];
	uint16_t used[RIG_QUEUES];
	uint64_t unique;
	pid_t program; /* lodge-fsd, where it is a process of its own */
	bool orphan; /* the program, which is the guard, was killed */
	/* Around the next request, where they are set. */
	void (*before_put)(struct fsd_rig *rig);
	void (*after_kick)(struct fsd_rig *rig);
	void *opaque; /* theirs */
	int end_status; /* of the back end's thread: what ended it */
};

struct fsd_rig_options {
	struct fs_config config;
	bool read_only;
	bool synthetic_root; /* the share is "share" in the device's root */
	struct owner_map owner;
	bool switch_ids; /* as a server of root has it */
	bool no_init; /* the session is not begun */
	bool classic; /* a guest that opens with OPEN */
	bool host_locks; /* of a program */
	bool program; /* the server is a lodge-fsd that was built beside the test */
};

void fsd_rig_start(struct fsd_rig *rig, const struct fsd_rig_options *options);
void fsd_rig_stop(struct fsd_rig *rig);
/* All processes of the program are killed, and another one takes their place: rings are set up
 * anew, the session is not begun. */
void fsd_rig_replace(struct fsd_rig *rig, const struct fsd_rig_options *options);
/* Rings, kicks, memory: to the point where requests are taken; again after fsd_rig_stop_queues. */
void fsd_rig_start_queues(struct fsd_rig *rig);
void fsd_rig_stop_queues(struct fsd_rig *rig);
/* A vhost-user message; a reply is read where the request has one. 0, or -1 when it hung up. */
int fsd_rig_message(struct fsd_rig *rig, uint32_t request, const void *payload, uint32_t size,
		    const int *fds, size_t n_fds, void *reply, uint32_t reply_size);

/*
 * One FUSE request: the body in two pieces (either may be NULL), the payload of the reply to
 * @reply. The reply's error, or its payload's length. Fails the test where nothing comes back.
 */
int64_t fsd_call(struct fsd_rig *rig, uint32_t opcode, uint64_t nodeid, const void *body,
		 size_t body_len, const void *more, size_t more_len, void *reply,
		 size_t reply_size);
/* The same with a header of the test's own, and buffers of the given sizes: used length, and the
 * reply as it was written to rig->memory + RIG_IN. */
uint32_t fsd_raw(struct fsd_rig *rig, unsigned int queue, const void *out, size_t out_len,
		 size_t in_len);

/* FORGET by @queue, and waits until that has been taken. */
void fsd_forget(struct fsd_rig *rig, unsigned int queue, uint64_t nodeid, uint64_t nlookup);

struct raw_desc {
	uint64_t addr; /* guest physical */
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Writes the descriptors from index 0 on and makes chain 0 available. */
void fsd_ring_put(struct fsd_rig *rig, unsigned int queue, const struct raw_desc *desc, size_t n);
/* The same, and kicks and waits for it to come back: its used length. */
uint32_t fsd_ring_run(struct fsd_rig *rig, unsigned int queue, const struct raw_desc *desc,
		      size_t n);
/* Until @n more have come back. */
void fsd_ring_wait(struct fsd_rig *rig, unsigned int queue, unsigned int n);
void fsd_ring_set_avail(struct fsd_rig *rig, unsigned int queue, uint16_t head, uint16_t idx);
void fsd_ring_kick(struct fsd_rig *rig, unsigned int queue);
/* A request in descriptors 2 * @slot and the next of queue 1, with buffers of RIG_SLOT bytes at
 * RIG_OUT and RIG_IN + @slot * RIG_SLOT; the body in two pieces. Not available yet. */
void fsd_slot_put(struct fsd_rig *rig, int slot, uint32_t opcode, uint64_t nodeid, const void *body,
		  size_t len, const void *more, size_t more_len);
/* True when the queue's error eventfd was signalled within 5 s. */
bool fsd_ring_broke(struct fsd_rig *rig, unsigned int queue);

/* A request to the file system alone: no rings, no threads. @len bytes of body; the payload of the
 * reply to @reply (NULL: thrown away), @room bytes. The reply's error, or its payload's length. */
int64_t fsd_direct(struct fs *fs, struct scratch *scratch, uint32_t opcode, uint64_t nodeid,
		   const void *body, size_t len, void *reply, size_t room);
/* The end of a test of it: @fs, @scratch and all that is in @folder go. */
void fsd_direct_end(struct fs *fs, struct scratch *scratch, const char *folder);

/* T07: a word of a request has another value now and then, while fsd_flip() runs in a thread. */
struct fsd_flipper {
	uint32_t *word;
	uint32_t value;
	bool stop; /* atomic */
};
void *fsd_flip(void *arg); /* struct fsd_flipper */

/* The process that starts servers and the one that serves, of a program; 0: there is none now. */
pid_t fsd_keeper(const struct fsd_rig *rig);
pid_t fsd_server(const struct fsd_rig *rig);

/* Looks @name up: its nodeid, 0 and *ret_error where it fails. */
uint64_t fsd_lookup(struct fsd_rig *rig, uint64_t dir, const char *name, int *ret_error);
/* Opens a folder. */
struct fuse_open_out fsd_opendir(struct fsd_rig *rig, uint64_t dir);
/* A path below the exported folder, in a static buffer of the rig's thread. */
const char *fsd_path(struct fsd_rig *rig, const char *name, char buffer[256]);
void fsd_write_file(struct fsd_rig *rig, const char *name, const char *text);

double fsd_seconds(void); /* of CLOCK_MONOTONIC */

/* KiB of shared memory that this process has touched; -1: the kernel does not tell. */
long harness_shared_kib(void);

#endif

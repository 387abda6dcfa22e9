/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system that the guest sees: shares, inodes, open files, and the session that FUSE_INIT
 * begins. It knows nothing of rings: requests come as struct request (request.h).
 *
 * Locking: fs->lock guards the tables (shares, inodes, handles) and every field marked "lock". It
 * is held for table work alone, never over a system call that can block. An inode or a handle is
 * used outside of it under a reference (inode_get, handle_get), which keeps its descriptor open;
 * what such a user reads of it does not change after it was published.
 *
 * Death: struct fs and its tables lie in memory that outlives the process, and so do descriptors
 * (keeper.h). The server may be killed at any instruction; fs_recover() then makes all of it whole
 * again. For that an object's descriptor is stored before the field that makes the object count
 * (inode.nlookup, handle.refs, lock_owner.inode_id), and the object is out of its table before its
 * descriptor is closed. Pointers to memory of one process alone are marked "process".
 */
#ifndef LODGE_FSD_FS_H
#define LODGE_FSD_FS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "protocol/lib/log.h"
#include "shared-fs/server/slots.h"

#define SHARES_MAX     256
#define SHARE_NAME_MAX 255 /* bytes: NAME_MAX */
#define NO_SHARE       UINT16_MAX
#define ROOT_NODEID    1 /* FUSE_ROOT_ID */

enum cache_mode {
	CACHE_AUTO, /* close-to-open; what is open, and folders, for 1 s */
	CACHE_NEVER, /* everything asked for each time */
	CACHE_ALWAYS, /* the guest alone changes the files */
};

struct fs_config {
	enum cache_mode cache;
	bool host_locks; /* POSIX and flock locks are taken on the host's files */
	bool no_xattr;
	bool user_namespace; /* foreign owners are not visible: shown as root */
	uint32_t fd_limit; /* descriptors that the guest may make us hold */
	uint64_t dax_size; /* bytes of the DAX window; 0: none */
	bool dax_auto; /* only for files whose pages are large in the host's cache */
	struct session_record *session; /* see session.h; NULL: none */
};

/* Whose the files of a share are, and what of their modes is seen. */
struct owner_map {
	bool active;
	uid_t uid; /* of the guest, for files of the server's own effective ids */
	gid_t gid;
	bool exact; /* what the host cannot apply is kept beside the file, see kept.h */
	uint32_t file_mask; /* permission bits that the guest neither sees nor sets */
	uint32_t dir_mask;
};

struct share {
	char name[SHARE_NAME_MAX + 1];
	int fd; /* O_PATH, the root folder */
	bool used;
	bool read_only;
	bool removed; /* lock: no new reference; files of it answer ESTALE */
	bool local; /* its root is on this machine's own file system: close(2) can not fail */
	bool large_pages; /* in the host's cache: on tmpfs */
	uint32_t n_inodes; /* lock: the slot is not used again before this is 0 */
	struct owner_map owner;
};

/* One device number of one share: the prefix that keeps inode numbers unique. */
struct ino_prefix {
	uint64_t dev;
	uint16_t share;
};

#define INO_PREFIXES_MAX 1024

struct place;

struct lock_owner {
	struct slot slot;
	int fd;
	struct lock_owner *next; /* lock */
	uint64_t owner;
	uint64_t inode_id;
};

struct inode {
	struct slot slot;
	int fd; /* O_PATH, -1: the synthetic root, or evicted; stays with a reference (refs) */
	uint16_t share;
	uint16_t type; /* S_IFMT bits */
	bool recent; /* lock: used since evict.c last looked */
	bool gone; /* lock: its number is another file's by now; not in the hash */
	bool pseudo; /* the root of a /proc, /sys or the like below a share: seen, not entered */
	bool remote; /* on another machine's file system */
	bool holds_remote; /* atomic: a folder in which such a file system is mounted */
	uint16_t seen; /* atomic: the place in fs->seen of the name that it was last opened by */
	uint64_t dev; /* with ino, mount_id and share the key of the hash */
	uint64_t ino;
	uint64_t mount_id;
	uint64_t shown_ino;
	uint64_t nlookup; /* lock: references of the guest */
	uint32_t refs; /* lock: references of running requests and handles */
	uint32_t hash_next; /* lock: slot index + 1 */
	uint64_t parent_id; /* lock: the folder that it was last found in; 0: none */
	struct place *place; /* lock: where it is opened again, see evict.h; NULL: fd is open */
	uint32_t n_places; /* lock: of what is below this folder; they keep it in the table */
	uint32_t n_open; /* lock: files with a descriptor that were last found in this folder */
	/* What the guest's cache was filled from, see cache_stamp(); 0: nothing to rely on. Atomic.
	 */
	uint64_t stamp;
	uint64_t lister; /* lock: the handle that handle_lists_alone() held for */
	struct lock_owner *locks; /* lock */
	struct handle *data[2]; /* lock: see data.c; read only, and writable */
	/* See watch.h: */
	uint32_t watch; /* lock: index + 1 of a folder's watch */
	bool watch_recent; /* lock: used since watches were last looked at */
	uint32_t own_busy; /* atomic: requests that change it just now */
	uint64_t own_changed; /* atomic: when the last one had, CLOCK_REALTIME ns */
};

struct dax;
struct dir_stream;
struct watcher;

struct handle {
	struct slot slot;
	int fd; /* -1: the synthetic root's folder */
	uint32_t refs; /* lock */
	uint64_t inode_id; /* of inode, which may be gone before a file that is_data */
	bool closed; /* lock: released, the last reference closes it */
	bool is_dir;
	bool remote; /* on another machine, which close(2) may wait for */
	bool writable;
	bool unreadable; /* is_data: the host's mode lets us write only */
	bool is_data; /* belongs to the inode, not to an open file of the guest */
	bool used; /* lock, is_data: since the last sweep */
	uint16_t ring_place; /* lock, is_data */
	struct inode *inode; /* holds a reference, but for is_data */
	struct dir_stream *stream; /* process; its own lock inside; made at the first READDIR */
};

#define INODE_HASH_BUCKETS 4096 /* at the start; grows with the table */
#define SEEN_NAMES	   65536
#define DATA_FILES	   256 /* files that are open without the guest's saying so */
#define INTERRUPTS_KEPT	   256

struct fs {
	struct fs_config config;
	struct dax *dax; /* NULL: there is no window */
	pthread_mutex_t lock;
	uid_t euid;
	gid_t egid;
	bool switch_ids; /* files can be made as any user */
	bool started; /* lock for writing: INIT was answered */
	uint32_t minor; /* of the session */
	uint64_t features; /* INIT flags in force */
	bool maps_all; /* atomic: the guest maps what it was not told to (dax=always) */
	bool zero_open; /* the guest opens without a message: fh is 0, data.c has the files */
	int proc_fd; /* /proc/self/fd */
	int data_wake; /* eventfd, signalled when data_sweep() is to be called each second; -1 */
	uint32_t epoch; /* atomic: counts resets, ends waits for locks */
	uint32_t n_interrupts; /* atomic */
	uint64_t interrupted[INTERRUPTS_KEPT]; /* atomic: uniques; 0: none */
	uint32_t n_fds; /* atomic: descriptors held for the guest */
	uint32_t n_streams; /* atomic */
	uint32_t n_lock_waits; /* atomic */
	bool exported; /* the root is share 0 itself */
	bool has_remote; /* atomic: a share, or what is mounted below, was on another machine's */
	bool in_command; /* of the control socket */
	struct timespec shares_changed;
	struct log_ratelimit bad_requests;
	struct log_ratelimit deaths; /* of servers */
	struct share shares[SHARES_MAX];
	uint32_t n_prefixes;
	struct ino_prefix prefixes[INO_PREFIXES_MAX];
	uint32_t n_buckets;
	uint32_t *buckets; /* process; slot index + 1 */
	uint8_t seen[SEEN_NAMES]; /* atomic: fingerprints of names that led to known inodes */
	uint32_t n_data; /* lock */
	uint32_t data_next; /* lock: the place that is given next */
	struct handle *data[DATA_FILES]; /* lock */
	struct slots inodes;
	struct slots handles;
	struct slots lock_owners;
	struct slots places[2]; /* of short names, and of long ones */
	uint32_t n_evicted; /* atomic */
	uint32_t names_changed; /* atomic: counts names that the guest removed or renamed */
	uint32_t evict_hand; /* lock: inode index */
	struct watcher *watcher; /* process; NULL: changes by the host are not told */
	bool notify_on; /* atomic: somebody listens to the watcher */
};

int fs_create(const struct fs_config *config, struct fs **ret_fs);
void fs_destroy(struct fs *fs);
/* In the process that is to serve, its working folder being /proc: finds its own descriptors there,
 * and makes their folder the working folder. */
int fs_attach(struct fs *fs);
/* Forgets everything that the guest holds: at INIT, DESTROY, reset and disconnect. Requests that
 * run keep what they use. */
void fs_reset(struct fs *fs);

/* Of CLOCK_MONOTONIC_COARSE, which is a tick behind at most. */
uint64_t fs_now_ms(void);

/* recover.c */
struct fs_recovered {
	uint32_t inodes;
	uint32_t files; /* open ones */
};
/*
 * After fs_attach(), where another process used @fs until it died: what the guest holds is whole
 * again, and nothing else is held. -ENOMEM.
 */
int fs_recover(struct fs *fs, struct fs_recovered *ret_recovered);
/* Calls @keep for each descriptor that @fs needs. */
void fs_each_fd(const struct fs *fs, void (*keep)(void *opaque, int fd), void *opaque);

/* options.c and control.c: the words of a share's rules. 0, or -EINVAL where @word is none. */
int share_rule_parse(const char *word, bool *ret_read_only, struct owner_map *owner);

/* share.c */
/* 0, or -EINVAL for a name that cannot be a file name in the guest. */
int share_name_check(const char *name);
/* Takes @fd (O_PATH of a folder). -EACCES where it cannot be read, -EEXIST, -ENOSPC, -ENOTDIR.
 * Waits for its file system a second at most. @export: it becomes the root. */
int fs_share_add(struct fs *fs, const char *name, int fd, bool read_only,
		 const struct owner_map *owner, bool export);
int fs_share_remove(struct fs *fs, const char *name); /* -ENOENT */
/* The share of an inode; valid while the inode is referenced. NULL for the synthetic root. */
struct share *inode_share(struct fs *fs, const struct inode *inode);
/* Whether that has been taken away since @inode was referenced. */
bool share_is_removed(struct fs *fs, const struct inode *inode);
/* With fs->lock: index of the share with that name or -ENOENT. */
int share_find_locked(const struct fs *fs, const char *name, size_t len);

/* inode.c: references. -ESTALE for ids that are not valid, or as inode_revive() (evict.h). */
int inode_get(struct fs *fs, uint64_t nodeid, struct inode **ret_inode);
void inode_put(struct fs *fs, struct inode *inode);
void inode_forget(struct fs *fs, uint64_t nodeid, uint64_t nlookup);
struct found {
	uint64_t id; /* that a new inode gets; 0: any */
	uint16_t share;
	bool pseudo;
	bool remote; /* in a folder; a share's own root is what the share is */
	uint64_t parent_id; /* the folder, 0: none */
	const struct statx *stx;
};
/*
 * The inode of what was found, with one more lookup of the guest and one reference for the caller.
 * Takes *@fd (and sets it to -1) where a new inode is made of it, or one that was evicted has it
 * again; with *@fd < 0 only one that has a descriptor is found. -ENOENT: unknown and no fd,
 * -ENOMEM.
 */
int inode_find(struct fs *fs, const struct found *found, int *fd, struct inode **ret_inode);
/* The guest has renamed it from folder @from into @to. */
void inode_moved(struct fs *fs, struct inode *inode, const struct inode *from,
		 const struct inode *to);
/* A reference to the inode of @stx in @share if it is known, evicted or not; or NULL. */
struct inode *inode_known(struct fs *fs, uint16_t share, const struct statx *stx);

/* Makes a hash table for the inodes that there are. -ENOMEM. */
int inodes_hash(struct fs *fs);

/* The number that the guest sees for inode number @ino on device @dev of @share. */
uint64_t shown_ino(struct fs *fs, uint16_t share, uint64_t dev, uint64_t ino);
/* The same for many numbers of one device, in two steps: with prefix 0 it is @ino itself. */
uint32_t ino_prefix(struct fs *fs, uint16_t share, uint64_t dev);
uint64_t ino_with_prefix(uint32_t prefix, uint16_t share, uint64_t dev, uint64_t ino);

/* handle.c */
/* Takes @fd, also on failure: -ENOMEM. The table's own reference is dropped by handle_release(). */
int handle_new(struct fs *fs, struct inode *inode, int fd, bool is_dir, struct handle **ret_handle);
/* A reference to an open file of @inode, or NULL. */
struct handle *handle_get(struct fs *fs, uint64_t fh, const struct inode *inode);
/* The same, of whatever inode. */
struct handle *handle_find(struct fs *fs, uint64_t fh);
/* Whether no other open folder's listing of the same inode may be kept by the guest: then @handle's
 * may, until it is released. */
bool handle_lists_alone(struct fs *fs, const struct handle *handle);
void handle_put(struct fs *fs, struct handle *handle);
int handle_release(struct fs *fs, uint64_t fh, const struct inode *inode); /* -EBADF */

/* data.c: files of inodes, for guests that send no OPEN. */
/* The file of @inode, open for reading (or writing too), with a reference. With @only_if_open
 * -EBADF where it is not open. */
int data_get(struct fs *fs, struct inode *inode, bool write, bool only_if_open,
	     struct handle **ret_handle);
/* Opens the file of @inode before its mode forbids that, if it can: it stays so, also a program's.
 */
void data_hold(struct fs *fs, struct inode *inode, bool write);
/* Takes @fd (charged), open for reading and writing, of a file with @mode. */
int data_install(struct fs *fs, struct inode *inode, int fd, mode_t mode);
/* Closes what is open for writing: a program file that is held so cannot be run. */
void data_drop_writable(struct fs *fs, struct inode *inode);
/* Closes what was not used since the last call. True if something is left. */
bool data_sweep(struct fs *fs);
void data_close_all(struct fs *fs);
/* Closes some that nobody uses right now. False where there is none. */
bool data_make_room(struct fs *fs);
/* With fs->lock: puts the handle into its inode and the ring; what had the place is returned, to be
 * put as below. */
struct handle *data_link_locked(struct fs *fs, struct handle *handle);
/* With fs->lock: takes the handle out of its inode and the ring; handle_put() it without the lock.
 */
void data_unlink_locked(struct fs *fs, struct handle *handle);

/* The fd budget: -ENFILE when the guest has used it up and nothing can be evicted. */
int fd_charge(struct fs *fs, uint32_t n);
/* For one that a program of the guest keeps open: some are left for names that are looked up. */
int fd_charge_open(struct fs *fs);
void fd_uncharge(struct fs *fs, uint32_t n);

static inline uint64_t stx_dev(const struct statx *stx)
{
	return (uint64_t)stx->stx_dev_major << 32 | stx->stx_dev_minor;
}

#endif

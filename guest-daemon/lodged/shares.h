/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One look at the host's shares: mounts them where they are not, and keeps the links to them. It
 * may take as long as the host's file server does, or for ever: for a child then.
 */
#ifndef LODGE_GUEST_SHARES_H
#define LODGE_GUEST_SHARES_H

#include <stdbool.h>

#include "protocol/lib/fields.h"

/* The system as shares_look() sees it, so that tests may show it another. */
struct shares_system {
	const char *virtio; /* /sys/bus/virtio/devices */
	const char *filesystems; /* /proc/filesystems */
	const char *mountinfo; /* /proc/self/mountinfo */
	const char *node; /* of the shares' device, where the module lodge_fs has it */
	const char *events; /* of the module lodge_fs: it raises inotify's events */
	const char *mnt, *media; /* where links go */
	/* Mounts the device at @path: 0, -ENODEV: no such file system, -EINVAL: no such device. */
	int (*mount)(const char *path);
	/* Loads what the device may need: virtiofs, lodge_fs. */
	void (*load)(void);
	/* Makes a folder for others to mount at. */
	void (*make_place)(const char *path);
	/* Whether what is at @path is of a read-only share. */
	bool (*is_read_only)(const char *path);
	/* Makes it read-only here, too, so that open(2) says so and not only write(2). */
	void (*seal)(const char *path);
};

struct shares_wish {
	const char *place; /* absolute; NULL: nothing is to be mounted, links go */
	bool link_hgfs; /* MNT/hgfs */
	bool link_sf; /* MEDIA/sf_NAME */
};

/* The real one. */
extern const struct shares_system shares_system;

/* For a child, before it looks: a unit may give lodged a mount namespace of its own, and shares are
 * for everybody. -EXDEV where it may not leave that. */
int shares_leave_namespace(void);

/* Whether a look may take long: there is something to mount, or mounted. */
bool shares_may_hang(const struct shares_system *system);

/* What is left to do: nothing that a look can do, with a kernel that has no virtiofs. */
enum shares_next {
	SHARES_NOTHING = 'n',
	SHARES_BY_LODGE_FS = 'l', /* the module has the device: mount.lodge serves it */
	SHARES_BY_RPC = 'r', /* nobody has: messages over the door */
};

/*
 * Puts into @out what there is, as the part "shares" of protocol/spec/facts.md has it: "mount",
 * "by" and "changes", or "why" where the shares are not mounted.
 */
enum shares_next shares_look(const struct shares_system *system, const struct shares_wish *wish,
			     struct fields_builder *out);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mount.lodge is told: mount(8)'s words for a helper, and mount options. */
#ifndef LODGE_MOUNT_OPTIONS_H
#define LODGE_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum mount_way {
	WAY_ANY,
	WAY_VIRTIOFS, /* the kernel's driver */
	WAY_LODGE_FS, /* the module lodge_fs, and FUSE messages moved by us */
	WAY_RPC, /* FUSE messages moved by us over lodged's door to the host */
};

struct mount_options {
	const char *source; /* NULL with which */
	const char *folder;
	char tag[37]; /* LODGE_FS_TAG_SIZE */
	unsigned long flags; /* MS_... */
	enum mount_way way;
	char dax[8]; /* way 1: always, never, inode; empty: the kernel's choice */
	bool remount; /* change the flags of what is at the folder; options of others are ignored */
	bool sloppy;
	bool fake;
	bool verbose;
	bool which; /* only say which way */
	bool foreground; /* stay as long as the mount that we serve; for lodged */
	int messages_fd; /* where the messages of way 3 are; -1: lodged sees to it */
	bool help;
	bool version;
	const char *bad; /* what could not be understood, an argument's part; its length */
	size_t bad_len;
};

/* Points into @argv. 0, or -EINVAL and ret_options->bad. */
int options_parse(struct mount_options *ret_options, int argc, char **argv);
/* The path below the device's root that @source means: "" the whole, else components with one '/'
 * between. -EINVAL: "." or ".." in it; -ENAMETOOLONG. */
int options_path(const struct mount_options *options, char *ret_path, size_t size);
const char *options_way_name(enum mount_way way);

#endif

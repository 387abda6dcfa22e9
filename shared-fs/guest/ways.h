/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways to a share: which one a device has here, and mounting by it. */
#ifndef LODGE_MOUNT_WAYS_H
#define LODGE_MOUNT_WAYS_H

#include "shared-fs/guest/options.h"

/*
 * The way to the device that @options ask for, or the best one; loads modules where that may help.
 * -ENODEV: there is none.
 */
int way_find(const struct mount_options *options, enum mount_way *ret_way);
/* Mounts what @options says, by @way: 0 or a negative errno. With foreground, where we serve it,
 * says "mounted" on standard output and returns when it is over. */
int way_mount(const struct mount_options *options, enum mount_way way);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-fs devices (virtio 1.2 section 5.11): host folders for the guest, served by another
 * process over vhost-user.
 *
 * A machine has, by its configuration: one device with the tag "lodge" for all [share] groups, or
 * for those that may come; one with the tag "root" for [root], both with a lodge-fsd of their own;
 * and one for each [fs TAG], whose back end somebody else runs.
 */
#ifndef LODGE_VMM_VIRTIO_FS_H
#define LODGE_VMM_VIRTIO_FS_H

#include <stdbool.h>

#include "host-vmm/device.h"
#include "host-vmm/virtio/fs_backend.h"

struct machine;

extern const struct device_type virtio_fs_type;

/* Of a device of that type; the device's. */
struct fs_backend *virtio_fs_backend(const struct device *device);

/*
 * The shares of a running machine, for the control socket. Any thread, while the machine exists; a
 * call may wait for lodge-fsd, 5 s at most. All give -ENODEV for a machine that was started without
 * the device. add takes @path_fd over, also on failure; errors as fs_backend_share_add() and
 * fs_backend_share_remove().
 */
int fs_share_add(struct machine *machine, const struct fs_share_info *info, int path_fd,
		 char ret_why[FS_WHY_MAX]);
int fs_share_remove(struct machine *machine, const char *name, char ret_why[FS_WHY_MAX]);
int fs_share_each(struct machine *machine,
		  void (*each)(void *opaque, const struct fs_share_info *info), void *opaque);

#endif

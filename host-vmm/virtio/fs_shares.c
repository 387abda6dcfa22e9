// SPDX-License-Identifier: GPL-2.0-or-later
/* The shares of a running machine: they come and go while the guest looks on. */
#include <errno.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/machine.h"
#include "host-vmm/virtio/fs.h"
#include "host-vmm/virtio/fs_choice.h"

static struct fs_backend *shares_of(struct machine *machine)
{
	for (size_t i = 0; i < machine->n_devices; i++) {
		struct device *device = machine->devices[i];

		if (device->type == &virtio_fs_type && device->index == 0 &&
		    fs_shares_device(machine->config))
			return virtio_fs_backend(device);
	}
	return NULL;
}

int fs_share_add(struct machine *machine, const struct fs_share_info *info, int path_fd,
		 char ret_why[FS_WHY_MAX])
{
	struct fs_backend *backend = shares_of(machine);

	if (backend)
		return fs_backend_share_add(backend, info, path_fd, ret_why);
	close(path_fd);
	return -ENODEV;
}

int fs_share_remove(struct machine *machine, const char *name, char ret_why[FS_WHY_MAX])
{
	struct fs_backend *backend = shares_of(machine);

	return backend ? fs_backend_share_remove(backend, name, ret_why) : -ENODEV;
}

int fs_share_each(struct machine *machine,
		  void (*each)(void *opaque, const struct fs_share_info *info), void *opaque)
{
	struct fs_backend *backend = shares_of(machine);

	if (!backend)
		return -ENODEV;
	fs_backend_share_each(backend, each, opaque);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* Which virtio-fs devices a configuration wants, and who serves them. */
#include "host-vmm/virtio/fs_choice.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/virtio/fs.h"
#include "host-vmm/virtio/fs_late.h"
#include "protocol/lib/log.h"

bool fs_shares_device(const struct vm_config *config)
{
	return config->n_shares || config->shares_device;
}

size_t fs_devices(const struct vm_config *config)
{
	return fs_shares_device(config) + (config->root != NULL) + config->n_fs;
}

static int create_own(const struct fs_server_rules *rules, struct fs_backend **ret_backend)
{
	int ret = fs_backend_create_own(rules, ret_backend);

	if (ret < 0)
		log_error("the file server's memory of open files cannot be made: %s",
			  strerror(-ret));
	return ret;
}

static int create_shares(const struct vm_config *config, struct fs_choice *choice)
{
	const struct fs_server_rules rules = { .dax_size = config->dax_size,
					       .dax_all = config->dax_all,
					       .strict = config->shares_strict,
					       .host_locks = config->shares_host_locks };
	int ret = create_own(&rules, &choice->backend);

	return ret ? ret
		   : fs_late_create(choice->backend, config->shares, config->n_shares,
				    &choice->late);
}

static int create_root(const struct vm_config *config, struct fs_backend **ret_backend)
{
	const struct fs_share_info info = { .name = LODGE_RUN_TAG_ROOT,
					    .path = config->root,
					    .rules = { .read_only = true,
						       .owner.kind = VM_OWNER_EXACT } };
	char why[FS_WHY_MAX];
	int fd, ret;

	ret = create_own(&(struct fs_server_rules){ .export = true }, ret_backend);
	if (ret)
		return ret;
	fd = open(config->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 ? -errno : fs_backend_share_add(*ret_backend, &info, fd, why);
	if (ret)
		log_error("root '%s': %s; give the path of a folder that you may read",
			  config->root, strerror(-ret));
	return ret;
}

int fs_choose(const struct vm_config *config, size_t index, struct fs_choice *ret_choice)
{
	*ret_choice = (struct fs_choice){ .wants_window = config->dax_size };
	if (fs_shares_device(config) && index-- == 0) {
		ret_choice->tag = LODGE_RUN_TAG_SHARES;
		ret_choice->window = config->dax_size;
		ret_choice->idle = !config->n_shares;
		return create_shares(config, ret_choice);
	}
	if (config->root && index-- == 0) {
		ret_choice->tag = LODGE_RUN_TAG_ROOT;
		return create_root(config, &ret_choice->backend);
	}
	ret_choice->tag = config->fs[index].tag;
	return fs_backend_create_socket(config->fs[index].socket, &ret_choice->backend);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// The groups of vm.conf that have a name, of which there may be several: disks, shares, ports.
#include "host-vmm/conf/groups.h"

#include <glib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"

static void *append(void *array, size_t *n, size_t size)
{
	void *grown = g_realloc_n(array, *n + 1, size);

	memset((char *)grown + *n * size, 0, size);
	(*n)++;
	return grown;
}

void *group_add_disk(struct vm_config *config, const char *name, char **ret_problem)
{
	struct vm_disk *disk;

	if (vm_check_name(name)) {
		*ret_problem = g_strdup("a disk's name is of letters, digits, -, _ and ., "
					"64 bytes at most; rename it");
		return NULL;
	}
	if (config->n_disks == VM_DISKS_MAX) {
		*ret_problem = g_strdup_printf("more than %d disks; take some out", VM_DISKS_MAX);
		return NULL;
	}
	config->disks = append(config->disks, &config->n_disks, sizeof(*config->disks));
	disk = &config->disks[config->n_disks - 1];
	disk->name = g_strdup(name);
	return disk;
}

void *group_add_share(struct vm_config *config, const char *name, char **ret_problem)
{
	struct vm_share *share;

	if (vm_check_share_name(name)) {
		*ret_problem = g_strdup("a share's name is 1 to 255 bytes of UTF-8 without "
					"/, [ and ], and not . or ..; rename it");
		return NULL;
	}
	if (config->n_shares == VM_SHARES_MAX) {
		*ret_problem = g_strdup_printf("more than %d shares; share a folder above them",
					       VM_SHARES_MAX);
		return NULL;
	}
	config->shares = append(config->shares, &config->n_shares, sizeof(*config->shares));
	share = &config->shares[config->n_shares - 1];
	share->name = g_strdup(name);
	return share;
}

void *group_add_fs(struct vm_config *config, const char *tag, char **ret_problem)
{
	struct vm_fs *fs;

	if (!*tag || strlen(tag) > VM_FS_TAG_MAX) {
		*ret_problem = g_strdup("a tag is 1 to 36 bytes; rename it");
		return NULL;
	}
	if (config->n_fs == VM_FS_MAX) {
		*ret_problem = g_strdup_printf("more than %d of them; take some out", VM_FS_MAX);
		return NULL;
	}
	config->fs = append(config->fs, &config->n_fs, sizeof(*config->fs));
	fs = &config->fs[config->n_fs - 1];
	fs->tag = g_strdup(tag);
	return fs;
}

void *group_add_port(struct vm_config *config, const char *name, char **ret_problem)
{
	struct vm_port *port;

	if (vm_check_name(name)) {
		*ret_problem = g_strdup("a port's name is of letters, digits, -, _ and ., "
					"64 bytes at most; rename it");
		return NULL;
	}
	if (config->n_ports == VM_PORTS_MAX) {
		*ret_problem = g_strdup_printf("more than %d ports; take some out", VM_PORTS_MAX);
		return NULL;
	}
	config->ports = append(config->ports, &config->n_ports, sizeof(*config->ports));
	port = &config->ports[config->n_ports - 1];
	port->name = g_strdup(name);
	return port;
}

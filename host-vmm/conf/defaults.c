// SPDX-License-Identifier: GPL-2.0-or-later
// A VM's configuration before vm.conf has said anything, and its end.
#include "host-vmm/conf/defaults.h"

#include <glib.h>

struct vm_config *vm_config_default(const char *dir)
{
	struct vm_config *config = g_new0(struct vm_config, 1);

	config->dir = g_canonicalize_filename(dir, NULL);
	config->name = g_path_get_basename(config->dir);
	config->cpus = 1;
	config->hypervisor = VM_HYPERVISOR_LODGE;
	config->memory = 1ull << 30;
	config->append = g_strdup("");
	config->initrds = g_new0(char *, 1);
	config->serial = g_strdup("none");
	config->dax_size = VM_DAX_SIZE;
	config->balloon = config->rng = config->i8042 = true;
	config->backdoor_device = config->backdoor_port = config->backdoor_ports = true;
	config->tools_heartbeat = 30;
	config->tools_scripts = config->tools_broadcast_ip = true;
	config->tools_synctime_period = 60; /* open-vm-tools' own */
	return config;
}

void vm_config_free(struct vm_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->n_disks; i++) {
		g_free(config->disks[i].name);
		g_free(config->disks[i].file);
		g_free(config->disks[i].serial);
	}
	for (size_t i = 0; i < config->n_shares; i++) {
		g_free(config->shares[i].name);
		g_free(config->shares[i].path);
	}
	for (size_t i = 0; i < config->n_fs; i++) {
		g_free(config->fs[i].tag);
		g_free(config->fs[i].socket);
	}
	for (size_t i = 0; i < config->n_ports; i++) {
		g_free(config->ports[i].name);
		g_free(config->ports[i].backend);
	}
	g_free(config->disks);
	g_free(config->shares);
	g_free(config->fs);
	g_free(config->ports);
	g_strfreev(config->initrds);
	g_free(config->dir);
	g_free(config->name);
	g_free(config->kernel);
	g_free(config->append);
	g_free(config->root);
	g_free(config->serial);
	g_free(config);
}

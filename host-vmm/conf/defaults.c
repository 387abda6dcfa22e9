// SPDX-License-Identifier: GPL-2.0-or-later
// A VM's configuration before vm.conf has said anything, what it need not say, and its end.
#include "host-vmm/conf/defaults.h"

#include <errno.h>
#include <glib.h>
#include <lodge/backdoor.h>
#include <string.h>

struct vm_config *vm_config_default(const char *dir)
{
	struct vm_config *config = g_new0(struct vm_config, 1);

	config->dir = g_canonicalize_filename(dir, NULL);
	config->name = g_path_get_basename(config->dir);
	config->cpus = 1;
	config->hypervisor = VM_HYPERVISOR_LODGE;
	config->memory = 1ull << 30;
	config->memory_mode = VM_MEMORY_OFF;
	config->append = g_strdup("");
	config->initrds = g_new0(char *, 1);
	config->serial = g_strdup("none");
	config->dax_size = VM_DAX_SIZE;
	config->display_memory = VM_DISPLAY_MEMORY;
	config->balloon = config->clock = config->rng = config->i8042 = config->legacy = true;
	config->backdoor_device = config->backdoor_port = config->backdoor_ports = true;
	config->tools_heartbeat = 30;
	config->tools_scripts = config->tools_broadcast_ip = true;
	config->tools_synctime_period = 60; /* open-vm-tools' own */
	return config;
}

int vm_config_complete(struct vm_config *config, char **ret_problem)
{
	struct vm_port *port;

	if (!config->backdoor_port)
		return 0;
	for (size_t i = 0; i < config->n_ports; i++) {
		if (!strcmp(config->ports[i].name, LODGE_BACKDOOR_PORT_NAME))
			return 0;
	}
	if (config->n_ports == VM_PORTS_MAX) {
		*ret_problem = g_strdup_printf("no room beside %d ports; take one out, or say "
					       "port=no",
					       VM_PORTS_MAX);
		return -EINVAL;
	}
	config->ports = g_renew(struct vm_port, config->ports, config->n_ports + 1);
	port = &config->ports[config->n_ports++];
	port->name = g_strdup(LODGE_BACKDOOR_PORT_NAME);
	port->backend = g_strdup("tools");
	return 0;
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

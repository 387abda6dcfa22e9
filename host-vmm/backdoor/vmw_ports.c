// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two ports: from an exit of KVM's to registers and back.
 *
 * Theory of operation: RAX comes back through the exit's data, which KVM stores zero-extended when
 * the vCPU goes on, and over whatever KVM_SET_REGS put there; the other registers by that call, or
 * with struct kvm_run. KVM moves RIP, and gives up the access where we did. What KVM can hand over
 * of registers with each exit is asked for by a vCPU's first call, so that guests that do not know
 * the ports pay nothing.
 */
#include "host-vmm/backdoor/vmw_ports.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/backdoor/vmw_caller.h"
#include "host-vmm/backdoor/vmw_commands.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/kvm.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/log.h"

struct vmw_ports {
	struct device device;
	struct vmw_host host;
	bool sync_regs;
};

static int get_regs(const struct vmw_ports *ports, int vcpu_fd, struct kvm_run *run)
{
	if (run->kvm_valid_regs & KVM_SYNC_X86_REGS)
		return 0;
	if (ioctl(vcpu_fd, KVM_GET_REGS, &run->s.regs.regs) < 0)
		return -errno;
	if (ports->sync_regs)
		run->kvm_valid_regs |= KVM_SYNC_X86_REGS;
	return 0;
}

static void set_regs(const struct vmw_ports *ports, int vcpu_fd, struct kvm_run *run)
{
	if (run->kvm_valid_regs & KVM_SYNC_X86_REGS)
		run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	else if (ioctl(vcpu_fd, KVM_SET_REGS, &run->s.regs.regs) < 0)
		log_ratelimited(&ports->device.machine->guest_log, LOG_LEVEL_WARN,
				"I/O ports: the guest's registers cannot be set: %s",
				strerror(errno));
}

static void serve_call(struct vmw_ports *ports, struct vmw_caller *caller, uint8_t *data)
{
	uint32_t eax;

	vmw_command(&ports->host, caller);
	eax = (uint32_t)caller->run->s.regs.regs.rax;
	memcpy(data, &eax, sizeof(eax));
}

static void serve_string(struct vmw_ports *ports, struct vmw_caller *caller, uint8_t *data)
{
	struct kvm_run *run = caller->run;
	struct kvm_regs *regs = &run->s.regs.regs;
	struct guestmsg *guestmsg = ports->host.guestmsg;

	if (run->io.direction == KVM_EXIT_IO_IN)
		guestmsg_receive_bytes(guestmsg, regs, data, run->io.count);
	else
		for (uint32_t i = 0; i < run->io.count; i++)
			guestmsg_send_bytes(guestmsg, regs, data[i], ports->device.machine->memory,
					    regs->rcx > 0 && i + 1 == run->io.count
						    ? vmw_caller_sregs(caller)
						    : NULL);
}

bool vmw_ports_serve(struct vmw_ports *ports, int vcpu_fd, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct vmw_caller caller = { vcpu_fd, run };
	bool in = run->io.direction == KVM_EXIT_IO_IN;
	bool low = run->io.port == LODGE_VMW_PORT;

	if (!ports || (!low && run->io.port != LODGE_VMW_PORT_HB))
		return false;
	if (in)
		memset(data, 0xff, (size_t)run->io.size * run->io.count);
	/* Other widths and directions find an empty port, and so does who does not say the word. */
	if (low ? !in || run->io.size != 4 || run->io.count != 1 : run->io.size != 1)
		return true;
	if (get_regs(ports, vcpu_fd, run) < 0 || (uint32_t)run->s.regs.regs.rax != LODGE_VMW_MAGIC)
		return true;
	if (low)
		serve_call(ports, &caller, data);
	else
		serve_string(ports, &caller, data);
	set_regs(ports, vcpu_fd, run);
	return true;
}

static size_t ports_count(const struct vm_config *config)
{
	return config->backdoor_ports ? 1 : 0;
}

static int ports_create(struct device *device)
{
	struct vmw_ports *ports = (struct vmw_ports *)device;
	struct machine *machine = device->machine;
	int ret;

	ret = guestmsg_create(machine->backdoor, &machine->guest_log, &ports->host.guestmsg);
	if (ret < 0) {
		log_error("%s cannot be made: %s; close something", device->name, strerror(-ret));
		return ret;
	}
	ports->host.machine = machine;
	ports->sync_regs = kvm_capability(machine->kvm_fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS;
	machine->vmw_ports = ports;
	return 0;
}

static void ports_reset(struct device *device)
{
	struct vmw_ports *ports = (struct vmw_ports *)device;

	guestmsg_reset(ports->host.guestmsg);
	ports->host.gui_options = 0;
}

static void ports_destroy(struct device *device)
{
	struct vmw_ports *ports = (struct vmw_ports *)device;

	device->machine->vmw_ports = NULL;
	guestmsg_destroy(ports->host.guestmsg);
}

static int ports_save(struct device *device, struct state *state)
{
	struct vmw_ports *ports = (struct vmw_ports *)device;

	state_put_u32(state, ports->host.gui_options);
	guestmsg_save(ports->host.guestmsg, state);
	return state_error(state);
}

static int ports_load(struct device *device, struct state *state)
{
	struct vmw_ports *ports = (struct vmw_ports *)device;

	ports->host.gui_options = state_get_u32(state);
	return guestmsg_load(ports->host.guestmsg, state);
}

const struct device_type vmw_ports_type = {
	.name = "vmw-ports",
	.help = "VMware's I/O ports, for open-vm-tools ([backdoor] ports)",
	.size = sizeof(struct vmw_ports),
	.count = ports_count,
	.create = ports_create,
	.reset = ports_reset,
	.destroy = ports_destroy,
	.save = ports_save,
	.load = ports_load,
};

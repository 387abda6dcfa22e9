// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that pokes at VMware's I/O ports: GuestMsg steps on channels that it has and on others,
 * strings from and to any address, page tables that change, other commands, with words of the host,
 * time, resets, and states saved and loaded in between.
 *
 * Input: steps of 12 bytes: what, which channel, the message type or command, flags; a value; a
 * length or an address. Step "load" takes the rest of the input as a state.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/device.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "tests/unit/vmw_rig.h"

#define CHANNELS   8u /* whose cookies the guest knows */
#define HIGH	   16u
#define USER	   0x1u /* flags: strings of user mode */
#define TCLO	   0x2u
#define NO_ADDRESS 0x4u /* the last word is an address as it is */

struct input {
	uint8_t what, channel, type, flags;
	uint32_t value, where;
};
_Static_assert(sizeof(struct input) == 12, "input");

struct guest {
	struct vmw_rig rig;
	struct channel {
		uint32_t id, high, low;
	} channels[CHANNELS];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kvm_regs regs_of(const struct channel *channel, const struct input *input)
{
	return (struct kvm_regs){
		.rax = LODGE_VMW_MAGIC,
		.rbx = input->value,
		.rcx = 30 | (uint32_t)input->type << HIGH,
		.rdx = LODGE_VMW_PORT | channel->id << HIGH,
		.rsi = channel->high,
		.rdi = channel->low,
	};
}

static void message(struct guest *guest, const struct input *input)
{
	struct channel *channel = &guest->channels[input->channel % CHANNELS];
	struct kvm_regs regs = regs_of(channel, input);

	if (input->type % 8 == GUESTMSG_OPEN)
		regs.rbx = GUESTMSG_COOKIE_WANTED |
			   (input->flags & TCLO ? LODGE_VMW_PROT_TCLO : LODGE_VMW_PROT_RPCI);
	regs.rcx = 30 | (uint32_t)(input->type % 8) << HIGH;
	vmw_rig_call(&guest->rig, &regs);
	if (input->type % 8 == GUESTMSG_OPEN && (regs.rcx >> HIGH & GUESTMSG_SUCCESS))
		*channel = (struct channel){ (uint32_t)regs.rdx >> HIGH, (uint32_t)regs.rsi,
					     (uint32_t)regs.rdi };
}

static void string(struct guest *guest, const struct input *input, bool out)
{
	const struct channel *channel = &guest->channels[input->channel % CHANNELS];
	uint64_t address = VMW_RIG_LINEAR + input->where % (VMW_RIG_PAGES * 4096);
	struct kvm_regs regs = regs_of(channel, input);

	if (input->flags & NO_ADDRESS)
		address = (uint64_t)input->where << HIGH | input->where;
	vmw_rig_set_user(&guest->rig, input->flags & USER);
	regs.rbx = input->type & 1 ? input->value : GUESTMSG_SUCCESS << HIGH;
	regs.rcx = input->value % (128u << 10);
	regs.rsi = out ? address : channel->high;
	regs.rdi = out ? channel->low : address;
	regs.rbp = out ? channel->high : channel->low;
	if (out)
		(void)vmw_rig_outs(&guest->rig, &regs);
	else
		(void)vmw_rig_ins(&guest->rig, &regs);
}

static void any_access(struct guest *guest, const struct input *input)
{
	struct kvm_regs regs = regs_of(&guest->channels[0], input);

	regs.rcx = (uint64_t)input->value << 8 | input->type;
	(void)vmw_rig_access(&guest->rig, &regs,
			     input->channel & 1 ? LODGE_VMW_PORT_HB : LODGE_VMW_PORT,
			     input->flags & 1, 1u << (input->flags >> 1) % 3);
}

static void host_word(struct guest *guest, const struct input *input)
{
	struct rpc_session *session = vmw_rig_commanded(&guest->rig, input->channel % 8);

	if (session && input->type == 0)
		(void)vmw_rig_shut(session);
	else if (session)
		(void)vmw_rig_command(session, input->value, input, input->type % sizeof(*input));
}

static void page_table(struct guest *guest, const struct input *input)
{
	uint64_t entry = (uint64_t)input->value << 12 | input->flags;

	(void)memory_write(guest->rig.machine.memory,
			   VMW_RIG_TABLES + input->where % (4 * 4096 / 8) * 8, &entry,
			   sizeof(entry));
}

static void load(struct guest *guest, const uint8_t *data, size_t size)
{
	struct state state;

	state_read_from(&state, data, size);
	(void)guest->rig.device->type->load(guest->rig.device, &state);
}

static void save_and_load(struct guest *guest)
{
	struct device *device = guest->rig.device;
	struct state state = { 0 }, reader;

	if (device->type->save(device, &state) < 0)
		abort();
	state_read_from(&reader, state.bytes, state.len);
	if (device->type->load(device, &reader) < 0 || reader.at != reader.len)
		abort();
	state_finish(&state);
}

static void step(struct guest *guest, const struct input *input, const uint8_t *rest, size_t left)
{
	switch (input->what % 16) {
	case 15:
		guest->rig.device->type->reset(guest->rig.device);
		break;
	case 14:
		save_and_load(guest);
		break;
	case 13:
		load(guest, rest, left);
		break;
	case 12:
		guest->rig.later_ms += input->value % 100000;
		break;
	case 11:
		page_table(guest, input);
		break;
	case 10:
		any_access(guest, input);
		break;
	case 9:
		host_word(guest, input);
		break;
	case 8:
	case 7:
		string(guest, input, input->what % 16 == 8);
		break;
	default:
		message(guest, input);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		abort();
	vmw_rig_create(&guest->rig);
	for (unsigned int i = 0; size >= sizeof(struct input) && i < 500; i++) {
		struct input input;

		memcpy(&input, data, sizeof(input));
		data += sizeof(input);
		size -= sizeof(input);
		step(guest, &input, data, size);
	}
	vmw_rig_destroy(&guest->rig);
	free(guest);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// The table of commands, and the small ones: version, time, frequencies, identity.
#include "host-vmm/backdoor/vmw_commands.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/backdoor/session.h"
#include "host-vmm/backdoor/vmw_caller.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"

#define UNSUPPORTED	    UINT32_MAX
#define PRODUCT_WORKSTATION 4u
#define HARDWARE_VERSION    21u
#define MEMSIZE_EBX	    0x1177u /* what QEMU's port says */
#define MEMSIZE_MOST	    0xfffff000u /* bytes; more does not fit the register */
#define APIC_BUS_HZ	    1000000000u /* KVM's APIC_BUS_CYCLE_NS is 1 */
#define MAX_TIME_LAG_US	    1000000u /* the guest may be late by so much before it steps */
#define POINTER_FREE	    0xff9cff9cu /* x and y of -100: the pointer is not grabbed */
#define VCPU_X2APIC	    (1u << 3) /* usable without remapping of interrupts */
#define GUI_TIME_SYNC	    0x400u /* periodic synchronization of time is on */
#define NS_PER_US	    1000
static uint32_t tsc_khz(int vcpu_fd)
{
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint32_t)khz : 0;
}

static void get_mhz(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	uint32_t khz = tsc_khz(caller->vcpu_fd);

	(void)host;
	regs->rax = khz >= 1000 ? khz / 1000 : UNSUPPORTED;
}

static void get_pointer(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = POINTER_FREE;
}

static void get_version(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = LODGE_VMW_VERSION;
	regs->rbx = LODGE_VMW_MAGIC;
	regs->rcx = PRODUCT_WORKSTATION;
}

/* What the toolbox lists: name, number, and whether it is connected. */
struct device_record {
	char name[32];
	uint32_t id;
	uint8_t connected;
} __attribute__((packed));

static void get_device(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	uint32_t index = (uint32_t)regs->rbx >> 16, offset = (uint32_t)regs->rbx & 0xffff;
	uint8_t bytes[sizeof(struct device_record) + sizeof(uint32_t)] = { 0 };
	struct device_record record = { .id = index, .connected = 1 };
	uint32_t value;

	(void)caller;
	if (index >= host->machine->n_devices || offset >= sizeof(record)) {
		regs->rax = 0;
		return;
	}
	memcpy(record.name, host->machine->devices[index]->name, sizeof(record.name) - 1);
	memcpy(bytes, &record, sizeof(record));
	memcpy(&value, bytes + offset, sizeof(value));
	regs->rax = 1;
	regs->rbx = value;
}

/* None can be taken away by any process of the guest. */
static void toggle_device(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = 0;
}

/* The one option that toolboxes look at is the tools', and set by a request to the service. */
static void get_gui_options(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	uint32_t options = __atomic_load_n(&host->gui_options, __ATOMIC_RELAXED);

	(void)caller;
	regs->rax = options | (rpc_time_sync(host->machine->backdoor) ? GUI_TIME_SYNC : 0);
}

static void set_gui_options(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)caller;
	__atomic_store_n(&host->gui_options, (uint32_t)regs->rbx & ~GUI_TIME_SYNC,
			 __ATOMIC_RELAXED);
}

/* Width and height in halves. The machine has no screen. */
static void get_screen_size(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = 0;
}

static void get_hardware_version(struct vmw_host *host, struct vmw_caller *caller,
				 struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = HARDWARE_VERSION;
	regs->rbx = LODGE_VMW_MAGIC;
}

static void get_uuid(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	uint32_t parts[4];

	(void)caller;
	memcpy(parts, host->machine->uuid, sizeof(parts));
	regs->rax = parts[0];
	regs->rbx = parts[1];
	regs->rcx = parts[2];
	regs->rdx = parts[3];
}

static void get_memory_size(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	uint64_t size = host->machine->config->memory;

	(void)caller;
	regs->rax = size < MEMSIZE_MOST ? size : MEMSIZE_MOST;
	regs->rbx = MEMSIZE_EBX;
}

static struct timespec wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

static void get_time(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	struct timespec now = wall_clock();

	(void)host;
	(void)caller;
	if (now.tv_sec > INT32_MAX) {
		regs->rax = UNSUPPORTED;
		return;
	}
	regs->rax = (uint32_t)now.tv_sec;
	regs->rbx = (uint32_t)(now.tv_nsec / NS_PER_US);
	regs->rcx = MAX_TIME_LAG_US;
}

/* EAX stays what it was: other values mean that the command is not there. */
static void get_time_full(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	struct timespec now = wall_clock();

	(void)host;
	(void)caller;
	regs->rsi = (uint32_t)((uint64_t)now.tv_sec >> 32);
	regs->rdx = (uint32_t)now.tv_sec;
	regs->rbx = (uint32_t)(now.tv_nsec / NS_PER_US);
	regs->rcx = MAX_TIME_LAG_US;
}

static void get_time_full_with_lag(struct vmw_host *host, struct vmw_caller *caller,
				   struct kvm_regs *regs)
{
	get_time_full(host, caller, regs);
	regs->rdi = 0; /* no interrupts are owed: KVM's timers do not lag behind the clock */
}

static void nothing(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	(void)regs;
}

static void message(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	struct guestmsg_opener opener = { 0 };

	if (guestmsg_is_open(regs)) {
		opener.space = vmw_caller_space(caller);
		opener.owner = vmw_caller_is_owner(caller, host->machine->memory);
	}
	guestmsg_call(host->guestmsg, regs, &opener);
}

static void is_mouse_absolute(struct vmw_host *host, struct vmw_caller *caller,
			      struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = 0;
}

/* The guest believes these, and calibrates nothing: where they are not known, nothing is said. */
static void get_hz(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	uint64_t hz = tsc_khz(caller->vcpu_fd) * 1000ull;

	(void)host;
	if (hz == 0) {
		regs->rax = UNSUPPORTED;
		return;
	}
	regs->rax = (uint32_t)hz;
	regs->rbx = (uint32_t)(hz >> 32);
	regs->rcx = APIC_BUS_HZ;
}

static void get_vcpu_info(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = VCPU_X2APIC;
}

static void get_precision_clock(struct vmw_host *host, struct vmw_caller *caller,
				struct kvm_regs *regs)
{
	struct timespec now = wall_clock();
	uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;

	(void)host;
	(void)caller;
	if ((uint32_t)regs->rcx >> 16 != 0) {
		regs->rax = UNSUPPORTED;
		return;
	}
	regs->rax = 0;
	regs->rbx = (uint32_t)(ns >> 32);
	regs->rcx = (uint32_t)ns;
}

/* Stolen time is not told by this port (KVM has a page for it), so the guest need not ask. */
static void steal_clock(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs)
{
	(void)host;
	(void)caller;
	regs->rax = UNSUPPORTED;
}

static const struct {
	uint16_t number;
	void (*fn)(struct vmw_host *host, struct vmw_caller *caller, struct kvm_regs *regs);
} commands[] = {
	/* By how often they come. */
	{ 30, message },
	{ 1, get_mhz },
	{ 4, get_pointer },
	{ 10, get_version },
	{ 11, get_device },
	{ 12, toggle_device },
	{ 13, get_gui_options },
	{ 14, set_gui_options },
	{ 15, get_screen_size },
	{ 17, get_hardware_version },
	{ 19, get_uuid },
	{ 20, get_memory_size },
	{ 23, get_time },
	{ 24, nothing }, /* STOPCATCHUP */
	{ 36, is_mouse_absolute },
	{ 45, get_hz },
	{ 46, get_time_full },
	{ 55, get_time_full_with_lag },
	{ 68, get_vcpu_info },
	{ 91, steal_clock },
	{ 97, get_precision_clock },
};

void vmw_command(struct vmw_host *host, struct vmw_caller *caller)
{
	struct kvm_regs *regs = &caller->run->s.regs.regs;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].number == (regs->rcx & 0xffff)) {
			commands[i].fn(host, caller, regs);
			return;
		}
	}
	regs->rax = UNSUPPORTED;
}

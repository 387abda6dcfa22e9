// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One virtual processor: the thread, the loop, and one switch on the exit reason.
 *
 * Theory of operation: KVM_RUN is left for good reasons only: an exit to serve, or an order. To
 * give an order, the main thread sets immediate_exit and sends the thread a signal; whichever side
 * of KVM_RUN's entry the thread is on, it returns with EINTR. Then the thread looks at its order
 * under its lock. A signal with no order behind it costs one round. An exit that was served is
 * completed by the next KVM_RUN, also by one that returns at once, so a parked vCPU's state is
 * whole.
 *
 * A vCPU that asked for a reset or power-off must not go on: it parks itself until told otherwise.
 */
#include "host-vmm/vcpu.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/backdoor/vmw_ports.h"
#include "host-vmm/bus.h"
#include "host-vmm/clock/clock.h"
#include "host-vmm/cpuid.h"
#include "host-vmm/device.h"
#include "host-vmm/kvm.h"
#include "host-vmm/machine.h"
#include "host-vmm/sandbox.h"
#include "host-vmm/tsc.h"
#include "host-vmm/vcpu_faults.h"
#include "host-vmm/vcpu_state.h"
#include "protocol/lib/capabilities.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "protocol/lib/thread.h"

#define VCPU_STACK_SIZE (128u << 10) /* bytes; only what is touched is memory */
#define VCPU_SIGNAL	SIGRTMIN
/* IA32_MCG_CAP, Intel SDM volume 3, section "Machine-Check Global Control MSRs" */
#define MCG_BANKS   1u
#define MCG_CTL_P   (1u << 8)
#define RETRIES_MAX 100

enum vcpu_order {
	VCPU_PARK = 0,
	VCPU_RUN = 1,
	VCPU_EXIT = 2,
};

struct vcpu {
	struct machine *machine;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct vcpu_power_on *power_on;
	bool has_run; /* main thread: a new vCPU needs no reset */
	struct vcpu_faults faults;
	unsigned int retries; /* its thread: of KVM_RUN, without anything new */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* order or parked */
	enum vcpu_order order; /* under lock */
	bool parked; /* under lock */
};

static void serve_port(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (vmw_ports_serve(vcpu->machine->vmw_ports, vcpu->fd, run))
		return;
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, run->io.size);
			bus_write(vcpu->machine->ports, run->io.port, value, run->io.size);
		} else {
			value = bus_read(vcpu->machine->ports, run->io.port, run->io.size);
			memcpy(data, &value, run->io.size);
		}
	}
}

static void serve_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t value = 0;

	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, run->mmio.len);
		bus_write(vcpu->machine->mmio, run->mmio.phys_addr, value, run->mmio.len);
	} else {
		value = bus_read(vcpu->machine->mmio, run->mmio.phys_addr, run->mmio.len);
		memcpy(run->mmio.data, &value, run->mmio.len);
	}
}

static void crash(struct vcpu *vcpu, const char *what)
{
	vcpu_log_crash(vcpu->fd, vcpu->index, vcpu->run, vcpu->machine->memory, what);
	machine_request(vcpu->machine, MACHINE_CRASH);
}

static void serve_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		machine_request(vcpu->machine, MACHINE_POWEROFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		machine_request(vcpu->machine, MACHINE_RESET);
		break;
	default:
		crash(vcpu, "the guest reported a crash to KVM");
	}
}

/* Before the guest goes on: its clock page is right when it reads it next. */
static void serve_write_of_tsc(struct vcpu *vcpu)
{
	uint64_t offset;

	if (!tsc_write(vcpu->fd, vcpu->run) && !tsc_offset(vcpu->fd, &offset))
		clock_counter_written(vcpu->machine, vcpu->index, offset);
}

static void serve_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		serve_port(vcpu);
		break;
	case KVM_EXIT_MMIO:
		serve_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_X86_WRMSR:
		serve_write_of_tsc(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		log_ratelimited(&vcpu->machine->guest_log, LOG_LEVEL_INFO,
				"cpu %u: triple fault, which resets the guest", vcpu->index);
		machine_request(vcpu->machine, MACHINE_RESET);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		serve_system_event(vcpu);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		crash(vcpu, "the processor refused to enter the guest");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		crash(vcpu, "KVM cannot go on (internal error)");
		break;
	default:
		crash(vcpu, "KVM left the guest for a reason that Lodge does not know");
	}
}

/* Whether KVM_RUN may be tried again after EFAULT: a file behind the guest's memory was cut off. */
static bool repair(struct vcpu *vcpu)
{
	const struct machine *machine = vcpu->machine;
	enum shm_repair best = SHM_REPAIR_NONE;

	for (size_t i = 0; i < machine->n_devices; i++) {
		struct device *device = machine->devices[i];
		enum shm_repair done = device->type->repair ? device->type->repair(device)
							    : SHM_REPAIR_NONE;

		best = done > best ? done : best;
	}
	/* What another vCPU mended cannot fail again before it is undone, in a while. */
	vcpu->retries = best == SHM_REPAIR_OLD ? vcpu->retries + 1 : 0;
	return best != SHM_REPAIR_NONE && vcpu->retries < RETRIES_MAX;
}

/* Until an order or an event of this machine's wants attention. */
static void run(struct vcpu *vcpu)
{
	for (;;) {
		int error = ioctl(vcpu->fd, KVM_RUN, 0) == 0 ? 0 : errno;

		if (!error) {
			vcpu->retries = 0;
			serve_exit(vcpu);
			/* Once more, to complete the exit: else what it leaves undone (registers,
			 * the rest of a string) comes upon the machine that a reset makes. */
			if (machine_event_pending(vcpu->machine))
				vcpu->run->immediate_exit = 1;
		} else if (error == EINTR || error == EAGAIN) {
			return;
		} else if (error != EFAULT || !repair(vcpu)) {
			char what[80];

			snprintf(what, sizeof(what), "KVM_RUN failed: %s", strerror(error));
			crash(vcpu, what);
			return;
		}
	}
}

/* Waits while parked: the order to follow, run or exit. */
static enum vcpu_order obey(struct vcpu *vcpu)
{
	enum vcpu_order order;

	pthread_mutex_lock(&vcpu->lock);
	/* Whoever asked for an event waits for the main thread, which gives a new order. */
	if (vcpu->order == VCPU_RUN && machine_event_pending(vcpu->machine))
		vcpu->order = VCPU_PARK;
	while (vcpu->order == VCPU_PARK) {
		vcpu->parked = true;
		pthread_cond_broadcast(&vcpu->changed);
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	}
	vcpu->parked = false;
	vcpu->run->immediate_exit = 0;
	order = vcpu->order;
	pthread_mutex_unlock(&vcpu->lock);
	return order;
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	char name[16];

	/* By the thread itself: for another one, the C library opens a file in /proc. */
	snprintf(name, sizeof(name), "cpu %u", vcpu->index);
	pthread_setname_np(pthread_self(), name);
	capabilities_keep(SANDBOX_CAPABILITIES);
	while (obey(vcpu) == VCPU_RUN)
		run(vcpu);
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
}

static int start_thread(struct vcpu *vcpu)
{
	struct sigaction action = { .sa_handler = on_signal };
	int ret;

	sigaction(VCPU_SIGNAL, &action, NULL);
	ret = thread_start(&vcpu->thread, VCPU_STACK_SIZE, VCPU_SIGNAL, vcpu_thread, vcpu);
	if (ret < 0)
		return ret;
	vcpu->started = true;
	return 0;
}

static int map_run(struct vcpu *vcpu)
{
	int size = ioctl(vcpu->machine->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < (int)sizeof(*vcpu->run))
		return -EIO;
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return -errno;
	}
	vcpu->run_size = size;
	return 0;
}

/* Before KVM_SET_CPUID2: what a guest reads must not change once it runs. */
static int set_cpuid(struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	cpuid_set_tsc(cpuid, vcpu_tsc_khz(vcpu));
	return ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : 0;
}

/* KVM's default is 32 banks of machine-check registers, and Linux takes four exits for each.
 * Nothing is reported through them. A KVM that refuses leaves the guest more of them. */
static void set_machine_check(struct vcpu *vcpu)
{
	uint64_t capability = MCG_BANKS | MCG_CTL_P;

	(void)ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &capability);
}

int vcpu_create(struct machine *machine, unsigned int index, struct kvm_cpuid2 *cpuid,
		struct vcpu **ret_vcpu)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	int ret;

	if (!vcpu)
		return -ENOMEM;
	vcpu->machine = machine;
	vcpu->index = index;
	vcpu->faults.fd = -1;
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
	vcpu->fd = ioctl(machine->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0) {
		ret = -errno;
		goto fail;
	}
	vcpu_faults_open(&vcpu->faults, vcpu->fd);
	ret = map_run(vcpu);
	if (ret < 0)
		goto fail;
	ret = set_cpuid(vcpu, cpuid);
	if (ret < 0)
		goto fail;
	set_machine_check(vcpu);
	ret = vcpu_power_on_take(machine->kvm_fd, vcpu->fd, &vcpu->power_on);
	if (ret < 0)
		goto fail;
	ret = start_thread(vcpu);
	if (ret < 0)
		goto fail;
	*ret_vcpu = vcpu;
	return 0;

fail:
	vcpu_destroy(vcpu);
	return ret;
}

static void give_order(struct vcpu *vcpu, enum vcpu_order order)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->order = order;
	if (order != VCPU_RUN) {
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(vcpu->thread, VCPU_SIGNAL);
	}
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->started) {
		give_order(vcpu, VCPU_EXIT);
		pthread_join(vcpu->thread, NULL);
	}
	vcpu_power_on_free(vcpu->power_on);
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	vcpu_faults_close(&vcpu->faults);
	fd_close(&vcpu->fd);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}

int vcpu_reset(struct vcpu *vcpu, const struct boot_entry *entry)
{
	int ret = vcpu->has_run ? vcpu_power_on_restore(vcpu->fd, vcpu->power_on) : 0;

	if (ret < 0)
		return ret;
	vcpu->has_run = true;
	ret = vcpu_set_boot_msrs(vcpu->fd);
	if (ret < 0 || vcpu->index > 0)
		return ret;
	return vcpu_set_entry(vcpu->fd, entry);
}

void vcpu_order_park(struct vcpu *vcpu)
{
	give_order(vcpu, VCPU_PARK);
}

void vcpu_wait_parked(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	while (!vcpu->parked)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	pthread_mutex_unlock(&vcpu->lock);
}

void vcpu_order_run(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	vcpu->parked = false;
	pthread_mutex_unlock(&vcpu->lock);
	give_order(vcpu, VCPU_RUN);
}

int vcpu_tsc_offset(const struct vcpu *vcpu, uint64_t *ret_offset)
{
	return tsc_offset(vcpu->fd, ret_offset);
}

uint32_t vcpu_tsc_khz(const struct vcpu *vcpu)
{
	int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint32_t)khz : 0;
}

void vcpu_tell_pause(const struct vcpu *vcpu)
{
	/* EINVAL: the guest does not use it. */
	(void)ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

uint64_t vcpu_unresolved_faults(const struct vcpu *vcpu)
{
	return vcpu_faults_count(&vcpu->faults);
}

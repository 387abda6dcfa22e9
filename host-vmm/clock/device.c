// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clock page's owner: its memory, which the guest can only read, the timer that looks at the
 * host's clock, and the word to the guest's tools when its time has moved.
 *
 * The timer is one of CLOCK_REALTIME that is cancelled when that clock is set: a step of the host's
 * is in the page at once, and while nothing happens the host is looked at every one to eight
 * seconds. A VM that is paused has no timer.
 *
 * A guest may write its counter. KVM lets us do that (tsc.h), so that the page knows before the
 * guest reads it.
 */
#include <endian.h>
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/clock/clock.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/kvm.h"
#include "host-vmm/layout.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/tsc.h"
#include "host-vmm/vcpu.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define TRIES	  8u /* of a look: the closest counts */
#define FIRST_MS  100u
#define LEAP_LIST "/usr/share/zoneinfo/leap-seconds.list"
#define NS_PER_S  1000000000l
#define NS_PER_MS 1000000l
/* VMware's word for it, which open-vm-tools know, too; 1: also back. */
#define MOVED_WORD "Time_Synchronize 1"

struct clock {
	pthread_mutex_t lock; /* of all that follows, but for what is constant from create() on */
	struct lodge_vmclock *page; /* its address is constant */
	struct clock_model model;
	struct leap_list leap;
	uint64_t offsets[VM_CPUS_MAX]; /* of the processors' counters */
	size_t n_offsets; /* 0: not known */
	bool written; /* by the guest, and its tools were not told */
	bool ran; /* the guest did, since the machine was made */
	bool runs;
	uint64_t updates;
	int timer_fd;
	struct loop_source *timer;
};

struct clock_device {
	struct device device;
	struct clock clock;
};

static struct clock *clock_of(struct device *device)
{
	return &((struct clock_device *)device)->clock;
}

/* ---- looks ---- */

static void arm(const struct clock *clock, unsigned int ms)
{
	struct itimerspec when = { 0 };

	if (ms > 0) {
		clock_gettime(CLOCK_REALTIME, &when.it_value);
		when.it_value.tv_sec += ms / 1000;
		when.it_value.tv_nsec += ms % 1000 * NS_PER_MS;
		if (when.it_value.tv_nsec >= NS_PER_S) {
			when.it_value.tv_nsec -= NS_PER_S;
			when.it_value.tv_sec++;
		}
	}
	(void)timerfd_settime(clock->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when,
			      NULL);
}

static bool one_counter(const struct clock *clock)
{
	for (size_t i = 1; i < clock->n_offsets; i++)
		if (clock->offsets[i] != clock->offsets[0])
			return false;
	return clock->n_offsets > 0;
}

/* Under the lock. Whether the guest's time has moved under it. */
static bool look(struct clock *clock)
{
	uint64_t steps = clock->model.steps, disruption = clock->model.disruption;
	struct lodge_vmclock page;
	struct host_clock now;

	/* No look, no news: what the page says ages, and the next look is soon. */
	if (host_clock_read(TRIES, &now) < 0)
		return false;
	if (!now.tai && now.realtime < clock->leap.until * NS_PER_S)
		now.tai = clock->leap.tai;
	clock_model_advance(&clock->model, &now);
	clock_model_fill(&clock->model, clock->offsets[0], one_counter(clock), &page);
	clock_page_publish(clock->page, &page);
	clock->updates++;
	return steps != clock->model.steps || disruption != clock->model.disruption;
}

static void tell_moved(const struct machine *machine)
{
	/* Tools that are not there look at the clock when they come. */
	if (machine->backdoor)
		(void)tools_command(machine->backdoor, 0, MOVED_WORD, sizeof(MOVED_WORD) - 1, NULL,
				    NULL, NULL);
}

static void timer_rang(void *opaque, uint32_t epoll_events)
{
	struct device *device = opaque;
	struct clock *clock = clock_of(device);
	uint64_t count;
	bool moved;

	(void)epoll_events;
	/* ECANCELED: the host's clock was set. */
	if (read(clock->timer_fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
		return;
	pthread_mutex_lock(&clock->lock);
	moved = clock->runs && (look(clock) || clock->written);
	clock->written = clock->written && !moved;
	if (clock->runs)
		arm(clock, clock_model_next_ms(&clock->model));
	pthread_mutex_unlock(&clock->lock);
	if (moved)
		tell_moved(device->machine);
}

/* ---- the guest's counter ---- */

/* Whether a counter is another one than it was. */
static bool take_counters(struct clock *clock, const struct machine *machine)
{
	uint64_t offsets[VM_CPUS_MAX] = { 0 };
	size_t n = 0;
	bool changed;

	while (n < machine->n_vcpus && !vcpu_tsc_offset(machine->vcpus[n], &offsets[n]))
		n++;
	if (n < machine->n_vcpus)
		n = 0;
	changed = n != clock->n_offsets ||
		  memcmp(offsets, clock->offsets, n * sizeof(offsets[0])) != 0;
	memcpy(clock->offsets, offsets, sizeof(offsets));
	clock->n_offsets = n;
	return changed;
}

/* A guest may do so as often as it likes: its tools are told by the timer, once for many. */
void clock_counter_written(const struct machine *machine, size_t index, uint64_t tsc_offset)
{
	struct clock *clock = machine->clock;

	if (!clock)
		return;
	pthread_mutex_lock(&clock->lock);
	if (index < clock->n_offsets && clock->offsets[index] != tsc_offset) {
		clock->offsets[index] = tsc_offset;
		clock->written = true;
		clock_model_disrupt(&clock->model);
		(void)look(clock);
		if (clock->runs)
			arm(clock, FIRST_MS);
	}
	pthread_mutex_unlock(&clock->lock);
}

static void clock_running(struct device *device, bool runs)
{
	struct machine *machine = device->machine;
	struct clock *clock = clock_of(device);
	bool again = clock->ran;

	if (!clock->page)
		return;
	pthread_mutex_lock(&clock->lock);
	clock->runs = runs;
	if (!runs) {
		arm(clock, 0);
		pthread_mutex_unlock(&clock->lock);
		return;
	}
	if (!clock->ran && machine->n_vcpus > 0)
		clock_model_init(&clock->model, vcpu_tsc_khz(machine->vcpus[0]),
				 clock->model.disruption);
	clock->ran = true;
	if (take_counters(clock, machine) || again)
		clock_model_disrupt(&clock->model);
	(void)look(clock);
	arm(clock, FIRST_MS);
	pthread_mutex_unlock(&clock->lock);
	if (again)
		tell_moved(machine);
}

/* ---- where the guest sees it ---- */

static int place(const struct clock *clock, int vm_fd, uint32_t slot, bool enabled, uint64_t gpa)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = gpa,
		.memory_size = enabled ? LODGE_VMCLOCK_SIZE : 0,
		.userspace_addr = (uintptr_t)clock->page,
	};

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int clock_place(const struct machine *machine, bool enabled, uint64_t gpa)
{
	int ret;

	if (!machine->clock)
		return -ENODEV;
	/* A slot that moves is made anew: a BAR may be enabled twice, at two places. */
	ret = place(machine->clock, machine->vm_fd, KVM_SLOT_CLOCK_BAR, false, gpa);
	if (enabled)
		ret = place(machine->clock, machine->vm_fd, KVM_SLOT_CLOCK_BAR, true, gpa);
	return ret;
}

int clock_get_info(const struct machine *machine, struct clock_info *ret_info)
{
	struct clock *clock = machine->clock;

	if (!clock)
		return -ENODEV;
	pthread_mutex_lock(&clock->lock);
	*ret_info = (struct clock_info){
		.status = clock->page->clock_status,
		.marker = clock->model.disruption,
		.maxerror = clock->model.last.synchronized ? clock->model.last.maxerror : -1,
		.updates = clock->updates,
		.steps = clock->model.steps,
	};
	pthread_mutex_unlock(&clock->lock);
	return 0;
}

/* ---- life ---- */

static size_t clock_count(const struct vm_config *config)
{
	return config->clock ? 1 : 0;
}

static void clock_destroy(struct device *device)
{
	struct clock *clock = clock_of(device);

	device->machine->clock = NULL;
	loop_remove(clock->timer);
	fd_close(&clock->timer_fd);
	if (clock->page)
		munmap(clock->page, LODGE_VMCLOCK_SIZE);
	pthread_mutex_destroy(&clock->lock);
}

static int make_page(struct clock *clock, const struct machine *machine)
{
	void *page = mmap(NULL, LODGE_VMCLOCK_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	clock->page = page;
	(void)madvise(page, LODGE_VMCLOCK_SIZE, MADV_DONTFORK);
	return place(clock, machine->vm_fd, KVM_SLOT_CLOCK, true, LAYOUT_CLOCK);
}

static int start(struct clock *clock, struct device *device)
{
	int ret = make_page(clock, device->machine);

	if (ret < 0)
		return ret;
	clock->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (clock->timer_fd < 0)
		return -errno;
	return loop_add(device->machine->loop, clock->timer_fd, EPOLLIN, timer_rang, device,
			&clock->timer);
}

static int clock_create(struct device *device)
{
	struct clock *clock = clock_of(device);
	int vm_fd = device->machine->vm_fd, ret;

	clock->timer_fd = -1;
	pthread_mutex_init(&clock->lock, NULL);
	/* Another one in each machine, so that one that was restored from this one's state differs.
	 */
	if (getrandom(&clock->model.disruption, sizeof(clock->model.disruption), GRND_NONBLOCK) < 0)
		clock->model.disruption = (uint64_t)time(NULL);
	if (kvm_capability(vm_fd, KVM_CAP_READONLY_MEM) <= 0 ||
	    kvm_capability(vm_fd, KVM_CAP_VCPU_ATTRIBUTES) <= 0) {
		log_info("%s: this host's kernel does not tell of the guest's counter (Linux 5.16 "
			 "does); the guest has no clock page",
			 device->name);
		return 0;
	}
	/* Now: later there is no opening of files. Without one, guests are not told. */
	(void)leap_list_read(LEAP_LIST, time(NULL), &clock->leap);
	ret = tsc_watch(vm_fd);
	if (ret < 0)
		log_debug("%s: a guest that writes its counter has a wrong clock page until it is "
			  "reset: %s",
			  device->name, strerror(-ret));
	ret = start(clock, device);
	if (ret < 0) {
		log_error("%s: cannot be made: %s; close something", device->name, strerror(-ret));
		clock_destroy(device);
		return ret;
	}
	device->machine->clock = clock;
	return 0;
}

const struct device_type clock_type = {
	.name = "clock",
	.help = "the host's time, for the guest to read ([device] clock)",
	.size = sizeof(struct clock_device),
	.count = clock_count,
	.create = clock_create,
	.running = clock_running,
	.destroy = clock_destroy,
};

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The timer behind steward.h, on the machine's loop: what it asks of the balloons waits for
 * nothing.
 *
 * What a guest says of itself may be old or a lie. Statistics that do not change hands for
 * STALE_STEPS steps are no statistics, and nothing is taken from such a guest; a lie costs it its
 * own memory, or keeps what it has.
 */
#include "host-vmm/memory-policy/steward.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory-policy/host.h"
#include "host-vmm/memory-policy/table.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/backdoor_balloon.h"
#include "host-vmm/virtio/balloon.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define TICK_BUSY_S 1
#define TICK_CALM_S 5
#define STALE_STEPS 3u
#define TABLE_NAME  ".memory"
#define TABLE_PATH  4096

struct memory_steward {
	struct machine *machine;
	int timer_fd;
	struct loop_source *timer;
	struct tools_sink *sink; /* or NULL */
	struct memory_table *table; /* or NULL */
	struct memory_host_files files;

	pthread_mutex_t lock; /* of what follows */
	struct memory_limits limits;
	struct memory_policy policy;
	struct memory_host host;
	struct memory_guest guest;
	enum memory_driver driver;
	uint64_t told; /* statistics that were seen */
	unsigned int stale; /* steps since */
	uint64_t events, events_ms; /* faults from disk and pages from swap, and when */
	unsigned int stall; /* by them */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the balloons ---- */

/* The one that counts, and its figures. */
static enum memory_driver look(struct machine *machine, struct balloon_info *ret_info)
{
	struct balloon_info info;
	bool here = backdoor_balloon_get(machine, ret_info) == 0;

	if (here && ret_info->driver)
		return MEMORY_DRIVER_LODGE;
	if (balloon_get_info(machine, &info) == 0) {
		*ret_info = info;
		return info.driver ? MEMORY_DRIVER_VIRTIO : MEMORY_DRIVER_NONE;
	}
	return here ? MEMORY_DRIVER_NONE : MEMORY_DRIVER_ABSENT;
}

/* While no driver is there both are told: whichever comes finds its target. */
static void tell_balloons(const struct memory_steward *steward)
{
	uint64_t target = steward->policy.target;

	(void)backdoor_balloon_set(steward->machine,
				   steward->driver == MEMORY_DRIVER_VIRTIO ? 0 : target);
	(void)balloon_set_target(steward->machine,
				 steward->driver == MEMORY_DRIVER_LODGE ? 0 : target);
}

/* ---- what the guest is like ---- */

static uint64_t known(uint64_t value)
{
	return value == UINT64_MAX ? 0 : value;
}

/* Without PSI: what it reads back from disks and swap, if little is available. */
static void guess_stall(struct memory_steward *steward, const struct balloon_info *info,
			uint64_t now)
{
	uint64_t events = known(info->stats[VIRTIO_BALLOON_S_MAJFLT]) +
			  known(info->stats[VIRTIO_BALLOON_S_SWAP_IN]) / 4096;

	steward->stall = memory_stall_guess(events - steward->events, now - steward->events_ms,
					    steward->guest.available, steward->limits.size);
	if (events < steward->events || steward->events_ms == 0)
		steward->stall = 0;
	steward->events = events;
	steward->events_ms = now;
}

static void look_at_guest(struct memory_steward *steward, const struct balloon_info *info,
			  uint64_t now)
{
	struct memory_guest *guest = &steward->guest;
	uint64_t available = info->stats[VIRTIO_BALLOON_S_AVAIL];
	bool fresh = info->told != steward->told;

	/* Kernels before 4.6 tell no MemAvailable. */
	if (available == UINT64_MAX)
		available = info->stats[VIRTIO_BALLOON_S_MEMFREE];
	steward->stale = fresh ? 0 : steward->stale + 1;
	steward->told = info->told;
	guest->given = info->actual;
	guest->there = steward->driver >= MEMORY_DRIVER_VIRTIO && info->told > 0 &&
		       available != UINT64_MAX && steward->stale < STALE_STEPS;
	guest->available = available == UINT64_MAX ? 0 : available;
	if (fresh)
		guess_stall(steward, info, now);
	guest->stall = steward->stall;
	/* PSI, by the guest's daemon, is better. */
	if (steward->machine->backdoor)
		(void)tools_get_stall(steward->machine->backdoor, &guest->stall);
}

/* ---- steps ---- */

static void arm(const struct memory_steward *steward)
{
	struct itimerspec next = { 0 };

	if (steward->limits.mode != VM_MEMORY_OFF && steward->driver != MEMORY_DRIVER_ABSENT)
		next.it_value.tv_sec =
			memory_policy_is_busy(&steward->policy, &steward->limits, &steward->host)
				? TICK_BUSY_S
				: TICK_CALM_S;
	(void)timerfd_settime(steward->timer_fd, 0, &next, NULL);
}

/* Locked. */
static void step(struct memory_steward *steward)
{
	struct memory_share others = { 0 };
	struct balloon_info info = { 0 };
	uint64_t now = now_ms();

	steward->driver = look(steward->machine, &info);
	look_at_guest(steward, &info, now);
	memory_host_read(&steward->files, now, &steward->host);
	if (steward->table)
		memory_table_read(steward->table, now, &others);
	(void)memory_policy_step(&steward->policy, &steward->limits, &steward->guest,
				 &steward->host, &others, now);
	if (steward->table)
		(void)memory_table_tell(steward->table, &steward->policy.share, now);
	tell_balloons(steward);
	arm(steward);
}

static void on_timer(void *opaque, uint32_t epoll_events)
{
	struct memory_steward *steward = opaque;
	uint64_t count;

	(void)epoll_events;
	(void)!read(steward->timer_fd, &count, sizeof(count));
	pthread_mutex_lock(&steward->lock);
	step(steward);
	pthread_mutex_unlock(&steward->lock);
}

void memory_steward_poke(struct memory_steward *steward)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 1 };

	if (steward)
		(void)timerfd_settime(steward->timer_fd, 0, &soon, NULL);
}

static bool fits(const struct memory_limits *limits, const struct memory_change *change)
{
	uint64_t min = change->min ? change->min : limits->min;
	uint64_t max = change->max ? change->max : limits->max;

	return (!change->want || (change->want >= VM_MEMORY_MIN && change->want <= limits->size)) &&
	       (!change->min || change->min >= VM_MEMORY_MIN) && min <= max && max <= limits->size;
}

int memory_steward_change(struct memory_steward *steward, const struct memory_change *change)
{
	struct memory_limits *limits;
	struct balloon_info info;
	int ret = 0;

	if (!steward || look(steward->machine, &info) == MEMORY_DRIVER_ABSENT)
		return -ENODEV;
	pthread_mutex_lock(&steward->lock);
	limits = &steward->limits;
	if (fits(limits, change)) {
		*limits = memory_limits_of(change->mode ? change->mode : limits->mode, limits->size,
					   change->min ? change->min : limits->min,
					   change->max ? change->max : limits->max,
					   change->want ? change->want : limits->want);
		step(steward);
	} else {
		ret = -ERANGE;
	}
	pthread_mutex_unlock(&steward->lock);
	return ret;
}

void memory_steward_get(struct memory_steward *steward, struct memory_status *ret_status)
{
	struct balloon_info info = { 0 };

	pthread_mutex_lock(&steward->lock);
	steward->driver = look(steward->machine, &info);
	/* Steps alone count how old statistics are. */
	if (info.told != steward->told)
		look_at_guest(steward, &info, now_ms());
	*ret_status = (struct memory_status){
		.limits = steward->limits,
		.driver = steward->driver,
		.target = info.target,
		.given = info.actual,
		.reported = info.reported,
		.guest = steward->guest,
		.total = info.stats[VIRTIO_BALLOON_S_MEMTOT],
		.free = info.stats[VIRTIO_BALLOON_S_MEMFREE],
		.cached = info.stats[VIRTIO_BALLOON_S_CACHES],
		.share = steward->policy.share,
		.host = steward->host,
	};
	pthread_mutex_unlock(&steward->lock);
}

/* ---- life ---- */

static void on_event(void *opaque, const struct tools_event *event)
{
	if (!strcmp(event->name, "memory-stall"))
		memory_steward_poke(opaque);
}

/* Under the backdoor's lock, which steps take under ours: it takes none of ours. */
static int tell_guest(void *opaque, struct tools_balloon *ret_balloon)
{
	const struct memory_steward *steward = opaque;
	struct balloon_info info = { 0 };

	if (look(steward->machine, &info) == MEMORY_DRIVER_ABSENT)
		return -ENODEV;
	*ret_balloon = (struct tools_balloon){
		.given = info.actual,
		.target = info.target,
		.size = memory_size(steward->machine->memory),
	};
	return 0;
}

static void remove_sink(void *opaque)
{
	struct memory_steward *steward = opaque;

	tools_events_remove(steward->sink);
}

/* Without it the VM goes by what it sees of the host alone. */
static void open_table(struct memory_steward *steward, const char *shared)
{
	char path[TABLE_PATH];
	int ret;

	if (!shared || snprintf(path, sizeof(path), "%s/" TABLE_NAME, shared) >= (int)sizeof(path))
		return;
	ret = memory_table_open(path, &steward->table);
	if (ret < 0)
		log_debug("'%s' cannot be had (%s): this VM does not hear of others in need", path,
			  strerror(-ret));
}

int memory_steward_create(struct machine *machine, const char *shared,
			  struct memory_steward **ret_steward)
{
	const struct vm_config *config = machine->config;
	struct memory_steward *steward = calloc(1, sizeof(*steward));
	int ret;

	if (!steward)
		return -ENOMEM;
	steward->machine = machine;
	steward->limits = memory_limits_of(config->memory_mode, config->memory, config->memory_min,
					   config->memory_max, config->memory_target);
	pthread_mutex_init(&steward->lock, NULL);
	memory_host_open(&steward->files);
	steward->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	ret = steward->timer_fd < 0 ? -errno : 0;
	if (ret == 0)
		ret = loop_add(machine->loop, steward->timer_fd, EPOLLIN, on_timer, steward,
			       &steward->timer);
	if (ret == 0 && machine->backdoor)
		ret = tools_events_add(machine->backdoor, on_event, steward, &steward->sink);
	if (ret < 0) {
		memory_steward_destroy(steward);
		return ret;
	}
	open_table(steward, shared);
	if (machine->backdoor)
		tools_balloon_source(machine->backdoor, tell_guest, steward);
	*ret_steward = steward;
	return 0;
}

void memory_steward_destroy(struct memory_steward *steward)
{
	if (!steward)
		return;
	if (steward->machine->backdoor)
		tools_balloon_source(steward->machine->backdoor, NULL, NULL);
	loop_call(steward->machine->loop, remove_sink, steward);
	loop_remove(steward->timer);
	fd_close(&steward->timer_fd);
	memory_table_close(steward->table);
	memory_host_close(&steward->files);
	pthread_mutex_destroy(&steward->lock);
	free(steward);
}

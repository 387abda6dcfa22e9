// SPDX-License-Identifier: GPL-2.0-or-later
// The backdoor's life: made before its doors, undone behind them; its timer, its saved state.
#include "host-vmm/backdoor/backdoor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/backdoor/private.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/fd.h"

struct backdoor_device {
	struct device device;
	struct backdoor backdoor;
};

static struct backdoor *backdoor_of(struct device *device)
{
	return &((struct backdoor_device *)device)->backdoor;
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t backdoor_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t backdoor_time_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

/* ---- the timer ---- */

void backdoor_arm_timer(struct backdoor *backdoor, unsigned int seconds)
{
	struct itimerspec spec = {
		.it_value.tv_sec = (time_t)seconds,
		.it_interval.tv_sec = (time_t)seconds,
	};

	(void)timerfd_settime(backdoor->timer_fd, 0, &spec, NULL);
}

static void timer_rang(void *opaque, uint32_t epoll_events)
{
	struct backdoor *backdoor = opaque;
	uint64_t count;

	(void)epoll_events;
	if (read(backdoor->timer_fd, &count, sizeof(count)) < 0)
		return;
	backdoor_lock(backdoor);
	start_heartbeat(backdoor);
	backdoor_unlock(backdoor);
}

/* ---- life ---- */

static size_t backdoor_count(const struct vm_config *config)
{
	return config->backdoor_device || config->backdoor_port || config->backdoor_ports;
}

/* Without randomness yet, the time will do: it only has to be another one. */
static void new_session_id(struct backdoor *backdoor)
{
	if (getrandom(&backdoor->session_id, sizeof(backdoor->session_id), GRND_NONBLOCK) !=
	    sizeof(backdoor->session_id))
		backdoor->session_id = backdoor_time_ms();
}

static void power_on(struct backdoor *backdoor)
{
	snprintf(backdoor->tools.why, sizeof(backdoor->tools.why),
		 "no tools have reported since the guest started");
	backdoor->state_word = "OS_PowerOn";
	backdoor->synctime = 0;
	new_session_id(backdoor);
	facts_forget(backdoor);
}

static void backdoor_destroy(struct device *device)
{
	struct backdoor *backdoor = backdoor_of(device);

	device->machine->backdoor = NULL;
	loop_remove(backdoor->timer);
	fd_close(&backdoor->timer_fd);
	deliver_destroy(backdoor);
	vars_clear(backdoor);
	facts_forget(backdoor);
	pthread_mutex_destroy(&backdoor->lock);
}

static int backdoor_create(struct device *device)
{
	struct backdoor *backdoor = backdoor_of(device);
	int ret;

	pthread_mutex_init(&backdoor->lock, NULL);
	backdoor->loop = device->machine->loop;
	backdoor->config = device->machine->config;
	backdoor->ports_bucket = (struct rpc_bucket){ RPC_TOKENS, backdoor_now_ms() };
	backdoor->deliver.wake_fd = -1;
	/* Now: later there is no opening of files. */
	host_clock_zone(backdoor->zone);
	power_on(backdoor);
	backdoor->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	ret = backdoor->timer_fd < 0 ? -errno : 0;
	if (ret == 0)
		ret = loop_add(backdoor->loop, backdoor->timer_fd, EPOLLIN, timer_rang, backdoor,
			       &backdoor->timer);
	if (ret == 0)
		ret = deliver_create(backdoor);
	if (ret < 0) {
		log_error("%s: cannot be made: %s; close something", device->name, strerror(-ret));
		backdoor_destroy(device);
		return ret;
	}
	device->machine->backdoor = backdoor;
	return 0;
}

/* The doors have closed their sessions by now, or do so next: they are reset alike. What the
 * guestinfo variables hold is the VM's and stays until it is off. */
static void backdoor_reset(struct device *device)
{
	struct backdoor *backdoor = backdoor_of(device);

	backdoor_lock(backdoor);
	power_on(backdoor);
	backdoor_unlock(backdoor);
}

/* Nobody answers meanwhile, and that is no fault. */
static void backdoor_running(struct device *device, bool runs)
{
	struct backdoor *backdoor = backdoor_of(device);

	backdoor_lock(backdoor);
	backdoor->paused = !runs;
	start_heartbeat_anew(backdoor);
	backdoor_unlock(backdoor);
}

/* Sessions are not saved: the doors tell the guest that they are over. */
static int backdoor_save(struct device *device, struct state *state)
{
	struct backdoor *backdoor = backdoor_of(device);
	int ret;

	backdoor_lock(backdoor);
	state_put_u8(state, backdoor->synctime);
	ret = vars_save(backdoor, state);
	backdoor_unlock(backdoor);
	return ret;
}

static int backdoor_load(struct device *device, struct state *state)
{
	struct backdoor *backdoor = backdoor_of(device);
	char synctime = (char)state_get_u8(state);
	int ret;

	if (synctime != 0 && synctime != '0' && synctime != '1')
		return -EBADMSG;
	backdoor_lock(backdoor);
	backdoor->synctime = synctime;
	backdoor->state_word = "OS_Resume";
	new_session_id(backdoor);
	ret = vars_load(backdoor, state);
	backdoor_unlock(backdoor);
	return ret;
}

const struct device_type backdoor_type = {
	.name = "backdoor",
	.help = "what the guest's tools talk to",
	.size = sizeof(struct backdoor_device),
	.count = backdoor_count,
	.create = backdoor_create,
	.reset = backdoor_reset,
	.running = backdoor_running,
	.destroy = backdoor_destroy,
	.save = backdoor_save,
	.load = backdoor_load,
};

// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's processors, all together: parked, let go, and held for a pause.
#include "host-vmm/machine.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/device.h"
#include "host-vmm/vcpu.h"

#define PAUSE_WAIT_S 5

void machine_pause_init(struct machine *machine)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&machine->paused_changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void machine_park(struct machine *machine)
{
	for (size_t i = 0; i < machine->n_vcpus; i++)
		vcpu_order_park(machine->vcpus[i]);
	for (size_t i = 0; i < machine->n_vcpus; i++)
		vcpu_wait_parked(machine->vcpus[i]);
}

static void tell_running(struct machine *machine, bool runs)
{
	for (size_t i = 0; i < machine->n_devices; i++)
		if (machine->devices[i]->type->running)
			machine->devices[i]->type->running(machine->devices[i], runs);
}

void machine_go(struct machine *machine)
{
	tell_running(machine, true);
	for (size_t i = 0; i < machine->n_vcpus; i++)
		vcpu_order_run(machine->vcpus[i]);
}

static void set_paused(struct machine *machine, bool paused)
{
	pthread_mutex_lock(&machine->event_lock);
	machine->paused = paused;
	pthread_cond_broadcast(&machine->paused_changed);
	pthread_mutex_unlock(&machine->event_lock);
}

void machine_follow_pause(struct machine *machine)
{
	bool wanted, paused;
	uint64_t count;

	pthread_mutex_lock(&machine->event_lock);
	wanted = machine->pause_wanted;
	paused = machine->paused;
	if (machine->event == MACHINE_NONE)
		(void)!read(machine->event_fd, &count, sizeof(count));
	pthread_mutex_unlock(&machine->event_lock);
	if (wanted == paused)
		return;
	if (wanted) {
		machine_park(machine);
		tell_running(machine, false);
	} else {
		for (size_t i = 0; i < machine->n_vcpus; i++)
			vcpu_tell_pause(machine->vcpus[i]);
		machine_go(machine);
	}
	set_paused(machine, wanted);
}

int machine_pause(struct machine *machine, bool pause)
{
	struct timespec end;
	uint64_t one = 1;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PAUSE_WAIT_S;
	pthread_mutex_lock(&machine->event_lock);
	machine->pause_wanted = pause;
	(void)!write(machine->event_fd, &one, sizeof(one));
	/* Whoever ends the machine does not wait for a pause. */
	while (machine->paused != pause && machine->pause_wanted == pause && ret == 0 &&
	       machine->event <= MACHINE_RESET)
		ret = pthread_cond_timedwait(&machine->paused_changed, &machine->event_lock, &end);
	pthread_mutex_unlock(&machine->event_lock);
	return -ret;
}

bool machine_paused(struct machine *machine)
{
	bool paused;

	pthread_mutex_lock(&machine->event_lock);
	paused = machine->paused;
	pthread_mutex_unlock(&machine->event_lock);
	return paused;
}

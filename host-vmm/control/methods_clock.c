// SPDX-License-Identifier: GPL-2.0-or-later
// The methods pause and resume, and what is told of the guest's clock page.
#include "host-vmm/control/clock.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/clock/clock.h"
#include "host-vmm/control/json.h"
#include "host-vmm/machine.h"

static int set_paused(struct machine *machine, bool pause, struct control_error *error)
{
	int ret = machine_pause(machine, pause);

	if (ret) {
		error->message = g_strdup_printf("the machine does not %s: it is busy with another "
						 "order",
						 pause ? "stop" : "go on");
		error->hint = g_strdup("status tells what it does; try again");
	}
	return ret;
}

int control_pause(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)params;
	(void)result;
	return set_paused(opaque, true, error);
}

int control_resume(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)params;
	(void)result;
	return set_paused(opaque, false, error);
}

const char *control_state(struct machine *machine)
{
	enum machine_event event;
	bool paused;

	pthread_mutex_lock(&machine->event_lock);
	event = machine->event;
	paused = machine->paused;
	pthread_mutex_unlock(&machine->event_lock);
	if (event != MACHINE_NONE)
		return event == MACHINE_RESET ? "resetting" : "stopping";
	return paused ? "paused" : "running";
}

json_t *control_clock(struct machine *machine)
{
	static const char *const states[] = {
		[LODGE_VMCLOCK_UNKNOWN] = "unknown",
		[LODGE_VMCLOCK_INITIALIZING] = "settling",
		[LODGE_VMCLOCK_SYNCHRONIZED] = "synchronized",
		[LODGE_VMCLOCK_FREERUNNING] = "free-running",
		[LODGE_VMCLOCK_UNRELIABLE] = "unreliable",
	};
	struct clock_info info;
	json_t *object;

	if (clock_get_info(machine, &info))
		return NULL;
	object = json_object();
	json_object_set_new(object, "host", control_string(states[info.status]));
	if (info.maxerror >= 0)
		json_object_set_new(object, "max_error_ns",
				    json_integer((json_int_t)info.maxerror));
	json_object_set_new(object, "updates", json_integer((json_int_t)info.updates));
	json_object_set_new(object, "steps", json_integer((json_int_t)info.steps));
	return object;
}

int control_clock_rung(const struct tools_facts *facts, bool page, const char **ret_by)
{
	if (facts && facts->told[FACTS_CLOCK] && *facts->clock_by) {
		*ret_by = facts->clock_by;
		return strcmp(facts->clock_by, "lodge_clock") ? 1 : 2;
	}
	*ret_by = page ? "kvm-clock; vmclock, where the kernel has it" : "kvm-clock";
	return 0;
}

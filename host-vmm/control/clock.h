/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The methods that stop and go on, and what `info` tells of the clock; for methods.c.
 */
#ifndef LODGE_VMM_CONTROL_CLOCK_H
#define LODGE_VMM_CONTROL_CLOCK_H

#include "host-vmm/control/control.h"

struct machine;
struct tools_facts;

int control_pause(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_resume(void *opaque, json_t *params, json_t *result, struct control_error *error);
/* "running", "paused", "resetting" or "stopping". */
const char *control_state(struct machine *machine);
/* What the clock page says; NULL where the VM has none. */
json_t *control_clock(struct machine *machine);

/* The guest's word counts for its own part. */
int control_clock_rung(const struct tools_facts *facts, bool page, const char **ret_by);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's memory on the control socket: rows of the machine's table, protocol/spec/control.md.
 */
#ifndef LODGE_VMM_CONTROL_MEMORY_H
#define LODGE_VMM_CONTROL_MEMORY_H

#include "host-vmm/control/control.h"

struct machine;

int control_memory(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_memory_set(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_balloon(void *opaque, json_t *params, json_t *result, struct control_error *error);

/* The rung that the feature is on, -1: off; and by what, or why. */
int control_memory_rung(struct machine *machine, const char **ret_by);
/* The balloon's figures for `info`; NULL where there is none. */
json_t *control_balloon_figures(struct machine *machine);

#endif

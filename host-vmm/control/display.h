/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the control socket tells of a machine's screens: protocol/spec/control.md. */
#ifndef LODGE_VMM_CONTROL_DISPLAY_H
#define LODGE_VMM_CONTROL_DISPLAY_H

#include <jansson.h>

struct machine;
struct tools_facts;

/* Rows of `info`'s member "screens"; NULL where the machine has none. */
json_t *control_screens(struct machine *machine);
/* Who makes the first screen's picture, and so who follows its size: the rung, or -1 where nobody
 * does, and *ret_by in words. @facts: what the guest's tools tell, or NULL. */
int control_display_rung(struct machine *machine, const struct tools_facts *facts,
			 const char **ret_by);

#endif

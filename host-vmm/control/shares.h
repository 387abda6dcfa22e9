/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shares on the control socket: rows of the machine's table, protocol/spec/control.md. */
#ifndef LODGE_VMM_CONTROL_SHARES_H
#define LODGE_VMM_CONTROL_SHARES_H

#include "host-vmm/control/control.h"

int control_share_add(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_share_remove(void *opaque, json_t *params, json_t *result, struct control_error *error);
int control_share_list(void *opaque, json_t *params, json_t *result, struct control_error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VM's keyboard on the control socket. */
#ifndef LODGE_VMM_CONTROL_KEYS_H
#define LODGE_VMM_CONTROL_KEYS_H

#include "host-vmm/control/control.h"

/* Keys of one request, which are down at once. */
#define CONTROL_KEYS_MAX 8

/* A row of the machine's table: protocol/spec/control.md. */
int control_keys(void *opaque, json_t *params, json_t *result, struct control_error *error);

#endif

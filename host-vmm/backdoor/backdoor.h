/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The backdoor of a machine: the RPC service behind its doors (session.h), and what the monitor
 * does with the guest's tools (tools.h).
 *
 * It is a device of the machine's table that takes no slot: created before the doors, destroyed
 * behind them. machine->backdoor points to it, and is NULL where vm.conf turned all doors off.
 */
#ifndef LODGE_VMM_BACKDOOR_H
#define LODGE_VMM_BACKDOOR_H

#include <stddef.h>
#include <stdint.h>

struct backdoor;
struct device_type;

extern const struct device_type backdoor_type;

#endif

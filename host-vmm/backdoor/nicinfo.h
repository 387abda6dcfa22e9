/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NIC information of VMware's tools: XDR (RFC 4506), its types by open-vm-tools' guestInfo.x, as
 * SetGuestInfo types 9 and 10 carry it.
 */
#ifndef LODGE_VMM_NICINFO_H
#define LODGE_VMM_NICINFO_H

#include <stddef.h>

#include "host-vmm/backdoor/facts.h"

/* Replaces the NICs, routes and name servers of @facts. -EBADMSG, and nothing is changed. */
int nicinfo_parse(const void *bytes, size_t len, struct tools_facts *facts);

#endif

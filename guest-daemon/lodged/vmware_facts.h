/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts for hosts that know VMware's words only: SetGuestInfo and SetGuestDiskInfo, as
 * open-vm-tools sends them. Over the I/O ports every host gets these.
 */
#ifndef LODGE_GUEST_VMWARE_FACTS_H
#define LODGE_GUEST_VMWARE_FACTS_H

#include <stddef.h>

struct lodged;

/* @part and its @fields as in protocol/spec/facts.md; what has no VMware word is left out. */
void vmware_facts_send(struct lodged *lodged, const char *part, const char *fields, size_t len);

#endif

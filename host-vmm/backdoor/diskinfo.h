/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File systems as VMware's tools tell them: the JSON of SetGuestDiskInfo. */
#ifndef LODGE_VMM_DISKINFO_H
#define LODGE_VMM_DISKINFO_H

#include <stddef.h>

#include "host-vmm/backdoor/facts.h"

/* Replaces the disks of @facts. -EBADMSG, and nothing is changed. */
int diskinfo_parse(const char *json, size_t len, struct tools_facts *facts);

#endif

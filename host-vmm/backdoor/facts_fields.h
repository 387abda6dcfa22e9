/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of lodge.facts (protocol/spec/facts.md). */
#ifndef LODGE_VMM_FACTS_FIELDS_H
#define LODGE_VMM_FACTS_FIELDS_H

#include <stddef.h>

#include "host-vmm/backdoor/facts.h"

/* Replaces the parts of @facts that @bytes name, which have passed fields_check(): 1 << each. */
unsigned int facts_fields_read(const char *bytes, size_t len, struct tools_facts *facts);

#endif

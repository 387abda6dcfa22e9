/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest's tools are and told, for people. */
#ifndef LODGE_VMM_CLI_GUEST_FACTS_H
#define LODGE_VMM_CLI_GUEST_FACTS_H

#include <json-glib/json-glib.h>

/* Prints the result of the control socket's method "tools" on standard output. */
void guest_facts_print(JsonObject *tools);

#endif

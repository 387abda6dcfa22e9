/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user's VMs, and whatever else of theirs runs. */
#ifndef LODGE_VMM_CLI_LIST_H
#define LODGE_VMM_CLI_LIST_H

#include <glib.h>

/* An array of struct vm by name, which clears them at its g_array_unref(). A negative errno with
 * *ret_message (g_free()) where there is no run-time folder. */
int list_vms(GArray **ret_vms, char **ret_message);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How lodge-view is started. */
#ifndef LODGE_VMM_CLI_VIEW_H
#define LODGE_VMM_CLI_VIEW_H

#include <glib.h>

/* Its path and the display.sock in @runtime: words of a command, without a NULL behind; or NULL
 * where lodge-view is not installed. g_ptr_array_unref(). */
GPtrArray *view_command(const char *runtime);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guestinfo variables as the control socket has them. */
#ifndef LODGE_VMM_CLI_VAR_H
#define LODGE_VMM_CLI_VAR_H

#include <json-glib/json-glib.h>

/* Params for var-get (@value NULL) and var-set. g_free(). */
char *var_params(const char *word, const char *value, gsize len);
/* The bytes of a result, or of a row of var-list; a NUL behind text. g_free(). */
guchar *var_value(JsonObject *row, gsize *ret_len);

#endif

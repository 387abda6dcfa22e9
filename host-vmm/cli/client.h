/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket of a running VM, from the outside: protocol/spec/control.md. */
#ifndef LODGE_VMM_CLI_CLIENT_H
#define LODGE_VMM_CLI_CLIENT_H

#include <json-glib/json-glib.h>

#define CLIENT_ANSWER_MAX (4 << 20) /* bytes of an answer that is read */
#define CLIENT_PATIENCE_S 10 /* seconds for an answer: methods do not block */

/*
 * Asks @method with @params (JSON text of an object, or NULL) of the monitor at @socket.
 * *ret_result is to be json_object_unref()ed. A negative errno and *ret_message (with the monitor's
 * remedy) else; -ENOENT and -ECONNREFUSED where no monitor listens.
 */
int client_ask(const char *socket, const char *method, const char *params, JsonObject **ret_result,
	       char **ret_message);
/* The same for who has less patience. */
int client_ask_for(const char *socket, const char *method, const char *params, int patience_s,
		   JsonObject **ret_result, char **ret_message);
/* Sends a request and waits for no answer; whether it arrived is not known. */
void client_tell(const char *socket, const char *method, const char *params);

#endif

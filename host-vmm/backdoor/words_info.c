// SPDX-License-Identifier: GPL-2.0-or-later
// info-get, info-set: guestinfo variables, as the guest reads and writes them.
#include <errno.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

static void info_get(struct rpc_session *session, const char *arg, size_t len,
		     struct rpc_reply *reply)
{
	const struct var *var;

	while (len > 0 && (arg[len - 1] == ' ' || arg[len - 1] == '\0'))
		len--;
	var = vars_find(session->backdoor, arg, len);
	if (var)
		reply_bytes(reply, REPLY_OK, var->value, var->len);
	else
		reply_static(reply, "0 No value found");
}

static void info_set(struct rpc_session *session, const char *arg, size_t len,
		     struct rpc_reply *reply)
{
	const char *blank, *value = "";
	size_t name_len, value_len = 0;
	int ret;

	/* VMware's tools send the NUL behind their text. */
	while (len > 0 && arg[len - 1] == '\0')
		len--;
	blank = memchr(arg, ' ', len);
	name_len = blank ? (size_t)(blank - arg) : len;
	if (blank) {
		value = blank + 1;
		value_len = len - name_len - 1;
	}
	ret = vars_set(session->backdoor, arg, name_len, value, value_len, "guest");
	if (ret == 0)
		reply_static(reply, REPLY_OK);
	else if (ret == -EINVAL)
		reply_static(reply, "0 only names of guestinfo. can be set");
	else if (ret == -EMSGSIZE)
		reply_static(reply, "0 the value is too long");
	else if (ret == -ENOSPC)
		reply_static(reply, "0 no room for more variables");
	else
		reply_static(reply, "0 the host is out of memory");
}

const struct rpc_word words_info[] = {
	{ "info-get", RPC_BY_ALL, RPC_COST_READ, 4096, info_get },
	{ "info-set", RPC_BY_ROOT | RPC_BY_PORTS, RPC_COST_WRITE, LODGE_RPC_PAYLOAD_MAX, info_set },
	{ NULL, 0, 0, 0, NULL },
};

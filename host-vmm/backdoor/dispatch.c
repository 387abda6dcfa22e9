// SPDX-License-Identifier: GPL-2.0-or-later
// Requests: the word is found in the tables of the families, its sender's right and rate checked.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

static const struct rpc_word *const families[] = {
	words_session, words_info, words_log, words_tools, words_guest, words_memory, words_clock,
};

void reply_static(struct rpc_reply *reply, const char *text)
{
	free(reply->owned);
	reply->owned = NULL;
	reply->bytes = text;
	reply->len = strlen(text);
}

void reply_bytes(struct rpc_reply *reply, const char *head, const void *bytes, size_t len)
{
	size_t head_len = strlen(head);
	char *made = malloc(head_len + len + 1);

	if (!made) {
		reply_static(reply, "0 the host is out of memory");
		return;
	}
	memcpy(made, head, head_len);
	if (len > 0)
		memcpy(made + head_len, bytes, len);
	made[head_len + len] = '\0';
	free(reply->owned);
	reply->owned = made;
	reply->bytes = made;
	reply->len = head_len + len;
}

void reply_fields(struct rpc_reply *reply, struct fields_builder *fields)
{
	if (fields_done(fields) == 0)
		reply_bytes(reply, REPLY_OK, fields->bytes, fields->len);
	else
		reply_static(reply, "0 the host is out of memory");
	fields_free(fields);
}

static const struct rpc_word *find_word(const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (const struct rpc_word *row = families[i]; row->word; row++)
			if (strlen(row->word) == len && memcmp(row->word, word, len) == 0)
				return row;
	return NULL;
}

/* The word ends at a blank, a NUL or the end; blanks and NULs alone behind it are no argument. */
static size_t cut_word(const char *message, size_t len, const char **ret_arg, size_t *ret_arg_len)
{
	size_t word_len = 0, at;

	while (word_len < len && message[word_len] != ' ' && message[word_len] != '\0')
		word_len++;
	for (at = word_len; at < len && (message[at] == ' ' || message[at] == '\0'); at++)
		;
	if (at == len) {
		*ret_arg = "";
		*ret_arg_len = 0;
	} else {
		*ret_arg = message + word_len + 1;
		*ret_arg_len = len - word_len - 1;
	}
	return word_len;
}

static uint8_t who(const struct rpc_session *session)
{
	if (session->door == RPC_DOOR_IOPORTS)
		return RPC_BY_PORTS;
	return session->privilege == RPC_ROOT ? RPC_BY_ROOT : RPC_BY_USER;
}

void dispatch(struct rpc_session *session, const char *message, size_t len, struct rpc_reply *reply)
{
	const struct rpc_word *row;
	size_t word_len, arg_len;
	const char *arg;

	word_len = cut_word(message, len, &arg, &arg_len);
	row = word_len <= LODGE_RPC_WORD_MAX ? find_word(message, word_len) : NULL;
	if (!rate_pay(session, row ? row->cost : RPC_COST_READ)) {
		reply_static(reply, "0 busy");
		reply->flags = LODGE_RPC_F_BUSY;
	} else if (!session->hello && (!row || row != &words_session[0])) {
		reply_static(reply, "0 say lodge.hello first");
	} else if (!row) {
		reply_static(reply, "0 Unknown command");
	} else if (!(row->by & who(session))) {
		reply_static(reply, "0 Permission denied");
	} else if (arg_len > row->arg_max) {
		reply_static(reply, "0 too long");
	} else {
		row->run(session, arg, arg_len, reply);
	}
}

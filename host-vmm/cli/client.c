// SPDX-License-Identifier: GPL-2.0-or-later
// Asks a running monitor over its control socket.
#include "host-vmm/cli/client.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "protocol/lib/fd.h"

static char *make_request(const char *method, const char *params)
{
	return g_strdup_printf("{\"id\":1,\"method\":\"%s\",\"params\":%s}\n", method,
			       params ? params : "{}");
}

static int read_line(int fd, GString *line)
{
	char chunk[4096];

	while (!line->len || line->str[line->len - 1] != '\n') {
		ssize_t got = recv(fd, chunk, sizeof(chunk), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!got)
			return -ECONNRESET;
		g_string_append_len(line, chunk, got);
		if (line->len > CLIENT_ANSWER_MAX)
			return -EFBIG;
	}
	return 0;
}

static int take_error(JsonObject *answer, char **ret_message)
{
	JsonNode *node = json_object_get_member(answer, "error");
	const char *message, *hint;
	JsonObject *error;

	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return 0;
	error = json_node_get_object(node);
	message = json_object_get_string_member_with_default(error, "message", "it failed");
	hint = json_object_get_string_member_with_default(error, "hint", NULL);
	*ret_message = g_strdup_printf("%s%s%s", message, hint ? "; " : "", hint ? hint : "");
	return -EREMOTEIO;
}

static int take_answer(const GString *line, JsonObject **ret_result, char **ret_message)
{
	g_autoptr(JsonParser) parser = json_parser_new();
	JsonObject *answer;
	JsonNode *node;
	int ret;

	if (!json_parser_load_from_data(parser, line->str, (gssize)line->len, NULL))
		return -EBADMSG;
	node = json_parser_get_root(parser);
	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return -EBADMSG;
	answer = json_node_get_object(node);
	ret = take_error(answer, ret_message);
	if (ret)
		return ret;
	node = json_object_get_member(answer, "result");
	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return -EBADMSG;
	*ret_result = json_node_dup_object(node);
	return 0;
}

int client_ask_for(const char *socket, const char *method, const char *params, int patience_s,
		   JsonObject **ret_result, char **ret_message)
{
	g_autofree char *request = make_request(method, params);
	const struct timeval patience = { .tv_sec = patience_s };
	GString *line = g_string_new(NULL);
	autofd fd = unix_connect(socket);
	int ret = fd < 0 ? fd : 0;

	*ret_result = NULL;
	*ret_message = NULL;
	if (!ret && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
		     setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience))))
		ret = -errno;
	if (!ret)
		ret = fd_write_all(fd, request, strlen(request));
	if (!ret)
		ret = read_line(fd, line);
	if (!ret)
		ret = take_answer(line, ret_result, ret_message);
	if (ret && !*ret_message)
		*ret_message = g_strdup_printf(
			"the monitor does not answer: %s; lodge kill ends it", g_strerror(-ret));
	g_string_free(line, TRUE);
	return ret;
}

int client_ask(const char *socket, const char *method, const char *params, JsonObject **ret_result,
	       char **ret_message)
{
	return client_ask_for(socket, method, params, CLIENT_PATIENCE_S, ret_result, ret_message);
}

void client_tell(const char *socket, const char *method, const char *params)
{
	g_autofree char *request = make_request(method, params);
	autofd fd = unix_connect(socket);

	if (fd >= 0)
		(void)send(fd, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT);
}

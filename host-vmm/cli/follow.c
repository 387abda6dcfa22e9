// SPDX-License-Identifier: GPL-2.0-or-later
// Follows a monitor's events, a line of JSON each.
#include "host-vmm/cli/follow.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "host-vmm/cli/client.h"
#include "protocol/lib/fd.h"

static const char request[] = "{\"id\":1,\"method\":\"events\"}\n";

struct follow {
	int fd;
	GString *buffer; /* what was read and is not a line yet */
	char *line;
};

static int read_more(struct follow *follow, int timeout_ms)
{
	struct pollfd pfd = { follow->fd, POLLIN, 0 };
	char chunk[4096];
	int n = poll(&pfd, 1, timeout_ms);
	ssize_t got;

	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	got = recv(follow->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!got)
		return -ECONNRESET;
	if (follow->buffer->len > FOLLOW_LINE_MAX)
		return -EBADMSG;
	g_string_append_len(follow->buffer, chunk, got);
	return 0;
}

static int take_line(struct follow *follow, int timeout_ms)
{
	gint64 end = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	char *newline;

	while (!(newline = memchr(follow->buffer->str, '\n', follow->buffer->len))) {
		gint64 left = (end - g_get_monotonic_time()) / 1000;
		int ret;

		ret = read_more(follow, timeout_ms < 0 ? -1 : (int)MAX(left, 0));
		if (ret)
			return ret;
	}
	g_free(follow->line);
	follow->line = g_strndup(follow->buffer->str, (gsize)(newline - follow->buffer->str));
	g_string_erase(follow->buffer, 0, newline + 1 - follow->buffer->str);
	return 0;
}

int follow_next(struct follow *follow, int timeout_ms, JsonObject **ret_event)
{
	g_autoptr(JsonNode) node = NULL;
	int ret = take_line(follow, timeout_ms);

	if (ret)
		return ret;
	node = json_from_string(follow->line, NULL);
	if (!node || !JSON_NODE_HOLDS_OBJECT(node))
		return -EBADMSG;
	*ret_event = json_node_dup_object(node);
	return 0;
}

const char *follow_line(const struct follow *follow)
{
	return follow->line;
}

int follow_open(const char *socket, struct follow **ret_follow, char **ret_message)
{
	struct follow *follow = g_new0(struct follow, 1);
	JsonObject *answer = NULL;
	int ret;

	follow->buffer = g_string_new(NULL);
	follow->fd = unix_connect(socket);
	ret = follow->fd < 0 ? follow->fd : fd_write_all(follow->fd, request, sizeof(request) - 1);
	if (!ret)
		ret = follow_next(follow, CLIENT_PATIENCE_S * 1000, &answer);
	if (!ret && !json_object_has_member(answer, "result"))
		ret = -EOPNOTSUPP;
	if (answer)
		json_object_unref(answer);
	if (ret) {
		*ret_message = g_strdup_printf("the monitor tells no events: %s", g_strerror(-ret));
		follow_close(follow);
		return ret;
	}
	*ret_follow = follow;
	return 0;
}

void follow_close(struct follow *follow)
{
	if (!follow)
		return;
	fd_close(&follow->fd);
	g_string_free(follow->buffer, TRUE);
	g_free(follow->line);
	g_free(follow);
}

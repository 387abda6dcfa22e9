// SPDX-License-Identifier: GPL-2.0-or-later
/* What the host changes in shares, on its way from lodge-fsd to the guest's tools. */
#include "host-vmm/virtio/fs_notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fs_change.h"
#include "protocol/lib/log.h"

#define WORD	 LODGE_FS_NOTIFY_WORD " "
#define WORD_LEN (sizeof(WORD) - 1)

/* All of it is the loop's. */
struct fs_notify {
	struct backdoor *backdoor;
	struct loop *loop;
	struct tools_sink *sink;
	int socket; /* -1: no lodge-fsd */
	struct loop_source *source;
	struct tools_call *call; /* the batch that the tools have; NULL: none */
	uint32_t epoch; /* of the tools that are told; 0: none are */
	bool lost; /* what was not told has to be made good by LOST */
	struct log_ratelimit log_limit;
	char message[WORD_LEN + LODGE_FS_BATCH_MAX];
};

static void read_batch(void *opaque, uint32_t events);

static void hang_up(struct fs_notify *notify)
{
	loop_remove(notify->source);
	notify->source = NULL;
	fd_close(&notify->socket);
}

/* Tells lodge-fsd whether somebody is there to be told. One that does not listen has ended. */
static void say(struct fs_notify *notify, uint8_t word)
{
	if (notify->socket >= 0)
		(void)!send(notify->socket, &word, sizeof(word), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Batches are read while nobody has one. */
static void read_on(struct fs_notify *notify)
{
	if (notify->source)
		loop_modify(notify->source, notify->call ? 0 : EPOLLIN);
}

static void refuse(struct fs_notify *notify)
{
	notify->epoch = 0;
	say(notify, LODGE_FS_NOTIFY_OFF);
}

static void answered(void *opaque, int error, const char *result, size_t len)
{
	struct fs_notify *notify = opaque;

	(void)len;
	notify->call = NULL;
	if (error)
		notify->lost = true;
	else if (strncmp(result, "OK", 2) != 0)
		refuse(notify);
	read_on(notify);
	if (notify->lost && notify->epoch && !notify->call)
		read_batch(notify, 0);
}

/* The @len bytes of a batch behind the word. */
static void tell(struct fs_notify *notify, size_t len)
{
	int ret = tools_command(notify->backdoor, notify->epoch, notify->message, WORD_LEN + len,
				answered, notify, &notify->call);

	if (ret) {
		notify->call = NULL;
		notify->lost = true;
		log_debug("changes of shares are not told: %s", strerror(-ret));
	}
	read_on(notify);
}

static void tell_lost(struct fs_notify *notify)
{
	const struct fs_change change = { .kinds = LODGE_FS_LOST };

	notify->lost = false;
	tell(notify, fs_change_put(&change, notify->message + WORD_LEN, LODGE_FS_BATCH_MAX));
}

static void read_batch(void *opaque, uint32_t events)
{
	struct fs_notify *notify = opaque;
	char *batch = notify->message + WORD_LEN;
	ssize_t got;

	if (notify->call) {
		/* It has ended: its successor begins anew. */
		if (events & (EPOLLHUP | EPOLLERR)) {
			notify->lost = true;
			hang_up(notify);
		}
		return;
	}
	if (notify->lost && notify->epoch) {
		tell_lost(notify);
		return;
	}
	/* Cut off, a batch that is too long is malformed. */
	got = recv(notify->socket, batch, LODGE_FS_BATCH_MAX, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		hang_up(notify);
		return;
	}
	if (!notify->epoch)
		return;
	if (!fs_change_check(batch, (size_t)got)) {
		tell(notify, (size_t)got);
		return;
	}
	log_ratelimited(&notify->log_limit, LOG_LEVEL_WARN,
			"lodge-fsd tells of changes in a way that makes no sense");
	tell_lost(notify);
}

/* The tools that there are now, if they are ours. */
static void greet_tools(struct fs_notify *notify)
{
	struct tools_status status;

	tools_get_status(notify->backdoor, &status);
	notify->epoch = status.up && status.guest_ops ? status.epoch : 0;
	say(notify, notify->epoch ? LODGE_FS_NOTIFY_ON : LODGE_FS_NOTIFY_OFF);
	/* Nobody knows what their guest has in its cache. */
	if (notify->epoch && notify->socket >= 0 && !notify->call)
		tell_lost(notify);
}

static void on_event(void *opaque, const struct tools_event *event)
{
	struct fs_notify *notify = opaque;

	if (!strcmp(event->name, "tools-up") || !strcmp(event->name, "tools-down"))
		greet_tools(notify);
}

/* ---- on the loop, for those of other threads ---- */

struct connecting {
	struct fs_notify *notify;
	int socket;
};

static void connect_on_loop(void *opaque)
{
	const struct connecting *connecting = opaque;
	struct fs_notify *notify = connecting->notify;

	hang_up(notify);
	notify->socket = connecting->socket;
	if (notify->socket < 0)
		return;
	if (loop_add(notify->loop, notify->socket, notify->call ? 0 : EPOLLIN, read_batch, notify,
		     &notify->source)) {
		fd_close(&notify->socket);
		return;
	}
	greet_tools(notify);
}

static void destroy_on_loop(void *opaque)
{
	struct fs_notify *notify = opaque;

	hang_up(notify);
	tools_cancel(notify->call);
	tools_events_remove(notify->sink);
}

int fs_notify_create(struct backdoor *backdoor, struct loop *loop, struct fs_notify **ret_notify)
{
	struct fs_notify *notify = calloc(1, sizeof(*notify));
	int ret;

	if (!notify)
		return -ENOMEM;
	notify->backdoor = backdoor;
	notify->loop = loop;
	notify->socket = -1;
	memcpy(notify->message, WORD, WORD_LEN);
	ret = tools_events_add(backdoor, on_event, notify, &notify->sink);
	if (ret)
		free(notify);
	else
		*ret_notify = notify;
	return ret;
}

void fs_notify_destroy(struct fs_notify *notify)
{
	if (!notify)
		return;
	loop_call(notify->loop, destroy_on_loop, notify);
	free(notify);
}

void fs_notify_connect(struct fs_notify *notify, int socket)
{
	struct connecting connecting = { notify, socket };

	if (notify)
		loop_call(notify->loop, connect_on_loop, &connecting);
	else
		fd_close(&socket);
}

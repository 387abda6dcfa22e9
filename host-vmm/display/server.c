// SPDX-License-Identifier: GPL-2.0-or-later
// display.sock: who may connect, how many, and how long one may keep us waiting.
#include "host-vmm/display/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host-vmm/display/display.h"
#include "host-vmm/display/window.h"
#include "host-vmm/input/input.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

struct display_server {
	struct window_host host;
	struct loop *loop;
	char *name, *path;
	int fd, spare_fd; /* unix_accept() */
	int input_fd; /* eventfd: the input became another; written by any thread */
	int timer_fd; /* each second while a window waits for its peer */
	bool timer_on;
	struct loop_source *source, *input_source, *timer_source;
	struct window *windows[DISPLAY_WINDOWS_MAX];
	unsigned int n_windows;
	struct log_ratelimit limit;
};

static void drop(void *opaque, struct window *window)
{
	struct display_server *server = opaque;
	unsigned int i = 0;

	while (i < server->n_windows && server->windows[i] != window)
		i++;
	if (i == server->n_windows)
		return;
	server->windows[i] = server->windows[--server->n_windows];
	window_destroy(window);
}

static void set_timer(struct display_server *server, bool on)
{
	const struct itimerspec second = { .it_interval.tv_sec = on, .it_value.tv_sec = on };

	if (on == server->timer_on)
		return;
	server->timer_on = on;
	(void)timerfd_settime(server->timer_fd, 0, &second, NULL);
}

static void window_waits(void *opaque)
{
	set_timer(opaque, true);
}

static void second_passed(void *opaque, uint32_t events)
{
	struct display_server *server = opaque;
	bool waits = false;
	uint64_t count;

	(void)events;
	(void)!read(server->timer_fd, &count, sizeof(count));
	for (unsigned int i = server->n_windows; i-- > 0;) {
		if (window_check(server->windows[i], &waits))
			continue;
		log_ratelimited(&server->limit, LOG_LEVEL_WARN,
				"display.sock: a window has read nothing for %d s; dropped",
				DISPLAY_STALL_S);
		drop(server, server->windows[i]);
	}
	set_timer(server, waits);
}

/* With input's lock held, on any thread. */
static void input_changed(void *opaque)
{
	const struct display_server *server = opaque;
	const uint64_t one = 1;

	(void)!write(server->input_fd, &one, sizeof(one));
}

static void tell_input(void *opaque, uint32_t events)
{
	struct display_server *server = opaque;
	uint64_t count;

	(void)events;
	(void)!read(server->input_fd, &count, sizeof(count));
	for (unsigned int i = 0; i < server->n_windows; i++)
		window_input_changed(server->windows[i]);
}

static void accept_ready(void *opaque, uint32_t events)
{
	struct display_server *server = opaque;
	autofd fd = unix_accept(server->fd, &server->spare_fd);
	struct window *window;
	const char *why = NULL;

	(void)events;
	if (fd < 0)
		return;
	if (!unix_peer_is_ours(fd))
		why = "it is another user's";
	else if (server->n_windows == DISPLAY_WINDOWS_MAX)
		why = "there are too many";
	else if (window_create(&server->host, fd, &window))
		why = "memory is short";
	if (why) {
		log_ratelimited(&server->limit, LOG_LEVEL_WARN,
				"display.sock: a window was refused: %s", why);
		return;
	}
	fd_steal(&fd);
	server->windows[server->n_windows++] = window;
}

static void free_server(struct display_server *server)
{
	if (server->fd >= 0)
		unlink(server->path);
	fd_close(&server->fd);
	fd_close(&server->spare_fd);
	fd_close(&server->input_fd);
	fd_close(&server->timer_fd);
	free(server->name);
	free(server->path);
	free(server);
}

static void stop_on_loop(void *opaque)
{
	struct display_server *server = opaque;

	loop_remove(server->source);
	loop_remove(server->input_source);
	loop_remove(server->timer_source);
	while (server->n_windows)
		window_destroy(server->windows[--server->n_windows]);
}

static int open_all(struct display_server *server)
{
	int ret;

	server->input_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->input_fd < 0)
		return -errno;
	server->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (server->timer_fd < 0)
		return -errno;
	server->fd = unix_listen_ours(server->path, DISPLAY_WINDOWS_MAX);
	if (server->fd < 0)
		return server->fd;
	server->spare_fd = unix_spare(server->fd);
	ret = loop_add(server->loop, server->timer_fd, EPOLLIN, second_passed, server,
		       &server->timer_source);
	if (!ret)
		ret = loop_add(server->loop, server->input_fd, EPOLLIN, tell_input, server,
			       &server->input_source);
	if (!ret)
		ret = loop_add(server->loop, server->fd, EPOLLIN, accept_ready, server,
			       &server->source);
	return ret;
}

int display_server_start(struct display *display, struct input *input, const char *name,
			 const char *path, struct display_server **ret_server)
{
	struct display_server *server = calloc(1, sizeof(*server));
	int ret = -ENOMEM;

	if (!server)
		return -ENOMEM;
	*server = (struct display_server){ .loop = display_loop(display),
					   .fd = -1,
					   .spare_fd = -1,
					   .input_fd = -1,
					   .timer_fd = -1 };
	server->name = strdup(name);
	server->path = strdup(path);
	server->host = (struct window_host){
		.display = display,
		.input = input,
		.name = server->name,
		.limit = &server->limit,
		.waits = window_waits,
		.over = drop,
		.opaque = server,
	};
	if (server->name && server->path)
		ret = open_all(server);
	if (ret) {
		loop_call(server->loop, stop_on_loop, server);
		free_server(server);
		return ret;
	}
	input_listen(input, input_changed, server);
	*ret_server = server;
	return 0;
}

void display_server_stop(struct display_server *server)
{
	if (!server)
		return;
	input_listen(server->host.input, NULL, NULL);
	loop_call(server->loop, stop_on_loop, server);
	free_server(server);
}

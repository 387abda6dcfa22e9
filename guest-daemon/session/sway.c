// SPDX-License-Identifier: GPL-2.0-or-later
// Modes by sway's own socket (sway.h).
#include "guest-daemon/session/sway.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

/* sway-ipc(7): "i3-ipc", the payload's length and the message's type in the machine's order. */
#define MAGIC	    "i3-ipc"
#define RUN_COMMAND 0u
#define REPLY_MAX   65536u
#define ANSWER_S    5

/* sway-output(5), "modeline": any blanking will do for a screen that has none. */
#define H_FRONT	   48u
#define H_SYNC	   32u
#define H_BLANK	   160u
#define V_FRONT	   3u
#define V_SYNC	   6u
#define V_BLANK	   36u
#define REFRESH_HZ 60u

struct header {
	char magic[6];
	uint32_t len, type;
} __attribute__((packed));

static bool is_of(int socket, pid_t pid)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return !getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.pid == pid;
}

int sway_connect(pid_t pid)
{
	const struct timeval limit = { .tv_sec = ANSWER_S };
	const char *folder = g_getenv("XDG_RUNTIME_DIR");
	g_autofree char *usual = g_strdup_printf("%s/sway-ipc.%u.%d.sock", folder ? folder : "",
						 (unsigned int)getuid(), (int)pid);
	const char *const paths[] = { usual, g_getenv("SWAYSOCK") };

	for (size_t i = 0; pid > 0 && i < G_N_ELEMENTS(paths); i++) {
		autofd fd = paths[i] ? unix_connect(paths[i]) : -1;

		if (fd < 0 || !is_of(fd, pid))
			continue;
		if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
		    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
			return -errno;
		return fd_steal(&fd);
	}
	return -ENOENT;
}

/* The reply says how far the command was understood, not what was done: it is read and dropped. */
static int take_reply(int sway)
{
	struct header header;
	char dropped[1024];
	ssize_t got = fd_read_all(sway, &header, sizeof(header));

	if (got != (ssize_t)sizeof(header) || memcmp(header.magic, MAGIC, sizeof(header.magic)) ||
	    header.len > REPLY_MAX)
		return -EIO;
	for (size_t left = header.len; left; left -= (size_t)got) {
		got = fd_read_all(sway, dropped, left < sizeof(dropped) ? left : sizeof(dropped));
		if (got <= 0)
			return -EIO;
	}
	return 0;
}

int sway_set_mode(int sway, const char *name, uint32_t width, uint32_t height)
{
	uint64_t pixels = (uint64_t)(width + H_BLANK) * (height + V_BLANK);
	g_autofree char *text = g_strdup_printf("output %s modeline %" G_GUINT64_FORMAT
						".%03u %u %u %u %u %u %u %u %u +hsync +vsync",
						name, pixels * REFRESH_HZ / 1000000,
						(unsigned int)(pixels * REFRESH_HZ / 1000 % 1000),
						width, width + H_FRONT, width + H_FRONT + H_SYNC,
						width + H_BLANK, height, height + V_FRONT,
						height + V_FRONT + V_SYNC, height + V_BLANK);
	struct header header = { .len = (uint32_t)strlen(text), .type = RUN_COMMAND };

	memcpy(header.magic, MAGIC, sizeof(header.magic));
	if (fd_write_all(sway, &header, sizeof(header)) || fd_write_all(sway, text, header.len))
		return -EIO;
	return take_reply(sway);
}

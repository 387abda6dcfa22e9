/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kinds of doors share, inside the library: a door is one of two types, which embed struct
 * door as their first member.
 */
#ifndef LODGE_GUEST_DOOR_PRIVATE_H
#define LODGE_GUEST_DOOR_PRIVATE_H

#include <glib.h>

#include "guest-daemon/lib/door.h"
#include "protocol/lib/frame.h"

/* Requests that wait for their turn, beside those that the host has. */
#define DOOR_WAITING_MAX 256
#define DOOR_HELLO_MS	 5000

struct door_asked {
	door_reply_fn fn;
	void *opaque;
	size_t len;
	char message[]; /* empty once it is sent */
};

struct door_type {
	short (*events)(const struct door *door);
	int (*timeout)(const struct door *door);
	/* No request is unanswered and nothing unsent. */
	bool (*idle)(const struct door *door);
	int (*dispatch)(struct door *door);
	/* Takes @asked, always. */
	void (*request)(struct door *door, struct door_asked *asked);
	void (*result)(struct door *door, uint32_t tag, const void *text, size_t len);
	/* Ends what is open, telling its owners; frees the door. */
	void (*destroy)(struct door *door);
};

struct door {
	const struct door_type *type;
	enum door_kind kind;
	struct door_config config;
	int fd; /* for the owner's poll; -1: none */
	bool ready;
	size_t n_waiting; /* requests that the type has not sent yet */
	GHashTable *commands; /* tag -> struct door_command */
};

void door_init(struct door *door, const struct door_type *type, enum door_kind kind,
	       const struct door_config *config);
/* Frees what door_init() made and forgets the open commands. */
void door_fini(struct door *door);
/* The host's COMMAND, any bytes, NUL-terminated behind @len. -EBADMSG: a tag that is open. */
int door_take_command(struct door *door, uint32_t tag, const char *text, size_t len);
/* Tells @asked and frees it. -EBADMSG where the text is no reply. */
int door_take_reply(struct door_asked *asked, const char *text, size_t len, bool busy);
void door_lose_reply(struct door_asked *asked, int error);

int door_framed_new(enum door_kind kind, int fd, const struct door_config *config,
		    struct door **ret_door);
int door_ioports_new(const struct door_config *config, struct door **ret_door);

/* Openers of what has frames: a non-blocking descriptor. */
int door_open_dev(const char *path);
int door_open_port(const char *path);
int door_open_daemon(const char *path);
/* Is there something for door_open_dev() and door_open_port()? */
bool door_dev_present(const char *path);
bool door_port_present(const char *path);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's end of the backdoor: one interface for the doors of protocol/spec/backdoor.md and,
 * for other programs of the guest, the daemon's socket.
 *
 * A door is opened by door_open(), driven by its owner's loop (door_fd(), door_events(),
 * door_timeout(), door_dispatch()) and ended by door_close(). It is ready when the host has
 * answered the greeting; what is asked before that waits. Everything happens on the owner's thread,
 * callbacks only inside door_dispatch() and door_close(); they may call anything here but these
 * two.
 *
 * What comes from the host is checked as a stranger's: bounded, and a malformed frame ends the
 * door.
 */
#ifndef LODGE_GUEST_DOOR_H
#define LODGE_GUEST_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Best first. */
enum door_kind {
	DOOR_DEV, /* /dev/lodge: the module lodge_backdoor */
	DOOR_PORT, /* the virtio-serial port */
	DOOR_IOPORTS, /* VMware's I/O ports: requests and commands of text, no streams */
	DOOR_DAEMON, /* through lodged, which has one of the others: requests alone */
	DOOR_KINDS,
};

struct door;
struct door_command;
struct door_stream;

struct door_ops {
	/* The host greets back. */
	void (*ready)(void *opaque);
	/*
	 * The host asks. @word and @args are NUL-terminated (@args_len bytes, without that NUL) and
	 * the door's. Answer @command by door_command_result(), now or later, once. NULL: all
	 * commands get "ERROR Unknown Command".
	 */
	void (*command)(void *opaque, struct door_command *command, const char *word,
			const char *args, size_t args_len);
};

/* Strings and ops must outlive the door. */
struct door_config {
	const char *app, *version; /* of lodge.hello: "toolbox", "cli"; "lodged 0.1.0" */
	const struct door_ops *ops; /* NULL for one that only asks */
	void *opaque;
	const char *path; /* instead of the kind's own, a node or a Unix socket; else NULL */
};

/* -ENOENT: not there. -EBUSY: another program has it. -EACCES, -EPERM: not allowed. */
int door_open(enum door_kind kind, const struct door_config *config, struct door **ret_door);
/* The same over a connected stream, which becomes the door's also when that fails. */
int door_open_fd(enum door_kind kind, int fd, const struct door_config *config,
		 struct door **ret_door);
/* Requests without answer fail with -ECONNRESET, streams are reset, commands forgotten. NULL is
 * fine. */
void door_close(struct door *door);

enum door_kind door_kind(const struct door *door);
/* "virtio", "port", "ioports", "daemon". -EINVAL where @name is none. */
const char *door_name(enum door_kind kind);
int door_by_name(const char *name, enum door_kind *ret_kind);
/* Whether there is something to open: a quick look, which no host notices. */
bool door_present(enum door_kind kind, const char *path);
/* Why @kind could not be opened, and what would help: static text. */
const char *door_why(enum door_kind kind, int error);
bool door_ready(const struct door *door);
/* Nothing is open at it, and nothing waits to be sent: nobody would miss it. */
bool door_idle(const struct door *door);
/* Whether COMMANDs may carry streams. */
bool door_has_streams(const struct door *door);

/* -1: there is none, only a timeout. Constant while the door is open. */
int door_fd(const struct door *door);
/* poll(2) events. */
short door_events(const struct door *door);
/* Milliseconds until door_dispatch() is due; -1: only when door_fd() says so. */
int door_timeout(const struct door *door);
/* Moves what can move, without waiting. A negative errno: the door is over, close it. */
int door_dispatch(struct door *door);

/*
 * @error: a negative errno where the door was lost (the rest is then nothing). @payload is what
 * follows "1 " (@ok) or "0 ", NUL-terminated, and the door's. @busy: may succeed later.
 */
struct door_reply {
	int error;
	bool ok, busy;
	const char *payload;
	size_t len;
};
typedef void (*door_reply_fn)(void *opaque, const struct door_reply *reply);

/* @message: "word arguments". @fn may be NULL. -EMSGSIZE; -EBUSY: too many wait already. */
int door_request(struct door *door, const void *message, size_t len, door_reply_fn fn,
		 void *opaque);

/* "OK ..." or "ERROR ...". Frees @command, whether its door is still there or not. */
void door_command_result(struct door_command *command, const void *text, size_t len);
void door_command_ok(struct door_command *command);
void door_command_error(struct door_command *command, const char *reason);
/* The door it came through; NULL when that has gone. */
struct door *door_command_door(const struct door_command *command);

enum door_direction { DOOR_STREAM_IN, DOOR_STREAM_OUT };

struct door_stream_ops {
	/* IN: @len bytes (0 only at the @end). Give the credit back by door_stream_credit(). */
	void (*data)(void *opaque, const void *bytes, size_t len, bool end);
	/* OUT: door_stream_room() may have grown. */
	void (*room)(void *opaque);
	/* Either: the host, or the loss of the door, ended it early; nothing moves any more. */
	void (*reset)(void *opaque, const char *reason);
};

/* @number is the host's choice: -EINVAL for 0, -EEXIST where it is open, -EMFILE. The host gets the
 * credit of LODGE_RPC_CREDIT_FIRST at once. */
int door_stream_open(struct door *door, uint32_t number, enum door_direction direction,
		     const struct door_stream_ops *ops, void *opaque,
		     struct door_stream **ret_stream);
/* Frees it. One that is neither ended nor reset gets a RESET, with @reason. NULL stream is fine. */
void door_stream_close(struct door_stream *stream, const char *reason);
/* How many bytes may be sent at once, now. */
size_t door_stream_room(const struct door_stream *stream);
/* @len is at most the room. @end: the last bytes. */
void door_stream_send(struct door_stream *stream, const void *bytes, size_t len, bool end);
/* @len bytes that came have found their place; the host may send as many more. */
void door_stream_credit(struct door_stream *stream, size_t len);

/* For programs without a loop: waits for the answer. The reply's bytes are the caller's, free();
 * -ETIMEDOUT, or what door_dispatch() said. */
struct door_answer {
	bool ok, busy;
	char *payload;
	size_t len;
};
int door_wait_ready(struct door *door, int timeout_ms);
int door_ask(struct door *door, const void *message, size_t len, int timeout_ms,
	     struct door_answer *ret_answer);

#endif

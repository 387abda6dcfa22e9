/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to a VM's tools.sock: commands to the guest's tools and the streams that belong to
 * them (protocol/spec/guest-ops.md, protocol/spec/rpc.md).
 *
 * Nothing here blocks but guest_link_wait(). A verb polls guest_link_pollfd() beside descriptors of
 * its own, and calls guest_link_turn() for what came. Commands and streams are the caller's memory
 * and must stay until the link is closed. One thread.
 *
 * Memory is bounded: GUEST_WINDOW for a stream from the guest, GUEST_BACKLOG_MAX and a frame for
 * all that waits to be sent.
 */
#ifndef LODGE_VMM_CLI_GUEST_LINK_H
#define LODGE_VMM_CLI_GUEST_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lodge/rpc.h>

#include "protocol/lib/fields.h"

#define GUEST_WINDOW	   (1u << 20) /* bytes of a stream that the guest may send ahead of us */
#define GUEST_BACKLOG_MAX  (256u << 10) /* bytes; beyond, streams have no room */
#define GUEST_STREAMS_MAX  4
#define GUEST_COMMANDS_MAX 8 /* protocol/spec/guest-ops.md, "tools.sock" */

/* What a RESULT says instead of an errno (protocol/spec/guest-ops.md, "Errors"). */
#define GUEST_NO_TOOLS	 125
#define GUEST_CANNOT_RUN 126
#define GUEST_NOT_FOUND	 127
#define GUEST_TIMED_OUT	 124 /* an exec's status, not an error */

struct guest_link;

struct guest_command {
	bool done; /* result is there */
	uint32_t tag;
	char *result; /* "OK ..." or "ERROR ...", NUL behind it; the link's */
	size_t len;
};

struct guest_stream {
	uint32_t number; /* for the fields of a command */
	bool from_guest;
	bool ended; /* its last byte arrived (there may be some to take), or was sent */
	bool reset; /* the other side gave it up */
	char *reason; /* of a reset, or NULL; the link's */
	/* From the guest: a ring of GUEST_WINDOW bytes. */
	unsigned char *ring;
	size_t start, len;
	uint32_t given; /* credit that the guest has not used */
	/* To the guest. */
	uint64_t credit;
};

/* Connects to the VM's tools.sock. -ENOENT, -ECONNREFUSED: no monitor that has one listens. */
int guest_link_open(const char *path, struct guest_link **ret_link);
/* Takes over a connected socket, for tests. -ENOMEM, and @fd is closed. */
int guest_link_adopt(int fd, struct guest_link **ret_link);
/* Ends all that is open in the guest. NULL is fine. */
void guest_link_close(struct guest_link *link);

/* What to poll for before the next turn. */
struct pollfd guest_link_pollfd(const struct guest_link *link);
/* Reads and writes what it can. -ECONNRESET where the monitor is gone, -EPROTO where it does not
 * keep to the protocol; the link is over then. */
int guest_link_turn(struct guest_link *link);
/* Polls for the link alone, @timeout_ms at most (-1: no limit), and turns once. -ETIMEDOUT. */
int guest_link_wait(struct guest_link *link, int timeout_ms);

/* Gives @stream a number; then name it in a command. -EMFILE beyond GUEST_STREAMS_MAX, -ENOMEM. */
int guest_stream_open(struct guest_link *link, bool from_guest, struct guest_stream *stream);
/* Bytes that may be sent now: 0 to LODGE_RPC_DATA_MAX. */
size_t guest_stream_room(const struct guest_link *link, const struct guest_stream *stream);
/* At most guest_stream_room() bytes; @end: they are the last. */
int guest_stream_send(struct guest_link *link, struct guest_stream *stream, const void *bytes,
		      size_t len, bool end);
/* Bytes that arrived, in one piece (there may be more behind it); 0: none now. */
size_t guest_stream_peek(const struct guest_stream *stream, const unsigned char **ret_bytes);
/* Takes @len of them off, and lets the guest send so much more. */
int guest_stream_take(struct guest_link *link, struct guest_stream *stream, size_t len);
/* All of it is here and taken, or it was reset. */
bool guest_stream_over(const struct guest_stream *stream);
/* We want no more of it. */
int guest_stream_give_up(struct guest_link *link, struct guest_stream *stream, const char *reason);
/* Forgets it, so that @stream may be opened anew; gives it up where it is not over. */
void guest_stream_close(struct guest_link *link, struct guest_stream *stream, const char *reason);

/*
 * Sends @text, "word fields". Errors of the builder come out here; -EMFILE beyond
 * GUEST_COMMANDS_MAX. @command may be used again once it is done.
 */
int guest_command_send(struct guest_link *link, const struct fields_builder *text,
		       struct guest_command *command);
/*
 * What a result says: 0 and its fields, or a number (an errno of Linux, or GUEST_...) and a text
 * that is fit for a terminal, to be g_free()d. A result of another form is EPROTO.
 */
int guest_command_outcome(const struct guest_command *command, const char **ret_fields,
			  size_t *ret_len, char **ret_text);

#endif

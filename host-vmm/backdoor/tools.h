/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's tools, as the rest of the monitor uses them: commands and their results, streams,
 * guestinfo variables, what is known of the guest, and events.
 *
 * "The tools" are one program in the guest: lodged, or open-vm-tools' vmtoolsd, whichever door it
 * came through. It may come and go at any time; each coming has an epoch, and whoever sends a
 * command together with streams names the epoch, so that they reach the same program or none.
 *
 * Threads and callbacks: every function may be called on any thread and returns at once, but for
 * those marked LOOP, which belong to the machine's loop (loop_call() brings others there). All
 * callbacks run on that loop with no lock held, so that they may call anything here; they come in
 * the order in which the guest sent what they tell, and none comes any more once the LOOP function
 * that ends it has returned. Bytes given to a callback are the caller's for its duration.
 */
#ifndef LODGE_VMM_TOOLS_H
#define LODGE_VMM_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/backdoor/session.h"

struct backdoor;
struct tools_call;
struct tools_sink;
struct tools_stream;

/* ---- who is there ---- */

#define TOOLS_TEXT_MAX 128

struct tools_status {
	bool up; /* they answer, and have told what they can do */
	uint32_t epoch; /* of those that are up; never 0 then */
	enum rpc_door door;
	enum rpc_privilege privilege;
	char app[TOOLS_TEXT_MAX]; /* "toolbox" */
	char version[TOOLS_TEXT_MAX]; /* "lodged 0.1.0", "open-vm-tools 12.2.0.41219"; may be "" */
	bool guest_ops; /* they take the words of protocol/spec/guest-ops.md */
	bool power; /* they take tools_power() */
	bool heartbeat_missed; /* the last ping has no answer */
	unsigned int heartbeat_seconds; /* between two pings; 0: none are sent */
	uint64_t heartbeat_age; /* seconds since the last answer, or since they came up */
	uint64_t up_since; /* seconds since 1970 */
	char why[TOOLS_TEXT_MAX]; /* not up: the reason, for people; else "" */
};

void tools_get_status(struct backdoor *backdoor, struct tools_status *ret_status);

/* ---- commands ---- */

/*
 * The end of a command: @error 0 and the guest's RESULT as it came ("OK ...", "ERROR ...", a NUL
 * behind it), or -ECONNRESET where the tools went away under it (no bytes).
 */
typedef void (*tools_done_fn)(void *opaque, int error, const char *result, size_t len);

/*
 * Sends COMMAND @message ("word arguments", at most LODGE_RPC_DATA_MAX bytes), which is copied.
 * @epoch 0: to whichever tools are up. @done may be NULL. *ret_call (may be NULL) is good until
 * @done ran. -ENOTCONN: no tools, or another epoch; -EBUSY: LODGE_RPC_COMMANDS_MAX are open;
 * -EMSGSIZE, -ENOMEM, -EPIPE.
 */
int tools_command(struct backdoor *backdoor, uint32_t epoch, const void *message, size_t len,
		  tools_done_fn done, void *opaque, struct tools_call **ret_call);
/* LOOP. @done does not run; a result that still comes is dropped. NULL is fine. */
void tools_cancel(struct tools_call *call);

/* ---- streams ---- */

enum tools_direction {
	TOOLS_TO_GUEST = 1,
	TOOLS_FROM_GUEST = 2,
};

struct tools_stream_events {
	/* FROM_GUEST: bytes, at most what was given as credit; @end with the last (perhaps none).
	 * Nothing comes behind @end. */
	void (*data)(void *opaque, const void *bytes, size_t len, bool end);
	/* TO_GUEST: tools_stream_send() takes bytes again, after it took less than it was given. */
	void (*writable)(void *opaque);
	/* It is over: the guest reset it or the tools went away. Only close is left to call. The
	 * text is the guest's: any bytes, a NUL behind them. */
	void (*reset)(void *opaque, const char *reason, size_t len);
};

/*
 * Opens a stream of the tools with @epoch (not 0): its number then goes into a command's fields.
 * The guest may send LODGE_RPC_CREDIT_FIRST bytes before the first tools_stream_credit(). @events
 * must outlive it. -ENOTCONN, -EBUSY (LODGE_RPC_STREAMS_MAX are open), -ENOMEM.
 */
int tools_stream_open(struct backdoor *backdoor, uint32_t epoch, enum tools_direction direction,
		      const struct tools_stream_events *events, void *opaque,
		      struct tools_stream **ret_stream);
uint32_t tools_stream_number(const struct tools_stream *stream);
/*
 * How many bytes were taken: the guest's credit and the door's room bound it, and writable() tells
 * when there is more. @end counts when all of @len was taken, and is the last. -EPIPE: it is over.
 * LOOP.
 */
ssize_t tools_stream_send(struct tools_stream *stream, const void *bytes, size_t len, bool end);
/* The guest may send so many bytes more. -EPIPE: it is over. LOOP. */
int tools_stream_credit(struct tools_stream *stream, uint32_t bytes);
/* LOOP. Frees it; tells the guest (RESET) unless it had ended by itself. NULL is fine. */
void tools_stream_close(struct tools_stream *stream);

/* ---- power ---- */

enum tools_power {
	TOOLS_HALT = 1, /* ids of tools.os.statechange.status, open-vm-tools */
	TOOLS_REBOOT = 2,
	TOOLS_SUSPEND = 5,
};

/*
 * Asks the tools for it. That they refuse, or that their scripts have run, is the event "power"; a
 * halt then follows by itself. -ENOTCONN, -EOPNOTSUPP where the tools have not said that they can,
 * else as tools_command().
 */
int tools_power(struct backdoor *backdoor, enum tools_power what);

/* ---- guestinfo variables ---- */

#define TOOLS_VARS_MAX	    256 /* of a VM */
#define TOOLS_VAR_NAME_MAX  128 /* bytes, "guestinfo." included */
#define TOOLS_VAR_VALUE_MAX (64u << 10) /* bytes */
#define TOOLS_VARS_BYTES    (1u << 20) /* names and values of a VM */

struct tools_var {
	char *name; /* "guestinfo.x" */
	char *value; /* any bytes, a NUL behind them */
	size_t len;
};

/* *ret_value is any bytes and a NUL behind them, free(). -ENOENT, -ENOMEM. */
int tools_var_get(struct backdoor *backdoor, const char *name, char **ret_value, size_t *ret_len);
/* @value NULL removes it. -EINVAL: a name without "guestinfo." before it, or with other than
 * printable ASCII; -EMSGSIZE, -ENOSPC beyond the limits; -ENOENT; -ENOMEM. */
int tools_var_set(struct backdoor *backdoor, const char *name, const void *value, size_t len);
/* A copy of all, in the order of their names: tools_vars_free(). */
int tools_vars_list(struct backdoor *backdoor, struct tools_var **ret_vars, size_t *ret_count);
void tools_vars_free(struct tools_var *vars, size_t count);

/* ---- what is known of the guest ---- */

/* A copy, free(). -ENODATA where the guest has told nothing since it started; -ENOMEM. */
int tools_get_facts(struct backdoor *backdoor, struct tools_facts **ret_facts);

/* Thousandths of the last second or so that some program of the guest waited for memory (PSI).
 * -ENODATA where no tools tell. */
int tools_get_stall(struct backdoor *backdoor, unsigned int *ret_permille);

/* Bytes, for a guest that asks how much of its memory the host has. */
struct tools_balloon {
	uint64_t given, target, size;
};

/* -ENODEV: the VM has no balloon. Called under the backdoor's lock, on any thread. */
typedef int (*tools_balloon_fn)(void *opaque, struct tools_balloon *ret_balloon);
/* NULL: nobody tells, from the return on. */
void tools_balloon_source(struct backdoor *backdoor, tools_balloon_fn fn, void *opaque);

/* ---- events ---- */

/*
 * What happened, with fields as in protocol/lib/fields.h:
 *
 *	tools-up           app, version, door
 *	tools-down         reason
 *	heartbeat-missed   seconds (since the last answer)
 *	heartbeat-back
 *	var-changed        name, by (guest, host); the value is to be had by tools_var_get()
 *	facts-changed      part (system, net, disks, load, users), once for each
 *	power              what (halt, reboot, power-on, resume, suspend), ok (yes, no), and reason
 *	                   where the tools have refused by an answer
 *	shares-wanted      door: the tools ask for the shares' messages (fs_stream.h)
 *	display-replug     door: the tools ask for heads to be plugged in anew (display.h)
 *	memory-stall       permille: of the time programs wait for memory, from now on
 *	log                text (printable)
 *	lost               count: events that came faster than they were taken
 */
struct tools_event {
	const char *name;
	const char *fields;
	size_t fields_len;
	uint64_t time_ms; /* since 1970 */
};

typedef void (*tools_event_fn)(void *opaque, const struct tools_event *event);

/* Events from now on. -ENOMEM. */
int tools_events_add(struct backdoor *backdoor, tools_event_fn fn, void *opaque,
		     struct tools_sink **ret_sink);
/* LOOP. NULL is fine. */
void tools_events_remove(struct tools_sink *sink);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the backdoor's files share: its state, all of it under backdoor.lock unless said otherwise.
 *
 *	backdoor.c   life, the lock, the timer        dispatch.c  table of words, permission, rate
 *	session.c    sessions, what doors call        words_*.c   one file for each family of words
 *	command.c    commands and their results       vars.c      guestinfo variables
 *	rate.c       floods of requests
 *	stream.c     streams                          facts*.c    what is known of the guest
 *	deliver.c    callbacks, on the loop           start.c     which tools there are, heartbeat
 */
#ifndef LODGE_VMM_BACKDOOR_PRIVATE_H
#define LODGE_VMM_BACKDOOR_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "host-vmm/backdoor/session.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/clock/clock.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/log.h"

struct loop;
struct loop_source;
struct state;

/* ---- deliver.c: callbacks of tools.h wait here for the loop ---- */

enum item_kind {
	ITEM_START = 1, /* target: session: what a new session is sent first */
	ITEM_DONE = 2, /* target: call */
	ITEM_DATA = 3, /* target: stream */
	ITEM_WRITABLE = 4,
	ITEM_RESET = 5,
	ITEM_EVENT = 6, /* no target; the name, its NUL, and the fields */
};

struct host_item {
	struct host_item *next;
	enum item_kind kind;
	bool queued;
	bool end; /* DATA */
	bool allocated; /* by itself; else it is a member of its target */
	int error; /* DONE */
	void *target;
	char *bytes; /* free(); a NUL behind them */
	size_t len, room;
	uint64_t time_ms; /* EVENT */
};

#define EVENTS_MAX 1024u /* that wait */

struct deliver {
	struct host_item *first, **end;
	unsigned int n_events;
	unsigned int lost;
	struct tools_sink *sinks;
	bool walking; /* the loop goes through the sinks */
	int wake_fd; /* eventfd: there is something */
	struct loop_source *source;
};

/* ---- sessions ---- */

/* Of requests: refilled with time, so that floods get `0 busy`. */
struct rpc_bucket {
	uint64_t tokens;
	uint64_t at_ms;
};

/* Of one address space of the guest, at the I/O ports. */
#define RPC_PAYERS 16u

struct rpc_payer {
	uint64_t space;
	uint64_t used_ms; /* 0: nobody's */
	struct rpc_bucket bucket;
};

enum start_step {
	START_NONE = 0, /* not commanded, or not yet */
	START_RESET = 1, /* its answer is awaited */
	START_CAPABILITIES = 2,
	START_OPTIONS = 3,
	START_STATE = 4,
	START_DONE = 5,
};

struct rpc_session {
	struct backdoor *backdoor;
	struct rpc_session *next;
	enum rpc_door door;
	enum rpc_privilege privilege;
	const struct rpc_session_ops *ops;
	void *opaque;
	bool hello; /* said who it is (I/O ports: need not) */
	bool commanded; /* COMMANDs may be sent */
	bool closed; /* CLOSE was sent: the door has still to close it */
	char app[32], version[TOOLS_TEXT_MAX];
	bool statechange; /* capability: takes OS_Halt and its like */
	struct rpc_bucket bucket; /* not of the I/O ports */
	uint64_t space; /* I/O ports: whose, rpc_session_set_space() */
	uint64_t polled_ms; /* I/O ports, commanded: rpc_session_polled() */
	uint64_t steady_ms; /* since when it has done so without a pause */

	enum start_step step;
	size_t option; /* next row of the options, in START_OPTIONS */
	struct host_item start_item;

	struct tools_call *calls, **calls_end;
	unsigned int n_calls;
	uint32_t last_tag;

	struct tools_stream *streams[LODGE_RPC_STREAMS_MAX];
	uint32_t last_stream;
};

struct tools_call {
	struct rpc_session *session; /* NULL once the result is there */
	struct tools_call *next;
	struct backdoor *backdoor;
	uint32_t tag;
	bool sent, cancelled;
	char *message; /* until it is sent */
	size_t len;
	/* The service's own: runs under the lock, at once. @result NULL: the session ended. */
	void (*internal)(struct rpc_session *session, const char *result, size_t len);
	tools_done_fn done;
	void *opaque;
	struct host_item item;
};

struct tools_stream {
	struct backdoor *backdoor;
	struct rpc_session *session; /* NULL once it is over */
	uint32_t number;
	enum tools_direction direction;
	const struct tools_stream_events *events;
	void *opaque;
	/* Bytes that the guest will still take (TO_GUEST), or may still send (FROM_GUEST). */
	uint64_t credit;
	uint32_t owed; /* of the credit, what the guest has not been told yet */
	bool wants_writable;
	struct host_item writable_item, reset_item;
	struct host_item *data_item; /* the last one that waits, or NULL */
};

struct var {
	char *name; /* and its NUL; the value follows */
	char *value;
	size_t len;
};

/* The tools that are there: the best session of app "toolbox". */
struct tools {
	struct rpc_session *session; /* NULL: none */
	bool up;
	uint32_t epoch;
	uint64_t up_since; /* seconds since 1970 */
	char why[TOOLS_TEXT_MAX]; /* there are none */
	bool ping_open, missed;
	unsigned int silent; /* I/O ports: ticks of the timer since it asked for a command */
	uint64_t answered_ms; /* monotonic: last answer to a ping */
};

/* The guest's word on how its programs wait for memory. */
struct stall {
	unsigned int permille; /* of the time */
	uint64_t at_ms; /* when it came; 0: never */
};

struct backdoor {
	pthread_mutex_t lock;
	struct loop *loop; /* constant */
	const struct vm_config *config; /* constant */
	struct log_ratelimit log_limit; /* of the service's own lines; safe without the lock */
	struct log_ratelimit guest_log_limit; /* of the guest's lines */

	struct rpc_session *sessions;
	unsigned int n_sessions[RPC_DOOR_IOPORTS + 1];
	struct rpc_bucket ports_bucket; /* all channels of the I/O ports share it */
	struct rpc_payer payers[RPC_PAYERS];
	struct deliver deliver;
	struct tools tools;
	const char *state_word; /* "OS_PowerOn" or "OS_Resume": due to the next tools, or NULL */
	uint64_t session_id; /* another one each time the guest starts or is resumed */
	char synctime; /* '0' or '1': vmx.set_option; 0: vm.conf's */
	char zone[HOST_ZONE_MAX]; /* the host's, when the VM was made; constant */

	struct var *vars; /* sorted by name */
	size_t n_vars, vars_bytes;
	struct tools_facts *facts; /* NULL: nothing told */
	struct stall stall;
	tools_balloon_fn balloon; /* or NULL */
	void *balloon_opaque;

	bool paused; /* the guest does not run */
	int timer_fd; /* heartbeat */
	struct loop_source *timer;
};

static inline void backdoor_lock(struct backdoor *backdoor)
{
	pthread_mutex_lock(&backdoor->lock);
}

static inline void backdoor_unlock(struct backdoor *backdoor)
{
	pthread_mutex_unlock(&backdoor->lock);
}

uint64_t backdoor_now_ms(void); /* monotonic */
uint64_t backdoor_time_ms(void); /* since 1970 */
/* Starts (or, with 0, stops) the timer of start_heartbeat(). */
void backdoor_arm_timer(struct backdoor *backdoor, unsigned int seconds);
/* Copies @text without control characters and what is not UTF-8, at most @room - 1 bytes. */
void backdoor_clean_text(char *to, size_t room, const char *text, size_t len);

/* deliver.c */
int deliver_create(struct backdoor *backdoor);
void deliver_destroy(struct backdoor *backdoor);
void deliver_post(struct backdoor *backdoor, struct host_item *item);
/* Bytes of a stream, at most LODGE_RPC_DATA_MAX, copied. -ENOMEM. */
int deliver_data(struct tools_stream *stream, const void *bytes, size_t len, bool end);
/* Takes back what waits for @target. */
void deliver_forget(struct backdoor *backdoor, const void *target);
/* An event; @fields is freed here, and may carry an error: then there is no event. */
void deliver_event(struct backdoor *backdoor, const char *name, struct fields_builder *fields);

/* command.c */
int command_send(struct rpc_session *session, const void *message, size_t len,
		 void (*internal)(struct rpc_session *session, const char *result, size_t len),
		 tools_done_fn done, void *opaque, struct tools_call **ret_call);
void command_result(struct rpc_session *session, uint32_t tag, const char *result, size_t len);
void command_end_all(struct rpc_session *session);
/* After done, or in place of it. */
void command_free(struct tools_call *call);
/* Whether @result begins with "OK". */
bool command_is_ok(const char *result, size_t len);

/* stream.c */
void stream_frame(struct rpc_session *session, const struct frame *frame, const void *payload);
void stream_writable(struct rpc_session *session);
void stream_end_all(struct rpc_session *session);

/* session.c */
int session_send(struct rpc_session *session, const struct frame *frame, const void *payload);
/* Tells the door that it is over and ends what it has open. */
void session_shut(struct rpc_session *session, const char *why);

/* start.c: the sessions that are commanded, and which of them is the guest's tools */
bool start_is_toolbox(const struct rpc_session *session);
/* A session said that it is the toolbox: another one of its privilege is closed, unless they have
 * none. */
void start_replace(struct rpc_session *session);
void start_session(struct rpc_session *session); /* ITEM_START's turn has come */
void start_session_ended(struct rpc_session *session, const char *why);
void start_polled(struct rpc_session *session); /* I/O ports: it lives */
void start_heartbeat(struct backdoor *backdoor); /* the timer's tick */
/* The guest was paused: it is given the whole time again. */
void start_heartbeat_anew(struct backdoor *backdoor);
/* Sends one option again, to every session that was sent it. */
void start_push_option(struct backdoor *backdoor, const char *name);
/* What @session tells as the tools counts: there are none with more privilege. */
bool start_may_tell(const struct rpc_session *session);

/* vars.c */
const struct var *vars_find(const struct backdoor *backdoor, const char *name, size_t name_len);
int vars_set(struct backdoor *backdoor, const char *name, size_t name_len, const void *value,
	     size_t len, const char *by);
void vars_clear(struct backdoor *backdoor);
int vars_save(const struct backdoor *backdoor, struct state *state);
int vars_load(struct backdoor *backdoor, struct state *state);

/* facts.c: the facts to change, or NULL without memory; then what was changed. */
struct tools_facts *facts_begin(struct backdoor *backdoor);
void facts_told(struct backdoor *backdoor, enum facts_part part);
void facts_forget(struct backdoor *backdoor);

/* rate.c: takes @cost tokens, if they are there. */
bool rate_pay(struct rpc_session *session, uint32_t cost);

/* ---- dispatch.c ---- */

/* Who may say a word. */
enum {
	RPC_BY_USER = 1 << 0, /* a `user` session of the virtio device */
	RPC_BY_ROOT = 1 << 1, /* a `root` session of a frame door */
	RPC_BY_PORTS = 1 << 2, /* whoever reaches the I/O ports */
	RPC_BY_ALL = RPC_BY_USER | RPC_BY_ROOT | RPC_BY_PORTS,
};

/* Tokens of a request, of RPC_TOKENS for each second. */
#define RPC_TOKENS     200000u
#define RPC_COST_READ  1u
#define RPC_COST_WRITE 100u /* 2,000 a second */
#define RPC_COST_LOG   1000u /* 200 a second */

struct rpc_word {
	const char *word;
	uint8_t by; /* RPC_BY_* */
	uint32_t cost;
	uint32_t arg_max; /* bytes of argument */
	/* Fills @reply. Under the lock. */
	void (*run)(struct rpc_session *session, const char *arg, size_t len,
		    struct rpc_reply *reply);
};

/* One table for each family, ended by a NULL word. */
extern const struct rpc_word words_session[], words_log[], words_info[], words_tools[],
	words_guest[], words_memory[], words_clock[];

void dispatch(struct rpc_session *session, const char *message, size_t len,
	      struct rpc_reply *reply);

/* Fillers of replies. @text has to live for ever; the others fall back to one that does. */
void reply_static(struct rpc_reply *reply, const char *text);
void reply_bytes(struct rpc_reply *reply, const char *head, const void *bytes, size_t len);
void reply_fields(struct rpc_reply *reply, struct fields_builder *fields); /* frees them */

#define REPLY_OK "1 "

#endif

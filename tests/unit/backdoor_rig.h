/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backdoor on a machine without KVM, behind a door that the test plays: what the service sends is
 * kept, and a guest's program says what the test wants.
 */
#ifndef LODGE_TESTS_BACKDOOR_RIG_H
#define LODGE_TESTS_BACKDOOR_RIG_H

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "tests/unit/virtio_rig.h"

#define SENT_MAX 256

/* What the service sent to the guest; to be read when it is idle. Payloads are cut at 255 bytes. */
struct sent {
	struct frame frame;
	char payload[256];
};

extern struct rig rig;
extern struct device *device;
extern struct backdoor *backdoor;
extern struct sent sent[SENT_MAX];
extern size_t n_sent;
extern int send_error, credit_error; /* what the door answers to DATA, to CREDIT */
extern const struct rpc_session_ops ops, mute; /* mute: never commanded */

/* Fixtures. */
void backdoor_setup(void);
void backdoor_teardown(void);
/* Waits until the loop has nothing left to do. */
void settle(void);

struct rpc_session *open_session(enum rpc_door door, enum rpc_privilege privilege,
				 const struct rpc_session_ops *with);
/* Says @hello in a session of @ops. */
struct rpc_session *greet_bytes(enum rpc_door door, enum rpc_privilege privilege, const char *hello,
				size_t len);
#define greet(door, privilege, hello) greet_bytes(door, privilege, hello, sizeof(hello))
#define HELLO(app)		      "lodge.hello app=" app "\0version=t 1\0commands=1"

/* The reply to @message is @want, or holds @part. */
void expect_bytes(struct rpc_session *session, const char *message, size_t len, const char *want);
void expect(struct rpc_session *session, const char *message, const char *want);
bool replies_with(struct rpc_session *session, const char *message, size_t len, const char *part,
		  size_t part_len);

/* Answers the newest command, which is @word. */
void answer(struct rpc_session *session, const char *word, const char *result);
/* Answers all that new tools are sent; @state is the state word that is due, or NULL. */
void start_up(struct rpc_session *session, const char *state);
struct rpc_session *start_tools(void);
bool is_up(struct tools_status *ret_status);

#endif

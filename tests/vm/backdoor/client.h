/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backdoor-client, a program for guests that holds /dev/lodge to its word
 * (protocol/spec/backdoor.md, "The file"): one subcommand a group of checks, each check a line on
 * stdout.
 */
#ifndef LODGE_TESTS_BACKDOOR_CLIENT_H
#define LODGE_TESTS_BACKDOOR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <lodge/rpc.h>

#define DEV	   "/dev/lodge"
#define REPLY_SIZE 4096u /* of reply_max, where nothing else is said */

struct message {
	struct lodge_rpc_header header;
	char payload[LODGE_RPC_PAYLOAD_MAX];
	ssize_t size; /* of the payload; with a NUL behind it, if there is room */
};

/* "ok - name" or "not ok - name: detail", detail printf-like. */
__attribute__((format(printf, 2, 3))) void check(bool good, const char *format, ...);
/* The call fails with this errno, and nothing else. */
void check_errno(ssize_t got, int wanted, const char *what);
bool all_good(void);

/* Ends the program, if there is none. */
int open_dev(int flags);
struct lodge_rpc_header make_header(uint16_t type, uint32_t size, uint32_t tag);
/* write() of one frame, -errno. */
ssize_t send_frame(int fd, uint16_t type, uint32_t tag, const void *payload, size_t size);
ssize_t send_request(int fd, uint32_t tag, const char *text);
/* read() of one frame into @message: 0, 1 at the end, -errno. */
int receive(int fd, struct message *message);
/* Sends, waits, asks again while the host is busy; true if the reply is @reply. */
bool ask(int fd, const char *text, size_t size, const char *reply, struct message *ret_message);
bool hello(int fd, const char *app);

/* Groups of checks. */
void test_basic(void);
void test_many(void);
void test_user(void);
void test_midclose(void);
void test_toolbox(void);
void test_wait(int error); /* until the device goes: what the calls say then */
void test_hostile(void);
void test_flood(void);
void test_fuzz(void);
void test_speed(void);
void test_hold(void);
void test_load(int seconds, int processes);

#endif

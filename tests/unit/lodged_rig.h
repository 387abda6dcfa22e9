/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host for lodged in one process: lodged's core runs in this test's main loop and its "port" is a
 * Unix socket, at whose other end the test speaks frames.
 *
 * Functions that wait fail the test after RIG_SECONDS.
 */
#ifndef LODGE_TESTS_LODGED_RIG_H
#define LODGE_TESTS_LODGED_RIG_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/frame.h"

#define RIG_SECONDS 20

struct rig {
	struct lodged lodged;
	char *folder, *socket, *conf, *helpers;
	char *dev; /* the better door's socket */
	int listener, host;
	int port_listener; /* while listener is the better door's; else -1 */
	struct frame_cutter cutter;
	GQueue received; /* of struct rig_frame */
	GPtrArray *requests; /* texts that were answered "1 " on the way */
	GByteArray *streams[16]; /* DATA by stream number */
	bool ended[16];
	uint32_t next_tag;
	uint32_t hello_tag;
};

struct rig_frame {
	struct frame frame;
	unsigned char *payload; /* a NUL behind it */
};

struct display_system;

/* For a tools.conf in a folder that is not there yet. */
#define RIG_NO_FOLDER "no folder"
/* Starts lodged with @conf as its tools.conf (NULL: none) and waits until it has connected. */
void rig_start(struct rig *rig, const char *conf);
/* The same, for a lodged that may take any door: another is where rig_open_dev() makes it. */
void rig_start_free(struct rig *rig, const char *conf);
/* A module is loaded: /dev/lodge, as it were, is there. rig_accept() is then about that door. */
void rig_open_dev(struct rig *rig);
/* And unloaded: rig_accept() is about the port again. */
void rig_close_dev(struct rig *rig);
void rig_stop(struct rig *rig);
/* A folder and what is in it. */
void rig_remove(const char *folder);
/* Takes lodge.hello and greets back. */
void rig_greet(struct rig *rig);
/* rig_start(), rig_greet(). */
void rig_up(struct rig *rig, const char *conf);
/* How often lodged would have ended the system. */
int rig_ended(enum shutdown what);
/* What lodged would have done to the system's clock; it keeps none unless @on is set before the
 * start. */
struct rig_clock {
	bool on;
	unsigned int steps, slews;
	int64_t by; /* ns, of the last step */
	char zone[64]; /* what it was set to last */
};
struct rig_clock *rig_clock(void);
/* The display of lodged's that start from now on: NULL at first, they follow none. */
void rig_display(const struct display_system *display);
/* "word " and fields (key, value, ..., NULL) as a COMMAND: its tag. */
#define rig_fields(rig, word, ...) rig_fields_of(rig, word, (const char *const[]){ __VA_ARGS__ })
uint32_t rig_fields_of(struct rig *rig, const char *word, const char *const *fields);
/* Waits for lodged to connect again. */
void rig_accept(struct rig *rig);

/* Lets lodged run until @done says so. */
void rig_until(struct rig *rig, bool (*done)(struct rig *rig, void *opaque), void *opaque);
void rig_send(struct rig *rig, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
	      const void *payload, size_t len);
void rig_send_bytes(struct rig *rig, const void *bytes, size_t len);
/* The next frame that is neither DATA (collected, and credited) nor, unless @requests, REQUEST
 * (answered). The caller frees the payload. */
struct rig_frame rig_next(struct rig *rig, bool requests);

/* Sends a COMMAND; its tag. */
uint32_t rig_command(struct rig *rig, const void *text, size_t len);
/* The RESULT of @tag, g_free(). */
char *rig_result(struct rig *rig, uint32_t tag);
/* Both, for text. */
char *rig_ask(struct rig *rig, const char *text);
/* Waits for a REQUEST that begins with @prefix (answered "1 "): its text, the rig's. */
const char *rig_request(struct rig *rig, const char *prefix);

#endif

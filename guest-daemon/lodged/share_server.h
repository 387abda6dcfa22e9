/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process of mount.lodge that has the shares mounted where the guest's kernel has no virtiofs:
 * started with the module lodge_fs, or with messages that go through lodged's door to the host
 * (protocol/spec/fs-stream.md), watched, and ended.
 *
 * By the module it needs nothing of lodged once it has mounted: it is a process of its own, under
 * systemd in a scope of its own, and outlives lodged, with the files that are open in the mount.
 * The next lodged finds the mount, and sees by share_server_watch() when it ends. By messages it
 * ends with lodged and leaves nothing mounted. Whoever wants it again starts it again.
 */
#ifndef LODGE_GUEST_SHARE_SERVER_H
#define LODGE_GUEST_SHARE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct door_command;
struct lodged;
struct share_server;

enum share_way { SHARE_WAY_LODGE_FS, SHARE_WAY_RPC };

struct share_server_events {
	/* The shares are mounted. */
	void (*mounted)(void *opaque);
	/* It does not run any more, or never did, for @why (NULL: it was done well, or what is
	 * mounted may have ended: look). */
	void (*ended)(void *opaque, const char *why);
};

struct share_server *share_server_new(struct lodged *lodged,
				      const struct share_server_events *events, void *opaque);
/* One that mounts, or has to be told to end, runs or is about to. */
bool share_server_busy(const struct share_server *server);
/* Starts one that is not busy, to mount at @place. Its end may be told before this returns. */
void share_server_start(struct share_server *server, enum share_way way, const char *place);
/* From now on the end of whoever has @node open, the device's file, is told; where there is none,
 * nothing happens. */
void share_server_watch(struct share_server *server, const char *node);
/* The host's answer to what SHARE_WAY_RPC asked for: LODGE_FS_STREAM_WORD. Takes @command. */
void share_server_command(struct share_server *server, struct door_command *command,
			  const char *fields, size_t len);
/* The door was lost. */
void share_server_lost(struct share_server *server);
/* Ends one that needs lodged, and waits for that a moment. */
void share_server_free(struct share_server *server);

#endif

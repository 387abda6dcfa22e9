/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who sets the resolution in users' sessions, as each lodge-session says
 * (guest-daemon/session/state.h).
 */
#ifndef LODGE_GUEST_SESSION_H
#define LODGE_GUEST_SESSION_H

/* @owner: "lodge-session", "another program" or "nobody"; @server: the Wayland compositor's
 * command, "" of an X session. Printable ASCII in any case. */
typedef void (*session_fn)(void *opaque, const char *uid, const char *owner, const char *server);

/* Calls @fn for each session below @users, "/run/user" but in tests. The files are the users' own:
 * whatever one made of his, it is read as two short lines, or left out. */
void session_each(const char *users, session_fn fn, void *opaque);

#endif

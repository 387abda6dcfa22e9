/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * display.sock: the VM's windows, on the display's loop. protocol/spec/display.md.
 *
 * A window is believed if its peer credentials are our own user's or root's. One that does not keep
 * to the protocol is closed; one that does not read for DISPLAY_STALL_S is dropped. None of them
 * holds up the guest or another window for longer than LODGE_DISPLAY_SHOWN_MS.
 */
#ifndef LODGE_VMM_DISPLAY_SERVER_H
#define LODGE_VMM_DISPLAY_SERVER_H

struct display;
struct display_server;
struct input;

#define DISPLAY_WINDOWS_MAX 8
#define DISPLAY_STALL_S	    5

/*
 * Listens at @path until display_server_stop(). @name: the VM's. -EADDRINUSE where a live process
 * listens there, -ENAMETOOLONG, or another errno. Main thread.
 */
int display_server_start(struct display *display, struct input *input, const char *name,
			 const char *path, struct display_server **ret_server);
/* Closes all windows and removes the socket. NULL is fine. */
void display_server_stop(struct display_server *server);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back end "tools" of a console port: the backdoor, by frames. Everything is the machine's
 * loop's.
 */
#ifndef LODGE_VMM_CONSOLE_TOOLS_H
#define LODGE_VMM_CONSOLE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console_port;
struct console_tools;

/* Logs on failure. */
int console_tools_create(struct console_port *port, struct console_tools **ret_tools);
void console_tools_destroy(struct console_tools *tools); /* NULL is fine */

/* Bytes of the guest: how many were taken, all or none. */
size_t console_tools_take(struct console_tools *tools, const uint8_t *bytes, size_t len);
/* Whether it takes none until the guest has read. */
bool console_tools_is_full(struct console_tools *tools);
/* Gives the guest what waits for it, as far as it has buffers. */
void console_tools_pump(struct console_tools *tools);

/* The guest opened or closed its end: whatever was under way is gone. */
void console_tools_guest_opened(struct console_tools *tools, bool open);
/* Whether our end is open. */
bool console_tools_is_open(const struct console_tools *tools);
void console_tools_reset(struct console_tools *tools);
/* The machine goes on from a saved state: what the guest had under way is lost. */
void console_tools_restored(struct console_tools *tools);

#endif

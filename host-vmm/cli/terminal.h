/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The user's terminal: raw while a program in a guest has it, and its size. */
#ifndef LODGE_VMM_CLI_TERMINAL_H
#define LODGE_VMM_CLI_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct terminal_mode {
	struct termios before;
	bool raw;
};

/* Makes standard input raw where it is a terminal. */
void terminal_make_raw(struct terminal_mode *ret_mode);
/* Puts it back. May be called again, and without a terminal. */
void terminal_restore(struct terminal_mode *mode);
/* Of standard output, input or error, whichever is a terminal; else 80 by 24. */
void terminal_size(unsigned int *ret_cols, unsigned int *ret_rows);

#endif

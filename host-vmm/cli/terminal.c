// SPDX-License-Identifier: GPL-2.0-or-later
// The user's terminal: raw mode and size.
#include "host-vmm/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

void terminal_make_raw(struct terminal_mode *ret_mode)
{
	struct termios raw;

	*ret_mode = (struct terminal_mode){ .raw = false };
	if (tcgetattr(STDIN_FILENO, &ret_mode->before))
		return;
	raw = ret_mode->before;
	cfmakeraw(&raw);
	ret_mode->raw = !tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

void terminal_restore(struct terminal_mode *mode)
{
	if (mode->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &mode->before);
	mode->raw = false;
}

void terminal_size(unsigned int *ret_cols, unsigned int *ret_rows)
{
	static const int fds[] = { STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO };
	struct winsize size;

	*ret_cols = 80;
	*ret_rows = 24;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (ioctl(fds[i], TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
			continue;
		*ret_cols = size.ws_col;
		*ret_rows = size.ws_row;
		return;
	}
}

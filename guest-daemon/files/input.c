// SPDX-License-Identifier: GPL-2.0-or-later
// What comes from the host, until it ends or lodged says by a signal that it was given up.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include "guest-daemon/files/files.h"
#include "protocol/lib/fd.h"

int input_open(struct input *input, int fd)
{
	sigset_t set;

	*input = (struct input){ fd, -1 };
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	/* Instead of the SIGKILL that lodged has asked for: there may be something to clean up. */
	(void)prctl(PR_SET_PDEATHSIG, SIGHUP);
	input->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return input->signals < 0 ? -errno : 0;
}

void input_close(struct input *input)
{
	fd_close(&input->signals);
}

ssize_t input_read(struct input *input, void *bytes, size_t len)
{
	for (;;) {
		struct pollfd pfds[] = { { input->signals, POLLIN, 0 }, { input->fd, POLLIN, 0 } };
		ssize_t got;

		if (poll(pfds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		/* The signal is sent first, so it is seen before an end that is none. */
		if (pfds[0].revents)
			return -ECANCELED;
		if (!pfds[1].revents)
			continue;
		got = read(input->fd, bytes, len);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		return got < 0 ? -errno : got;
	}
}

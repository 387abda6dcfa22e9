// SPDX-License-Identifier: GPL-2.0-or-later
// Waits for a child and for the signals that ask for the end.
#include "protocol/lib/child.h"

#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

bool child_wait(pid_t child, pid_t victim, int signal, int *ret_status, bool *asked)
{
	sigset_t set;
	pid_t got;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (!(got = waitpid(child, ret_status, WNOHANG))) {
		if (sigwait(&set, &sig) || sig == SIGCHLD)
			continue;
		*asked = true;
		kill(victim, signal);
	}
	return got > 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Starts threads: the mask is set before, so that no signal finds the new one without it.
#include "protocol/lib/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret_thread, size_t stack_size, int signal, void *(*run)(void *),
		 void *arg)
{
	pthread_attr_t attr;
	sigset_t mask, old;
	int ret;

	sigfillset(&mask);
	if (signal)
		sigdelset(&mask, signal);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack_size);
	pthread_sigmask(SIG_SETMASK, &mask, &old);
	ret = pthread_create(ret_thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -ret;
}

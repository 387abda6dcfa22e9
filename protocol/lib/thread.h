/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads as all of our programs have them: a small stack, and no signals but the one named. */
#ifndef LODGE_LIB_THREAD_H
#define LODGE_LIB_THREAD_H

#include <pthread.h>
#include <stddef.h>

/*
 * Starts @run(@arg) on a stack of @stack_size bytes, of which only what is touched is memory. The
 * thread has all signals blocked but @signal; 0: all. The caller joins it. A negative errno of
 * pthread_create(3).
 */
int thread_start(pthread_t *ret_thread, size_t stack_size, int signal, void *(*run)(void *),
		 void *arg);

#endif

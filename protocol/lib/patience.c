// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls in threads that are left behind where they take too long. */
#include "protocol/lib/patience.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/lib/capabilities.h"
#include "protocol/lib/thread.h"

#define STACK_SIZE (128u << 10)
/* A machine that is silent has several folders, which are asked for one behind another: while the
 * last call that was left behind is this young, others get a tenth of the time. */
#define MEMORY_S 10

static time_t last_left; /* atomic: CLOCK_MONOTONIC; 0: never */

struct call {
	struct patience how;
	pthread_t thread;
	pthread_mutex_t lock; /* over what follows, but the item */
	pthread_cond_t answered;
	bool done, nobody_waits;
	max_align_t item[]; /* the thread's, and then of whoever sees that it is done */
};

static void call_free(struct call *call)
{
	pthread_cond_destroy(&call->answered);
	pthread_mutex_destroy(&call->lock);
	free(call);
}

static void *run(void *arg)
{
	struct call *call = arg;
	bool nobody_waits;

	capabilities_keep(1u << CAP_DAC_OVERRIDE);
	call->how.run(call->item);
	pthread_mutex_lock(&call->lock);
	call->done = true;
	nobody_waits = call->nobody_waits;
	pthread_cond_signal(&call->answered);
	pthread_mutex_unlock(&call->lock);
	if (!nobody_waits)
		return NULL;
	if (call->how.late)
		call->how.late(call->item);
	call_free(call);
	return NULL;
}

/* NULL: there is no memory or no thread for it. */
static struct call *start(const struct patience *how, const void *item)
{
	struct call *call = calloc(1, sizeof(*call) + how->size);
	pthread_condattr_t attr;

	if (!call)
		return NULL;
	call->how = *how;
	memcpy(call->item, item, how->size);
	pthread_mutex_init(&call->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&call->answered, &attr);
	pthread_condattr_destroy(&attr);
	if (!thread_start(&call->thread, STACK_SIZE, 0, run, call))
		return call;
	call_free(call);
	return NULL;
}

/* Whether it is done, with @item as it has become. The call is nobody's business after that. */
static bool finish(struct call *call, const struct timespec *end, void *item)
{
	bool done;

	pthread_mutex_lock(&call->lock);
	while (!call->done &&
	       pthread_cond_timedwait(&call->answered, &call->lock, end) != ETIMEDOUT)
		;
	done = call->done;
	call->nobody_waits = !done;
	if (!done)
		pthread_detach(call->thread);
	pthread_mutex_unlock(&call->lock);
	if (!done) {
		__atomic_store_n(&last_left, end->tv_sec, __ATOMIC_RELAXED);
		return false;
	}
	pthread_join(call->thread, NULL);
	memcpy(item, call->item, call->how.size);
	call_free(call);
	return true;
}

static struct timespec end_of(unsigned int ms)
{
	time_t last = __atomic_load_n(&last_left, __ATOMIC_RELAXED);
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	if (last && end.tv_sec - last < MEMORY_S)
		ms /= 10;
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	return end;
}

void patience_call(const struct patience *how, void *items, size_t n, bool *ret_done)
{
	struct call **calls = calloc(n ? n : 1, sizeof(struct call *));
	struct timespec end;
	char *item = items;

	for (size_t i = 0; calls && i < n; i++)
		calls[i] = start(how, item + i * how->size);
	end = end_of(how->ms);
	for (size_t i = 0; i < n; i++, item += how->size) {
		ret_done[i] = true;
		if (calls && calls[i])
			ret_done[i] = finish(calls[i], &end, item);
		else
			how->run(item);
	}
	free(calls);
}

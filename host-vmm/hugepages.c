// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread behind hugepages.h.
 *
 * Theory of operation: it looks for stretches that came into use, again after 10 ms when it found
 * some, else after a part of the time that the guest has run: a guest that boots is looked at
 * often, one that has run for hours once a minute. A look costs a system call or two for each
 * stretch that is in use and still in small pages.
 */
#include "host-vmm/hugepages.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "host-vmm/memory.h"
#include "host-vmm/sandbox.h"
#include "protocol/lib/capabilities.h"
#include "protocol/lib/thread.h"

#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 60000
#define GROWTH_MS    20000 /* while it boots, a guest takes most of its memory */
#define PAUSE_PART   64 /* of the time since the start */
#define STACK_SIZE   (64u << 10) /* bytes; only what is touched is memory */

struct hugepages {
	struct memory *memory;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, hurry; /* under lock */
};

enum next { NEXT_STOP, NEXT_LOOK, NEXT_HURRY };

static enum next pause_ms(struct hugepages *hugepages, unsigned int ms)
{
	struct timespec until;
	enum next next;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&hugepages->lock);
	while (!hugepages->stop && !hugepages->hurry &&
	       pthread_cond_timedwait(&hugepages->wake, &hugepages->lock, &until) != ETIMEDOUT)
		;
	next = hugepages->stop ? NEXT_STOP : hugepages->hurry ? NEXT_HURRY : NEXT_LOOK;
	hugepages->hurry = false;
	pthread_mutex_unlock(&hugepages->lock);
	return next;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static unsigned int pause_after(bool found, uint64_t age_ms)
{
	uint64_t ms = found || age_ms < GROWTH_MS ? 0 : age_ms / PAUSE_PART;

	return ms < PAUSE_MIN_MS   ? PAUSE_MIN_MS
	       : ms > PAUSE_MAX_MS ? PAUSE_MAX_MS
				   : (unsigned int)ms;
}

static void *hugepages_thread(void *opaque)
{
	struct hugepages *hugepages = opaque;
	uint64_t start = now_ms();

	pthread_setname_np(pthread_self(), "hugepages");
	capabilities_keep(SANDBOX_CAPABILITIES);
	for (;;) {
		bool found = memory_collapse(hugepages->memory) > 0;

		switch (pause_ms(hugepages, pause_after(found, now_ms() - start))) {
		case NEXT_STOP:
			return NULL;
		case NEXT_HURRY:
			start = now_ms();
			break;
		case NEXT_LOOK:
			break;
		}
	}
}

int hugepages_start(struct memory *memory, struct hugepages **ret_hugepages)
{
	struct hugepages *hugepages = calloc(1, sizeof(*hugepages));
	pthread_condattr_t clock;
	int ret;

	if (!hugepages)
		return -ENOMEM;
	hugepages->memory = memory;
	pthread_mutex_init(&hugepages->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&hugepages->wake, &clock);
	pthread_condattr_destroy(&clock);

	ret = thread_start(&hugepages->thread, STACK_SIZE, 0, hugepages_thread, hugepages);
	if (ret < 0) {
		pthread_cond_destroy(&hugepages->wake);
		pthread_mutex_destroy(&hugepages->lock);
		free(hugepages);
		return ret;
	}
	*ret_hugepages = hugepages;
	return 0;
}

void hugepages_hurry(struct hugepages *hugepages)
{
	if (!hugepages)
		return;
	pthread_mutex_lock(&hugepages->lock);
	hugepages->hurry = true;
	pthread_cond_signal(&hugepages->wake);
	pthread_mutex_unlock(&hugepages->lock);
}

void hugepages_stop(struct hugepages *hugepages)
{
	if (!hugepages)
		return;
	pthread_mutex_lock(&hugepages->lock);
	hugepages->stop = true;
	pthread_cond_signal(&hugepages->wake);
	pthread_mutex_unlock(&hugepages->lock);
	pthread_join(hugepages->thread, NULL);
	pthread_cond_destroy(&hugepages->wake);
	pthread_mutex_destroy(&hugepages->lock);
	free(hugepages);
}

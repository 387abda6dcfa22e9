// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that close what may take long to close; each ends when there is nothing left. */
#include "shared-fs/server/closer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/lib/thread.h"
#include "shared-fs/server/workers.h"

#define THREADS_MAX 8 /* a machine that is silent takes one for each file, until all wait */

static struct {
	pthread_mutex_t lock; /* over what follows */
	int *fds; /* that wait, oldest first */
	size_t n, room;
	unsigned int n_threads;
} closer = { .lock = PTHREAD_MUTEX_INITIALIZER };

static __thread bool may_wait;

void closer_may_wait(void)
{
	may_wait = true;
}

static void *run(void *arg)
{
	int fd;

	(void)arg;
	pthread_mutex_lock(&closer.lock);
	while (closer.n) {
		fd = closer.fds[0];
		closer.n--;
		memmove(closer.fds, closer.fds + 1, closer.n * sizeof(*closer.fds));
		pthread_mutex_unlock(&closer.lock);
		close(fd);
		pthread_mutex_lock(&closer.lock);
	}
	closer.n_threads--;
	pthread_mutex_unlock(&closer.lock);
	return NULL;
}

/* Under lock. */
static bool append(int fd)
{
	if (closer.n == closer.room) {
		size_t room = closer.room ? 2 * closer.room : 16;
		int *fds = reallocarray(closer.fds, room, sizeof(*fds));

		if (!fds)
			return false;
		closer.fds = fds;
		closer.room = room;
	}
	closer.fds[closer.n++] = fd;
	return true;
}

/* Under lock. */
static void add_thread(void)
{
	pthread_t thread;

	if (closer.n_threads == THREADS_MAX ||
	    thread_start(&thread, SERVER_STACK_SIZE, 0, run, NULL))
		return;
	pthread_detach(thread);
	closer.n_threads++;
}

void closer_close(int fd, bool remote)
{
	bool taken = false;

	if (remote && !may_wait) {
		pthread_mutex_lock(&closer.lock);
		taken = append(fd);
		if (taken)
			add_thread();
		if (taken && !closer.n_threads) {
			closer.n--;
			taken = false;
		}
		pthread_mutex_unlock(&closer.lock);
	}
	if (!taken)
		close(fd);
}

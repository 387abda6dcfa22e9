// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backdoor-client load SECONDS PROCESSES: programs that open, ask, send ahead and close without
 * end, while whoever runs this takes the device away, resets it or removes the module. A session
 * may end at any time, with the errors of the contract; a reply that comes is that of its request,
 * and nobody waits for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/vm/backdoor/client.h"

#define PROCESSES_MAX 32
#define AHEAD	      LODGE_RPC_REQUESTS_MAX
#define GRACE_SECONDS 20 /* until one that has not ended hangs */

struct counts {
	atomic_uint sessions, replies, refused, ended, bad;
};

struct load {
	struct counts *counts; /* of all */
	struct message message;
	int number, fd;
	uint32_t tag;
	bool fake; /* a host that knows no words */
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool bad(struct load *load, const char *what, int error)
{
	printf("load: %s: %s\n", what, strerror(-error));
	fflush(stdout);
	atomic_fetch_add(&load->counts->bad, 1);
	return false;
}

/* False: the session is over, as it may be. */
static bool goes_on(struct load *load, const char *what, ssize_t got)
{
	if (got >= 0)
		return true;
	if (got == -ECONNRESET || got == -ENODEV || got == -EPIPE)
		atomic_fetch_add(&load->counts->ended, 1);
	else
		bad(load, what, (int)got);
	return false;
}

static bool next_reply(struct load *load)
{
	int got = receive(load->fd, &load->message);

	if (got == 1)
		return goes_on(load, "read", -EPIPE);
	if (!goes_on(load, "read", got))
		return false;
	atomic_fetch_add(&load->counts->replies, 1);
	return true;
}

/* One request and its reply, which begins with @wanted, or with a refusal where the host is busy.
 */
static bool exchange(struct load *load, const char *text, size_t size, const char *wanted)
{
	const struct lodge_rpc_header *header = &load->message.header;
	uint32_t tag = ++load->tag;

	if (!goes_on(load, "write", send_frame(load->fd, LODGE_RPC_REQUEST, tag, text, size)) ||
	    !next_reply(load))
		return false;
	if (header->type != LODGE_RPC_REPLY || header->tag != tag)
		return bad(load, "another request's reply", -EBADMSG);
	if (header->flags & LODGE_RPC_F_BUSY) {
		usleep(1000);
		return true;
	}
	if (!load->fake && strncmp(load->message.payload, wanted, strlen(wanted)) != 0)
		return bad(load, load->message.payload, -EBADMSG);
	return true;
}

static bool say_hello(struct load *load)
{
	static const char text[] = "lodge.hello app=cli\0version=load";

	do {
		if (!exchange(load, text, sizeof(text), "1 "))
			return false;
	} while (load->message.header.flags & LODGE_RPC_F_BUSY);
	load->fake = !strcmp(load->message.payload, "1 fine");
	return true;
}

/* What one program sets it gets, whatever others do. */
static bool own_variable(struct load *load)
{
	char text[128], wanted[80];
	int n;

	n = snprintf(text, sizeof(text), "info-set guestinfo.load%d %d.%u", load->number,
		     load->number, load->tag);
	snprintf(wanted, sizeof(wanted), "1 %d.%u", load->number, load->tag);
	if (!exchange(load, text, (size_t)n, "1"))
		return false;
	if (load->message.header.flags & LODGE_RPC_F_BUSY)
		return true;
	n = snprintf(text, sizeof(text), "info-get guestinfo.load%d", load->number);
	return exchange(load, text, (size_t)n, wanted);
}

/* As many as may be on their way, then all replies: each once. */
static bool ahead(struct load *load)
{
	uint32_t first = load->tag + 1, seen = 0;
	unsigned int i;

	for (i = 0; i < AHEAD; i++)
		if (!goes_on(load, "write ahead",
			     send_request(load->fd, ++load->tag, "info-get x")))
			return false;
	for (i = 0; i < AHEAD; i++) {
		if (!next_reply(load))
			return false;
		seen |= 1u << (load->message.header.tag - first) % 32;
	}
	return seen == (1u << AHEAD) - 1 ? true : bad(load, "replies sent ahead", -EBADMSG);
}

/* Data of no stream, and the end with a request on its way. */
static bool leave(struct load *load)
{
	static const char data[3000];

	return goes_on(load, "data", send_frame(load->fd, LODGE_RPC_DATA, 1, data, sizeof(data))) &&
	       goes_on(load, "last request", send_request(load->fd, ++load->tag, "info-get x")) &&
	       false;
}

static void one_session(struct load *load, unsigned int seed)
{
	unsigned int rounds = 1 + seed % 6;
	bool good;

	load->fd = open(DEV, O_RDWR | O_CLOEXEC);
	if (load->fd < 0) {
		if (errno != EBUSY && errno != ENODEV && errno != ENOENT && errno != ENXIO)
			bad(load, "open", -errno);
		atomic_fetch_add(&load->counts->refused, 1);
		usleep(2000);
		return;
	}
	atomic_fetch_add(&load->counts->sessions, 1);
	good = say_hello(load);
	while (good && rounds-- > 0)
		good = (seed & (1u << rounds)) ? own_variable(load) : ahead(load);
	if (good && seed & 0x100)
		leave(load);
	close(load->fd);
}

static void one_process(struct counts *counts, int number, double end)
{
	struct load *load = calloc(1, sizeof(*load));
	unsigned int seed = (unsigned int)number + 1;

	if (!load)
		_exit(1);
	load->counts = counts;
	load->number = number;
	while (now() < end && atomic_load(&counts->bad) < 5)
		one_session(load, (unsigned int)rand_r(&seed));
	_exit(0);
}

/* How many have not ended by @end; they are killed. */
static int wait_for_all(const pid_t *pids, int n, double end)
{
	int i, hung = 0;

	for (i = 0; i < n; i++) {
		while (waitpid(pids[i], NULL, WNOHANG) == 0 && now() < end)
			usleep(20000);
		if (waitpid(pids[i], NULL, WNOHANG) == 0) {
			hung++;
			kill(pids[i], SIGKILL);
		}
	}
	return hung;
}

void test_load(int seconds, int processes)
{
	struct counts *counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES_MAX];
	double end = now() + seconds;
	int i, hung;

	if (counts == MAP_FAILED || processes < 1 || processes > PROCESSES_MAX) {
		check(false, "load: 1 to %d processes, and memory", PROCESSES_MAX);
		return;
	}
	for (i = 0; i < processes; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			one_process(counts, i, end);
	}
	printf("begun\n");
	fflush(stdout);
	hung = wait_for_all(pids, processes, end + GRACE_SECONDS);
	printf("load: %u sessions, %u replies, %u opens refused, %u sessions ended by the device\n",
	       counts->sessions, counts->replies, counts->refused, counts->ended);
	check(hung == 0, "%d of %d programs hang", hung, processes);
	check(counts->bad == 0 && counts->replies > 0, "%u answers and errors that may not be",
	      counts->bad);
}

/* All sessions that there are, until a signal ends this. */
void test_hold(void)
{
	unsigned int n = 0, tries = 0;

	/* Numbers of sessions that were closed are free when the host has heard of it. */
	while (n < LODGE_RPC_SESSIONS_MAX && tries++ < 10000) {
		if (open(DEV, O_RDWR) >= 0)
			n++;
		else
			usleep(1000);
	}
	printf("holding %u: %s\n", n, open(DEV, O_RDWR) < 0 ? strerror(errno) : "and another");
	fflush(stdout);
	pause();
}

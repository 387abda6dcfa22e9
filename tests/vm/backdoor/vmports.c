// SPDX-License-Identifier: GPL-2.0-or-later
// What a process of the guest can do with VMware's I/O ports: nothing without them, no harm with
// them (T33, T35), and how fast requests are, four bytes or a string at a time.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>

#include <lodge/backdoor.h>

#define MESSAGE	   30u
#define COOKIE	   0x80000000u
#define SUCCESS	   1u
#define DORECV	   2u
#define LAST_KNOWN 104u
#define TEXT_MAX   66000u

enum step { OPEN, SENDSIZE, SENDPAYLOAD, RECVSIZE, RECVPAYLOAD, RECVSTATUS, CLOSE };

struct regs {
	uint64_t ax, bx, cx, dx, si, di, bp;
};

struct channel {
	uint32_t id, high, low;
};

static sigjmp_buf faulted;

static void on_fault(int number)
{
	siglongjmp(faulted, number);
}

static void in(struct regs *regs)
{
	__asm__ volatile("inl %%dx, %%eax"
			 : "+a"(regs->ax), "+b"(regs->bx), "+c"(regs->cx), "+d"(regs->dx),
			   "+S"(regs->si), "+D"(regs->di)
			 :
			 : "memory");
}

/* RBP is the compiler's: it changes places with another register for so long. */
static __attribute__((noinline)) void string(struct regs *regs, bool out)
{
	if (out)
		__asm__ volatile("xchg %%rbp, %[bp]\n\tcld\n\trep outsb\n\txchg %%rbp, %[bp]"
				 : "+a"(regs->ax), "+b"(regs->bx), "+c"(regs->cx), "+d"(regs->dx),
				   "+S"(regs->si), "+D"(regs->di), [bp] "+r"(regs->bp)
				 :
				 : "memory", "cc");
	else
		__asm__ volatile("xchg %%rbp, %[bp]\n\tcld\n\trep insb\n\txchg %%rbp, %[bp]"
				 : "+a"(regs->ax), "+b"(regs->bx), "+c"(regs->cx), "+d"(regs->dx),
				   "+S"(regs->si), "+D"(regs->di), [bp] "+r"(regs->bp)
				 :
				 : "memory", "cc");
}

static uint32_t step(const struct channel *channel, enum step what, uint32_t value,
		     struct regs *ret_regs)
{
	struct regs regs = {
		.ax = LODGE_VMW_MAGIC,
		.bx = value,
		.cx = MESSAGE | (uint32_t)what << 16,
		.dx = LODGE_VMW_PORT | channel->id << 16,
		.si = channel->high,
		.di = channel->low,
	};

	in(&regs);
	if (ret_regs)
		*ret_regs = regs;
	return (uint32_t)regs.cx >> 16;
}

static bool open_protocol(struct channel *channel, uint32_t protocol)
{
	struct regs regs;

	*channel = (struct channel){ 0 };
	if (!(step(channel, OPEN, protocol | COOKIE, &regs) & SUCCESS))
		return false;
	*channel =
		(struct channel){ (uint32_t)regs.dx >> 16, (uint32_t)regs.si, (uint32_t)regs.di };
	return true;
}

static bool open_channel(struct channel *channel)
{
	return open_protocol(channel, LODGE_VMW_PROT_RPCI);
}

static struct regs string_regs(const struct channel *channel, size_t len)
{
	return (struct regs){
		.ax = LODGE_VMW_MAGIC,
		.bx = SUCCESS << 16,
		.cx = len,
		.dx = LODGE_VMW_PORT_HB | channel->id << 16,
	};
}

static bool send_text(const struct channel *channel, const char *text, size_t len, bool strings)
{
	if (!(step(channel, SENDSIZE, (uint32_t)len, NULL) & SUCCESS))
		return false;
	if (strings) {
		struct regs regs = string_regs(channel, len);

		regs.si = (uintptr_t)text;
		regs.di = channel->low;
		regs.bp = channel->high;
		string(&regs, true);
		return (regs.bx >> 16 & SUCCESS) && regs.cx == 0;
	}
	for (size_t at = 0; at < len; at += 4) {
		uint32_t piece = 0;

		memcpy(&piece, text + at, len - at < 4 ? len - at : 4);
		if (!(step(channel, SENDPAYLOAD, piece, NULL) & SUCCESS))
			return false;
	}
	return true;
}

/* The length of the answer, or -1. */
static long receive_text(const struct channel *channel, char *text, size_t room, bool strings)
{
	struct regs regs;
	size_t len;

	if ((step(channel, RECVSIZE, 0, &regs) & (SUCCESS | DORECV)) != (SUCCESS | DORECV))
		return -1;
	len = (uint32_t)regs.bx;
	if (len > room)
		return -1;
	if (strings) {
		regs = string_regs(channel, len);
		regs.di = (uintptr_t)text;
		regs.si = channel->high;
		regs.bp = channel->low;
		string(&regs, false);
		if (!(regs.bx >> 16 & SUCCESS))
			return -1;
	}
	for (size_t at = 0; !strings && at < len; at += 4) {
		if (!(step(channel, RECVPAYLOAD, 1, &regs) & SUCCESS))
			return -1;
		memcpy(text + at, &regs.bx, len - at < 4 ? len - at : 4);
	}
	return step(channel, RECVSTATUS, 1, NULL) & SUCCESS ? (long)len : -1;
}

static bool is_there(void)
{
	struct regs regs = { .ax = LODGE_VMW_MAGIC, .bx = ~LODGE_VMW_MAGIC, .cx = 10 };

	regs.dx = LODGE_VMW_PORT;
	if (sigsetjmp(faulted, 1) != 0)
		return false;
	in(&regs);
	return (uint32_t)regs.bx == LODGE_VMW_MAGIC;
}

/* Every command, with numbers that could be lengths and addresses, and ports that are its like. */
static void try_commands(void)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, UINT32_MAX, 0x1000 };

	for (uint32_t number = 0; number <= LAST_KNOWN + 50; number++) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct regs regs = {
				.ax = LODGE_VMW_MAGIC,
				.bx = values[i],
				.cx = number | values[(i + number) % 6] << 16,
				.dx = LODGE_VMW_PORT | values[i] << 16,
				.si = values[i],
				.di = values[(i + 1) % 6],
			};

			in(&regs);
		}
	}
	/* In other widths, and out; a process that may not gets the signal. */
	for (volatile uint16_t port = LODGE_VMW_PORT; port <= LODGE_VMW_PORT_HB; port++) {
		if (sigsetjmp(faulted, 1) != 0)
			continue;
		outb(1, port);
		(void)inb(port);
		outw(1, port);
		(void)inw(port);
		outl(LODGE_VMW_MAGIC, port);
	}
}

/* Strings from and to where the process may not read or write: it gets the signal, and no byte. */
static int try_addresses(void)
{
	static const uintptr_t addresses[] = { 0, 0xffffffff81000000, 0x8000000000000000 };
	struct channel channel;
	volatile int wrong = 0;
	char *edge;

	edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (edge == MAP_FAILED || mprotect(edge + 4096, 4096, PROT_NONE) < 0 ||
	    !open_channel(&channel))
		return 1;
	memset(edge, 'e', 4096);
	for (size_t i = 0; i < 2 * 4; i++) {
		uintptr_t address = i / 2 < 3 ? addresses[i / 2] : (uintptr_t)edge + 4000;
		struct regs regs = string_regs(&channel, 200);
		bool out = i % 2 == 0;

		step(&channel, SENDSIZE, 200, NULL);
		regs.si = out ? address : channel.high;
		regs.di = out ? channel.low : address;
		regs.bp = out ? channel.high : channel.low;
		if (sigsetjmp(faulted, 1) != 0)
			continue;
		string(&regs, out);
		wrong++;
	}
	step(&channel, CLOSE, 0, NULL);
	return wrong;
}

/* No more than there are; in a slow guest those that were idle for 10 s make room for others. */
static int try_channels(void)
{
	struct channel channel, wrong;
	unsigned int opened = 0, allowed;
	time_t start = time(NULL);

	for (int i = 0; i < 10000; i++)
		opened += open_channel(&channel);
	allowed = 64 * (2 + (unsigned int)(time(NULL) - start) / 10);
	for (uint32_t id = 0; id < 0x10000; id += 61) {
		wrong = (struct channel){ id, 1, 2 };
		if (step(&wrong, (enum step)(1 + id % 6), UINT32_MAX, NULL) & SUCCESS)
			return 1;
	}
	printf("channels=%u\n", opened);
	return opened == 0 || opened > allowed;
}

static int abuse(void)
{
	struct channel channel;
	char text[128];
	int bad;

	try_commands();
	puts("commands=done");
	bad = try_addresses();
	puts("addresses=done");
	if (!open_channel(&channel) || (step(&channel, SENDSIZE, UINT32_MAX, NULL) & SUCCESS) ||
	    (step(&channel, SENDPAYLOAD, 1, NULL) & SUCCESS) ||
	    receive_text(&channel, text, sizeof(text), false) != -1)
		bad++;
	/* It was refused, and the next one is taken; any bytes may be in it. */
	memset(text, 0xff, sizeof(text));
	if (!send_text(&channel, text, 100, false) ||
	    receive_text(&channel, text, sizeof(text), false) < 2 || text[0] != '0')
		bad++;
	bad += try_channels();
	if (!is_there())
		bad++;
	printf("bad=%d\n", bad);
	return bad != 0;
}

/* @count requests of @len bytes, which set a variable to as much, and get it back. */
static int measure(int count, size_t len, bool strings)
{
	static char text[TEXT_MAX], answer[TEXT_MAX];
	int head = snprintf(text, sizeof(text), "info-set guestinfo.m ");
	struct timespec start, end;
	struct channel channel;
	uint64_t ns;

	if (len < (size_t)head || len > sizeof(text) || !open_channel(&channel))
		return 1;
	for (size_t i = (size_t)head; i < len; i++)
		text[i] = (char)('a' + i % 26);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < count; i++)
		if (!send_text(&channel, text, len, strings) ||
		    receive_text(&channel, answer, sizeof(answer), strings) < 2 || answer[0] != '1')
			return 1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	ns = (uint64_t)(end.tv_sec - start.tv_sec) * 1000000000u + (uint64_t)end.tv_nsec -
	     (uint64_t)start.tv_nsec;
	if (!send_text(&channel, "info-get guestinfo.m", 20, strings) ||
	    receive_text(&channel, answer, sizeof(answer), strings) != (long)len - head + 2 ||
	    memcmp(answer + 2, text + head, len - (size_t)head) != 0)
		return 1;
	step(&channel, CLOSE, 0, NULL);
	printf("%s bytes=%zu us=%.1f\n", strings ? "strings" : "pieces", len,
	       (double)ns / 1000 / count);
	return 0;
}

/* Messages for @seconds, of which every other answer is taken. */
static int flood(int seconds)
{
	static char text[4096] = "log flood ", answer[4096];
	time_t end = time(NULL) + seconds;
	unsigned long sent = 0, opened = 0;

	memset(text + strlen(text), 'f', sizeof(text) - strlen(text));
	while (time(NULL) < end) {
		struct channel channel;

		if (!open_channel(&channel))
			continue;
		opened++;
		for (int i = 0; i < 1000 && time(NULL) < end; i++) {
			if (!send_text(&channel, text, 20 + (size_t)i * 4, i % 2))
				break;
			sent++;
			if (i % 4 < 2)
				(void)receive_text(&channel, answer, sizeof(answer), i % 2);
		}
		if (opened % 2)
			step(&channel, CLOSE, 0, NULL);
	}
	printf("%lu messages in %lu channels\n", sent, opened);
	return sent == 0;
}

static volatile sig_atomic_t ended;

static void on_end(int signal)
{
	(void)signal;
	ended = 1;
}

/* Plays the tools for @seconds, or until SIGTERM: takes commands, and does nothing. */
static int play_tools(int seconds)
{
	static const char hello[] = "OK ATR toolbox";
	time_t end = time(NULL) + seconds;
	struct channel channel;
	size_t answer = 0;
	char text[4096];

	if (!open_protocol(&channel, LODGE_VMW_PROT_TCLO))
		return 1;
	signal(SIGTERM, on_end);
	while (time(NULL) < end && !ended) {
		long got;

		if (!send_text(&channel, hello, answer, false))
			return 1;
		got = receive_text(&channel, text, sizeof(text) - 1, false);
		text[got > 0 ? got : 0] = '\0';
		answer = got < 0 ? 0 : !strcmp(text, "reset") ? strlen(hello) : 3;
		if (got > 0)
			puts(text);
		else
			usleep(20000);
	}
	step(&channel, CLOSE, 0, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_fault };
	const char *word = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	if (!strcmp(word, "probe")) {
		puts(is_there() ? "there" : "fault");
		return 0;
	}
	if (!is_there() && (ioperm(LODGE_VMW_PORT, 8, 1) < 0 || !is_there())) {
		fputs("vmports: no ports\n", stderr);
		return 1;
	}
	if (!strcmp(word, "abuse"))
		return abuse();
	if (!strcmp(word, "flood") && argc == 3)
		return flood(atoi(argv[2]));
	if (!strcmp(word, "measure") && argc == 5)
		return measure(atoi(argv[2]), strtoul(argv[3], NULL, 10),
			       !strcmp(argv[4], "strings"));
	if (!strcmp(word, "tools") && argc == 3)
		return play_tools(atoi(argv[2]));
	fputs("usage: vmports probe | abuse | flood SECONDS | tools SECONDS | measure COUNT BYTES pieces|strings\n",
	      stderr);
	return 2;
}

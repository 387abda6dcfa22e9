// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clocks, looked at from both sides of a VM.
 *
 * host SECONDS: moments of this system, lines "COUNTER NS" of CLOCK_REALTIME.
 *
 * page N: readings of the clock page by the counter, lines "COUNTER NS MARKER STATUS".
 *
 * ptp DEVICE N [tai]: whether a PTP clock tells what the page does, lines "ok - ..."; it may tell
 * TAI.
 *
 * rate DEVICE: readings a second.
 *
 * compare OFFSET: of standard input, moments of the host, "-", and readings of the guest whose
 * counter is OFFSET ahead: "N MEDIAN P99 MOST", ns that they are off.
 *
 * watch: until standard input ends, whether CLOCK_MONOTONIC went back, and its longest gap in ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <lodge/vmclock.h>

#include "host-vmm/layout.h"
#include "protocol/lib/counter.h"

#define NS_PER_S 1000000000ll
#define TRIES	 8
#define MOMENTS	 200000
#define SLACK_NS 2000 /* of a page that was updated between two looks at it */

struct moment {
	uint64_t counter;
	int64_t ns;
	uint64_t window;
};

static void die(const char *what)
{
	fprintf(stderr, "clock-check: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

static struct moment look(void)
{
	struct moment best = { .window = UINT64_MAX };

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = counter_read();
		int64_t ns = now(CLOCK_REALTIME);
		uint64_t after = counter_read();

		if (after - before < best.window)
			best = (struct moment){ before + (after - before) / 2, ns, after - before };
	}
	return best;
}

static int host(double seconds)
{
	int64_t end = now(CLOCK_MONOTONIC) + (int64_t)(seconds * NS_PER_S);

	while (now(CLOCK_MONOTONIC) < end) {
		struct moment moment = look();

		printf("%llu %lld\n", (unsigned long long)moment.counter, (long long)moment.ns);
		fflush(stdout);
		usleep(20000);
	}
	return 0;
}

/* ---- the page ---- */

/* Where ACPI says that it is: the module maps the other way to it. */
static const volatile struct lodge_vmclock *find_page(void)
{
	int fd = open("/dev/mem", O_RDONLY);
	void *page;

	if (fd < 0)
		die("/dev/mem");
	page = mmap(NULL, LODGE_VMCLOCK_SIZE, PROT_READ, MAP_SHARED, fd, LAYOUT_CLOCK);
	if (page == MAP_FAILED)
		die("mmap");
	close(fd);
	return page;
}

static int64_t time_of(const struct lodge_vmclock *page, uint64_t at)
{
	int64_t counts = (int64_t)(at - page->counter_value);
	__int128 way = (__int128)counts * (int64_t)page->counter_period_frac_sec >>
		       page->counter_period_shift;
	__int128 time = ((__int128)page->time_sec << 64) + page->time_frac_sec + way;

	return (int64_t)(time >> 64) * NS_PER_S +
	       (int64_t)(((unsigned __int128)(uint64_t)time * NS_PER_S) >> 64);
}

/* The page as a whole, and a reading of the counter with it. */
static struct lodge_vmclock copy_page(const volatile struct lodge_vmclock *page, uint64_t *ret_at)
{
	struct lodge_vmclock copy;
	uint32_t seq;

	do {
		while ((seq = __atomic_load_n(&page->seq_count, __ATOMIC_ACQUIRE)) & 1)
			;
		memcpy(&copy, (const void *)page, sizeof(copy));
		*ret_at = counter_read();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&page->seq_count, __ATOMIC_RELAXED) != seq);
	return copy;
}

static int read_page(int n)
{
	const volatile struct lodge_vmclock *page = find_page();

	if (page->magic != LODGE_VMCLOCK_MAGIC || page->version != 1)
		die("the page's magic");
	while (n-- > 0) {
		uint64_t at;
		struct lodge_vmclock copy = copy_page(page, &at);

		printf("%llu %lld %llx %u\n", (unsigned long long)at, (long long)time_of(&copy, at),
		       (unsigned long long)copy.disruption_marker, copy.clock_status);
		usleep(5000);
	}
	return 0;
}

/* ---- the PTP clock ---- */

static void say(bool good, const char *what, const char *detail)
{
	printf("%s - %s%s%s\n", good ? "ok" : "not ok", what, *detail ? ": " : "", detail);
}

static int64_t ptp_ns(const struct ptp_clock_time *time)
{
	return time->sec * NS_PER_S + time->nsec;
}

static int open_ptp(const char *path)
{
	int fd = open(path, O_RDWR);

	if (fd < 0)
		die(path);
	return fd;
}

static clockid_t clock_of(int fd)
{
	return (~(clockid_t)fd << 3) | 3; /* clock_getres(2), "Dynamic clocks" */
}

/* Whether @ns lies where the page says that the counter stood between the two. */
static int64_t outside(const volatile struct lodge_vmclock *page, uint64_t before, uint64_t after,
		       int64_t ns, bool tai)
{
	uint64_t at;
	struct lodge_vmclock copy = copy_page(page, &at);
	int64_t least = time_of(&copy, before), most = time_of(&copy, after);

	/* TAI, or what a driver takes for it, is whole seconds away. */
	if (tai)
		ns -= (ns - least + (ns < least ? -NS_PER_S : NS_PER_S) / 2) / NS_PER_S * NS_PER_S;
	return ns < least ? least - ns : ns > most ? ns - most : 0;
}

static int ptp(const char *path, int n, bool tai)
{
	const volatile struct lodge_vmclock *page = find_page();
	int64_t worst_read = 0, worst_cross = 0, worst_system = 0;
	int fd = open_ptp(path), no_cross = 0, failed = 0;
	char detail[128];

	for (int i = 0; i < n; i++) {
		struct ptp_sys_offset_precise cross = { 0 };
		int64_t ns, off, system;
		uint64_t before, after;

		before = counter_read();
		ns = now(clock_of(fd));
		after = counter_read();
		off = outside(page, before, after, ns, tai);
		worst_read = off > worst_read ? off : worst_read;
		system = now(CLOCK_REALTIME);
		before = counter_read();
		if (ioctl(fd, PTP_SYS_OFFSET_PRECISE, &cross)) {
			*(errno == EOPNOTSUPP ? &no_cross : &failed) += 1;
			continue;
		}
		after = counter_read();
		off = outside(page, before, after, ptp_ns(&cross.device), tai);
		worst_cross = off > worst_cross ? off : worst_cross;
		off = ptp_ns(&cross.sys_realtime) < system ||
		      ptp_ns(&cross.sys_realtime) > now(CLOCK_REALTIME);
		worst_system += off;
		usleep(1000);
	}
	snprintf(detail, sizeof(detail), "%lld ns outside", (long long)worst_read);
	say(worst_read <= SLACK_NS, "a reading is what the page says", detail);
	snprintf(detail, sizeof(detail), "%d of %d have none, %d failed", no_cross, n, failed);
	say(!no_cross && !failed, "each cross-timestamp can be had", detail);
	snprintf(detail, sizeof(detail), "%lld ns outside", (long long)worst_cross);
	say(worst_cross <= SLACK_NS, "its device time is what the page says", detail);
	snprintf(detail, sizeof(detail), "%lld of %d are not", (long long)worst_system, n);
	say(!worst_system, "its system time is of that moment", detail);
	return 0;
}

static double rate_of(int fd, int way)
{
	int64_t start = now(CLOCK_MONOTONIC), end = start + NS_PER_S / 2, at = start;
	unsigned long n = 0;

	while (at < end) {
		for (int i = 0; i < 50; i++, n++) {
			struct ptp_sys_offset_precise cross = { 0 };
			struct ptp_sys_offset_extended extended = { .n_samples = 1 };

			if (way == 0)
				(void)now(clock_of(fd));
			else if (ioctl(fd,
				       way == 1 ? PTP_SYS_OFFSET_PRECISE : PTP_SYS_OFFSET_EXTENDED,
				       way == 1 ? (void *)&cross : (void *)&extended))
				return 0;
		}
		at = now(CLOCK_MONOTONIC);
	}
	return (double)n * NS_PER_S / (double)(at - start);
}

static int rate(const char *path)
{
	int fd = open_ptp(path);

	printf("read %.0f cross %.0f extended %.0f\n", rate_of(fd, 0), rate_of(fd, 1),
	       rate_of(fd, 2));
	return 0;
}

/* ---- both sides ---- */

static int by_size(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

/* The host's time at @at, between two of its moments; 0 where there are none around it. */
static int64_t host_time(const struct moment *moments, size_t n, uint64_t at)
{
	for (size_t i = 1; i < n; i++) {
		const struct moment *from = &moments[i - 1], *to = &moments[i];

		if (at < from->counter || at > to->counter)
			continue;
		return from->ns + (int64_t)((double)(to->ns - from->ns) *
					    ((double)(at - from->counter) /
					     (double)(to->counter - from->counter)));
	}
	return 0;
}

static int compare(uint64_t offset)
{
	static struct moment moments[MOMENTS];
	static int64_t off[MOMENTS];
	size_t n_moments = 0, n = 0;
	bool guest = false;
	char line[200];

	while (fgets(line, sizeof(line), stdin)) {
		unsigned long long at;
		long long ns, there;

		if (*line == '-')
			guest = true;
		if (sscanf(line, "%llu %lld", &at, &ns) != 2)
			continue;
		if (!guest && n_moments < MOMENTS) {
			moments[n_moments++] = (struct moment){ .counter = at, .ns = ns };
			continue;
		}
		there = host_time(moments, n_moments, at - offset);
		if (there && n < MOMENTS)
			off[n++] = llabs(ns - there);
	}
	if (!n) {
		printf("0 0 0 0\n");
		return 1;
	}
	qsort(off, n, sizeof(*off), by_size);
	printf("%zu %lld %lld %lld\n", n, (long long)off[n / 2], (long long)off[n * 99 / 100],
	       (long long)off[n - 1]);
	return 0;
}

static int watch(void)
{
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t last = now(CLOCK_MONOTONIC), gap = 0, back = 0;

	while (poll(&end, 1, 1) == 0) {
		for (int i = 0; i < 100; i++) {
			int64_t at = now(CLOCK_MONOTONIC);

			gap = at - last > gap ? at - last : gap;
			back += at < last;
			last = at;
		}
	}
	printf("back %lld gap %lld\n", (long long)back, (long long)(gap / 1000000));
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "host") && argc == 3)
		return host(atof(argv[2]));
	if (!strcmp(word, "page") && argc == 3)
		return read_page(atoi(argv[2]));
	if (!strcmp(word, "ptp") && (argc == 4 || argc == 5))
		return ptp(argv[2], atoi(argv[3]), argc == 5);
	if (!strcmp(word, "rate") && argc == 3)
		return rate(argv[2]);
	if (!strcmp(word, "compare") && argc == 3)
		return compare(strtoull(argv[2], NULL, 10));
	if (!strcmp(word, "watch"))
		return watch();
	fprintf(stderr, "clock-check: see the top of its source\n");
	return 2;
}

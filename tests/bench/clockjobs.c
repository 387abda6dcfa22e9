// SPDX-License-Identifier: GPL-2.0-or-later
// Jobs of the guest's clocks: how fast the first PTP clock is read, and readings of it and of the
// system's clock beside the counter, for the host to compare with its own.
#include <errno.h>
#include <fcntl.h>
#include <linux/ptp_clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "protocol/lib/counter.h"
#include "tests/bench/job.h"

#define NS_PER_S     1000000000ll
#define READ_SECONDS 0.5
#define READ_AT_ONCE 50
#define PAUSE_US     100000
#define SAMPLES_MAX  1200 /* spread over the time: a console loses what is more */

/* Each as the counter in the middle of a reading, and ns since 1970; 0: could not be had. */
struct sample {
	uint64_t read_at, read_window, system_at, cross_at;
	int64_t read, system, cross;
};

static int64_t ns_of(clockid_t clock)
{
	struct timespec time;

	return clock_gettime(clock, &time) ? 0 : time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* clock_getres(2), "Dynamic clocks" */
static clockid_t clock_of(int fd)
{
	return (~(clockid_t)fd << 3) | 3;
}

static int open_clock(void)
{
	int fd = open("/dev/ptp0", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int time_readings(const char *path, struct job_result *ret_result)
{
	double began = now(), end = began;
	uint64_t n = 0;
	int fd = open_clock(), ret = fd < 0 ? fd : 0;

	(void)path;
	while (!ret && end < began + READ_SECONDS) {
		for (int i = 0; i < READ_AT_ONCE && !ret; i++, n++)
			ret = ns_of(clock_of(fd)) ? 0 : -EIO;
		end = now();
	}
	if (fd >= 0)
		close(fd);
	*ret_result = (struct job_result){ n, end - began };
	return ret;
}

static int64_t take(clockid_t clock, uint64_t *ret_at, uint64_t *ret_window)
{
	uint64_t before = counter_read();
	int64_t ns = ns_of(clock);

	*ret_window = counter_read() - before;
	*ret_at = before + *ret_window / 2;
	return ns;
}

static int64_t ptp_ns(const struct ptp_clock_time *time)
{
	return time->sec * NS_PER_S + time->nsec;
}

/* A cross-timestamp names its moment by the system's clock, which stands beside the counter before
 * and behind it. */
static void take_cross(int fd, struct sample *sample)
{
	struct ptp_sys_offset_precise cross = { 0 };
	uint64_t after, window;
	int64_t later, moment;

	if (ioctl(fd, PTP_SYS_OFFSET_PRECISE, &cross))
		return;
	later = take(CLOCK_REALTIME, &after, &window);
	moment = ptp_ns(&cross.sys_realtime);
	/* A clock that was set meanwhile tells nothing. */
	if (later <= sample->system || moment < sample->system || moment > later)
		return;
	sample->cross = ptp_ns(&cross.device);
	sample->cross_at = sample->system_at + (uint64_t)((double)(after - sample->system_at) *
							  ((double)(moment - sample->system) /
							   (double)(later - sample->system)));
}

static void take_sample(int fd, struct sample *sample)
{
	uint64_t window;

	*sample = (struct sample){ 0 };
	if (fd >= 0)
		sample->read = take(clock_of(fd), &sample->read_at, &sample->read_window);
	sample->system = take(CLOCK_REALTIME, &sample->system_at, &window);
	if (fd >= 0)
		take_cross(fd, sample);
}

/* At the end, since the console's bytes cost an exit each. */
static int write_samples(const struct sample *samples, size_t n)
{
	FILE *console = fopen("/dev/ttyS0", "we");

	if (!console)
		return -errno;
	for (size_t i = 0; i < n; i++)
		fprintf(console, "> %lx %lx %lx %lx %lx %lx %lx\n", samples[i].read_at,
			(unsigned long)samples[i].read, samples[i].read_window,
			samples[i].system_at, (unsigned long)samples[i].system, samples[i].cross_at,
			(unsigned long)samples[i].cross);
	return fclose(console) ? -errno : 0;
}

/* @seconds: for so long. */
static int sample_clocks(const char *seconds, struct job_result *ret_result)
{
	double began = now(), length = seconds ? strtod(seconds, NULL) : 0, end = began + length;
	const double pause = length * 1e6 / SAMPLES_MAX;
	struct sample *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	int fd = open_clock(), ret;
	size_t n = 0;

	if (!samples) {
		close(fd);
		return -ENOMEM;
	}
	while (n < SAMPLES_MAX && now() < end) {
		take_sample(fd, &samples[n++]);
		usleep(pause > PAUSE_US ? (useconds_t)pause : PAUSE_US);
	}
	*ret_result = (struct job_result){ n, now() - began };
	if (fd >= 0)
		close(fd);
	ret = write_samples(samples, n);
	free(samples);
	return ret;
}

const struct job clock_jobs[] = {
	{ "clock.read", "readings", time_readings },
	{ "clock.samples", "readings", sample_clocks },
	{ NULL, NULL, NULL },
};

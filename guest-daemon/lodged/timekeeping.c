// SPDX-License-Identifier: GPL-2.0-or-later
// This system's clock: who keeps it, the host's PTP clocks, and the setting.
#include "guest-daemon/lodged/timekeeping.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/ptp_clock.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <lodge/vmclock.h>

#include "protocol/lib/fd.h"

#define NS_PER_S   1000000000ll
#define NS_PER_US  1000
#define SAMPLES	   5u
#define TWO_TO_64  18446744073709551616.0
#define AHEAD_MOST 1000.0 /* s */
#define PTP_FOLDER "/sys/class/ptp"
#define ZONES	   "/usr/share/zoneinfo" /* tzfile(5) */
#define LOCALTIME  "/etc/localtime"
#define TIMEZONE   "/etc/timezone"
#define ZONE_MAX   64
#define ZONE_CHARS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+-_/"

/* ---- setting ---- */

static int step(int64_t by_ns)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
	if (__builtin_add_overflow(ns, by_ns, &ns) || ns < 0)
		return -ERANGE;
	now.tv_sec = ns / NS_PER_S;
	now.tv_nsec = ns % NS_PER_S;
	return clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
}

/* The kernel is also told that the clock is kept, so that it keeps the CMOS clock. */
static int slew(double ppm, int64_t error_ns)
{
	struct timex timex = {
		.modes = ADJ_FREQUENCY | ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR,
		.freq = (long)(ppm * 65536),
		.maxerror = (long)(error_ns / NS_PER_US) + 1,
		.esterror = (long)(error_ns / NS_PER_US) + 1,
	};

	return adjtimex(&timex) < 0 ? -errno : 0;
}

bool timekeeping_is_zone(const char *name)
{
	g_auto(GStrv) parts = g_strsplit(name, "/", -1);
	size_t len = strlen(name);

	if (len == 0 || len >= ZONE_MAX || strspn(name, ZONE_CHARS) != len)
		return false;
	for (char **part = parts; *part; part++)
		if (!**part)
			return false;
	return true;
}

/* localtime(5) is a link; Debian has the name in a file, too. */
static int set_zone(const char *name)
{
	g_autofree char *target = g_build_filename(ZONES, name, NULL);
	g_autofree char *now = g_file_read_link(LOCALTIME, NULL);
	g_autofree char *line = g_strdup_printf("%s\n", name);

	if (!g_file_test(target, G_FILE_TEST_IS_REGULAR))
		return -ENOENT;
	if (!g_strcmp0(now, target))
		return 0;
	(void)unlink(LOCALTIME ".lodge");
	if (symlink(target, LOCALTIME ".lodge") < 0 || rename(LOCALTIME ".lodge", LOCALTIME) < 0)
		return -errno;
	if (g_file_test(TIMEZONE, G_FILE_TEST_IS_REGULAR))
		(void)g_file_set_contents(TIMEZONE, line, -1, NULL);
	return 0;
}

const struct timekeeping_clock timekeeping_system = { step, slew, set_zone };

/* ---- who keeps it ---- */

static const struct {
	const char *comm; /* 15 bytes of it, as the kernel has them */
	const char *name;
	const char *proof; /* below /run: without this file it runs in vain */
} owners[] = {
	{ "chronyd", "chrony", NULL },
	{ "ntpd", "ntpd", NULL },
	{ "ptp4l", "ptp4l", NULL },
	{ "phc2sys", "phc2sys", NULL },
	{ "ts2phc", "ts2phc", NULL },
	{ "systemd-timesyn", "systemd-timesyncd", "systemd/timesync/synchronized" },
};

static const char *owner_of(const char *comm, const char *run)
{
	for (size_t i = 0; i < G_N_ELEMENTS(owners); i++) {
		g_autofree char *proof = NULL;

		if (strcmp(owners[i].comm, comm) != 0)
			continue;
		if (!owners[i].proof)
			return owners[i].name;
		proof = g_build_filename(run, owners[i].proof, NULL);
		return access(proof, F_OK) == 0 ? owners[i].name : NULL;
	}
	return NULL;
}

const char *timekeeping_owner(const char *proc, const char *run)
{
	g_autoptr(GDir) dir = g_dir_open(proc, 0, NULL);
	const char *entry, *found = NULL;

	while (!found && dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *path = NULL;
		char comm[32] = "";
		autofd fd = -1;
		ssize_t n;

		if (!g_ascii_isdigit(*entry))
			continue;
		path = g_build_filename(proc, entry, "comm", NULL);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
		if (n <= 0)
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		found = owner_of(comm, run);
	}
	return found;
}

/* ---- PTP clocks ---- */

#define VMCLOCK "ptp_vmclock"

/* By what their drivers call them; the best first. */
static const struct {
	const char *clock, *by;
} known[] = {
	{ "lodge", "lodge_clock" },
	{ "vmclock0", VMCLOCK },
	{ "KVM virtual PTP", "ptp_kvm" },
};

static int worth(const char *node)
{
	g_autofree char *path = g_build_filename(PTP_FOLDER, node, "clock_name", NULL);
	g_autofree char *name = NULL;

	if (!g_file_get_contents(path, &name, NULL, NULL))
		return -1;
	g_strchomp(name);
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
		if (!strcmp(known[i].clock, name))
			return (int)(G_N_ELEMENTS(known) - i);
	return -1;
}

int timekeeping_open(struct timekeeping_source *ret_source)
{
	g_autoptr(GDir) dir = g_dir_open(PTP_FOLDER, 0, NULL);
	g_autofree char *best = NULL;
	const char *node;
	int most = 0;

	while (dir && (node = g_dir_read_name(dir))) {
		int found = worth(node);

		if (found <= most)
			continue;
		most = found;
		g_free(best);
		best = g_build_filename("/dev", node, NULL);
	}
	if (!best)
		return -ENOENT;
	ret_source->page_fd = -1;
	ret_source->fd = open(best, O_RDWR | O_CLOEXEC);
	if (ret_source->fd < 0)
		return -errno;
	snprintf(ret_source->by, sizeof(ret_source->by), "%s",
		 known[G_N_ELEMENTS(known) - (size_t)most].by);
	if (strcmp(ret_source->by, VMCLOCK) != 0)
		return 0;
	ret_source->page_fd = open("/dev/vmclock0", O_RDONLY | O_CLOEXEC);
	if (ret_source->page_fd < 0)
		timekeeping_close(ret_source);
	return ret_source->fd < 0 ? -ENODATA : 0;
}

void timekeeping_close(struct timekeeping_source *source)
{
	fd_close(&source->fd);
	fd_close(&source->page_fd);
	source->by[0] = '\0';
}

static int64_t ns_of(const struct ptp_clock_time *time)
{
	return time->sec * NS_PER_S + time->nsec;
}

/* Of kernels without cross-timestamps: the closest of some readings. */
static int measure_around(int fd, int64_t *ret_offset, int64_t *ret_error)
{
	struct ptp_sys_offset around = { .n_samples = SAMPLES };
	int64_t closest = INT64_MAX;

	if (ioctl(fd, PTP_SYS_OFFSET, &around) < 0)
		return -errno;
	for (unsigned int i = 0; i < SAMPLES; i++) {
		int64_t before = ns_of(&around.ts[2 * i]), after = ns_of(&around.ts[2 * i + 2]);

		if (after < before || after - before >= closest)
			continue;
		closest = after - before;
		*ret_offset = ns_of(&around.ts[2 * i + 1]) - (before + closest / 2);
		*ret_error = closest / 2;
	}
	return closest == INT64_MAX ? -EAGAIN : 0;
}

static int measure(int fd, int64_t *ret_offset, int64_t *ret_error)
{
	struct ptp_sys_offset_precise cross = { 0 };

	if (ioctl(fd, PTP_SYS_OFFSET_PRECISE, &cross) == 0) {
		*ret_offset = ns_of(&cross.device) - ns_of(&cross.sys_realtime);
		*ret_error = 0;
		return 0;
	}
	if (errno != EOPNOTSUPP && errno != ENOTTY && errno != EINVAL)
		return -errno;
	return measure_around(fd, ret_offset, ret_error);
}

int timekeeping_page_time(int page_fd, uint64_t counter, double *ret_seconds)
{
	struct lodge_vmclock page;
	double period;
	int64_t counts;

	/* The driver gives a copy that no update has torn. */
	if (pread(page_fd, &page, sizeof(page), 0) != sizeof(page) ||
	    le32toh(page.magic) != LODGE_VMCLOCK_MAGIC || page.counter_period_shift > 63 ||
	    page.counter_id != LODGE_VMCLOCK_COUNTER_TSC || page.time_type != LODGE_VMCLOCK_UTC ||
	    (page.clock_status != LODGE_VMCLOCK_SYNCHRONIZED &&
	     page.clock_status != LODGE_VMCLOCK_FREERUNNING))
		return -ENODATA;
	counts = (int64_t)(counter - le64toh(page.counter_value));
	period = (double)le64toh(page.counter_period_frac_sec) / TWO_TO_64 /
		 (double)(1ull << page.counter_period_shift);
	*ret_seconds = (double)le64toh(page.time_sec) +
		       (double)le64toh(page.time_frac_sec) / TWO_TO_64 + (double)counts * period;
	return 0;
}

/*
 * Whole seconds that the clock is ahead of UTC. ptp_vmclock's told UTC, and tells TAI in newer
 * kernels, or what it has for that: the page that it is made from says how it is meant.
 */
static int seconds_ahead(const struct timekeeping_source *source, int64_t *ret_seconds)
{
	struct timespec now;
	double page, ahead;
	int ret;

	/* clock_getres(2), "Dynamic clocks" */
	if (clock_gettime((~(clockid_t)source->fd << 3) | 3, &now) < 0)
		return -errno;
	ret = timekeeping_page_time(source->page_fd, __builtin_ia32_rdtsc(), &page);
	if (ret < 0)
		return ret;
	ahead = (double)now.tv_sec + (double)now.tv_nsec / NS_PER_S - page;
	if (ahead > AHEAD_MOST || ahead < -AHEAD_MOST)
		return -ERANGE;
	*ret_seconds = (int64_t)(ahead + (ahead < 0 ? -0.5 : 0.5));
	return 0;
}

int timekeeping_measure(const struct timekeeping_source *source, int64_t *ret_offset,
			int64_t *ret_error)
{
	int64_t ahead = 0, offset = 0;
	int ret;

	if (source->fd < 0)
		return -ENOENT;
	ret = source->page_fd < 0 ? 0 : seconds_ahead(source, &ahead);
	if (!ret)
		ret = measure(source->fd, &offset, ret_error);
	if (!ret)
		*ret_offset = offset - ahead * NS_PER_S;
	return ret;
}

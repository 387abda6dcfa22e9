/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's clock page (lodge/vmclock.h): what the host's clock says of it, and the page.
 *
 * Three layers. host.c reads the host's clock, its counter and what disciplines it, into a struct
 * host_clock. model.c makes of a series of those readings the line that the page holds, and is a
 * pure function of them, so that tests turn the host's clock by hand. device.c owns the page, its
 * memory slots and the timer.
 *
 * Locking: host.c and model.c have none; each model is used by one thread at a time.
 */
#ifndef LODGE_VMM_CLOCK_H
#define LODGE_VMM_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lodge/vmclock.h>

struct device_type;
struct machine;

/* One look at the host's clock. */
struct host_clock {
	uint64_t tsc; /* the host's counter, at the moment of all that follows */
	uint64_t window; /* counts that the look took: the moment lies within */
	int64_t realtime; /* ns since 1970, UTC as the host has it */
	int64_t monotonic; /* ns; goes on as realtime does, but is never set */
	int64_t asleep; /* ns that the host has slept since it started */
	/* adjtimex(2): */
	bool synchronized; /* something disciplines it */
	int64_t maxerror, esterror; /* ns */
	double rate; /* what it adds to the counter's own: 0.00001 is 10 ppm */
	int32_t tai; /* TAI - UTC in seconds; 0: not known */
	uint8_t leap; /* LODGE_VMCLOCK_LEAP_* */
};

/* Looks @tries times and keeps the closest. -errno of adjtimex(2). */
int host_clock_read(unsigned int tries, struct host_clock *ret_clock);

/* What a list of leap seconds tells, where the kernel was not told. */
struct leap_list {
	int32_t tai; /* TAI - UTC in seconds; 0: not known */
	int64_t until; /* s since 1970: from then on the list does not tell */
};

/*
 * Of the list at @path (leap-seconds.list of the IERS, which the tz database brings) for @now, in
 * seconds since 1970. -errno of fopen(3); -ENODATA: it does not tell, as one that has expired.
 */
int leap_list_read(const char *path, int64_t now, struct leap_list *ret_list);

#define HOST_ZONE_MAX 64 /* bytes, with the NUL */

/* This system's time zone by its name in the tz database ("Europe/Berlin"), as localtime(5) has it;
 * "" where that tells none. */
void host_clock_zone(char ret_zone[HOST_ZONE_MAX]);

struct clock_point {
	uint64_t tsc;
	int64_t monotonic;
};

struct clock_model {
	bool started;
	bool settled; /* a look was where the line said it would be */
	unsigned int steady; /* looks that were, one behind the other */
	double nominal; /* ns of a count */
	double period; /* as measured */
	double period_error; /* part of it */
	double unrest; /* the part that it changed by, of late */
	struct clock_point anchor, middle; /* where the measuring began; where it begins next */
	struct host_clock last;
	uint64_t disruption;
	uint64_t steps; /* of the host's clock that were seen */
};

/* @khz: of the host's counter, as KVM tells it. @disruption: the first marker. */
void clock_model_init(struct clock_model *model, uint32_t khz, uint64_t disruption);
/* One more look. */
void clock_model_advance(struct clock_model *model, const struct host_clock *now);
/* The guest's counter is another one than it was, or the guest was not there for a while. */
void clock_model_disrupt(struct clock_model *model);
/*
 * ms until the next look is due: 1000 to 8000, the more the steadier the host's rate has been; 100
 * until the line is settled.
 */
unsigned int clock_model_next_ms(const struct clock_model *model);

/*
 * What the page says from now on, but for seq_count. @tsc_offset: the guest's counter minus the
 * host's. @one_counter: the guest's processors all have that counter.
 */
void clock_model_fill(const struct clock_model *model, uint64_t tsc_offset, bool one_counter,
		      struct lodge_vmclock *ret_page);
/* Copies @from to the page that guests read, by the rules of seq_count. */
void clock_page_publish(struct lodge_vmclock *page, const struct lodge_vmclock *from);

/* ---- the device ---- */

struct clock_info {
	uint8_t status; /* LODGE_VMCLOCK_* of clock_status */
	uint64_t marker; /* disruption_marker */
	int64_t maxerror; /* ns; -1: not known */
	uint64_t updates, steps; /* since the machine was made */
};

extern const struct device_type clock_type;

/* The guest has written the counter of its processor @index, which is now @tsc_offset ahead of the
 * host's. Any thread; the processor does not run meanwhile. */
void clock_counter_written(const struct machine *machine, size_t index, uint64_t tsc_offset);
/* Any thread. -ENODEV: this VM has no clock page. */
int clock_get_info(const struct machine *machine, struct clock_info *ret_info);
/* Shows the page at @gpa, too, or no longer: the backdoor's shared memory region. Any thread.
 * -ENODEV, or the errno of KVM_SET_USER_MEMORY_REGION. */
int clock_place(const struct machine *machine, bool enabled, uint64_t gpa);

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plug-in time: keeps this guest's clock at the host's, where nobody else does (timesync.h), and
 * has it right again after what no program in a guest can know of.
 *
 * The host's time comes from a PTP clock that is the host's, else by asking the host, whose answer
 * is as good as half of its way. Looks are a second apart where something is wrong, and half a
 * minute where all is right. One is made at once when the host says that time has moved, and when
 * somebody sets the clock, which a timer tells that is cancelled by that. Where it is turned off,
 * nothing is looked at by itself.
 */
#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/timekeeping.h"
#include "guest-daemon/lodged/timesync.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/log.h"

#define NS_PER_S   1000000000ll
#define LOOK_S	   32u
#define OWNER_S	   60 /* who keeps the clock is asked again */
#define TELL_S	   60 /* the offset is told to the host */
#define ROUND_MOST (NS_PER_S / 2) /* of asking: an answer that took longer tells nothing */
#define FAR_FUTURE (NS_PER_S * 3600 * 24 * 365 * 100)

struct time_plugin {
	struct lodged *lodged;
	const struct timekeeping_clock *clock; /* NULL: not to be set here */
	struct timesync sync;
	struct timekeeping_source source;
	const char *owner; /* another's name, or NULL */
	int64_t owner_at, told_at; /* ns, monotonic; 0: never */
	int64_t asked_at; /* ns, CLOCK_REALTIME; 0: no answer is awaited */
	int64_t offset;
	bool known, failed; /* the offset is; the clock could not be set, and that was said */
	int watch_fd;
	guint watch, timer;
	char *told, *zone_said;
	struct log_ratelimit limit;
};

struct question {
	struct time_plugin *time;
	int64_t at; /* asked_at */
};

static void look(struct time_plugin *time);

static int64_t now(clockid_t clock)
{
	struct timespec at;

	clock_gettime(clock, &at);
	return (int64_t)at.tv_sec * NS_PER_S + at.tv_nsec;
}

static bool enabled(const struct time_plugin *time)
{
	return time->clock && conf_bool(time->lodged->conf, "time", "sync", true);
}

static const char *owner_name(const struct time_plugin *time)
{
	return time->owner ? time->owner : enabled(time) && !time->failed ? "lodged" : "nobody";
}

/* ---- what the host is told ---- */

static void tell(struct time_plugin *time, bool news)
{
	struct fields_builder fields = FIELDS_BUILDER(1024);
	int64_t at = now(CLOCK_MONOTONIC);

	if (!news && time->told_at && at - time->told_at < TELL_S * NS_PER_S)
		return;
	time->told_at = at;
	fields_add(&fields, "part", "clock");
	fields_add(&fields, "clock-owner", owner_name(time));
	if (time->known)
		fields_add(&fields, "clock-by", time->source.fd >= 0 ? time->source.by : "rpc");
	if (time->known)
		fields_addf(&fields, time->offset < 0 ? "ahead" : "behind", "%" PRIu64,
			    (uint64_t)llabs(time->offset));
	fields_addf(&fields, "steps", "%" PRIu64, time->sync.steps);
	if (!fields_done(&fields))
		lodged_tell_facts(time->lodged, &time->told, fields.bytes, fields.len, NULL, NULL);
	fields_free(&fields);
}

/* ---- looks ---- */

static gboolean on_timer(gpointer opaque)
{
	struct time_plugin *time = opaque;

	time->timer = 0;
	look(time);
	return G_SOURCE_REMOVE;
}

static void look_in(struct time_plugin *time, unsigned int seconds)
{
	if (time->timer)
		g_source_remove(time->timer);
	time->timer = enabled(time) ? g_timeout_add_seconds(seconds, on_timer, time) : 0;
}

/* Told when somebody sets the clock: it is so far away that it never rings. */
static void watch_clock(const struct time_plugin *time)
{
	struct itimerspec never = { .it_value.tv_sec = FAR_FUTURE / NS_PER_S };
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	never.it_value.tv_sec += at.tv_sec;
	(void)timerfd_settime(time->watch_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			      NULL);
}

static void set_back_or_on(struct time_plugin *time, int64_t by)
{
	int ret = time->clock->step(by);

	/* Our own setting is no news to us. */
	watch_clock(time);
	if (ret < 0 && !time->failed)
		log_warn("the clock is %.3f s %s the host's and cannot be set: %s",
			 (double)llabs(by) / NS_PER_S, by < 0 ? "ahead of" : "behind",
			 strerror(-ret));
	else if (ret == 0)
		log_ratelimited(&time->limit, by < 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
				"the clock was set %s by %.3f s: it was %s the host's",
				by < 0 ? "back" : "on", (double)llabs(by) / NS_PER_S,
				by < 0 ? "ahead of" : "behind");
	time->failed = ret < 0;
}

static void take(struct time_plugin *time, int64_t offset, int64_t error)
{
	bool first = !time->known;
	struct timesync_action action;

	time->known = true;
	time->offset = offset;
	if (!enabled(time)) {
		tell(time, first);
		return;
	}
	action = timesync_measured(&time->sync, now(CLOCK_MONOTONIC), offset, error);
	if (action.step)
		set_back_or_on(time, action.by);
	else if (action.slew)
		time->failed = time->clock->slew(action.ppm, llabs(offset) + error) < 0;
	tell(time, first || action.step);
	look_in(time, action.next_s);
}

/* The host's, where tools.conf wants that. */
static void take_zone(struct time_plugin *time, const struct door_reply *reply)
{
	g_autofree char *wanted = conf_string(time->lodged->conf, "time", "zone");
	const char *zone = fields_get(reply->payload, reply->len, "zone");
	g_autofree char *why = NULL;
	int ret;

	if (g_strcmp0(wanted, "host") != 0)
		return;
	if (!zone || !timekeeping_is_zone(zone)) {
		lodged_log_once(&time->zone_said, "time zone", "the host does not tell its own");
		return;
	}
	ret = time->clock->set_zone(zone);
	why = ret < 0 ? g_strdup_printf("cannot be %s, as the host's is: %s", zone, strerror(-ret))
		      : g_strdup_printf("%s, as the host's", zone);
	lodged_log_once(&time->zone_said, "time zone", why);
}

static void answered(void *opaque, const struct door_reply *reply)
{
	g_autofree struct question *question = opaque;
	struct time_plugin *time = question->time;
	int64_t asked = question->at, way = now(CLOCK_REALTIME) - asked;
	uint64_t seconds, nanoseconds;
	bool understood;

	/* The clock was set meanwhile: another question is on its way. */
	if (asked != time->asked_at)
		return;
	time->asked_at = 0;
	understood = !reply->error && reply->ok && !fields_check(reply->payload, reply->len);
	if (understood)
		take_zone(time, reply);
	/* A PTP clock is better. */
	if (time->source.fd >= 0)
		return;
	look_in(time, LOOK_S);
	/* One that took too long does not tell anything. */
	if (way < 0 || way > ROUND_MOST || !understood)
		return;
	if (fields_number(reply->payload, reply->len, "seconds", INT64_MAX / NS_PER_S / 2,
			  &seconds) ||
	    fields_number(reply->payload, reply->len, "nanoseconds", NS_PER_S - 1, &nanoseconds))
		return;
	take(time, (int64_t)(seconds * NS_PER_S + nanoseconds) - (asked + way / 2), way / 2);
}

static void find_owner(struct time_plugin *time)
{
	const char *owner = timekeeping_owner("/proc", "/run");

	time->owner_at = now(CLOCK_MONOTONIC);
	if (g_strcmp0(owner, time->owner) != 0 && owner)
		log_info("%s keeps the clock; it is set when the host's time moves, and left to it "
			 "otherwise",
			 owner);
	time->owner = owner;
	timesync_own(&time->sync, !owner);
}

static void ask(struct time_plugin *time)
{
	struct question *question;

	if (!lodged_door(time->lodged) || time->asked_at)
		return;
	question = g_new(struct question, 1);
	*question = (struct question){ time, now(CLOCK_REALTIME) };
	time->asked_at = question->at;
	lodged_ask(time->lodged, answered, question, "lodge.clock");
}

static void look(struct time_plugin *time)
{
	int64_t offset, error;

	if (!time->clock)
		return;
	if (!time->owner_at || time->sync.moved ||
	    now(CLOCK_MONOTONIC) - time->owner_at > OWNER_S * NS_PER_S)
		find_owner(time);
	/* A module may have come, or gone under our open file. */
	if (time->source.fd < 0)
		(void)timekeeping_open(&time->source);
	if (timekeeping_measure(&time->source, &offset, &error) == 0) {
		take(time, offset, error);
		return;
	}
	timekeeping_close(&time->source);
	look_in(time, LOOK_S);
	ask(time);
}

static void look_now(struct time_plugin *time)
{
	timesync_moved(&time->sync);
	time->asked_at = 0;
	look(time);
}

/* As look_now(), and for the zone, which no PTP clock has. */
static void look_at_all(struct time_plugin *time)
{
	g_autofree char *zone = conf_string(time->lodged->conf, "time", "zone");

	look_now(time);
	if (time->clock && zone)
		ask(time);
}

static gboolean on_set(gint fd, GIOCondition condition, gpointer opaque)
{
	struct time_plugin *time = opaque;
	uint64_t count;

	(void)condition;
	if (read(fd, &count, sizeof(count)) < 0 && errno != ECANCELED)
		return G_SOURCE_CONTINUE;
	watch_clock(time);
	time->asked_at = 0;
	/* Whoever keeps it may set it; where that is us, it is mended at once. */
	if (!time->owner)
		look_now(time);
	return G_SOURCE_CONTINUE;
}

/* ---- the plug-in ---- */

static int start(struct lodged *lodged, void **ret_state)
{
	struct time_plugin *time = g_new0(struct time_plugin, 1);

	time->lodged = lodged;
	time->clock = lodged->clock;
	time->source.fd = time->source.page_fd = -1;
	time->watch_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (time->watch_fd >= 0 && time->clock) {
		watch_clock(time);
		time->watch = g_unix_fd_add(time->watch_fd, G_IO_IN, on_set, time);
	}
	*ret_state = time;
	return 0;
}

static void reset(void *opaque)
{
	struct time_plugin *time = opaque;

	g_clear_pointer(&time->told, g_free);
	time->told_at = 0;
	look_at_all(time);
}

static void reconfigure(void *opaque)
{
	look_at_all(opaque);
}

static void run_synchronize(void *opaque, struct door_command *command, const char *args,
			    size_t len)
{
	(void)args;
	(void)len;
	look_now(opaque);
	door_command_ok(command);
}

static void status(void *opaque, struct fields_builder *out)
{
	const struct time_plugin *time = opaque;

	fields_add(out, "clock-sync", enabled(time) ? "on" : "off");
	fields_add(out, "clock-owner", owner_name(time));
	if (!time->known)
		return;
	fields_add(out, "clock-by", time->source.fd >= 0 ? time->source.by : "rpc");
	fields_addf(out, time->offset < 0 ? "clock-ahead" : "clock-behind", "%" PRIu64,
		    (uint64_t)llabs(time->offset));
	fields_addf(out, "clock-steps", "%" PRIu64, time->sync.steps);
}

static void stop(void *opaque)
{
	struct time_plugin *time = opaque;

	if (time->timer)
		g_source_remove(time->timer);
	if (time->watch)
		g_source_remove(time->watch);
	fd_close(&time->watch_fd);
	timekeeping_close(&time->source);
	g_free(time->told);
	g_free(time->zone_said);
	g_free(time);
}

static const struct plugin_word words[] = {
	{ "Time_Synchronize", run_synchronize }, /* VMware's: the argument allows to set it back */
	{ NULL, NULL },
};

const struct plugin time_plugin = {
	.name = "time",
	.help = "keeps the clock at the host's, where nobody else does",
	.words = words,
	.start = start,
	.reset = reset,
	.reconfigure = reconfigure,
	.status = status,
	.stop = stop,
};

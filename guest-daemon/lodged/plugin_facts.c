// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plug-in facts: tells the host of this guest (protocol/spec/facts.md).
 *
 * Nothing is polled. The kernel says when the network (rtnetlink), the host name
 * (/proc/sys/kernel/hostname), the mounts (/proc/self/mountinfo) or the logged-in users (utmp)
 * change; a part is then read again after a pause, so that a burst is read once, and sent if it is
 * another than what the host has. What changes all the time, load and free space, is sent once and
 * when the host asks. File systems are looked at in a child, since one may hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "guest-daemon/lodged/facts.h"
#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/vmware_facts.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define REQUEST_MAX (64u << 10)
#define PAUSE_MS    300
#define UTMP	    "/run/utmp"

enum part { SYSTEM, NET, DISKS, LOAD, USERS, PARTS };

struct facts {
	struct lodged *lodged;
	char *sent[PARTS]; /* what the host has, as a checksum; NULL: nothing */
	bool changed[PARTS];
	guint pause;
	struct job *disks; /* a child looks at them */
	int fds[4];
	guint sources[4];
	struct log_ratelimit limit;
};

static const struct {
	const char *name;
	void (*collect)(struct fields_builder *out); /* NULL: in a child */
} parts[PARTS] = {
	[SYSTEM] = { "system", facts_system }, [NET] = { "net", facts_net },
	[DISKS] = { "disks", NULL },	       [LOAD] = { "load", facts_load },
	[USERS] = { "users", facts_users },
};

static void told(void *opaque, const struct door_reply *reply)
{
	struct facts *facts = opaque;

	if (!reply->error && !reply->ok)
		log_ratelimited(&facts->limit, LOG_LEVEL_WARN,
				"the host does not take facts: %.100s", reply->payload);
}

static void send_by_ports(struct facts *facts, enum part part, const char *fields, size_t len)
{
	g_autofree char *sum =
		g_compute_checksum_for_data(G_CHECKSUM_MD5, (const guchar *)fields, len);

	if (!g_strcmp0(sum, facts->sent[part]))
		return;
	g_free(facts->sent[part]);
	facts->sent[part] = g_steal_pointer(&sum);
	vmware_facts_send(facts->lodged, parts[part].name, fields, len);
}

static void send_fields(struct facts *facts, enum part part, const char *fields, size_t len)
{
	struct door *door = lodged_door(facts->lodged);

	if (door && door_kind(door) == DOOR_IOPORTS)
		send_by_ports(facts, part, fields, len);
	else
		lodged_tell_facts(facts->lodged, &facts->sent[part], fields, len, told, facts);
}

static void disks_done(void *opaque, const char *bytes, size_t len, int error)
{
	struct facts *facts = opaque;

	facts->disks = NULL;
	if (error)
		log_ratelimited(&facts->limit, LOG_LEVEL_WARN, "cannot look at file systems: %s",
				strerror(-error));
	else if (!fields_check(bytes, len))
		send_fields(facts, DISKS, bytes, len);
}

static int collect_disks(void *opaque, int out)
{
	struct fields_builder fields = FIELDS_BUILDER(REQUEST_MAX);

	(void)opaque;
	facts_disks(&fields);
	return fields_done(&fields) ? 1 : fd_write_all(out, fields.bytes, fields.len) != 0;
}

static void send_part(struct facts *facts, enum part part)
{
	struct fields_builder fields = FIELDS_BUILDER(REQUEST_MAX);

	facts->changed[part] = false;
	if (!lodged_door(facts->lodged))
		return;
	if (!parts[part].collect) {
		if (!facts->disks)
			facts->disks = job_start(facts->lodged->children, collect_disks, NULL,
						 REQUEST_MAX, disks_done, facts);
		return;
	}
	parts[part].collect(&fields);
	if (!fields_done(&fields))
		send_fields(facts, part, fields.bytes, fields.len);
	fields_free(&fields);
}

static gboolean on_pause(gpointer opaque)
{
	struct facts *facts = opaque;

	facts->pause = 0;
	for (int part = 0; part < PARTS; part++) {
		if (facts->changed[part])
			send_part(facts, part);
	}
	return G_SOURCE_REMOVE;
}

static void mark(struct facts *facts, enum part part)
{
	facts->changed[part] = true;
	if (!facts->pause)
		facts->pause = g_timeout_add(PAUSE_MS, on_pause, facts);
}

static gboolean on_net(gint fd, GIOCondition condition, gpointer opaque)
{
	char dropped[8192];

	(void)condition;
	/* What it says is read anew later, all at once. */
	while (read(fd, dropped, sizeof(dropped)) > 0)
		;
	mark(opaque, NET);
	return G_SOURCE_CONTINUE;
}

static gboolean on_hostname(gint fd, GIOCondition condition, gpointer opaque)
{
	(void)fd;
	(void)condition;
	mark(opaque, SYSTEM);
	return G_SOURCE_CONTINUE;
}

static gboolean on_mounts(gint fd, GIOCondition condition, gpointer opaque)
{
	(void)fd;
	(void)condition;
	mark(opaque, DISKS);
	return G_SOURCE_CONTINUE;
}

static gboolean on_users(gint fd, GIOCondition condition, gpointer opaque)
{
	char dropped[4096];

	(void)condition;
	while (read(fd, dropped, sizeof(dropped)) > 0)
		;
	mark(opaque, USERS);
	return G_SOURCE_CONTINUE;
}

static int open_users(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd >= 0 && inotify_add_watch(fd, UTMP, IN_MODIFY | IN_CLOSE_WRITE) < 0)
		fd_close(&fd);
	return fd;
}

static int start(struct lodged *lodged, void **ret_state)
{
	struct facts *facts = g_new0(struct facts, 1);
	const struct {
		int fd;
		GIOCondition condition;
		GUnixFDSourceFunc changed;
	} watches[] = {
		{ net_events(), G_IO_IN, on_net },
		{ open("/proc/sys/kernel/hostname", O_RDONLY | O_CLOEXEC), G_IO_PRI, on_hostname },
		{ open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), G_IO_PRI, on_mounts },
		{ open_users(), G_IO_IN, on_users },
	};

	facts->lodged = lodged;
	/* What the system lacks is told when the host says reset, and not again. */
	for (size_t i = 0; i < G_N_ELEMENTS(watches); i++) {
		facts->fds[i] = watches[i].fd;
		if (watches[i].fd >= 0)
			facts->sources[i] = g_unix_fd_add(watches[i].fd, watches[i].condition,
							  watches[i].changed, facts);
	}
	*ret_state = facts;
	return 0;
}

static void forget(struct facts *facts)
{
	for (int part = 0; part < PARTS; part++)
		g_clear_pointer(&facts->sent[part], g_free);
}

static void reset(void *opaque)
{
	struct facts *facts = opaque;

	forget(facts);
	for (int part = 0; part < PARTS; part++)
		send_part(facts, part);
}

static void lost(void *opaque)
{
	forget(opaque);
}

/* The host wants a part now. */
static void run_facts(void *opaque, struct door_command *command, const char *args, size_t len)
{
	struct facts *facts = opaque;
	const char *name;
	size_t at = 0;

	if (fields_check(args, len)) {
		door_command_error(command, "22 malformed fields");
		return;
	}
	while ((name = fields_next(args, len, "part", &at))) {
		for (int part = 0; part < PARTS; part++) {
			if (!strcmp(name, parts[part].name)) {
				g_clear_pointer(&facts->sent[part], g_free);
				send_part(facts, part);
			}
		}
	}
	door_command_ok(command);
}

static void stop(void *opaque)
{
	struct facts *facts = opaque;

	for (size_t i = 0; i < G_N_ELEMENTS(facts->fds); i++) {
		if (facts->sources[i])
			g_source_remove(facts->sources[i]);
		if (facts->fds[i] >= 0)
			close(facts->fds[i]);
	}
	if (facts->pause)
		g_source_remove(facts->pause);
	job_cancel(facts->disks);
	forget(facts);
	g_free(facts);
}

static const struct plugin_word words[] = { { "lodge.facts", run_facts }, { NULL, NULL } };

const struct plugin facts_plugin = {
	.name = "facts",
	.help = "tells the host of names, addresses, disks, load and users",
	.words = words,
	.start = start,
	.reset = reset,
	.lost = lost,
	.stop = stop,
};

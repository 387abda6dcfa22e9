// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a new session is sent first, which session is the guest's tools, and whether it still lives.
 *
 * Every session that takes commands gets what VMware's hosts send: reset, Capabilities_Register,
 * the options, the state word that is due. The one whose app is "toolbox" is the tools from then
 * on. More privilege goes before less: the guest's root by frames, who was given the I/O ports,
 * any process that reaches them. Who has less waits, and is the tools when the others have gone.
 * Of two with the same privilege the later is the tools started anew, and the first is closed; but
 * with none behind them, when anybody may come, who is there stays until it asks for no more
 * commands.
 *
 * A program that is killed at the I/O ports closes nothing, and a door there knows nothing of
 * processes. But tools at the ports poll: who has not asked for a command in two periods of the
 * heartbeat has the channel closed. Periods are counted, and not only the time, so that a monitor
 * that was stopped does not take its own pause for the guest's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"
#include "host-vmm/conf/vmconf.h"

/* Tools at the I/O ports ask for commands ten times a second; then others may have their place. */
#define SILENT_MS 15000u
/* Of the heartbeat: so many without being asked for a command, and the tools have gone. */
#define SILENT_PERIODS 2u
#define PERIOD_S       30u /* where the heartbeat is off */
/* So long a pause was the machine's, more likely than that of who asks. */
#define PAUSE_MS 5000u

static const char gone[] = "the guest's tools ask for commands no more";

static void advance(struct rpc_session *session);

/* ---- options: open-vm-tools' names of Set_Option ---- */

struct option_row {
	const char *name;
	unsigned int (*value)(const struct backdoor *backdoor);
};

static unsigned int scripts(const struct backdoor *backdoor)
{
	return backdoor->config->tools_scripts;
}

static unsigned int broadcast_ip(const struct backdoor *backdoor)
{
	return backdoor->config->tools_broadcast_ip;
}

static unsigned int synctime(const struct backdoor *backdoor)
{
	return backdoor->synctime ? backdoor->synctime == '1' : backdoor->config->tools_synctime;
}

static unsigned int period(const struct backdoor *backdoor)
{
	return backdoor->config->tools_synctime_period;
}

static const struct option_row options[] = {
	{ "synctime", synctime },
	{ "synctime.period", period },
	{ "toolScripts.afterPowerOn", scripts },
	{ "toolScripts.beforePowerOff", scripts },
	{ "toolScripts.afterResume", scripts },
	{ "toolScripts.beforeSuspend", scripts },
	{ "broadcastIP", broadcast_ip },
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static int send_option(struct rpc_session *session, const struct option_row *row,
		       void (*internal)(struct rpc_session *, const char *, size_t))
{
	char text[96];
	int len = snprintf(text, sizeof(text), "Set_Option %s %u", row->name,
			   row->value(session->backdoor));

	return command_send(session, text, (size_t)len, internal, NULL, NULL, NULL);
}

/* Sessions that have not come to the option are sent it in its turn. */
static bool has_had(const struct rpc_session *session, size_t option)
{
	return session->step > START_OPTIONS ||
	       (session->step == START_OPTIONS && session->option >= option);
}

void start_push_option(struct backdoor *backdoor, const char *name)
{
	struct rpc_session *session;

	for (size_t i = 0; i < N_OPTIONS; i++)
		for (session = backdoor->sessions; session; session = session->next)
			if (strcmp(options[i].name, name) == 0 && has_had(session, i) &&
			    session->commanded && !session->closed)
				(void)send_option(session, &options[i], NULL);
}

bool rpc_time_sync(struct backdoor *backdoor)
{
	bool on;

	backdoor_lock(backdoor);
	on = synctime(backdoor) != 0;
	backdoor_unlock(backdoor);
	return on;
}

/* ---- which session is the tools ---- */

bool start_is_toolbox(const struct rpc_session *session)
{
	return strcmp(session->app, "toolbox") == 0;
}

bool start_may_tell(const struct rpc_session *session)
{
	const struct tools *tools = &session->backdoor->tools;

	return !tools->session || tools->session->privilege <= session->privilege;
}

static void set_down(struct backdoor *backdoor, const char *why)
{
	struct tools *tools = &backdoor->tools;
	struct fields_builder fields = FIELDS_BUILDER(1024);

	if (!tools->up)
		return;
	tools->up = false;
	tools->session = NULL;
	tools->ping_open = tools->missed = false;
	tools->silent = 0;
	backdoor_arm_timer(backdoor, 0);
	snprintf(tools->why, sizeof(tools->why), "%s", why);
	fields_add(&fields, "reason", why);
	deliver_event(backdoor, "tools-down", &fields);
}

/* Seconds; 0: such tools need no look. */
static unsigned int period_of(const struct rpc_session *session)
{
	unsigned int heartbeat = session->backdoor->config->tools_heartbeat;

	return heartbeat || session->door != RPC_DOOR_IOPORTS ? heartbeat : PERIOD_S;
}

static void set_up(struct rpc_session *session)
{
	struct backdoor *backdoor = session->backdoor;
	struct tools *tools = &backdoor->tools;
	struct fields_builder fields = FIELDS_BUILDER(1024);

	tools->session = session;
	tools->up = true;
	if (++tools->epoch == 0)
		tools->epoch = 1;
	tools->up_since = backdoor_time_ms() / 1000;
	tools->answered_ms = backdoor_now_ms();
	tools->why[0] = '\0';
	backdoor_arm_timer(backdoor, period_of(session));
	fields_add(&fields, "app", session->app);
	fields_add(&fields, "version", session->version);
	fields_add(&fields, "door", rpc_door_name(session->door));
	fields_add(&fields, "privilege", rpc_privilege_name(session->privilege));
	deliver_event(backdoor, "tools-up", &fields);
}

void start_replace(struct rpc_session *session)
{
	struct rpc_session *other, *next;

	if (session->privilege == RPC_USER)
		return;
	for (other = session->backdoor->sessions; other; other = next) {
		next = other->next;
		if (other != session && !other->closed && other->commanded &&
		    other->privilege == session->privilege && start_is_toolbox(other))
			session_shut(other, "another program took the place of the tools");
	}
}

static void become_tools(struct rpc_session *session)
{
	struct tools *tools = &session->backdoor->tools;

	if (!start_is_toolbox(session))
		return;
	if (tools->session && tools->session->privilege >= session->privilege)
		return;
	set_down(session->backdoor, "the tools came again by another door");
	set_up(session);
}

static bool waits(const struct rpc_session *session)
{
	return !session->closed && session->step == START_DONE && start_is_toolbox(session) &&
	       session->backdoor->tools.session != session;
}

/* At the I/O ports one may have been killed while it waited. */
static bool is_there(const struct rpc_session *session, uint64_t now_ms)
{
	return session->door != RPC_DOOR_IOPORTS || now_ms - session->polled_ms < SILENT_MS;
}

void start_session_ended(struct rpc_session *session, const char *why)
{
	struct backdoor *backdoor = session->backdoor;
	struct rpc_session *other, *best = NULL;
	uint64_t now_ms = backdoor_now_ms();

	if (backdoor->tools.session != session)
		return;
	set_down(backdoor, why);
	for (other = backdoor->sessions; other; other = other->next)
		if (other != session && waits(other) && is_there(other, now_ms) &&
		    (!best || other->privilege > best->privilege ||
		     (other->privilege == best->privilege && other->polled_ms > best->polled_ms)))
			best = other;
	if (best)
		set_up(best);
}

void start_polled(struct rpc_session *session)
{
	struct rpc_session *holder = session->backdoor->tools.session;
	uint64_t now_ms = backdoor_now_ms();

	if (now_ms - session->polled_ms > PAUSE_MS)
		session->steady_ms = now_ms;
	session->polled_ms = now_ms;
	if (session == holder)
		session->backdoor->tools.silent = 0;
	else if (!holder && waits(session))
		set_up(session);
	else if (holder && waits(session) && holder->privilege == session->privilege &&
		 now_ms - holder->polled_ms >= SILENT_MS &&
		 now_ms - session->steady_ms >= SILENT_MS)
		session_shut(holder, gone);
}

/* Whether @session, the tools, was closed because nobody is there. */
static bool shut_silent(struct rpc_session *session)
{
	struct tools *tools = &session->backdoor->tools;

	if (session->door != RPC_DOOR_IOPORTS || tools->silent++ < SILENT_PERIODS ||
	    backdoor_now_ms() - session->polled_ms < SILENT_MS)
		return false;
	session_shut(session, gone);
	return true;
}

/* ---- the sequence ---- */

/* "OK ATR toolbox": on the I/O ports nothing else tells who is there. */
static void take_app(struct rpc_session *session, const char *result, size_t len)
{
	static const char head[] = "OK ATR ";
	const size_t head_len = sizeof(head) - 1;

	if (session->door != RPC_DOOR_IOPORTS || len <= head_len ||
	    memcmp(result, head, head_len) != 0)
		return;
	backdoor_clean_text(session->app, sizeof(session->app), result + head_len, len - head_len);
	if (start_is_toolbox(session))
		start_replace(session);
}

static void answered(struct rpc_session *session, const char *result, size_t len)
{
	if (!result || session->closed)
		return;
	if (session->step == START_RESET)
		take_app(session, result, len);
	/* A guest that refuses one step may still take the next ones. */
	if (session->step != START_OPTIONS || ++session->option == N_OPTIONS)
		session->step++;
	advance(session);
}

static int send_state(struct rpc_session *session)
{
	const char *word = session->backdoor->state_word;

	if (!word || !start_is_toolbox(session)) {
		session->step = START_DONE;
		return 0;
	}
	session->backdoor->state_word = NULL;
	return command_send(session, word, strlen(word), answered, NULL, NULL, NULL);
}

static int send_step(struct rpc_session *session)
{
	static const char reset[] = "reset", capabilities[] = "Capabilities_Register";

	switch (session->step) {
	case START_RESET:
		return command_send(session, reset, sizeof(reset) - 1, answered, NULL, NULL, NULL);
	case START_CAPABILITIES:
		return command_send(session, capabilities, sizeof(capabilities) - 1, answered, NULL,
				    NULL, NULL);
	case START_OPTIONS:
		return send_option(session, &options[session->option], answered);
	case START_STATE:
		return send_state(session);
	case START_NONE:
	case START_DONE:
		break;
	}
	return 0;
}

static void advance(struct rpc_session *session)
{
	int ret = send_step(session);

	if (ret < 0)
		log_ratelimited(&session->backdoor->log_limit, LOG_LEVEL_WARN,
				"backdoor: new tools cannot be commanded: %s", strerror(-ret));
	else if (session->step == START_DONE)
		become_tools(session);
}

void start_session(struct rpc_session *session)
{
	if (session->closed || !session->commanded || session->step != START_NONE)
		return;
	session->step = START_RESET;
	advance(session);
}

/* ---- heartbeat ---- */

static void ping_answered(struct rpc_session *session, const char *result, size_t len)
{
	struct backdoor *backdoor = session->backdoor;
	struct tools *tools = &backdoor->tools;

	(void)len;
	if (!result || tools->session != session)
		return;
	tools->ping_open = false;
	tools->answered_ms = backdoor_now_ms();
	if (tools->missed) {
		struct fields_builder fields = FIELDS_BUILDER(64);

		tools->missed = false;
		deliver_event(backdoor, "heartbeat-back", &fields);
	}
}

void start_heartbeat_anew(struct backdoor *backdoor)
{
	backdoor->tools.ping_open = false;
	backdoor->tools.silent = 0;
	backdoor->tools.answered_ms = backdoor_now_ms();
}

void start_heartbeat(struct backdoor *backdoor)
{
	struct tools *tools = &backdoor->tools;
	struct fields_builder fields = FIELDS_BUILDER(64);

	if (backdoor->paused || !tools->up || shut_silent(tools->session) ||
	    !backdoor->config->tools_heartbeat)
		return;
	if (!tools->ping_open) {
		tools->ping_open = command_send(tools->session, "ping", 4, ping_answered, NULL,
						NULL, NULL) == 0;
		return;
	}
	if (tools->missed)
		return;
	tools->missed = true;
	fields_addf(&fields, "seconds", "%llu",
		    (unsigned long long)((backdoor_now_ms() - tools->answered_ms) / 1000));
	deliver_event(backdoor, "heartbeat-missed", &fields);
}

/* ---- for the host's side ---- */

void tools_get_status(struct backdoor *backdoor, struct tools_status *ret_status)
{
	struct tools *tools = &backdoor->tools;
	const struct rpc_session *session;
	const struct var *description;

	memset(ret_status, 0, sizeof(*ret_status));
	backdoor_lock(backdoor);
	session = tools->session;
	snprintf(ret_status->why, sizeof(ret_status->why), "%s", tools->why);
	ret_status->epoch = tools->epoch;
	if (session) {
		ret_status->up = true;
		ret_status->door = session->door;
		ret_status->privilege = session->privilege;
		ret_status->guest_ops = session->privilege == RPC_ROOT;
		ret_status->power = session->statechange;
		ret_status->heartbeat_missed = tools->missed;
		ret_status->heartbeat_seconds = backdoor->config->tools_heartbeat;
		ret_status->heartbeat_age = (backdoor_now_ms() - tools->answered_ms) / 1000;
		ret_status->up_since = tools->up_since;
		snprintf(ret_status->app, sizeof(ret_status->app), "%s", session->app);
		snprintf(ret_status->version, sizeof(ret_status->version), "%s", session->version);
		/* VMware's tools say their version there. */
		description = vars_find(backdoor, "guestinfo.vmtools.description",
					strlen("guestinfo.vmtools.description"));
		if (!ret_status->version[0] && description)
			backdoor_clean_text(ret_status->version, sizeof(ret_status->version),
					    description->value, description->len);
	}
	backdoor_unlock(backdoor);
}

/* What the tools do not begin is over at once: no tools.os.statechange.status comes. */
static void power_answered(struct rpc_session *session, const char *what, const char *result,
			   size_t len)
{
	struct fields_builder fields = FIELDS_BUILDER(512);
	char reason[TOOLS_TEXT_MAX];

	if (!result || command_is_ok(result, len))
		return;
	backdoor_clean_text(reason, sizeof(reason), result, len);
	fields_add(&fields, "what", what);
	fields_add(&fields, "ok", "no");
	fields_add(&fields, "reason", reason);
	deliver_event(session->backdoor, "power", &fields);
}

static void halt_answered(struct rpc_session *session, const char *result, size_t len)
{
	power_answered(session, "halt", result, len);
}

static void reboot_answered(struct rpc_session *session, const char *result, size_t len)
{
	power_answered(session, "reboot", result, len);
}

static void suspend_answered(struct rpc_session *session, const char *result, size_t len)
{
	power_answered(session, "suspend", result, len);
}

int tools_power(struct backdoor *backdoor, enum tools_power what)
{
	static const struct power_row {
		enum tools_power what;
		const char *word;
		void (*answered)(struct rpc_session *session, const char *result, size_t len);
	} rows[] = {
		{ TOOLS_HALT, "OS_Halt", halt_answered },
		{ TOOLS_REBOOT, "OS_Reboot", reboot_answered },
		{ TOOLS_SUSPEND, "OS_Suspend", suspend_answered },
	};
	const struct power_row *row = rows;
	struct tools *tools = &backdoor->tools;
	int ret;

	while (row->what != what)
		row++;
	backdoor_lock(backdoor);
	if (!tools->up)
		ret = -ENOTCONN;
	else if (!tools->session->statechange)
		ret = -EOPNOTSUPP;
	else
		ret = command_send(tools->session, row->word, strlen(row->word), row->answered,
				   NULL, NULL, NULL);
	backdoor_unlock(backdoor);
	return ret;
}

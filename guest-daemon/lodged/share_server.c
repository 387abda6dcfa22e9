// SPDX-License-Identifier: GPL-2.0-or-later
// mount.lodge as a child of lodged, and the bytes between it and the host.
#include "guest-daemon/lodged/share_server.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lodge/fs_stream.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/pump.h"
#include "guest-daemon/lodged/shares.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"

#define PROGRAM	    "mount.lodge"
#define MESSAGES_FD 3 /* in the child */
#define ANSWER_S    15 /* for the host to start its file server */
#define STOP_MS	    1000
#define SYSTEMD	    "/run/systemd/system" /* sd_booted(3) */
#define EXIT_MOUNT  32 /* mount.lodge(8) could not */

/* The door may answer when nobody wants to know any more. */
struct question {
	struct share_server *server; /* NULL: nobody does */
	bool answered;
};

struct share_server {
	struct lodged *lodged;
	const struct share_server_events *events;
	void *opaque;
	struct question *question; /* the host is asked for streams; NULL: it is not */
	guint patience;
	char *place;
	enum share_way way;
	bool scope; /* systemd-run is asked for one */
	pid_t pid; /* 0: none */
	int said_fd; /* its standard output; -1 */
	guint said;
	struct pump requests, replies;
	struct watch *node; /* NULL: nothing to watch was seen */
	struct door_command *command; /* that has brought the streams; NULL: none */
};

static const char asked_and_none[] = "the host does not answer";

bool share_server_busy(const struct share_server *server)
{
	return server->question || server->pid;
}

static void stop_asking(struct share_server *server)
{
	if (server->question && server->question->answered)
		g_free(server->question);
	else if (server->question)
		server->question->server = NULL;
	server->question = NULL;
	if (server->patience)
		g_source_remove(server->patience);
	server->patience = 0;
}

/* The host's side of it is over. */
static void hang_up(struct share_server *server)
{
	struct door_command *command = server->command;

	server->command = NULL;
	pump_stop(&server->requests, "the mount is over");
	pump_stop(&server->replies, "the mount is over");
	if (command)
		door_command_ok(command);
}

/* The host, or the child, has ended one of them: the child learns it by the end of both. */
static void over(void *opaque, struct pump *pump)
{
	(void)pump;
	hang_up(opaque);
}

static void stop_listening(struct share_server *server)
{
	if (server->said)
		g_source_remove(server->said);
	server->said = 0;
	fd_close(&server->said_fd);
}

static void fail(struct share_server *server, const char *why)
{
	stop_asking(server);
	server->events->ended(server->opaque, why);
}

struct share_server *share_server_new(struct lodged *lodged,
				      const struct share_server_events *events, void *opaque)
{
	struct share_server *server = g_new0(struct share_server, 1);

	server->lodged = lodged;
	server->events = events;
	server->opaque = opaque;
	server->said_fd = -1;
	server->scope = !access(SYSTEMD, F_OK);
	pump_init(&server->requests, DOOR_STREAM_OUT, over, server);
	pump_init(&server->replies, DOOR_STREAM_IN, over, server);
	return server;
}

/* ---- the child ---- */

static char *find_program(const struct lodged *lodged)
{
	const char *const folders[] = { lodged->helpers, "/usr/sbin", "/sbin" };

	for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
		char *path = folders[i] ? g_build_filename(folders[i], PROGRAM, NULL) : NULL;

		if (path && !access(path, X_OK))
			return path;
		g_free(path);
	}
	return NULL;
}

static void __attribute__((noreturn)) execute(const char *const argv[], int last_fd)
{
	child_close_from(last_fd + 1, -1);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* It says when it has mounted, and stays. */
static void __attribute__((noreturn))
become_rpc(const char *program, const char *place, int said, int messages)
{
	const char *const argv[] = { program, "--foreground", "--messages-fd=3",      SHARES_TAG,
				     place,   "-o",	      "nosuid,nodev,way=rpc", NULL };

	child_begin();
	/* In time to unmount. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)shares_leave_namespace();
	if (dup2(said, STDOUT_FILENO) < 0 || dup2(messages, MESSAGES_FD) < 0)
		_exit(127);
	execute(argv, MESSAGES_FD);
}

/*
 * It leaves a process behind that serves. systemd kills what is in the control group of a service
 * that ends: that one has to have its own, which is there until the file systems are unmounted at
 * the system's end.
 */
static void __attribute__((noreturn))
become_lodge_fs(const char *program, const char *place, bool scope)
{
	const char *const argv[] = { "systemd-run",
				     "--scope",
				     "--description=Shared folders of the host",
				     "--property=DefaultDependencies=no",
				     program,
				     SHARES_TAG,
				     place,
				     "-o",
				     "nosuid,nodev,way=lodge_fs",
				     NULL };

	child_begin();
	(void)shares_leave_namespace();
	execute(scope ? argv : argv + 4, STDERR_FILENO);
}

static void start_mount(struct share_server *server);

static void on_end(void *opaque, pid_t pid, int wait_status)
{
	struct share_server *server = opaque;
	bool well = WIFEXITED(wait_status) && !WEXITSTATUS(wait_status);
	bool tried = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_MOUNT;

	(void)pid;
	server->pid = 0;
	stop_listening(server);
	hang_up(server);
	if (server->way == SHARE_WAY_RPC) {
		server->events->ended(server->opaque, well ? NULL : PROGRAM " has ended");
	} else if (well) {
		server->events->mounted(server->opaque);
	} else if (server->scope && !tried) {
		/* No systemd-run, or an old one: it ends with lodged then. */
		server->scope = false;
		start_mount(server);
	} else {
		server->events->ended(server->opaque, PROGRAM " cannot mount them");
	}
}

static gboolean on_said(gint fd, GIOCondition condition, gpointer opaque)
{
	struct share_server *server = opaque;
	char text[64];

	(void)condition;
	if (read(fd, text, sizeof(text)) > 0) {
		server->events->mounted(server->opaque);
		return G_SOURCE_CONTINUE;
	}
	server->said = 0;
	fd_close(&server->said_fd);
	return G_SOURCE_REMOVE;
}

/* The process, or a negative errno; @messages: -1, or the child's. */
static int spawn(struct share_server *server, int said, int messages)
{
	g_autofree char *program = find_program(server->lodged);

	if (!program)
		return -ENOENT;
	server->pid = fork();
	if (!server->pid && messages < 0)
		become_lodge_fs(program, server->place, server->scope);
	if (!server->pid)
		become_rpc(program, server->place, said, messages);
	if (server->pid < 0) {
		server->pid = 0;
		return -EAGAIN;
	}
	children_watch(server->lodged->children, server->pid, on_end, server);
	return 0;
}

static int spawn_rpc(struct share_server *server, int messages)
{
	int said[2];
	int ret;

	if (pipe2(said, O_CLOEXEC))
		return -errno;
	ret = spawn(server, said[1], messages);
	close(said[1]);
	if (ret) {
		close(said[0]);
		return ret;
	}
	server->said_fd = said[0];
	server->said = g_unix_fd_add(said[0], G_IO_IN | G_IO_HUP, on_said, server);
	return 0;
}

static const char *explain(int error)
{
	return error == -ENOENT ? PROGRAM " is not installed" : PROGRAM " cannot be started";
}

static void start_mount(struct share_server *server)
{
	int ret = spawn(server, -1, -1);

	if (ret)
		fail(server, explain(ret));
}

/* ---- what is mounted by the module ---- */

static bool is_node(void *opaque, const char *name)
{
	(void)opaque;
	return !*name;
}

/* One that mounts says itself how that ends. */
static void node_closed(void *opaque)
{
	struct share_server *server = opaque;

	if (!server->pid)
		server->events->ended(server->opaque, NULL);
}

void share_server_watch(struct share_server *server, const char *node)
{
	if (access(node, F_OK) ||
	    (!server->node && watch_new(is_node, node_closed, server, &server->node)))
		return;
	/* Its file may be another one now. */
	(void)watch_file(server->node, node, IN_CLOSE);
}

/* ---- the host ---- */

/* A reply that is good is followed by the command. */
static void answered(void *opaque, const struct door_reply *reply)
{
	struct question *question = opaque;
	struct share_server *server = question->server;
	bool good = !reply->error && reply->ok;

	question->answered = true;
	if (!server)
		g_free(question);
	else if (!good)
		fail(server, reply->error || reply->busy ? asked_and_none
							 : "this host has no messages of shares");
}

static gboolean on_patience(gpointer opaque)
{
	struct share_server *server = opaque;

	server->patience = 0;
	fail(server, asked_and_none);
	return G_SOURCE_REMOVE;
}

static void ask(struct share_server *server)
{
	const struct door *door = lodged_door(server->lodged);

	if (!door || !door_has_streams(door)) {
		fail(server, "no door to the host that carries files: see lodge-toolbox status");
		return;
	}
	server->question = g_new0(struct question, 1);
	server->question->server = server;
	server->patience = g_timeout_add_seconds(ANSWER_S, on_patience, server);
	lodged_ask(server->lodged, answered, server->question, "%s", LODGE_FS_STREAM_CONNECT);
}

static int open_pump(struct pump *pump, struct door *door, const char *fields, size_t len,
		     const char *key)
{
	uint64_t number;
	int ret = fields_number(fields, len, key, UINT32_MAX, &number);

	return ret ? ret : pump_open(pump, door, (uint32_t)number);
}

/* The child has one end of @ret_ends; each pump takes a descriptor of its own for the other. */
static int connect_child(struct share_server *server)
{
	int ends[2];
	int copy, ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	copy = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
	ret = copy < 0 ? -errno : spawn_rpc(server, ends[1]);
	close(ends[1]);
	if (ret) {
		fd_close(&copy);
		close(ends[0]);
		return ret;
	}
	pump_start(&server->requests, ends[0]);
	pump_start(&server->replies, copy);
	return 0;
}

void share_server_command(struct share_server *server, struct door_command *command,
			  const char *fields, size_t len)
{
	struct door *door = door_command_door(command);
	const char *why;
	int ret;

	if (!server->question || fields_check(fields, len)) {
		door_command_error(command, "nobody asked for that");
		return;
	}
	why = fields_get(fields, len, LODGE_FS_STREAM_WHY);
	if (why) {
		g_autofree char *told = g_strdup(why);

		door_command_ok(command);
		fail(server, told);
		return;
	}
	stop_asking(server);
	server->command = command;
	pump_init(&server->requests, DOOR_STREAM_OUT, over, server);
	pump_init(&server->replies, DOOR_STREAM_IN, over, server);
	ret = open_pump(&server->requests, door, fields, len, LODGE_FS_STREAM_REQUESTS);
	if (!ret)
		ret = open_pump(&server->replies, door, fields, len, LODGE_FS_STREAM_REPLIES);
	if (!ret)
		ret = connect_child(server);
	if (!ret)
		return;
	hang_up(server);
	fail(server, explain(ret));
}

void share_server_start(struct share_server *server, enum share_way way, const char *place)
{
	g_free(server->place);
	server->place = g_strdup(place);
	server->way = way;
	if (way == SHARE_WAY_RPC)
		ask(server);
	else
		start_mount(server);
}

void share_server_lost(struct share_server *server)
{
	if (server->question)
		fail(server, asked_and_none);
	/* The end of its messages is the child's end, which is told. */
	if (server->command)
		hang_up(server);
}

static void end_child(struct share_server *server)
{
	gint64 end = g_get_monotonic_time() + STOP_MS * 1000;

	(void)kill(server->pid, SIGTERM);
	while (waitpid(server->pid, NULL, WNOHANG) == 0 && g_get_monotonic_time() < end)
		g_usleep(1000);
}

void share_server_free(struct share_server *server)
{
	if (!server)
		return;
	stop_asking(server);
	if (server->pid)
		children_forget(server->lodged->children, server->pid);
	if (server->pid && server->way == SHARE_WAY_RPC)
		end_child(server);
	watch_free(server->node);
	stop_listening(server);
	hang_up(server);
	g_free(server->place);
	g_free(server);
}

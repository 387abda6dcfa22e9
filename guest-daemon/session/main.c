// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-session: follows the window's size in X11 and Wayland sessions whose desktop does not (rung
 * 1 of the display). It sleeps until the server tells of outputs.
 */
#include <X11/Xlib.h>
#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "guest-daemon/session/desktop.h"
#include "guest-daemon/session/state.h"
#include "protocol/lib/log.h"

/* A server that has always something new is looked at so often at once, then after a pause. */
#define LOOKS_MAX 16
#define PAUSE_MS  100

struct session {
	GMainLoop *main_loop;
	struct desktop *desktop;
	struct follower follower;
	guint timer;
	char *told; /* the last text of the state file */
};

static void look(struct session *session);

static gboolean on_timer(gpointer opaque)
{
	struct session *session = opaque;

	session->timer = 0;
	look(session);
	return G_SOURCE_REMOVE;
}

static void tell(struct session *session, const struct follow_output *outputs, size_t n)
{
	char *text = state_text(session->desktop, &session->follower, outputs, n);

	if (g_strcmp0(text, session->told) == 0) {
		g_free(text);
		return;
	}
	g_free(session->told);
	session->told = text;
	state_write(text);
}

static void follow(struct session *session, uint64_t now_ms)
{
	int ret = session->desktop->ops->follow(session->desktop, &session->follower);

	if (ret < 0 && ret != -ENODATA)
		log_warn("the mode that the display asks for was not set: %s",
			 ret == -ERANGE ? "the X server's screen cannot be so large"
			 : ret == -EDOM ? "the compositor took another one"
					: strerror(-ret));
	follow_acted(&session->follower, ret == 0, now_ms);
}

static void look_once(struct session *session)
{
	struct follow_output outputs[FOLLOW_OUTPUTS_MAX];
	uint64_t now_ms = (uint64_t)g_get_monotonic_time() / 1000;
	struct follow_verdict verdict = { 0 };
	bool had_enough = follow_gave_up(&session->follower);
	int n = session->desktop->ops->outputs(session->desktop, outputs, FOLLOW_OUTPUTS_MAX);

	if (session->timer)
		g_source_remove(session->timer);
	session->timer = 0;
	if (n < 0) {
		log_debug("outputs are left alone: %s", strerror(-n));
		return;
	}
	verdict = follow_look(&session->follower, outputs, (size_t)n, now_ms);
	if (verdict.act)
		follow(session, now_ms);
	else if (verdict.wait_ms)
		session->timer = g_timeout_add((guint)verdict.wait_ms, on_timer, session);
	if (!had_enough && follow_gave_up(&session->follower))
		log_info("another program of this session sets the resolution: it is left alone");
	tell(session, outputs, (size_t)n);
}

static void look(struct session *session)
{
	int more = 1;

	/* What came with the answers waits in the library's queue, where poll() does not see it. */
	for (int i = 0; more > 0 && i < LOOKS_MAX; i++) {
		look_once(session);
		more = session->desktop->ops->drain(session->desktop);
	}
	if (more > 0 && !session->timer)
		session->timer = g_timeout_add(PAUSE_MS, on_timer, session);
	if (more < 0)
		g_main_loop_quit(session->main_loop);
}

static gboolean on_server(gint fd, GIOCondition condition, gpointer opaque)
{
	struct session *session = opaque;
	int more = session->desktop->ops->drain(session->desktop);

	(void)fd;
	(void)condition;
	if (more > 0)
		look(session);
	else if (more < 0)
		g_main_loop_quit(session->main_loop);
	return more < 0 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer opaque)
{
	struct session *session = opaque;

	g_main_loop_quit(session->main_loop);
	return G_SOURCE_CONTINUE;
}

/* The X session is over: that is how it ends for us, too. */
static int on_server_gone(Display *display)
{
	(void)display;
	state_remove();
	_exit(EX_OK);
}

static int open_x11(const char *display, bool any, struct desktop **ret_desktop)
{
	int ret = x11_open(display, any, ret_desktop);

	switch (ret) {
	case 0:
		return EX_OK;
	case -ENOTCONN:
		log_error("no X server at '%s': start it within an X11 session, or give --display",
			  display		? display
			  : g_getenv("DISPLAY") ? g_getenv("DISPLAY")
						: "");
		return EX_UNAVAILABLE;
	case -EALREADY:
		log_info("another lodge-session serves this X server");
		return EX_OK;
	case -EOPNOTSUPP:
		log_info("this session's resolution is its Wayland compositor's, or the X server "
			 "has no RandR 1.3");
		return EX_OK;
	default:
		log_error("X server: %s", strerror(-ret));
		return EX_OSERR;
	}
}

static int open_wayland(bool any, struct desktop **ret_desktop)
{
	int ret = wayland_open("/sys", any, ret_desktop);

	switch (ret) {
	case 0:
		return EX_OK;
	case -EALREADY:
		log_info("another lodge-session serves this user's Wayland compositor");
		return EX_OK;
	case -EOPNOTSUPP:
		log_info("the compositor has no zwlr_output_manager_v1: the resolution is its own "
			 "to set");
		return EX_OK;
	default:
		log_error("Wayland compositor '%s': %s", g_getenv("WAYLAND_DISPLAY"),
			  strerror(-ret));
		return ret == -ENOTCONN || ret == -ETIMEDOUT ? EX_UNAVAILABLE : EX_OSERR;
	}
}

static int run(const char *display, bool any)
{
	struct session session = { 0 };
	/* In a Wayland session the X server is XWayland. */
	int status = !display && g_getenv("WAYLAND_DISPLAY")
			     ? open_wayland(any, &session.desktop)
			     : open_x11(display, any, &session.desktop);

	if (!session.desktop)
		return status;
	XSetIOErrorHandler(on_server_gone);
	session.main_loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, on_signal, &session);
	g_unix_signal_add(SIGINT, on_signal, &session);
	g_unix_signal_add(SIGHUP, on_signal, &session);
	g_unix_fd_add(session.desktop->ops->fd(session.desktop), G_IO_IN, on_server, &session);
	look(&session);
	g_main_loop_run(session.main_loop);

	state_remove();
	g_free(session.told);
	g_main_loop_unref(session.main_loop);
	session.desktop->ops->close(session.desktop);
	return EX_OK;
}

int main(int argc, char **argv)
{
	g_autofree char *display = NULL;
	gboolean any = FALSE, version = FALSE;
	const GOptionEntry options[] = {
		{ "display", 'd', 0, G_OPTION_ARG_STRING, &display, "the X server", ":N" },
		{ "any-output", 0, 0, G_OPTION_ARG_NONE, &any,
		  "follow outputs of other makers than Lodge, too", NULL },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &version, "print the version", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	log_init("lodge-session", LOG_LEVEL_INFO);
	g_option_context_set_summary(context,
				     "Sets the resolution that the VM's window asks for, "
				     "in X11 and Wayland sessions where nothing else does.");
	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		log_error("%s; try --help", error ? error->message : "it takes no words");
		return EX_USAGE;
	}
	if (version) {
		printf("lodge-session %s\n", LODGE_VERSION);
		return EX_OK;
	}
	return run(display, any);
}

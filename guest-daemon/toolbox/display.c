// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * display: which driver the VM's display has, what each head shows and should show, and who of the
 * sessions sets the resolution.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lib/drm.h"
#include "guest-daemon/lib/session.h"
#include "guest-daemon/toolbox/toolbox.h"

struct display {
	unsigned int card;
	char driver[32];
	struct drm_head heads[DRM_HEADS_MAX];
	size_t n_heads;
	uint32_t console_width, console_height; /* at most; 0: it has no console */
	GPtrArray *sessions; /* "UID OWNER" */
};

static void add_session(void *opaque, const char *uid, const char *owner, const char *server)
{
	struct display *display = opaque;

	(void)server;
	g_ptr_array_add(display->sessions, g_strdup_printf("%s %s", uid, owner));
}

static const char *follows(const struct drm_head *head)
{
	if (!head->connected)
		return head->width ? "shown though it is off" : "off";
	if (!head->wanted_width)
		return "nothing is asked for";
	return head->width == head->wanted_width && head->height == head->wanted_height
		       ? "as asked"
		       : "not as asked";
}

static int rung(const struct display *display)
{
	if (!strcmp(display->driver, "lodge_display"))
		return 2;
	return display->sessions->len ? 1 : 0;
}

static void print_text(const struct display *display)
{
	printf("card%u, driver %s, rung %d\n", display->card, display->driver, rung(display));
	printf("%-12s %-12s %-12s %s\n", "HEAD", "SHOWS", "ASKED FOR", "");
	for (size_t i = 0; i < display->n_heads; i++) {
		const struct drm_head *head = &display->heads[i];
		char now[24], wanted[24];

		snprintf(now, sizeof(now), "%ux%u", head->width, head->height);
		snprintf(wanted, sizeof(wanted), "%ux%u", head->wanted_width, head->wanted_height);
		printf("%-12s %-12s %-12s %s\n", head->name, head->width ? now : "-",
		       head->wanted_width ? wanted : "-", follows(head));
	}
	if (display->console_width)
		printf("a text console follows up to %ux%u, where lodged runs\n",
		       display->console_width, display->console_height);
	for (guint i = 0; i < display->sessions->len; i++) {
		const char *row = g_ptr_array_index(display->sessions, i);
		const char *owner = strchr(row, ' ') + 1;

		printf("in the session of user %.*s the resolution is set by %s\n",
		       (int)(owner - row - 1), row, owner);
	}
}

static void print_json(const struct display *display)
{
	printf("{\"card\":%u,\"driver\":", display->card);
	json_print_string(display->driver);
	printf(",\"rung\":%d,\"heads\":[", rung(display));
	for (size_t i = 0; i < display->n_heads; i++) {
		const struct drm_head *head = &display->heads[i];

		printf("%s{\"name\":\"%s\",\"connected\":%s,\"width\":%u,\"height\":%u,"
		       "\"wanted_width\":%u,\"wanted_height\":%u}",
		       i ? "," : "", head->name, head->connected ? "true" : "false", head->width,
		       head->height, head->wanted_width, head->wanted_height);
	}
	printf("],\"console\":{\"width\":%u,\"height\":%u},\"sessions\":[", display->console_width,
	       display->console_height);
	for (guint i = 0; i < display->sessions->len; i++) {
		const char *row = g_ptr_array_index(display->sessions, i);
		const char *owner = strchr(row, ' ') + 1;
		g_autofree char *uid = g_strndup(row, (gsize)(owner - row - 1));

		printf("%s{\"user\":", i ? "," : "");
		json_print_string(uid);
		printf(",\"owner\":");
		json_print_string(owner);
		putchar('}');
	}
	printf("]}\n");
}

static int look(struct display *display)
{
	int ret = drm_find("/sys", &display->card, display->driver);
	unsigned int fb;

	if (ret)
		return ret;
	(void)drm_console("/sys", display->card, &fb, &display->console_width,
			  &display->console_height);
	ret = drm_heads(display->card, display->heads, DRM_HEADS_MAX);
	if (ret < 0)
		return ret;
	display->n_heads = (size_t)ret;
	session_each("/run/user", add_session, display);
	return 0;
}

int verb_display(const struct toolbox *toolbox, int argc, char **argv)
{
	bool json = argc == 1 && !strcmp(argv[0], "--json");
	struct display display = { 0 };
	int ret;

	if (argc && !json)
		return misused(toolbox, "unknown word", argv[0]);
	display.sessions = g_ptr_array_new_with_free_func(g_free);
	ret = look(&display);
	if (!ret && json)
		print_json(&display);
	else if (!ret)
		print_text(&display);
	g_ptr_array_unref(display.sessions);
	switch (ret) {
	case 0:
		return 0;
	case -ENODEV:
		return complain(
			toolbox, EX_UNAVAILABLE,
			"this VM has no display; on the host: lodge set NAME display.heads=1");
	case -ENXIO:
		return complain(toolbox, EX_UNAVAILABLE,
				"no driver has the display: modprobe virtio-gpu");
	case -EACCES:
		return complain(toolbox, EX_NOPERM,
				"the card is for root and for who sits at the screen");
	default:
		return complain(toolbox, EX_TEMPFAIL, "card%u: %s", display.card, strerror(-ret));
	}
}

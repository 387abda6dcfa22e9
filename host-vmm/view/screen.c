// SPDX-License-Identifier: GPL-2.0-or-later
// The X server: what it can do is asked once, when it is connected to.
#include "host-vmm/view/screen.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <xcb/randr.h>
#include <xcb/shm.h>
#include <xcb/xinput.h>
#include <xcb/xkb.h>

#define DEPTH		24
#define RESOURCES_WORDS 16384u /* of RESOURCE_MANAGER, four bytes each */
#define MM_10_PER_INCH	254ull
#define DPI_AT_100	96 /* at which Xft.dpi means no scaling */
#define DPI_LEAST	48 /* what is beyond is no word on scaling */
#define DPI_MOST	768

static const struct {
	const char *name;
	size_t offset;
} atom_names[] = {
	{ "WM_PROTOCOLS", offsetof(struct screen_atoms, wm_protocols) },
	{ "WM_DELETE_WINDOW", offsetof(struct screen_atoms, wm_delete_window) },
	{ "_NET_WM_STATE", offsetof(struct screen_atoms, wm_state) },
	{ "_NET_WM_STATE_FULLSCREEN", offsetof(struct screen_atoms, wm_state_fullscreen) },
	{ "_NET_WM_NAME", offsetof(struct screen_atoms, wm_name) },
	{ "_NET_WM_ICON_NAME", offsetof(struct screen_atoms, wm_icon_name) },
	{ "_NET_WM_PID", offsetof(struct screen_atoms, wm_pid) },
	{ "_NET_WM_PING", offsetof(struct screen_atoms, wm_ping) },
	{ "UTF8_STRING", offsetof(struct screen_atoms, utf8_string) },
};
#define N_ATOMS (sizeof(atom_names) / sizeof(atom_names[0]))

static void read_atoms(struct screen *screen)
{
	xcb_intern_atom_cookie_t cookies[N_ATOMS];

	for (size_t i = 0; i < N_ATOMS; i++)
		cookies[i] = xcb_intern_atom(screen->x, 0, (uint16_t)strlen(atom_names[i].name),
					     atom_names[i].name);
	for (size_t i = 0; i < N_ATOMS; i++) {
		xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(screen->x, cookies[i], NULL);

		if (reply)
			*(xcb_atom_t *)((char *)&screen->atoms + atom_names[i].offset) =
				reply->atom;
		free(reply);
	}
}

static const xcb_query_extension_reply_t *extension(struct screen *screen, xcb_extension_t *id)
{
	const xcb_query_extension_reply_t *data = xcb_get_extension_data(screen->x, id);

	return data && data->present ? data : NULL;
}

/* Pixels must lie in memory as the monitor's do: nothing is converted here. */
static bool find_visual(struct screen *screen)
{
	const xcb_setup_t *setup = xcb_get_setup(screen->x);
	bool right_format = false;

	for (xcb_format_iterator_t it = xcb_setup_pixmap_formats_iterator(setup); it.rem;
	     xcb_format_next(&it))
		if (it.data->depth == DEPTH)
			right_format = it.data->bits_per_pixel == 32;
	if (!right_format || setup->image_byte_order != XCB_IMAGE_ORDER_LSB_FIRST ||
	    screen->root->root_depth != DEPTH)
		return false;
	for (xcb_depth_iterator_t depth = xcb_screen_allowed_depths_iterator(screen->root);
	     depth.rem; xcb_depth_next(&depth))
		for (xcb_visualtype_iterator_t it = xcb_depth_visuals_iterator(depth.data); it.rem;
		     xcb_visualtype_next(&it))
			if (it.data->visual_id == screen->root->root_visual &&
			    it.data->red_mask == 0xff0000 && it.data->green_mask == 0xff00 &&
			    it.data->blue_mask == 0xff)
				screen->visual = it.data->visual_id;
	return screen->visual != 0;
}

/* Descriptors pass only to a server on this machine. */
static void look_for_shm(struct screen *screen)
{
	const xcb_query_extension_reply_t *data = extension(screen, &xcb_shm_id);
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);
	xcb_shm_query_version_reply_t *reply;

	if (!data ||
	    getpeername(xcb_get_file_descriptor(screen->x), (struct sockaddr *)&peer, &len) < 0 ||
	    peer.ss_family != AF_UNIX)
		return;
	reply = xcb_shm_query_version_reply(screen->x, xcb_shm_query_version(screen->x), NULL);
	screen->shm = reply && (reply->major_version > 1 ||
				(reply->major_version == 1 && reply->minor_version >= 2));
	screen->shm_event = (uint8_t)(data->first_event + XCB_SHM_COMPLETION);
	free(reply);
}

static bool is_argb(const xcb_render_pictforminfo_t *format)
{
	return format->type == XCB_RENDER_PICT_TYPE_DIRECT && format->depth == 32 &&
	       format->direct.alpha_shift == 24 && format->direct.alpha_mask == 0xff &&
	       format->direct.red_shift == 16 && format->direct.blue_shift == 0;
}

static void look_for_render(struct screen *screen)
{
	xcb_render_query_pict_formats_reply_t *reply;

	if (!extension(screen, &xcb_render_id))
		return;
	free(xcb_render_query_version_reply(screen->x, xcb_render_query_version(screen->x, 0, 11),
					    NULL));
	reply = xcb_render_query_pict_formats_reply(screen->x,
						    xcb_render_query_pict_formats(screen->x), NULL);
	if (!reply)
		return;
	for (xcb_render_pictforminfo_iterator_t it =
		     xcb_render_query_pict_formats_formats_iterator(reply);
	     it.rem; xcb_render_pictforminfo_next(&it))
		if (is_argb(it.data))
			screen->argb = it.data->id;
	for (xcb_render_pictscreen_iterator_t at =
		     xcb_render_query_pict_formats_screens_iterator(reply);
	     at.rem; xcb_render_pictscreen_next(&at))
		for (xcb_render_pictdepth_iterator_t depth =
			     xcb_render_pictscreen_depths_iterator(at.data);
		     depth.rem; xcb_render_pictdepth_next(&depth))
			for (xcb_render_pictvisual_iterator_t it =
				     xcb_render_pictdepth_visuals_iterator(depth.data);
			     it.rem; xcb_render_pictvisual_next(&it))
				if (it.data->visual == screen->visual)
					screen->format = it.data->format;
	free(reply);
	screen->render = screen->format != 0 && screen->argb != 0;
}

static void look_for_xinput(struct screen *screen)
{
	const xcb_query_extension_reply_t *data = extension(screen, &xcb_input_id);
	xcb_input_xi_query_version_reply_t *reply;

	if (!data)
		return;
	reply = xcb_input_xi_query_version_reply(screen->x,
						 xcb_input_xi_query_version(screen->x, 2, 1), NULL);
	screen->raw_moves = reply && (reply->major_version > 2 ||
				      (reply->major_version == 2 && reply->minor_version >= 1));
	screen->xinput_opcode = data->major_opcode;
	free(reply);
}

static void look_for_randr(struct screen *screen)
{
	const xcb_query_extension_reply_t *data = extension(screen, &xcb_randr_id);
	xcb_randr_query_version_reply_t *reply;

	if (!data)
		return;
	reply = xcb_randr_query_version_reply(screen->x, xcb_randr_query_version(screen->x, 1, 5),
					      NULL);
	/* GetMonitors is of 1.5. */
	screen->randr = reply && reply->major_version == 1 && reply->minor_version >= 5;
	screen->randr_event = (uint8_t)(data->first_event + XCB_RANDR_SCREEN_CHANGE_NOTIFY);
	if (screen->randr)
		xcb_randr_select_input(screen->x, screen->root->root,
				       XCB_RANDR_NOTIFY_MASK_SCREEN_CHANGE);
	free(reply);
}

/* A key that stays down is one press: the guest makes repeats of its own. */
static void ask_for_plain_repeats(struct screen *screen)
{
	if (!extension(screen, &xcb_xkb_id))
		return;
	free(xcb_xkb_use_extension_reply(screen->x, xcb_xkb_use_extension(screen->x, 1, 0), NULL));
	free(xcb_xkb_per_client_flags_reply(
		screen->x,
		xcb_xkb_per_client_flags(screen->x, XCB_XKB_ID_USE_CORE_KBD,
					 XCB_XKB_PER_CLIENT_FLAG_DETECTABLE_AUTO_REPEAT,
					 XCB_XKB_PER_CLIENT_FLAG_DETECTABLE_AUTO_REPEAT, 0, 0, 0),
		NULL));
}

/* Where they are others, an X keycode says nothing of the key's place. */
static void read_rules(struct screen *screen)
{
	static const char name[] = "_XKB_RULES_NAMES", evdev[] = "evdev";
	xcb_intern_atom_reply_t *atom = xcb_intern_atom_reply(
		screen->x, xcb_intern_atom(screen->x, 1, sizeof(name) - 1, name), NULL);
	xcb_get_property_reply_t *reply = NULL;

	if (atom && atom->atom != XCB_ATOM_NONE)
		reply = xcb_get_property_reply(screen->x,
					       xcb_get_property(screen->x, 0, screen->root->root,
								atom->atom, XCB_ATOM_STRING, 0, 2),
					       NULL);
	screen->other_rules = reply &&
			      (xcb_get_property_value_length(reply) < (int)sizeof(evdev) ||
			       memcmp(xcb_get_property_value(reply), evdev, sizeof(evdev)) != 0);
	free(atom);
	free(reply);
}

static void read_scale(struct screen *screen)
{
	static const char name[] = "\nXft.dpi:";
	xcb_get_property_reply_t *reply = xcb_get_property_reply(
		screen->x,
		xcb_get_property(screen->x, 0, screen->root->root, XCB_ATOM_RESOURCE_MANAGER,
				 XCB_ATOM_STRING, 0, RESOURCES_WORDS),
		NULL);
	int len = reply ? xcb_get_property_value_length(reply) : 0;
	char *text = malloc((size_t)len + 2);

	if (text && reply) {
		const char *found;
		double dpi;

		text[0] = '\n';
		memcpy(text + 1, xcb_get_property_value(reply), (size_t)len);
		text[1 + len] = 0;
		found = strstr(text, name);
		dpi = found ? strtod(found + strlen(name), NULL) : 0;
		if (dpi >= DPI_LEAST && dpi <= DPI_MOST)
			screen->scale = (uint32_t)(dpi * 100 / DPI_AT_100 + 0.5);
	}
	free(text);
	free(reply);
}

void screen_read_keys(struct screen *screen)
{
	const xcb_setup_t *setup = xcb_get_setup(screen->x);
	unsigned int first = setup->min_keycode, count = setup->max_keycode - first + 1u;
	xcb_get_keyboard_mapping_reply_t *reply = xcb_get_keyboard_mapping_reply(
		screen->x, xcb_get_keyboard_mapping(screen->x, (uint8_t)first, (uint8_t)count),
		NULL);
	unsigned int per_key = reply ? reply->keysyms_per_keycode : 0;

	if (per_key == 0 ||
	    (unsigned int)xcb_get_keyboard_mapping_keysyms_length(reply) < count * per_key) {
		free(reply);
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		screen->keysyms[first + i] =
			xcb_get_keyboard_mapping_keysyms(reply)[(size_t)i * per_key];
	free(reply);
}

bool screen_has_key(const struct screen *screen, xcb_keysym_t keysym)
{
	for (unsigned int i = 0; i < SCREEN_KEYCODES; i++)
		if (screen->keysyms[i] == keysym)
			return true;
	return false;
}

/* A pixmap of one bit, all 0 but for the rectangles. */
static xcb_pixmap_t make_bits(struct screen *screen, uint16_t side, const xcb_rectangle_t *ones,
			      uint32_t n_ones)
{
	const xcb_rectangle_t all = { 0, 0, side, side };
	xcb_pixmap_t pixmap = xcb_generate_id(screen->x);
	xcb_gcontext_t gc = xcb_generate_id(screen->x);

	xcb_create_pixmap(screen->x, 1, pixmap, screen->root->root, side, side);
	xcb_create_gc(screen->x, gc, pixmap, XCB_GC_FOREGROUND, &(uint32_t){ 0 });
	xcb_poly_fill_rectangle(screen->x, pixmap, gc, 1, &all);
	xcb_change_gc(screen->x, gc, XCB_GC_FOREGROUND, &(uint32_t){ 1 });
	if (n_ones > 0)
		xcb_poly_fill_rectangle(screen->x, pixmap, gc, n_ones, ones);
	xcb_free_gc(screen->x, gc);
	return pixmap;
}

/* A black dot with a white edge, which is seen on everything. */
static void make_cursors(struct screen *screen)
{
	static const xcb_rectangle_t edge[] = { { 1, 0, 3, 5 }, { 0, 1, 5, 3 } };
	static const xcb_rectangle_t middle = { 1, 1, 3, 3 };
	xcb_pixmap_t none = make_bits(screen, 1, NULL, 0);
	xcb_pixmap_t mask = make_bits(screen, 5, edge, 2), dot = make_bits(screen, 5, &middle, 1);

	screen->no_cursor = xcb_generate_id(screen->x);
	xcb_create_cursor(screen->x, screen->no_cursor, none, none, 0, 0, 0, 0, 0, 0, 0, 0);
	screen->dot_cursor = xcb_generate_id(screen->x);
	xcb_create_cursor(screen->x, screen->dot_cursor, dot, mask, 0, 0, 0, UINT16_MAX, UINT16_MAX,
			  UINT16_MAX, 2, 2);
	xcb_free_pixmap(screen->x, none);
	xcb_free_pixmap(screen->x, mask);
	xcb_free_pixmap(screen->x, dot);
}

int screen_open(struct screen *screen, const char *name, char message[SCREEN_MESSAGE_MAX])
{
	const char *shown = name ? name : getenv("DISPLAY");
	int number;

	*screen = (struct screen){ .x = xcb_connect(name, &number) };
	if (xcb_connection_has_error(screen->x)) {
		snprintf(message, SCREEN_MESSAGE_MAX,
			 shown && *shown ? "the X server '%s' cannot be reached"
					 : "there is no X server here (DISPLAY is not set)%s",
			 shown ? shown : "");
		xcb_disconnect(screen->x);
		return -EINVAL;
	}
	screen->root = xcb_setup_roots_iterator(xcb_get_setup(screen->x)).data;
	for (xcb_screen_iterator_t it = xcb_setup_roots_iterator(xcb_get_setup(screen->x));
	     it.rem && number >= 0; xcb_screen_next(&it), number--)
		screen->root = it.data;
	if (!find_visual(screen)) {
		snprintf(message, SCREEN_MESSAGE_MAX,
			 "the X server '%s' has no screen of %d bits with 8 for each colour",
			 shown ? shown : "", DEPTH);
		xcb_disconnect(screen->x);
		return -EINVAL;
	}
	read_atoms(screen);
	look_for_shm(screen);
	look_for_render(screen);
	look_for_xinput(screen);
	look_for_randr(screen);
	ask_for_plain_repeats(screen);
	read_rules(screen);
	read_scale(screen);
	screen_read_keys(screen);
	screen_read_monitors(screen);
	make_cursors(screen);
	return 0;
}

void screen_close(struct screen *screen)
{
	xcb_disconnect(screen->x);
}

/* ---- monitors ---- */

static void take_monitor(struct screen *screen, const xcb_randr_monitor_info_t *info)
{
	const struct screen_monitor monitor = {
		.x = info->x,
		.y = info->y,
		.width = info->width,
		.height = info->height,
		.width_mm = info->width_in_millimeters,
		.height_mm = info->height_in_millimeters,
	};

	if (monitor.width == 0 || monitor.height == 0 || screen->n_monitors == SCREEN_MONITORS)
		return;
	screen->monitors[screen->n_monitors++] = monitor;
	if (!info->primary)
		return;
	screen->monitors[screen->n_monitors - 1] = screen->monitors[0];
	screen->monitors[0] = monitor;
}

void screen_read_monitors(struct screen *screen)
{
	xcb_randr_get_monitors_reply_t *reply = NULL;

	screen->n_monitors = 0;
	if (screen->randr)
		reply = xcb_randr_get_monitors_reply(
			screen->x, xcb_randr_get_monitors(screen->x, screen->root->root, 1), NULL);
	if (reply)
		for (xcb_randr_monitor_info_iterator_t it =
			     xcb_randr_get_monitors_monitors_iterator(reply);
		     it.rem; xcb_randr_monitor_info_next(&it))
			take_monitor(screen, it.data);
	free(reply);
	if (screen->n_monitors == 0)
		screen->monitors[screen->n_monitors++] = (struct screen_monitor){
			.width = screen->root->width_in_pixels,
			.height = screen->root->height_in_pixels,
		};
}

const struct screen_monitor *screen_monitor_at(const struct screen *screen, int x, int y)
{
	for (unsigned int i = 0; i < screen->n_monitors; i++) {
		const struct screen_monitor *monitor = &screen->monitors[i];

		if (x >= monitor->x && y >= monitor->y && x < monitor->x + (int)monitor->width &&
		    y < monitor->y + (int)monitor->height)
			return monitor;
	}
	return &screen->monitors[0];
}

/* Of @pixels, as the monitor says, else as the desktop's scale means them. */
static uint32_t millimetres(const struct screen *screen, uint32_t pixels, uint32_t of_pixels,
			    uint32_t of_mm)
{
	if (of_mm != 0)
		return (uint32_t)((uint64_t)pixels * of_mm / of_pixels);
	if (screen->scale != 0)
		return (uint32_t)(pixels * MM_10_PER_INCH * 10 / (DPI_AT_100 * screen->scale));
	return 0;
}

void screen_measure(const struct screen *screen, int x, int y, uint32_t width, uint32_t height,
		    uint32_t *ret_width_mm, uint32_t *ret_height_mm)
{
	const struct screen_monitor *monitor = screen_monitor_at(screen, x, y);

	*ret_width_mm = millimetres(screen, width, monitor->width, monitor->width_mm);
	*ret_height_mm = millimetres(screen, height, monitor->height, monitor->height_mm);
}

xcb_cursor_t screen_make_cursor(struct screen *screen, uint32_t width, uint32_t height,
				uint32_t hot_x, uint32_t hot_y, const uint32_t *argb)
{
	xcb_connection_t *x = screen->x;
	xcb_pixmap_t pixmap;
	xcb_gcontext_t gc;
	xcb_render_picture_t picture;
	xcb_cursor_t cursor;

	if (!screen->render || width == 0 || height == 0)
		return XCB_NONE;
	pixmap = xcb_generate_id(x);
	xcb_create_pixmap(x, 32, pixmap, screen->root->root, (uint16_t)width, (uint16_t)height);
	gc = xcb_generate_id(x);
	xcb_create_gc(x, gc, pixmap, 0, NULL);
	xcb_put_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, pixmap, gc, (uint16_t)width, (uint16_t)height,
		      0, 0, 0, 32, width * height * 4, (const uint8_t *)argb);
	picture = xcb_generate_id(x);
	xcb_render_create_picture(x, picture, pixmap, screen->argb, 0, NULL);
	cursor = xcb_generate_id(x);
	xcb_render_create_cursor(x, cursor, picture, (uint16_t)hot_x, (uint16_t)hot_y);
	xcb_render_free_picture(x, picture);
	xcb_free_gc(x, gc);
	xcb_free_pixmap(x, pixmap);
	return cursor;
}

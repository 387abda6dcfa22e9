// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtio display's card, by the kernel's own calls (<drm_mode.h>): a library would have to be
 * in guests that have no desktop.
 */
#include "guest-daemon/lib/drm.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "protocol/lib/fd.h"

/* virtio 1.2 sections 4.1.2 and 5.7.1. */
#define MODALIAS_VIRTIO "virtio:d00000010v"
#define MODALIAS_PCI	"pci:v00001AF4d00001050"

/* VESA E-EDID 1.4 section 3.4 */
#define EDID_MAKER 8

#define OBJECTS_MAX 64
#define MODES_MAX   512

/* ---- the card ---- */

static bool is_virtio_display(const char *device)
{
	g_autofree char *path = g_build_filename(device, "modalias", NULL);
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) &&
	       (g_str_has_prefix(text, MODALIAS_VIRTIO) || g_str_has_prefix(text, MODALIAS_PCI));
}

static bool on_bus(const char *sys)
{
	g_autofree char *folder = g_build_filename(sys, "bus/virtio/devices", NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	bool found = false;
	const char *name;

	while (dir && !found && (name = g_dir_read_name(dir))) {
		g_autofree char *device = g_build_filename(folder, name, NULL);

		found = is_virtio_display(device);
	}
	return found;
}

static void name_driver(const char *device, char driver[32])
{
	g_autofree char *path = g_build_filename(device, "driver", NULL);
	g_autofree char *target = g_file_read_link(path, NULL);
	g_autofree char *name = target ? g_path_get_basename(target) : NULL;

	g_strlcpy(driver, name ? name : "?", 32);
}

/* A card hangs below the PCI function, whose driver is the bus's; its virtio child has the card's.
 */
static void name_card_driver(const char *device, char driver[32])
{
	g_autoptr(GDir) dir = NULL;
	const char *entry;

	name_driver(device, driver);
	if (strcmp(driver, "virtio-pci") != 0)
		return;
	dir = g_dir_open(device, 0, NULL);
	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *child = g_build_filename(device, entry, NULL);

		if (!g_str_has_prefix(entry, "virtio"))
			continue;
		name_driver(child, driver);
		return;
	}
}

int drm_find(const char *sys, unsigned int *ret_card, char driver[32])
{
	for (unsigned int card = 0; card < OBJECTS_MAX; card++) {
		g_autofree char *device = g_strdup_printf("%s/class/drm/card%u/device", sys, card);

		if (!is_virtio_display(device))
			continue;
		name_card_driver(device, driver);
		*ret_card = card;
		return 0;
	}
	return on_bus(sys) ? -ENXIO : -ENODEV;
}

/* ---- its console ---- */

static bool same_device(const char *one, const char *other)
{
	struct stat a, b;

	return !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int drm_console(const char *sys, unsigned int card, unsigned int *ret_fb, uint32_t *ret_width,
		uint32_t *ret_height)
{
	g_autofree char *device = g_strdup_printf("%s/class/drm/card%u/device", sys, card);

	for (unsigned int fb = 0; fb < OBJECTS_MAX; fb++) {
		g_autofree char *base = g_strdup_printf("%s/class/graphics/fb%u", sys, fb);
		g_autofree char *other = g_build_filename(base, "device", NULL);
		g_autofree char *path = g_build_filename(base, "virtual_size", NULL);
		g_autofree char *text = NULL;

		if (!same_device(device, other) || !g_file_get_contents(path, &text, NULL, NULL) ||
		    sscanf(text, "%" SCNu32 ",%" SCNu32, ret_width, ret_height) != 2)
			continue;
		*ret_fb = fb;
		return 0;
	}
	return -ENOENT;
}

/* ---- a connector, by its files ---- */

static bool is_connector_name(const char *name)
{
	return *name && strlen(name) < sizeof(((struct drm_head *)0)->name) &&
	       strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-") == strlen(name);
}

int drm_connector(const char *sys, unsigned int card, const char *name,
		  struct drm_connector *ret_connector)
{
	g_autofree char *folder = g_strdup_printf("%s/class/drm/card%u-%s", sys, card, name);
	g_autofree char *status_path = g_build_filename(folder, "status", NULL);
	g_autofree char *modes_path = g_build_filename(folder, "modes", NULL);
	g_autofree char *edid_path = g_build_filename(folder, "edid", NULL);
	g_autofree char *status = NULL;
	g_autofree char *modes = NULL;
	g_autofree char *edid = NULL;
	struct drm_connector connector = { 0 };
	gsize edid_bytes;

	if (!is_connector_name(name))
		return -EINVAL;
	if (!g_file_get_contents(status_path, &status, NULL, NULL))
		return -ENOENT;
	if (g_file_get_contents(edid_path, &edid, &edid_bytes, NULL) &&
	    edid_bytes >= EDID_MAKER + sizeof(connector.maker))
		memcpy(connector.maker, edid + EDID_MAKER, sizeof(connector.maker));
	/* The kernel has the preferred mode first. */
	if (g_str_has_prefix(status, "connected") &&
	    g_file_get_contents(modes_path, &modes, NULL, NULL))
		(void)sscanf(modes, "%" SCNu32 "x%" SCNu32, &connector.width, &connector.height);
	*ret_connector = connector;
	return 0;
}

/* ---- its heads ---- */

static uint64_t pointer(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

static void read_mode(int fd, uint32_t encoder_id, struct drm_head *head)
{
	struct drm_mode_get_encoder encoder = { .encoder_id = encoder_id };
	struct drm_mode_crtc crtc = { 0 };

	if (!encoder_id || ioctl(fd, DRM_IOCTL_MODE_GETENCODER, &encoder) || !encoder.crtc_id)
		return;
	crtc.crtc_id = encoder.crtc_id;
	if (ioctl(fd, DRM_IOCTL_MODE_GETCRTC, &crtc) || !crtc.mode_valid)
		return;
	head->width = crtc.mode.hdisplay;
	head->height = crtc.mode.vdisplay;
}

static int read_head(int fd, uint32_t id, struct drm_head *head)
{
	g_autofree struct drm_mode_modeinfo *modes = g_new0(struct drm_mode_modeinfo, MODES_MAX);
	/* A count of modes above 0 keeps the kernel from probing. */
	struct drm_mode_get_connector connector = {
		.connector_id = id,
		.modes_ptr = pointer(modes),
		.count_modes = MODES_MAX,
	};

	if (ioctl(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector))
		return -errno;
	*head = (struct drm_head){ .connected = connector.connection == 1 };
	snprintf(head->name, sizeof(head->name), "%s-%u",
		 connector.connector_type == DRM_MODE_CONNECTOR_VIRTUAL ? "Virtual" : "Head",
		 connector.connector_type_id);
	for (uint32_t i = 0; head->connected && i < connector.count_modes && i < MODES_MAX; i++) {
		if (!(modes[i].type & DRM_MODE_TYPE_PREFERRED))
			continue;
		head->wanted_width = modes[i].hdisplay;
		head->wanted_height = modes[i].vdisplay;
		break;
	}
	read_mode(fd, connector.encoder_id, head);
	return 0;
}

int drm_heads(unsigned int card, struct drm_head *heads, size_t max)
{
	g_autofree char *path = g_strdup_printf("/dev/dri/card%u", card);
	uint32_t connectors[OBJECTS_MAX];
	struct drm_mode_card_res resources = {
		.connector_id_ptr = pointer(connectors),
		.count_connectors = OBJECTS_MAX,
	};
	autofd fd = open(path, O_RDWR | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return -errno;
	/* Whoever opens a card that has no master becomes that, and the console would have to wait.
	 */
	(void)ioctl(fd, DRM_IOCTL_DROP_MASTER, 0);
	if (ioctl(fd, DRM_IOCTL_MODE_GETRESOURCES, &resources))
		return -errno;
	for (uint32_t i = 0; i < resources.count_connectors && i < OBJECTS_MAX && n < max; i++) {
		int ret = read_head(fd, connectors[i], &heads[n]);

		if (ret)
			return ret;
		n++;
	}
	return (int)n;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// In the guest: sets every head's preferred mode, draws the test card, and does so again at every
// hot-plug event. Says "HEAD WIDTHxHEIGHT" when a card is there; "ready" when all are.
#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/vm/display/card.h"

#define HEADS 16
#define MODES 128

struct head {
	uint32_t fb, handle;
	uint32_t width, height;
};

static struct head heads[HEADS];

static int complain(const char *what)
{
	fprintf(stderr, "card-draw: %s: %s\n", what, strerror(errno));
	return -EIO;
}

static int paint(int fd, uint32_t handle, const struct drm_mode_create_dumb *dumb,
		 unsigned int index)
{
	struct drm_mode_map_dumb map = { .handle = handle };
	uint8_t *pixels;

	if (ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map))
		return complain("MAP_DUMB");
	pixels = mmap(NULL, dumb->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)map.offset);
	if (pixels == MAP_FAILED)
		return complain("mmap");
	for (uint32_t y = 0; y < dumb->height; y++) {
		uint32_t *line = (uint32_t *)(void *)(pixels + (size_t)y * dumb->pitch);

		for (uint32_t x = 0; x < dumb->width; x++)
			line[x] = card_pixel(index, x, y);
	}
	munmap(pixels, dumb->size);
	return 0;
}

static void forget(int fd, struct head *head)
{
	struct drm_mode_destroy_dumb destroy = { .handle = head->handle };

	if (!head->fb)
		return;
	(void)ioctl(fd, DRM_IOCTL_MODE_RMFB, &head->fb);
	(void)ioctl(fd, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
}

/* A new frame buffer with the card, of the mode's size. */
static int make(int fd, const struct drm_mode_modeinfo *mode, unsigned int index,
		struct head *ret_head)
{
	struct drm_mode_create_dumb dumb = { .width = mode->hdisplay,
					     .height = mode->vdisplay,
					     .bpp = 32 };
	struct drm_mode_fb_cmd fb = { .bpp = 32, .depth = 24 };
	int ret;

	if (ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		return complain("CREATE_DUMB");
	fb.width = dumb.width;
	fb.height = dumb.height;
	fb.pitch = dumb.pitch;
	fb.handle = dumb.handle;
	ret = paint(fd, dumb.handle, &dumb, index);
	if (!ret && ioctl(fd, DRM_IOCTL_MODE_ADDFB, &fb))
		ret = complain("ADDFB");
	*ret_head = (struct head){ fb.fb_id, dumb.handle, dumb.width, dumb.height };
	return ret;
}

static int show(int fd, uint32_t connector, const struct drm_mode_modeinfo *mode, uint32_t crtc,
		unsigned int index)
{
	struct head old = heads[index], head;
	struct drm_mode_crtc set = {
		.set_connectors_ptr = (uintptr_t)&connector,
		.count_connectors = 1,
		.crtc_id = crtc,
		.mode_valid = 1,
		.mode = *mode,
	};
	struct drm_mode_fb_dirty_cmd dirty = { 0 };

	if (old.fb && old.width == mode->hdisplay && old.height == mode->vdisplay)
		return 0;
	if (make(fd, mode, index, &head))
		return -EIO;
	dirty.fb_id = set.fb_id = head.fb;
	if (ioctl(fd, DRM_IOCTL_MODE_SETCRTC, &set))
		return complain("SETCRTC");
	(void)ioctl(fd, DRM_IOCTL_MODE_DIRTYFB, &dirty);
	heads[index] = head;
	forget(fd, &old);
	printf("%u %ux%u\n", index + 1, head.width, head.height);
	return 0;
}

static int hide(int fd, uint32_t crtc, unsigned int index)
{
	struct drm_mode_crtc set = { .crtc_id = crtc };

	if (!heads[index].fb)
		return 0;
	if (ioctl(fd, DRM_IOCTL_MODE_SETCRTC, &set))
		return complain("SETCRTC");
	forget(fd, &heads[index]);
	heads[index] = (struct head){ 0 };
	printf("%u off\n", index + 1);
	return 0;
}

static int show_connector(int fd, uint32_t id, uint32_t crtc, unsigned int index)
{
	static struct drm_mode_modeinfo modes[MODES];
	struct drm_mode_get_connector connector = { .connector_id = id };
	const struct drm_mode_modeinfo *mode = modes;

	/* Without room for modes it probes, then it tells what it found. */
	if (ioctl(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector))
		return complain("GETCONNECTOR");
	connector = (struct drm_mode_get_connector){ .connector_id = id,
						     .modes_ptr = (uintptr_t)modes,
						     .count_modes = MODES };
	if (ioctl(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector))
		return complain("GETCONNECTOR");
	/* 1 is connected. */
	if (connector.connection != 1)
		return hide(fd, crtc, index);
	if (!connector.count_modes || connector.count_modes > MODES)
		return 0;
	for (uint32_t i = 0; i < connector.count_modes; i++)
		if (modes[i].type & DRM_MODE_TYPE_PREFERRED)
			mode = &modes[i];
	return show(fd, id, mode, crtc, index);
}

static int show_all(int fd)
{
	uint32_t connectors[HEADS], crtcs[HEADS];
	struct drm_mode_card_res resources = {
		.crtc_id_ptr = (uintptr_t)crtcs,
		.connector_id_ptr = (uintptr_t)connectors,
		.count_crtcs = HEADS,
		.count_connectors = HEADS,
	};
	int ret = 0;

	if (ioctl(fd, DRM_IOCTL_MODE_GETRESOURCES, &resources))
		return complain("GETRESOURCES");
	for (unsigned int i = 0; !ret && i < resources.count_connectors && i < HEADS; i++)
		ret = show_connector(fd, connectors[i], crtcs[i], i);
	puts("ready");
	fflush(stdout);
	return ret;
}

/* The kernel's own events, as udev gets them. */
static int open_events(void)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return complain("uevents");
	return fd;
}

static bool is_hotplug(const char *event, size_t len)
{
	for (size_t at = 0; at < len; at += strlen(event + at) + 1)
		if (!strcmp(event + at, "HOTPLUG=1"))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	int fd = open(argc > 1 ? argv[1] : "/dev/dri/card0", O_RDWR | O_CLOEXEC);
	int events = open_events();
	char event[8192];

	if (fd < 0 || events < 0 || ioctl(fd, DRM_IOCTL_SET_MASTER, 0)) {
		complain("card0");
		return EXIT_FAILURE;
	}
	while (!show_all(fd)) {
		ssize_t len;

		do {
			len = recv(events, event, sizeof(event) - 1, 0);
			if (len < 0)
				return EXIT_FAILURE;
			event[len] = '\0';
		} while (!is_hotplug(event, (size_t)len));
	}
	return EXIT_FAILURE;
}

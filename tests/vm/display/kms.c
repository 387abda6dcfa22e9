// SPDX-License-Identifier: GPL-2.0-or-later
// Mode setting by the kernel's own interface.
#include "tests/vm/display/kms.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MODES 128

static int call(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) ? -errno : 0;
}

int kms_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = call(fd, DRM_IOCTL_SET_MASTER, NULL);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

static int probe(int fd, struct kms_head *head)
{
	struct drm_mode_modeinfo modes[MODES];
	struct drm_mode_get_connector connector = { .connector_id = head->connector };
	int ret;

	/* Without room for modes it probes, then it tells what it found. */
	ret = call(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector);
	if (ret < 0)
		return ret;
	connector = (struct drm_mode_get_connector){ .connector_id = head->connector,
						     .modes_ptr = (uintptr_t)modes,
						     .count_modes = MODES };
	ret = call(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector);
	if (ret < 0)
		return ret;
	/* 1 is connected. */
	if (connector.connection != 1 || !connector.count_modes || connector.count_modes > MODES)
		return 0;
	head->mode = modes[0];
	for (uint32_t i = 0; i < connector.count_modes; i++)
		if (modes[i].type & DRM_MODE_TYPE_PREFERRED)
			head->mode = modes[i];
	return 0;
}

int kms_heads(int fd, struct kms_head heads[KMS_HEADS], unsigned int *ret_n)
{
	uint32_t connectors[KMS_HEADS] = { 0 }, crtcs[KMS_HEADS] = { 0 };
	struct drm_mode_card_res resources = {
		.crtc_id_ptr = (uintptr_t)crtcs,
		.connector_id_ptr = (uintptr_t)connectors,
		.count_crtcs = KMS_HEADS,
		.count_connectors = KMS_HEADS,
	};
	unsigned int n = 0;
	int ret = call(fd, DRM_IOCTL_MODE_GETRESOURCES, &resources);

	for (; !ret && n < resources.count_connectors && n < KMS_HEADS; n++) {
		heads[n] = (struct kms_head){ connectors[n], crtcs[n], { 0 } };
		ret = probe(fd, &heads[n]);
	}
	if (ret == 0)
		*ret_n = n;
	return ret;
}

int kms_make(int fd, const struct drm_mode_modeinfo *mode, struct kms_picture *ret_picture)
{
	struct drm_mode_create_dumb dumb = { .width = mode->hdisplay,
					     .height = mode->vdisplay,
					     .bpp = 32 };
	struct drm_mode_fb_cmd fb = { .bpp = 32, .depth = 24 };
	struct kms_picture picture = { 0 };
	struct drm_mode_map_dumb map = { 0 };
	int ret = call(fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb);

	if (ret < 0)
		return ret;
	fb.width = picture.width = dumb.width;
	fb.height = picture.height = dumb.height;
	fb.pitch = picture.pitch = dumb.pitch;
	fb.handle = map.handle = picture.handle = dumb.handle;
	picture.size = (uint32_t)dumb.size;
	ret = call(fd, DRM_IOCTL_MODE_MAP_DUMB, &map);
	if (ret == 0) {
		picture.pixels = mmap(NULL, picture.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				      (off_t)map.offset);
		ret = picture.pixels == MAP_FAILED ? -errno : 0;
	}
	if (ret < 0)
		picture.pixels = NULL;
	else
		ret = call(fd, DRM_IOCTL_MODE_ADDFB, &fb);
	picture.fb = fb.fb_id;
	if (ret < 0)
		kms_forget(fd, &picture);
	else
		*ret_picture = picture;
	return ret;
}

void kms_forget(int fd, struct kms_picture *picture)
{
	struct drm_mode_destroy_dumb destroy = { .handle = picture->handle };

	if (picture->fb)
		(void)ioctl(fd, DRM_IOCTL_MODE_RMFB, &picture->fb);
	if (picture->pixels)
		munmap(picture->pixels, picture->size);
	if (picture->handle)
		(void)ioctl(fd, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
	*picture = (struct kms_picture){ 0 };
}

int kms_show(int fd, const struct kms_head *head, const struct kms_picture *picture)
{
	struct drm_mode_crtc set = {
		.set_connectors_ptr = (uintptr_t)&head->connector,
		.count_connectors = 1,
		.crtc_id = head->crtc,
		.fb_id = picture->fb,
		.mode_valid = 1,
		.mode = head->mode,
	};

	return call(fd, DRM_IOCTL_MODE_SETCRTC, &set);
}

int kms_hide(int fd, const struct kms_head *head)
{
	struct drm_mode_crtc set = { .crtc_id = head->crtc };

	return call(fd, DRM_IOCTL_MODE_SETCRTC, &set);
}

int kms_dirty(int fd, const struct kms_picture *picture, const struct drm_clip_rect *rect)
{
	struct drm_mode_fb_dirty_cmd dirty = { .fb_id = picture->fb,
					       .num_clips = rect ? 1 : 0,
					       .clips_ptr = (uintptr_t)rect };

	return call(fd, DRM_IOCTL_MODE_DIRTYFB, &dirty);
}

int kms_open_events(void)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address))) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

static bool is_hotplug(const char *event, size_t len)
{
	for (size_t at = 0; at < len; at += strlen(event + at) + 1)
		if (!strcmp(event + at, "HOTPLUG=1"))
			return true;
	return false;
}

int kms_wait_hotplug(int events)
{
	char event[8192];
	ssize_t len;

	do {
		len = recv(events, event, sizeof(event) - 1, 0);
		if (len < 0)
			return -errno;
		event[len] = '\0';
	} while (!is_hotplug(event, (size_t)len));
	return 0;
}

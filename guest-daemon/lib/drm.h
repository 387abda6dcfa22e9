/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a DRM card's heads show and should show, asked without being its master and without making
 * the kernel probe anything.
 */
#ifndef LODGE_GUEST_DRM_H
#define LODGE_GUEST_DRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRM_HEADS_MAX 16

struct drm_head {
	char name[32]; /* "Virtual-1" */
	bool connected;
	uint32_t wanted_width, wanted_height; /* the preferred mode; 0: it asks for none */
	uint32_t width, height; /* 0: off */
};

struct drm_connector {
	char maker[2]; /* as EDID packs it; zeros: it has no EDID */
	uint32_t width, height;
};

/*
 * The card of Lodge's or QEMU's virtio display: its number and driver's name, as @sys has them,
 * which is "/sys" but in tests. -ENODEV: this guest has no such device, -ENXIO: it has, and no
 * driver drives it.
 */
int drm_find(const char *sys, unsigned int *ret_card, char driver[32]);
/*
 * The frame buffer device that the kernel's console has of the card, as the number of its /dev/fbN,
 * and how large a picture it can have. -ENOENT: the card has none.
 */
int drm_console(const char *sys, unsigned int card, unsigned int *ret_fb, uint32_t *ret_width,
		uint32_t *ret_height);
/*
 * The card's connector @name ("Virtual-1"): its EDID's maker, and what it asks for, which is the
 * preferred mode as it was when somebody last had it probed, 0 x 0 where nothing is connected. The
 * card is not opened. -ENOENT: there is no such connector; -EINVAL: no name of one.
 */
int drm_connector(const char *sys, unsigned int card, const char *name,
		  struct drm_connector *ret_connector);
/* How many heads were read, or a negative errno: -EACCES where the card is not this user's. */
int drm_heads(unsigned int card, struct drm_head *heads, size_t max);

#endif

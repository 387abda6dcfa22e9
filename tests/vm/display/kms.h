/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In the guest: heads of a mode setting driver, pictures on them, and its hot-plug events, for
 * programs of tests that draw without any library.
 *
 * Functions return 0 or a negative errno; the caller tells.
 */
#ifndef LODGE_TESTS_KMS_H
#define LODGE_TESTS_KMS_H

#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <stddef.h>
#include <stdint.h>

#define KMS_HEADS 16

struct kms_head {
	uint32_t connector, crtc;
	struct drm_mode_modeinfo mode; /* the preferred one; hdisplay 0: it is off */
};

struct kms_picture {
	uint32_t fb, handle; /* fb 0: none */
	uint32_t width, height; /* pixels */
	uint32_t pitch, size; /* bytes */
	uint32_t *pixels; /* 0x00RRGGBB */
};

/* Opens a card and takes its mode setting. Returns a descriptor. */
int kms_open(const char *path);
/* Asks all connectors anew what they should show. */
int kms_heads(int fd, struct kms_head heads[KMS_HEADS], unsigned int *ret_n);

/* A picture of the mode's size, all black. kms_forget() frees it; one without a frame buffer is
 * fine. */
int kms_make(int fd, const struct drm_mode_modeinfo *mode, struct kms_picture *ret_picture);
void kms_forget(int fd, struct kms_picture *picture);

/* Sets the head's mode with that picture, which is drawn by then. */
int kms_show(int fd, const struct kms_head *head, const struct kms_picture *picture);
int kms_hide(int fd, const struct kms_head *head);
/* Tells what was drawn since; without a rectangle: all. */
int kms_dirty(int fd, const struct kms_picture *picture, const struct drm_clip_rect *rect);

/* The kernel's own events, as udev gets them: a descriptor. */
int kms_open_events(void);
/* Waits until a card says that what heads should show has changed. */
int kms_wait_hotplug(int events);

#endif

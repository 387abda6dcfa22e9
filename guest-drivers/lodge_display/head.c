// SPDX-License-Identifier: GPL-2.0-only
/*
 * A head: its connector, encoder and CRTC.
 */
#include <linux/kernel.h>

#include "lodge_display/lodge_display.h"

/* Devices refuse to show less. */
#define SIDE_MIN 16

static enum drm_connector_status detect(struct drm_connector *connector, bool force)
{
	struct lodge_head *head = container_of(connector, struct lodge_head, connector);

	return lodge_wants_enabled(head) ? connector_status_connected
					 : connector_status_disconnected;
}

static enum drm_mode_status valid(const struct drm_display_mode *mode)
{
	if (mode->hdisplay < SIDE_MIN || mode->vdisplay < SIDE_MIN)
		return MODE_BAD;
	if (mode->hdisplay > LODGE_SIDE_MAX || mode->vdisplay > LODGE_SIDE_MAX)
		return MODE_BAD;
	return MODE_OK;
}
LODGE_MODE_VALID(mode_valid, valid)

static const struct drm_connector_funcs connector_funcs = {
	.detect = detect,
	.fill_modes = drm_helper_probe_single_connector_modes,
	.destroy = drm_connector_cleanup,
	.reset = drm_atomic_helper_connector_reset,
	.atomic_duplicate_state = drm_atomic_helper_connector_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_connector_destroy_state,
	LODGE_CONNECTOR_PROPERTY_OPS
};

static const struct drm_connector_helper_funcs connector_helper_funcs = {
	.get_modes = lodge_wants_modes, LODGE_CONNECTOR_VALID_OPS(mode_valid)
};

static const struct drm_encoder_funcs encoder_funcs = {
	.destroy = drm_encoder_cleanup,
};

static void enable(struct drm_crtc *crtc)
{
	lodge_pace_mode(lodge_head_of(crtc), &crtc->state->adjusted_mode);
	drm_crtc_vblank_on(crtc);
}
LODGE_CRTC_ENABLE(crtc_enable, enable)

/* The device is told by the plane, once: a mode that follows another is no black picture. */
static void disable(struct drm_crtc *crtc)
{
	struct lodge_head *head = lodge_head_of(crtc);

	drm_crtc_vblank_off(crtc);
	lodge_pace_stop(head);
	head->stale = true;
}
LODGE_CRTC(crtc_disable, disable)

static void flush(struct drm_crtc *crtc)
{
	lodge_batch_submit(lodge_head_of(crtc));
}
LODGE_CRTC(crtc_flush, flush)

static const struct drm_crtc_helper_funcs crtc_helper_funcs = {
	.atomic_disable = crtc_disable,
	.atomic_flush = crtc_flush,
	LODGE_CRTC_VALID_OPS(mode_valid) LODGE_CRTC_ENABLE_OPS(crtc_enable)
};

static const struct drm_crtc_funcs crtc_funcs = {
	.set_config = drm_atomic_helper_set_config,
	.page_flip = drm_atomic_helper_page_flip,
	.destroy = drm_crtc_cleanup,
	.reset = drm_atomic_helper_crtc_reset,
	.atomic_duplicate_state = drm_atomic_helper_crtc_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_crtc_destroy_state,
	LODGE_CRTC_VBLANK_OPS(lodge_pace_enable_vblank, lodge_pace_disable_vblank,
			      lodge_pace_timestamp) LODGE_CRTC_PROPERTY_OPS
};

static int create_connector(struct lodge_head *head)
{
	struct drm_device *drm = head->display->drm;
	struct drm_connector *connector = &head->connector;
	int err;

	err = drm_connector_init(drm, connector, &connector_funcs, DRM_MODE_CONNECTOR_VIRTUAL);
	if (err)
		return err;
	drm_connector_helper_add(connector, &connector_helper_funcs);
	connector->polled = DRM_CONNECTOR_POLL_HPD;
	drm_connector_attach_edid_property(connector);
	drm_object_attach_property(&connector->base, drm->mode_config.suggested_x_property, 0);
	drm_object_attach_property(&connector->base, drm->mode_config.suggested_y_property, 0);
	drm_object_attach_property(&connector->base, head->display->mode_update, 1);
	return drm_connector_attach_encoder(connector, &head->encoder);
}

int lodge_head_create(struct lodge_display *display, unsigned int number)
{
	struct drm_device *drm = display->drm;
	struct lodge_head *head = display->heads[number];
	int err;

	head->display = display;
	head->number = number;
	head->stale = true;
	lodge_pace_init(head);
	err = lodge_primary_create(head);
	if (!err)
		err = lodge_cursor_create(head);
	if (!err)
		err = drm_crtc_init_with_planes(drm, &head->crtc, &head->primary, &head->cursor,
						&crtc_funcs, NULL);
	if (err)
		return err;
	drm_crtc_helper_add(&head->crtc, &crtc_helper_funcs);
	head->encoder.possible_crtcs = drm_crtc_mask(&head->crtc);
	err = drm_encoder_init(drm, &head->encoder, &encoder_funcs, DRM_MODE_ENCODER_VIRTUAL, NULL);
	return err ? err : create_connector(head);
}

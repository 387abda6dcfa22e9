// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each head should be. The device says it when it is asked, and it is asked when it says that
 * something changed; a connector's modes come from what it said last, with no word to the device.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "lodge_display/lodge_display.h"

/* Of a device that wants a head and no size for it. */
#define DEFAULT_WIDTH  1024
#define DEFAULT_HEIGHT 768
/* Modes beside the wanted one where no EDID names any. */
#define PLAIN_WIDTH_MAX	 3840
#define PLAIN_HEIGHT_MAX 2160
#define REFRESH_HZ	 60

/* Part of memory that a picture may have: a console is made of the wanted size, with a copy. */
#define MEMORY_SHARE 4

/* A size that nobody could mean. */
static bool fits_memory(u32 width, u32 height)
{
	struct sysinfo info;

	si_meminfo(&info);
	return (u64)width * height * sizeof(u32) <=
	       (u64)info.totalram * info.mem_unit / MEMORY_SHARE;
}

static void take_place(struct lodge_want *want, const struct virtio_gpu_display_one *said)
{
	want->enabled = le32_to_cpu(said->enabled);
	want->x = min_t(u32, le32_to_cpu(said->r.x), INT_MAX);
	want->y = min_t(u32, le32_to_cpu(said->r.y), INT_MAX);
	want->width = min_t(u32, le32_to_cpu(said->r.width), LODGE_SIDE_MAX);
	want->height = min_t(u32, le32_to_cpu(said->r.height), LODGE_SIDE_MAX);
	if (!want->width || !want->height || !fits_memory(want->width, want->height)) {
		want->width = DEFAULT_WIDTH;
		want->height = DEFAULT_HEIGHT;
	}
}

/* What the kernel would find fault with in many lines of its log, as often as the device likes. */
static bool is_sound(const struct edid *edid, u32 size)
{
	static const u8 header[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	const u8 *bytes = (const u8 *)edid;
	u8 sum = 0;
	u32 i;

	for (i = 0; i < size; i++) {
		sum += bytes[i];
		if ((i + 1) % EDID_LENGTH == 0 && sum)
			return false;
	}
	return !memcmp(edid->header, header, sizeof(header)) && edid->version == 1;
}

/* What is no valid EDID is as none. Checked is the copy: the answer is the device's to change. */
static void take_edid(struct lodge_want *want, const struct virtio_gpu_resp_edid *said)
{
	struct edid *edid = (struct edid *)want->edid;
	u32 size = le32_to_cpu(said->size), whole;

	BUILD_BUG_ON(sizeof(want->edid) != sizeof(said->edid));
	memcpy(want->edid, said->edid, sizeof(want->edid));
	whole = (edid->extensions + 1) * EDID_LENGTH;
	if (whole > min_t(u32, size, sizeof(want->edid)) || !is_sound(edid, whole) ||
	    !drm_edid_is_valid(edid))
		whole = 0;
	memset(want->edid + whole, 0, sizeof(want->edid) - whole);
	want->edid_size = whole;
}

static void ask_edids(struct lodge_display *display, struct lodge_want *wants)
{
	struct lodge_call *calls[VIRTIO_GPU_MAX_SCANOUTS] = {};
	unsigned int i;

	for (i = 0; i < display->n_heads; i++) {
		if (!wants[i].enabled)
			continue;
		calls[i] = lodge_call_create(VIRTIO_GPU_CMD_GET_EDID,
					     sizeof(calls[i]->command.request.get_edid),
					     sizeof(struct virtio_gpu_resp_edid));
		if (!calls[i])
			continue;
		calls[i]->command.request.get_edid.scanout = cpu_to_le32(i);
		lodge_call_post(display, calls[i]);
	}
	for (i = 0; i < display->n_heads; i++) {
		if (!calls[i])
			continue;
		if (!lodge_call_wait(display, calls[i]))
			take_edid(&wants[i], (struct virtio_gpu_resp_edid *)calls[i]->answer);
		lodge_call_put(calls[i]);
	}
}

static int ask(struct lodge_display *display, struct lodge_want *wants)
{
	struct lodge_call *call = lodge_call_create(VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
						    sizeof(struct virtio_gpu_ctrl_hdr),
						    sizeof(struct virtio_gpu_resp_display_info));
	const struct virtio_gpu_resp_display_info *info;
	unsigned int i;
	int err;

	if (!call)
		return -ENOMEM;
	lodge_call_post(display, call);
	err = lodge_call_wait(display, call);
	if (!err) {
		info = (const struct virtio_gpu_resp_display_info *)call->answer;
		for (i = 0; i < display->n_heads; i++)
			take_place(&wants[i], &info->pmodes[i]);
		if (display->has_edid)
			ask_edids(display, wants);
	}
	lodge_call_put(call);
	return err;
}

bool lodge_wants_update(struct lodge_display *display)
{
	struct lodge_want *wants = kcalloc(display->n_heads, sizeof(*wants), GFP_KERNEL);
	bool changed = false;
	unsigned int i;
	int err = -ENOMEM;

	if (wants)
		err = ask(display, wants);
	if (err) {
		dev_err_ratelimited(&display->vdev->dev,
				    "what the heads should be is not known, error %d\n", err);
		goto free_wants;
	}
	mutex_lock(&display->wants_lock);
	for (i = 0; i < display->n_heads; i++) {
		struct lodge_want *want = &display->heads[i]->want;

		changed |= memcmp(want, &wants[i], sizeof(*want)) != 0;
		*want = wants[i];
	}
	mutex_unlock(&display->wants_lock);
free_wants:
	kfree(wants);
	return changed;
}

bool lodge_wants_enabled(struct lodge_head *head)
{
	bool enabled;

	mutex_lock(&head->display->wants_lock);
	enabled = head->want.enabled;
	mutex_unlock(&head->display->wants_lock);
	return enabled;
}

/* Exact to the pixel, which CVT and GTF are not; the blanks are those of CVT's reduced blanking. */
static struct drm_display_mode *make_mode(struct drm_device *drm, u32 width, u32 height)
{
	struct drm_display_mode *mode = drm_mode_create(drm);

	if (!mode)
		return NULL;
	mode->type = DRM_MODE_TYPE_DRIVER;
	mode->flags = DRM_MODE_FLAG_PHSYNC | DRM_MODE_FLAG_NVSYNC;
	mode->hdisplay = width;
	mode->hsync_start = width + 48;
	mode->hsync_end = width + 80;
	mode->htotal = width + 160;
	mode->vdisplay = height;
	mode->vsync_start = height + 3;
	mode->vsync_end = height + 9;
	mode->vtotal = height + 9 + DIV_ROUND_UP(height, 45);
	mode->clock = DIV_ROUND_CLOSEST((u32)mode->htotal * mode->vtotal * (REFRESH_HZ / 10), 100);
	drm_mode_set_name(mode);
	return mode;
}

/* One mode is preferred, the wanted one: the EDID's where it has that, else one that is made. */
static int prefer(struct drm_connector *connector, const struct lodge_want *want)
{
	struct drm_display_mode *mode, *found = NULL;
	int made = 0;

	list_for_each_entry(mode, &connector->probed_modes, head) {
		mode->type &= ~DRM_MODE_TYPE_PREFERRED;
		if (!found && mode->hdisplay == want->width && mode->vdisplay == want->height &&
		    !(mode->flags & (DRM_MODE_FLAG_INTERLACE | DRM_MODE_FLAG_DBLSCAN)))
			found = mode;
	}
	if (!found) {
		found = make_mode(connector->dev, want->width, want->height);
		if (!found)
			return 0;
		drm_mode_probed_add(connector, found);
		made = 1;
	}
	found->type |= DRM_MODE_TYPE_PREFERRED;
	return made;
}

int lodge_wants_modes(struct drm_connector *connector)
{
	struct lodge_head *head = container_of(connector, struct lodge_head, connector);
	struct drm_mode_config *config = &connector->dev->mode_config;
	struct lodge_want *want = &head->want;
	int n = 0;

	lodge_console_asked(head->display);
	mutex_lock(&head->display->wants_lock);
	if (want->edid_size) {
		struct edid *edid = (struct edid *)want->edid;

		drm_connector_update_edid_property(connector, edid);
		n = drm_add_edid_modes(connector, edid);
	} else {
		drm_connector_update_edid_property(connector, NULL);
	}
	if (!n)
		n = drm_add_modes_noedid(connector, PLAIN_WIDTH_MAX, PLAIN_HEIGHT_MAX);
	n += prefer(connector, want);
	drm_object_property_set_value(&connector->base, config->suggested_x_property, want->x);
	drm_object_property_set_value(&connector->base, config->suggested_y_property, want->y);
	mutex_unlock(&head->display->wants_lock);
	return n;
}

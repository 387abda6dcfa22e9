// SPDX-License-Identifier: GPL-2.0-only
/*
 * The picture of a head. A commit's damage becomes a batch of commands: what is shown, if that is
 * another framebuffer; what the device shall read again; and what is to be seen of it. The last of
 * them carries a fence where somebody waits for the frame.
 */
#include <linux/kernel.h>

#include "lodge_display/lodge_display.h"

static const u32 formats[] = { DRM_FORMAT_XRGB8888, DRM_FORMAT_XBGR8888 };

static void batch_done(struct lodge_command *command)
{
	struct lodge_head *head = command->owner;

	if (command->error && command->error != -ENODEV) {
		dev_err_ratelimited(&head->display->vdev->dev,
				    "head %u: command 0x%x failed, error %d\n", head->number,
				    le32_to_cpu(command->request.header.type), command->error);
		WRITE_ONCE(head->stale, true);
	}
	if (atomic_dec_and_test(&head->in_flight)) {
		wake_up_all(&head->idle);
		lodge_pace_shown(head);
	}
}

static bool batch_is_free(struct lodge_head *head)
{
	return !atomic_read(&head->in_flight);
}

/* Waits until the device has given the batch back, but not for one that is silent. */
static bool batch_begin(struct lodge_head *head)
{
	struct lodge_display *display = head->display;

	head->n_batch = 0;
	if (wait_event_timeout(head->idle, batch_is_free(head) || READ_ONCE(display->silent),
			       msecs_to_jiffies(LODGE_FRAME_TIMEOUT_MS)) &&
	    batch_is_free(head))
		return true;
	if (!READ_ONCE(display->silent))
		dev_err_ratelimited(&display->vdev->dev,
				    "head %u: the device holds on to a frame\n", head->number);
	WRITE_ONCE(display->silent, true);
	return false;
}

static union lodge_request *batch_add(struct lodge_head *head, u32 type, u32 size)
{
	struct lodge_command *command = &head->batch[head->n_batch++];

	lodge_command_init(command, type, size);
	command->done = batch_done;
	command->owner = head;
	return &command->request;
}

/* Is there anybody who would notice the frame's end? */
static bool is_awaited(struct lodge_head *head, const struct drm_pending_vblank_event *event)
{
	return head->paced || event->base.file_priv || event->base.fence;
}

static void send_event(struct drm_crtc *crtc, struct drm_pending_vblank_event *event)
{
	spin_lock_irq(&crtc->dev->event_lock);
	drm_crtc_send_vblank_event(crtc, event);
	spin_unlock_irq(&crtc->dev->event_lock);
}

void lodge_batch_submit(struct lodge_head *head)
{
	struct drm_crtc *crtc = &head->crtc;
	struct drm_pending_vblank_event *event = crtc->state->event;
	unsigned int n = head->n_batch;
	bool awaited = event && crtc->state->active && is_awaited(head, event);

	head->n_batch = 0;
	crtc->state->event = NULL;
	if (n && awaited) {
		struct virtio_gpu_ctrl_hdr *header = &head->batch[n - 1].request.header;

		header->flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE);
		header->fence_id = cpu_to_le64(atomic64_inc_return(&head->display->fence_ids));
	}
	/* A vblank from here on is of a frame that is on its way. */
	atomic_add(n, &head->in_flight);
	if (awaited)
		lodge_pace_flip(head, event);
	if (n && lodge_commands_post(head->display, LODGE_RING_CONTROL, head->batch, n)) {
		atomic_sub(n, &head->in_flight);
		head->stale = true;
	}
	if (event && !awaited)
		send_event(crtc, event);
	head->paced = false;
}

static void set_rect(struct virtio_gpu_rect *to, const struct drm_rect *rect)
{
	to->x = cpu_to_le32(rect->x1);
	to->y = cpu_to_le32(rect->y1);
	to->width = cpu_to_le32(drm_rect_width(rect));
	to->height = cpu_to_le32(drm_rect_height(rect));
}

/* Whole pixels of the framebuffer. */
static struct drm_rect shown_rect(const struct drm_plane_state *state)
{
	struct drm_rect rect = state->src;

	rect.x1 >>= 16;
	rect.y1 >>= 16;
	rect.x2 >>= 16;
	rect.y2 >>= 16;
	return rect;
}

static void add_scanout(struct lodge_head *head, struct drm_framebuffer *fb,
			const struct drm_rect *rect)
{
	u32 id = lodge_framebuffer_of(fb)->resource->id;

	if (head->display->has_blob) {
		struct virtio_gpu_set_scanout_blob *request =
			&batch_add(head, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, sizeof(*request))
				 ->set_scanout_blob;

		set_rect(&request->r, rect);
		request->scanout_id = cpu_to_le32(head->number);
		request->resource_id = cpu_to_le32(id);
		request->width = cpu_to_le32(fb->width);
		request->height = cpu_to_le32(fb->height);
		request->format = cpu_to_le32(lodge_format(lodge_fb_fourcc(fb)));
		request->strides[0] = cpu_to_le32(fb->pitches[0]);
		request->offsets[0] = cpu_to_le32(fb->offsets[0]);
	} else {
		struct virtio_gpu_set_scanout *request =
			&batch_add(head, VIRTIO_GPU_CMD_SET_SCANOUT, sizeof(*request))->set_scanout;

		set_rect(&request->r, rect);
		request->scanout_id = cpu_to_le32(head->number);
		request->resource_id = cpu_to_le32(id);
	}
}

static void add_darkness(struct lodge_head *head)
{
	struct virtio_gpu_set_scanout *request =
		&batch_add(head, VIRTIO_GPU_CMD_SET_SCANOUT, sizeof(*request))->set_scanout;

	request->scanout_id = cpu_to_le32(head->number);
}

static void add_transfer(struct lodge_head *head, struct drm_framebuffer *fb,
			 const struct drm_rect *rect)
{
	struct virtio_gpu_transfer_to_host_2d *request =
		&batch_add(head, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, sizeof(*request))->transfer;

	set_rect(&request->r, rect);
	request->offset = cpu_to_le64(fb->offsets[0] + (u64)rect->y1 * fb->pitches[0] +
				      (u64)rect->x1 * lodge_fb_cpp(fb));
	request->resource_id = cpu_to_le32(lodge_framebuffer_of(fb)->resource->id);
}

static void add_flush(struct lodge_head *head, struct drm_framebuffer *fb,
		      const struct drm_rect *rect)
{
	struct virtio_gpu_resource_flush *request =
		&batch_add(head, VIRTIO_GPU_CMD_RESOURCE_FLUSH, sizeof(*request))->flush;

	set_rect(&request->r, rect);
	request->resource_id = cpu_to_le32(lodge_framebuffer_of(fb)->resource->id);
}

static void unite(struct drm_rect *all, const struct drm_rect *rect)
{
	all->x1 = min(all->x1, rect->x1);
	all->y1 = min(all->y1, rect->y1);
	all->x2 = max(all->x2, rect->x2);
	all->y2 = max(all->y2, rect->y2);
}

static unsigned int find_damage(struct drm_plane_state *old, struct drm_plane_state *state,
				struct drm_rect rects[LODGE_RECTS_MAX])
{
	struct drm_atomic_helper_damage_iter iter;
	struct drm_rect rect;
	unsigned int n = 0, i;

	drm_atomic_helper_damage_iter_init(&iter, old, state);
	drm_atomic_for_each_plane_damage(&iter, &rect)
	{
		if (n < LODGE_RECTS_MAX) {
			rects[n++] = rect;
			continue;
		}
		for (i = 1; i < n; i++)
			unite(&rects[0], &rects[i]);
		unite(&rects[0], &rect);
		n = 1;
	}
	return n;
}

static void update(struct drm_plane *plane, struct drm_plane_state *old)
{
	struct lodge_head *head = container_of(plane, struct lodge_head, primary);
	struct drm_plane_state *state = plane->state;
	struct drm_rect whole = shown_rect(state), rects[LODGE_RECTS_MAX];
	unsigned int n, i;
	bool other;

	if (!batch_begin(head)) {
		head->stale = true;
		return;
	}
	if (!state->crtc || !state->crtc->state->active || !state->visible) {
		add_darkness(head);
		head->stale = true;
		return;
	}
	head->paced = state->fb != old->fb;
	other = head->stale || head->paced || !drm_rect_equals(&state->src, &old->src);
	if (other)
		add_scanout(head, state->fb, &whole);
	/* Of a picture that the device has a copy of, the frame's damage is not that of the copy.
	 */
	if (head->stale || (other && !head->display->has_blob)) {
		rects[0] = whole;
		n = 1;
	} else {
		n = find_damage(old, state, rects);
	}
	head->stale = false;
	for (i = 0; i < n && !head->display->has_blob; i++)
		add_transfer(head, state->fb, &rects[i]);
	for (i = 0; i < n; i++)
		add_flush(head, state->fb, &rects[i]);
}
LODGE_PLANE_OLD(primary_update, update)

static void disable(struct drm_plane *plane, struct drm_plane_state *old)
{
	struct lodge_head *head = container_of(plane, struct lodge_head, primary);

	head->stale = true;
	if (batch_begin(head))
		add_darkness(head);
}
LODGE_PLANE_OLD(primary_disable, disable)

static int check(struct drm_plane *plane, struct drm_plane_state *state)
{
	struct drm_crtc_state *crtc_state;

	if (!state->crtc || !state->fb)
		return 0;
	/* Whoever guesses the number of a framebuffer may have it before it is whole. */
	if (!READ_ONCE(lodge_framebuffer_of(state->fb)->resource))
		return -EINVAL;
	crtc_state = drm_atomic_get_crtc_state(state->state, state->crtc);
	if (IS_ERR(crtc_state))
		return PTR_ERR(crtc_state);
	return drm_atomic_helper_check_plane_state(state, crtc_state, DRM_PLANE_NO_SCALING,
						   DRM_PLANE_NO_SCALING, false, true);
}
LODGE_PLANE_CHECK(primary_check, check)

static const struct drm_plane_helper_funcs helper_funcs = {
	.prepare_fb = lodge_gem_prepare_fb,
	.atomic_check = primary_check,
	.atomic_update = primary_update,
	.atomic_disable = primary_disable,
};

const struct drm_plane_funcs lodge_plane_funcs = {
	.update_plane = drm_atomic_helper_update_plane,
	.disable_plane = drm_atomic_helper_disable_plane,
	.destroy = drm_plane_cleanup,
	.reset = drm_atomic_helper_plane_reset,
	.atomic_duplicate_state = drm_atomic_helper_plane_duplicate_state,
	.atomic_destroy_state = drm_atomic_helper_plane_destroy_state,
	LODGE_PLANE_PROPERTY_OPS
};

int lodge_primary_create(struct lodge_head *head)
{
	int err;

	init_waitqueue_head(&head->idle);
	err = drm_universal_plane_init(head->display->drm, &head->primary, BIT(head->number),
				       &lodge_plane_funcs, formats, ARRAY_SIZE(formats), NULL,
				       DRM_PLANE_TYPE_PRIMARY, NULL);
	if (err)
		return err;
	drm_plane_helper_add(&head->primary, &helper_funcs);
	drm_plane_enable_fb_damage_clips(&head->primary);
	return 0;
}

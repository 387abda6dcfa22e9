// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cursor of a head: one command at a time is on its way; what changes meanwhile is told by the
 * next one, all at once. Its picture is read by the device when a commit is prepared, where that
 * may take its time and may fail.
 */
#include <linux/kernel.h>

#include "lodge_display/lodge_display.h"

static const u32 formats[] = { DRM_FORMAT_ARGB8888 };

/* Sends what there is to be told. Locked; the caller posts it then. */
static bool next_command(struct lodge_head *head)
{
	struct lodge_command *command = &head->cursor_command;
	struct virtio_gpu_update_cursor *request = &command->request.cursor;
	bool changed = head->cursor_step == LODGE_CURSOR_CHANGED;

	if (head->cursor_busy || head->cursor_step == LODGE_CURSOR_KEPT)
		return false;
	head->cursor_busy = true;
	head->cursor_step = LODGE_CURSOR_KEPT;
	/* done() and owner stay: a command that comes back is sent again at once. */
	request->hdr = (struct virtio_gpu_ctrl_hdr){
		.type = cpu_to_le32(changed ? VIRTIO_GPU_CMD_UPDATE_CURSOR
					    : VIRTIO_GPU_CMD_MOVE_CURSOR),
	};
	request->pos.scanout_id = cpu_to_le32(head->number);
	request->pos.x = cpu_to_le32(head->cursor_x);
	request->pos.y = cpu_to_le32(head->cursor_y);
	request->resource_id = cpu_to_le32(head->cursor_resource);
	request->hot_x = cpu_to_le32(head->cursor_hot_x);
	request->hot_y = cpu_to_le32(head->cursor_hot_y);
	return true;
}

static void send(struct lodge_head *head)
{
	unsigned long flags;
	bool go;

	spin_lock_irqsave(&head->cursor_lock, flags);
	go = next_command(head);
	spin_unlock_irqrestore(&head->cursor_lock, flags);
	if (go && lodge_commands_post(head->display, LODGE_RING_CURSOR, &head->cursor_command, 1))
		WRITE_ONCE(head->cursor_busy, false);
}

static void told(struct lodge_command *command)
{
	struct lodge_head *head = command->owner;
	unsigned long flags;

	spin_lock_irqsave(&head->cursor_lock, flags);
	head->cursor_busy = false;
	spin_unlock_irqrestore(&head->cursor_lock, flags);
	if (command->error != -ENODEV)
		send(head);
}

static void show(struct lodge_head *head, const struct drm_plane_state *state, bool changed)
{
	unsigned long flags;

	spin_lock_irqsave(&head->cursor_lock, flags);
	if (state->fb && state->visible) {
		head->cursor_resource = lodge_framebuffer_of(state->fb)->resource->id;
		head->cursor_x = state->crtc_x;
		head->cursor_y = state->crtc_y;
		head->cursor_hot_x = clamp_t(s32, lodge_hot_x(state), 0, LODGE_CURSOR_SIDE - 1);
		head->cursor_hot_y = clamp_t(s32, lodge_hot_y(state), 0, LODGE_CURSOR_SIDE - 1);
	} else {
		head->cursor_resource = 0;
	}
	if (changed)
		head->cursor_step = LODGE_CURSOR_CHANGED;
	else if (head->cursor_step == LODGE_CURSOR_KEPT)
		head->cursor_step = LODGE_CURSOR_MOVED;
	spin_unlock_irqrestore(&head->cursor_lock, flags);
	send(head);
}

/* Whoever commits a framebuffer where it was already wants it seen again. */
static bool is_other(const struct drm_plane_state *old, const struct drm_plane_state *state)
{
	return old->fb != state->fb || old->visible != state->visible ||
	       (old->crtc_x == state->crtc_x && old->crtc_y == state->crtc_y);
}

static int prepare(struct drm_plane *plane, struct drm_plane_state *state)
{
	struct lodge_head *head = container_of(plane, struct lodge_head, cursor);
	struct virtio_gpu_transfer_to_host_2d *request;
	struct lodge_call *call;
	int err;

	err = lodge_gem_prepare_fb(plane, state);
	if (err || !state->fb || head->display->has_blob || !is_other(plane->state, state))
		return err;
	call = lodge_call_create(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, sizeof(*request), 0);
	if (!call)
		return -ENOMEM;
	request = &call->command.request.transfer;
	request->r.width = cpu_to_le32(LODGE_CURSOR_SIDE);
	request->r.height = cpu_to_le32(LODGE_CURSOR_SIDE);
	request->offset = cpu_to_le64(state->fb->offsets[0]);
	request->resource_id = cpu_to_le32(lodge_framebuffer_of(state->fb)->resource->id);
	lodge_call_post(head->display, call);
	err = lodge_call_wait(head->display, call);
	lodge_call_put(call);
	return err;
}

static void update(struct drm_plane *plane, struct drm_plane_state *old)
{
	show(container_of(plane, struct lodge_head, cursor), plane->state,
	     is_other(old, plane->state));
}
LODGE_PLANE_OLD(cursor_update, update)

static int check(struct drm_plane *plane, struct drm_plane_state *state)
{
	struct drm_crtc_state *crtc_state;
	struct drm_framebuffer *fb = state->fb;

	if (!state->crtc || !fb)
		return 0;
	if (fb->width != LODGE_CURSOR_SIDE || fb->height != LODGE_CURSOR_SIDE ||
	    fb->pitches[0] != LODGE_CURSOR_SIDE * lodge_fb_cpp(fb) ||
	    !READ_ONCE(lodge_framebuffer_of(fb)->resource))
		return -EINVAL;
	crtc_state = drm_atomic_get_crtc_state(state->state, state->crtc);
	if (IS_ERR(crtc_state))
		return PTR_ERR(crtc_state);
	return drm_atomic_helper_check_plane_state(state, crtc_state, DRM_PLANE_NO_SCALING,
						   DRM_PLANE_NO_SCALING, true, true);
}
LODGE_PLANE_CHECK(cursor_check, check)

/* A cursor never waits for a frame. */
static int async_check(struct drm_plane *plane, struct drm_plane_state *state)
{
	return 0;
}
LODGE_PLANE_ASYNC_CHECK(cursor_async_check, async_check)

static void async_update(struct drm_plane *plane, struct drm_plane_state *state)
{
	struct lodge_head *head = container_of(plane, struct lodge_head, cursor);
	struct drm_plane_state *now = plane->state;
	bool other = is_other(now, state);

	/* The old framebuffer leaves with the state that is thrown away. */
	swap(now->fb, state->fb);
	now->crtc_x = state->crtc_x;
	now->crtc_y = state->crtc_y;
	now->crtc_w = state->crtc_w;
	now->crtc_h = state->crtc_h;
	now->src_x = state->src_x;
	now->src_y = state->src_y;
	now->src_w = state->src_w;
	now->src_h = state->src_h;
	now->src = state->src;
	now->dst = state->dst;
	now->visible = state->visible;
	lodge_copy_hotspot(now, state);
	show(head, now, other);
}
LODGE_PLANE_ASYNC_UPDATE(cursor_async_update, async_update)

static const struct drm_plane_helper_funcs helper_funcs = {
	.prepare_fb = prepare,
	.atomic_check = cursor_check,
	.atomic_update = cursor_update,
	.atomic_disable = cursor_update,
	LODGE_ASYNC_OPS(cursor_async_check) LODGE_ASYNC_UPDATE_OPS(cursor_async_update)
};

int lodge_cursor_create(struct lodge_head *head)
{
	struct lodge_command *command = &head->cursor_command;
	int err;

	spin_lock_init(&head->cursor_lock);
	lodge_command_init(command, VIRTIO_GPU_CMD_UPDATE_CURSOR, sizeof(command->request.cursor));
	/* virtio 1.2 section 5.7.6.10: cursor commands are not answered. */
	command->answer = NULL;
	command->done = told;
	command->owner = head;
	err = drm_universal_plane_init(head->display->drm, &head->cursor, BIT(head->number),
				       &lodge_plane_funcs, formats, ARRAY_SIZE(formats), NULL,
				       DRM_PLANE_TYPE_CURSOR, NULL);
	if (!err)
		drm_plane_helper_add(&head->cursor, &helper_funcs);
	return err;
}

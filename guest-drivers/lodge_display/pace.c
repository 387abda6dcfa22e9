// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vblanks of a head. The device has no interrupt for them, but it gives a fenced frame back when it
 * has shown it: that is the vblank, and the timer starts from there. A frame that comes back too
 * early (a device that shows nothing has no pace) waits for the timer; a timer that ends while a
 * frame is with the device waits for the frame, but for no more than LATE_FRAMES, since a count
 * that stands still is worse than one that guesses. Nobody counts vblanks: nothing runs.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/math64.h>

#include "lodge_display/lodge_display.h"

#define LATE_FRAMES	 4
#define DEFAULT_FRAME_NS (NSEC_PER_SEC / 60)

/* A frame that comes back sooner after a vblank than this is early. */
static u64 early_ns(const struct lodge_head *head)
{
	return head->frame_ns - head->frame_ns / 4;
}

/* Has the frame that the flip stands for been shown, or can nobody tell? Locked. */
static bool flip_is_over(struct lodge_head *head, ktime_t now)
{
	return !atomic_read(&head->in_flight) || READ_ONCE(head->display->silent) ||
	       ktime_ms_delta(now, head->flip_since) >= LODGE_FRAME_TIMEOUT_MS;
}

static void complete_flip(struct lodge_head *head, struct drm_pending_vblank_event *event)
{
	struct drm_crtc *crtc = &head->crtc;
	unsigned long flags;

	spin_lock_irqsave(&crtc->dev->event_lock, flags);
	drm_crtc_send_vblank_event(crtc, event);
	spin_unlock_irqrestore(&crtc->dev->event_lock, flags);
	drm_crtc_vblank_put(crtc);
}

/* A frame came back, or the timer ended (@tick). */
static void advance(struct lodge_head *head, bool tick)
{
	struct drm_pending_vblank_event *event = NULL;
	ktime_t now = ktime_get(), next;
	bool beat = false, late;
	unsigned long flags;
	u64 age;

	spin_lock_irqsave(&head->pace_lock, flags);
	if (!head->ticking) {
		spin_unlock_irqrestore(&head->pace_lock, flags);
		return;
	}
	age = max_t(s64, ktime_to_ns(ktime_sub(now, head->last)), 0);
	late = atomic_read(&head->in_flight) && !READ_ONCE(head->display->silent);
	if (tick)
		beat = !late || age >= LATE_FRAMES * head->frame_ns;
	else
		beat = age >= early_ns(head);
	if (beat) {
		head->last = now;
		if (head->flip && flip_is_over(head, now))
			swap(event, head->flip);
		next = ktime_add_ns(now, head->frame_ns);
	} else {
		next = ktime_add_ns(head->last, (late ? LATE_FRAMES : 1) * head->frame_ns);
	}
	hrtimer_start(&head->timer, next, HRTIMER_MODE_ABS);
	spin_unlock_irqrestore(&head->pace_lock, flags);

	if (beat)
		drm_crtc_handle_vblank(&head->crtc);
	if (event)
		complete_flip(head, event);
}

static enum hrtimer_restart timer_ended(struct hrtimer *timer)
{
	advance(container_of(timer, struct lodge_head, timer), true);
	return HRTIMER_NORESTART;
}

void lodge_pace_shown(struct lodge_head *head)
{
	advance(head, false);
}

void lodge_pace_init(struct lodge_head *head)
{
	spin_lock_init(&head->pace_lock);
	lodge_timer_setup(&head->timer, timer_ended);
	head->frame_ns = DEFAULT_FRAME_NS;
}

void lodge_pace_mode(struct lodge_head *head, const struct drm_display_mode *mode)
{
	u64 pixels = (u64)mode->crtc_htotal * mode->crtc_vtotal;

	head->frame_ns = mode->crtc_clock > 0 ? div_u64(pixels * 1000000, mode->crtc_clock)
					      : DEFAULT_FRAME_NS;
	if (!head->frame_ns)
		head->frame_ns = DEFAULT_FRAME_NS;
}

void lodge_pace_flip(struct lodge_head *head, struct drm_pending_vblank_event *event)
{
	struct drm_crtc *crtc = &head->crtc;
	struct drm_pending_vblank_event *before;

	if (drm_crtc_vblank_get(crtc)) {
		spin_lock_irq(&crtc->dev->event_lock);
		drm_crtc_send_vblank_event(crtc, event);
		spin_unlock_irq(&crtc->dev->event_lock);
		return;
	}
	spin_lock_irq(&head->pace_lock);
	before = head->flip;
	head->flip = event;
	head->flip_since = ktime_get();
	spin_unlock_irq(&head->pace_lock);
	/* DRM gave up waiting for it. */
	if (before)
		complete_flip(head, before);
}

void lodge_pace_stop(struct lodge_head *head)
{
	struct drm_pending_vblank_event *event = NULL;

	hrtimer_cancel(&head->timer);
	spin_lock_irq(&head->pace_lock);
	swap(event, head->flip);
	spin_unlock_irq(&head->pace_lock);
	if (event)
		complete_flip(head, event);
}

/* The last vblank that there would have been, had somebody counted. Locked. */
static ktime_t last_vblank(const struct lodge_head *head)
{
	s64 age = ktime_to_ns(ktime_sub(ktime_get(), head->last));

	if (head->ticking || age <= 0)
		return head->last;
	return ktime_add_ns(head->last, div64_u64(age, head->frame_ns) * head->frame_ns);
}

int lodge_pace_enable_vblank(struct drm_crtc *crtc)
{
	struct lodge_head *head = lodge_head_of(crtc);
	unsigned long flags;

	spin_lock_irqsave(&head->pace_lock, flags);
	head->last = last_vblank(head);
	head->ticking = true;
	hrtimer_start(&head->timer, ktime_add_ns(head->last, head->frame_ns), HRTIMER_MODE_ABS);
	spin_unlock_irqrestore(&head->pace_lock, flags);
	return 0;
}

void lodge_pace_disable_vblank(struct drm_crtc *crtc)
{
	struct lodge_head *head = lodge_head_of(crtc);
	unsigned long flags;

	spin_lock_irqsave(&head->pace_lock, flags);
	head->ticking = false;
	/* It may wait for locks that are held here; it looks whether it still is to tick. */
	hrtimer_try_to_cancel(&head->timer);
	spin_unlock_irqrestore(&head->pace_lock, flags);
}

bool lodge_pace_timestamp(struct drm_crtc *crtc, int *ret_error, ktime_t *ret_time,
			  bool in_interrupt)
{
	struct lodge_head *head = lodge_head_of(crtc);
	unsigned long flags;

	spin_lock_irqsave(&head->pace_lock, flags);
	*ret_time = last_vblank(head);
	*ret_error = 0;
	spin_unlock_irqrestore(&head->pace_lock, flags);
	return true;
}

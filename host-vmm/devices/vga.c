// SPDX-License-Identifier: GPL-2.0-or-later
// The VGA as a whole: its claims, its picture on head 0, damage, and its state.
#include "host-vmm/devices/vga.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "host-vmm/devices/vga_private.h"
#include "host-vmm/layout.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/fd.h"

#define STATE_VERSION 1
/* A mode is dozens of register writes: windows see what comes out. */
#define FORM_SETTLE_MS	   20
#define FORM_SETTLE_MAX_MS 100
/* Less than a frame, so that what a program draws at once is one damage. */
#define DAMAGE_SETTLE_MS 5
/* After the last frame that somebody looked at. */
#define LOG_IDLE_MS 1000
#define RECTS_MAX   16u /* of damage at a time */
#define PART_DOTS   256u /* that are drawn under one lock */

static const struct {
	uint16_t base, size;
} port_parts[VGA_N_PORT_PARTS] = {
	{ 0x3b4, 2 }, { 0x3ba, 1 }, { 0x3c0, 16 },
	{ 0x3d4, 2 }, { 0x3da, 1 }, { VGA_VBE_PORT, VGA_VBE_PORTS },
};

static void arm(int timer_fd, unsigned int ms)
{
	struct itimerspec when = { .it_value = { ms / 1000, (long)(ms % 1000) * 1000000 } };

	(void)timerfd_settime(timer_fd, 0, &when, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void settle_soon(struct vga *vga)
{
	if (vga->settling)
		return;
	vga->settling = true;
	arm(vga->settle_fd, DAMAGE_SETTLE_MS);
}

void vga_touch(struct vga *vga, uint64_t offset, uint64_t len)
{
	uint64_t n_granules = vga->size / VGA_GRANULE;

	for (uint64_t i = offset / VGA_GRANULE; i < n_granules && i * VGA_GRANULE < offset + len;
	     i++)
		vga->damage[i / 64] |= 1ull << i % 64;
	vga->damaged = true;
	settle_soon(vga);
}

void vga_touch_all(struct vga *vga)
{
	vga->all_damaged = vga->damaged = vga->colours_stale = true;
	settle_soon(vga);
}

/* Another form: each change waits for the next one, up to a limit. */
static void wait_for_more(struct vga *vga)
{
	uint64_t now = now_ms();

	if (!vga->forming_ms)
		vga->forming_ms = now;
	if (now - vga->forming_ms < FORM_SETTLE_MAX_MS)
		arm(vga->settle_fd, FORM_SETTLE_MS);
}

void vga_reform(struct vga *vga)
{
	struct vga_geometry geometry;

	vga_geometry_of(vga, &geometry);
	if (vga_geometry_equals(&geometry, &vga->geometry))
		return;
	vga_touch_all(vga);
	if (!vga_geometry_is_flip(&geometry, &vga->geometry))
		wait_for_more(vga);
	vga->geometry = geometry;
}

/* ---- the picture; the display's loop ---- */

static void read_direct(struct vga *vga, uint64_t offset, void *to, size_t len)
{
	uint64_t left = offset < vga->size ? vga->size - offset : 0;

	if (left > len)
		left = len;
	memcpy(to, vga->memory + offset, left);
	memset((uint8_t *)to + left, 0, len - left);
}

/* The picture has no bytes of its own but in direct modes: [offset, offset + len) is drawn. */
static int draw(struct vga *vga, uint64_t offset, uint8_t *to, size_t len)
{
	uint32_t dots[PART_DOTS], width = vga->shown.width;

	while (len > 0) {
		uint64_t dot = offset / 4, skip = offset % 4, y = dot / width;
		uint32_t x = (uint32_t)(dot % width);
		uint32_t count = width - x < PART_DOTS ? width - x : PART_DOTS;
		size_t part = count * 4ul - skip;
		bool same;

		if (part > len)
			part = len;
		pthread_mutex_lock(&vga->lock);
		same = y < vga->shown.height && !vga_geometry_differs(&vga->geometry, &vga->shown);
		if (same)
			vga_render(vga, (uint32_t)y, x, (uint32_t)((skip + part + 3) / 4), dots);
		pthread_mutex_unlock(&vga->lock);
		if (!same)
			return -EAGAIN;
		memcpy(to, (const uint8_t *)dots + skip, part);
		to += part;
		offset += part;
		len -= part;
	}
	return 0;
}

static int read_picture(void *opaque, uint64_t offset, void *to, size_t len)
{
	struct vga *vga = opaque;
	bool blank;

	if (vga->shown.kind != VGA_DIRECT)
		return draw(vga, offset, to, len);
	pthread_mutex_lock(&vga->lock);
	blank = vga->geometry.blank;
	pthread_mutex_unlock(&vga->lock);
	if (blank)
		memset(to, 0, len);
	else
		read_direct(vga, offset, to, len);
	return 0;
}

static bool is_damaged(const struct vga *vga, uint64_t offset, uint64_t len)
{
	if (vga->all_damaged)
		return true;
	for (uint64_t i = offset / VGA_GRANULE; i <= (offset + len - 1) / VGA_GRANULE; i++) {
		/* Rows may wrap around the end. */
		uint64_t granule = i & (vga->geometry.mask / VGA_GRANULE);

		if (vga->damage[granule / 64] >> granule % 64 & 1)
			return true;
	}
	return false;
}

/* Under lock: which lines of the picture are damaged, from @y on, as one stretch; false: none. */
static bool next_damage(const struct vga *vga, uint32_t y, struct display_rect *ret_rect)
{
	const struct vga_geometry *geometry = &vga->geometry;
	uint64_t bytes = vga_geometry_row_bytes(geometry);
	uint32_t scan, first = geometry->height;

	for (; y < geometry->height; y++) {
		if (is_damaged(vga, vga_geometry_row(geometry, y, &scan), bytes)) {
			if (first == geometry->height)
				first = y;
		} else if (first < geometry->height) {
			break;
		}
	}
	*ret_rect = (struct display_rect){ 0, first, geometry->width, y - first };
	return first < geometry->height;
}

/* All damage to the display. The bits are taken first: what comes meanwhile is told again. */
static void tell_damage(struct vga *vga)
{
	struct display_rect rects[RECTS_MAX];
	unsigned int n = 0;
	uint32_t y = 0;

	pthread_mutex_lock(&vga->lock);
	if (vga->damaged && !vga_geometry_differs(&vga->geometry, &vga->shown)) {
		for (; n < RECTS_MAX && next_damage(vga, y, &rects[n]); n++)
			y = rects[n].y + rects[n].height;
		/* The last one stands for all that may follow. */
		if (n == RECTS_MAX)
			rects[n - 1].height = vga->geometry.height - rects[n - 1].y;
		memset(vga->damage, 0, vga->size / VGA_GRANULE / 8);
		vga->damaged = vga->all_damaged = false;
	}
	pthread_mutex_unlock(&vga->lock);
	for (unsigned int i = 0; i < n; i++)
		display_damage(vga->display, 0, DISPLAY_LAYER_VGA, &rects[i]);
}

/* Somebody looks at a mode whose memory the guest writes with no exit. */
static void refresh(void *opaque)
{
	struct vga *vga = opaque;

	vga->refreshed_ms = now_ms();
	if (vga_memory_log(vga, true)) {
		arm(vga->idle_fd, LOG_IDLE_MS);
		pthread_mutex_lock(&vga->lock);
		vga_touch_all(vga);
		pthread_mutex_unlock(&vga->lock);
	}
	vga_memory_note_writes(vga);
	tell_damage(vga);
}

static const struct display_source_ops drawn_ops = { .read = read_picture };
static const struct display_source_ops vbe_ops = { .read = read_picture, .refresh = refresh };

static void publish(struct vga *vga, const struct vga_geometry *geometry, bool is_vbe)
{
	bool direct = geometry->kind == VGA_DIRECT;
	struct display_picture picture = {
		.width = geometry->width,
		.height = geometry->height,
		.stride = direct ? geometry->pitch : geometry->width * 4,
		.offset = direct ? geometry->start : 0,
		.format = direct ? geometry->format : DISPLAY_BGRX8888,
		.source = geometry->kind == VGA_TEXT ? LODGE_DISPLAY_TEXT : LODGE_DISPLAY_VGA,
		.ops = is_vbe ? &vbe_ops : &drawn_ops,
		.opaque = vga,
	};

	vga->shown = *geometry;
	vga->shown_vbe = is_vbe;
	vga->has_shown = display_set_picture(vga->display, 0, DISPLAY_LAYER_VGA, &picture) == 0;
	if (!vga->has_shown)
		(void)display_set_picture(vga->display, 0, DISPLAY_LAYER_VGA, NULL);
}

/* What the guest did has settled: another picture, or damage of the one there is. */
static void settled(void *opaque, uint32_t events)
{
	struct vga *vga = opaque;
	struct vga_geometry geometry;
	uint64_t expirations;
	bool is_vbe;

	(void)events;
	(void)!read(vga->settle_fd, &expirations, sizeof(expirations));
	pthread_mutex_lock(&vga->lock);
	vga->settling = false;
	vga->forming_ms = 0;
	geometry = vga->geometry;
	is_vbe = vga->vbe.enable & VBE_ENABLED;
	pthread_mutex_unlock(&vga->lock);
	if (!vga->has_shown || vga->shown_vbe != is_vbe ||
	    vga_geometry_differs(&geometry, &vga->shown))
		publish(vga, &geometry, is_vbe);
	tell_damage(vga);
}

static void publish_now(void *opaque)
{
	settled(opaque, 0);
}

/* Nobody has looked for a while: KVM need not note what is written. */
static void look_away(void *opaque, uint32_t events)
{
	struct vga *vga = opaque;
	uint64_t expirations;

	(void)events;
	(void)!read(vga->idle_fd, &expirations, sizeof(expirations));
	if (now_ms() - vga->refreshed_ms < LOG_IDLE_MS)
		arm(vga->idle_fd, LOG_IDLE_MS);
	else
		(void)vga_memory_log(vga, false);
}

static void withdraw(void *opaque)
{
	struct vga *vga = opaque;

	(void)display_set_picture(vga->display, 0, DISPLAY_LAYER_VGA, NULL);
}

/* ---- life ---- */

static int claim(struct vga *vga)
{
	struct machine *machine = vga->machine;
	int ret = 0;

	for (unsigned int i = 0; i < VGA_N_PORT_PARTS && ret == 0; i++) {
		bool vbe = port_parts[i].base == VGA_VBE_PORT;

		vga->port_parts[i] = (struct vga_port_part){ vga, port_parts[i].base };
		vga->port_regions[i] = (struct io_region){
			.name = vbe ? "vbe" : "vga",
			.size = port_parts[i].size,
			.ops = vbe ? &vga_vbe_ops : &vga_port_ops,
			.opaque = vbe ? (void *)vga : &vga->port_parts[i],
		};
		ret = bus_claim(machine->ports, &vga->port_regions[i], port_parts[i].base);
	}
	vga->window_region = (struct io_region){
		.name = "vga window",
		.size = LAYOUT_VGA_SIZE,
		.ops = &vga_window_ops,
		.opaque = vga,
	};
	return ret ? ret : bus_claim(machine->mmio, &vga->window_region, LAYOUT_VGA);
}

static int make_timer(struct vga *vga, int *ret_fd, loop_fd_fn fn, struct loop_source **ret_source)
{
	*ret_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*ret_fd < 0)
		return -errno;
	return loop_add(display_loop(vga->display), *ret_fd, EPOLLIN, fn, vga, ret_source);
}

int vga_create(struct machine *machine, struct display *display, struct vga **ret_vga)
{
	struct vga *vga = calloc(1, sizeof(*vga));
	int ret;

	if (!vga)
		return -ENOMEM;
	vga->machine = machine;
	vga->display = display;
	vga->size = display_memory(display);
	vga->settle_fd = vga->idle_fd = -1;
	pthread_mutex_init(&vga->lock, NULL);
	pthread_mutex_init(&vga->slot_lock, NULL);
	ret = vga_memory_create(vga);
	if (ret == 0)
		ret = make_timer(vga, &vga->settle_fd, settled, &vga->settle_source);
	if (ret == 0)
		ret = make_timer(vga, &vga->idle_fd, look_away, &vga->idle_source);
	if (ret == 0)
		ret = claim(vga);
	if (ret < 0) {
		vga_destroy(vga);
		return ret;
	}
	vga_reset(vga);
	*ret_vga = vga;
	return 0;
}

void vga_destroy(struct vga *vga)
{
	if (!vga)
		return;
	for (unsigned int i = 0; i < VGA_N_PORT_PARTS; i++)
		bus_release(vga->machine->ports, &vga->port_regions[i]);
	bus_release(vga->machine->mmio, &vga->window_region);
	loop_remove(vga->settle_source);
	loop_remove(vga->idle_source);
	loop_call(display_loop(vga->display), withdraw, vga);
	fd_close(&vga->settle_fd);
	fd_close(&vga->idle_fd);
	vga_memory_destroy(vga);
	pthread_mutex_destroy(&vga->slot_lock);
	pthread_mutex_destroy(&vga->lock);
	free(vga);
}

/* Under lock: what firmware would have left, an empty screen in text mode. */
static void power_on(struct vga *vga)
{
	vga_regs_power_on(&vga->regs);
	vga_vbe_power_on(&vga->vbe);
	vga_memory_clear(vga, vga->size);
	for (unsigned int i = 0; i < VGA_PLANE_BYTES / 4; i++) {
		vga->memory[4 * i] = ' ';
		vga->memory[4 * i + 1] = 0x07;
	}
	for (unsigned int i = 0; i < 256; i++)
		for (unsigned int scan = 0; scan < VGA_FONT_HEIGHT; scan++)
			vga->memory[4 * (32 * i + scan) + 2] = vga_font[i][scan];
	vga_reform(vga);
	vga_touch_all(vga);
}

void vga_reset(struct vga *vga)
{
	pthread_mutex_lock(&vga->lock);
	power_on(vga);
	pthread_mutex_unlock(&vga->lock);
	loop_call(display_loop(vga->display), publish_now, vga);
}

int vga_save(struct vga *vga, struct state *state)
{
	state_put_u32(state, STATE_VERSION);
	state_put_u64(state, vga->size);
	pthread_mutex_lock(&vga->lock);
	state_put(state, &vga->regs, sizeof(vga->regs));
	state_put_u16(state, vga->vbe.index);
	state_put_u16(state, vga->vbe.id);
	state_put_u16(state, vga->vbe.enable);
	state_put_u16(state, vga->vbe.bank);
	state_put_u16(state, vga->vbe.width);
	state_put_u16(state, vga->vbe.height);
	state_put_u16(state, vga->vbe.bpp);
	state_put_u16(state, vga->vbe.virtual_width);
	state_put_u16(state, vga->vbe.x);
	state_put_u16(state, vga->vbe.y);
	pthread_mutex_unlock(&vga->lock);
	return vga_memory_save(vga, state);
}

/* Indexes that code uses as they are. */
static bool regs_are_sound(const struct vga_regs *regs)
{
	return regs->seq_index < VGA_N_SEQUENCER && regs->gfx_index < VGA_N_GRAPHICS &&
	       regs->dac_part < 3 && (regs->attr_index & ~0x3f) == 0 && (regs->gfx[4] & ~0x03) == 0;
}

int vga_load(struct vga *vga, struct state *state)
{
	struct vga_regs regs;
	struct vga_vbe vbe;
	int ret;

	if (state_get_u32(state) != STATE_VERSION || state_get_u64(state) != vga->size)
		return -EBADMSG;
	state_get(state, &regs, sizeof(regs));
	vbe.index = state_get_u16(state);
	vbe.id = state_get_u16(state);
	vbe.enable = state_get_u16(state);
	vbe.bank = state_get_u16(state);
	vbe.width = state_get_u16(state);
	vbe.height = state_get_u16(state);
	vbe.bpp = state_get_u16(state);
	vbe.virtual_width = state_get_u16(state);
	vbe.x = state_get_u16(state);
	vbe.y = state_get_u16(state);
	if (state_error(state) < 0 || !regs_are_sound(&regs) ||
	    (vbe.enable & VBE_ENABLED && vga_vbe_check(&vbe, vga->size) < 0))
		return -EBADMSG;
	pthread_mutex_lock(&vga->lock);
	vga->regs = regs;
	vga->vbe = vbe;
	ret = vga_memory_load(vga, state);
	vga_reform(vga);
	vga_touch_all(vga);
	pthread_mutex_unlock(&vga->lock);
	loop_call(display_loop(vga->display), publish_now, vga);
	return ret;
}

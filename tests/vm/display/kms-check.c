// SPDX-License-Identifier: GPL-2.0-or-later
// In the guest: what a mode setting driver must do, over the first card. `kms-check
// modes|refusals|buffers|flips|turns|vblanks` prints a check a line; `kms-check
// tiles|pitch|import CARD` puts the test card on head 1, says "ready", and keeps it there
// until it is killed.
#include <errno.h>
#include <fcntl.h>
#include <libdrm/drm.h>
#include <libdrm/drm_fourcc.h>
#include <libdrm/drm_mode.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/vm/display/card.h"

#define MODES 128
#define TILE  64u
#define FLIPS 60

struct picture {
	uint32_t handle, fb, pitch;
	uint64_t size;
	uint32_t *pixels;
};

struct head {
	uint32_t connector, crtc;
	struct drm_mode_modeinfo mode;
};

static int card = -1;
static struct drm_mode_modeinfo modes[MODES];
static uint32_t n_modes;

static void say(const char *what, bool good)
{
	printf("%s - %s\n", good ? "ok" : "not ok", what);
	fflush(stdout);
}

static void give_up(const char *what)
{
	printf("not ok - %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void must(unsigned long request, void *argument, const char *what)
{
	if (ioctl(card, request, argument))
		give_up(what);
}

/* Fills modes[], too. */
static struct head first_head(void)
{
	uint32_t connectors[16] = { 0 }, crtcs[16] = { 0 };
	struct drm_mode_card_res resources = { .crtc_id_ptr = (uintptr_t)crtcs,
					       .connector_id_ptr = (uintptr_t)connectors,
					       .count_crtcs = 16,
					       .count_connectors = 16 };
	struct drm_mode_get_connector connector = { 0 };
	struct head head;

	must(DRM_IOCTL_MODE_GETRESOURCES, &resources, "resources");
	connector.connector_id = connectors[0];
	must(DRM_IOCTL_MODE_GETCONNECTOR, &connector, "probe");
	connector = (struct drm_mode_get_connector){ .connector_id = connectors[0],
						     .modes_ptr = (uintptr_t)modes,
						     .count_modes = MODES };
	must(DRM_IOCTL_MODE_GETCONNECTOR, &connector, "connector");
	head = (struct head){ connectors[0], crtcs[0], modes[0] };
	n_modes = connector.count_modes < MODES ? connector.count_modes : MODES;
	for (uint32_t i = 0; i < n_modes; i++)
		if (modes[i].type & DRM_MODE_TYPE_PREFERRED)
			head.mode = modes[i];
	return head;
}

static int try_fb(uint32_t handle, uint32_t width, uint32_t height, uint32_t format, uint32_t pitch,
		  uint32_t offset, uint32_t *ret_fb)
{
	struct drm_mode_fb_cmd2 fb = { .width = width,
				       .height = height,
				       .pixel_format = format,
				       .handles = { handle },
				       .pitches = { pitch },
				       .offsets = { offset } };

	if (ioctl(card, DRM_IOCTL_MODE_ADDFB2, &fb))
		return -errno;
	*ret_fb = fb.fb_id;
	return 0;
}

static void make_buffer(int fd, uint32_t width, uint32_t height, struct picture *ret_picture)
{
	struct drm_mode_create_dumb dumb = { .width = width, .height = height, .bpp = 32 };
	struct drm_mode_map_dumb map;
	void *pixels;

	if (ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		give_up("CREATE_DUMB");
	map = (struct drm_mode_map_dumb){ .handle = dumb.handle };
	if (ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map))
		give_up("MAP_DUMB");
	pixels = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)map.offset);
	if (pixels == MAP_FAILED)
		give_up("mmap");
	*ret_picture = (struct picture){
		.handle = dumb.handle, .pitch = dumb.pitch, .size = dumb.size, .pixels = pixels
	};
}

static void make_picture(uint32_t width, uint32_t height, struct picture *ret_picture)
{
	make_buffer(card, width, height, ret_picture);
	if (try_fb(ret_picture->handle, width, height, DRM_FORMAT_XRGB8888, ret_picture->pitch, 0,
		   &ret_picture->fb))
		give_up("ADDFB2");
}

static void set_mode(const struct head *head, uint32_t fb)
{
	struct drm_mode_crtc set = { .set_connectors_ptr = (uintptr_t)&head->connector,
				     .count_connectors = 1,
				     .crtc_id = head->crtc,
				     .fb_id = fb,
				     .mode_valid = 1,
				     .mode = head->mode };

	must(DRM_IOCTL_MODE_SETCRTC, &set, "SETCRTC");
}

static void paint(uint32_t *pixels, uint32_t pitch, uint32_t x1, uint32_t y1, uint32_t x2,
		  uint32_t y2)
{
	for (uint32_t y = y1; y < y2; y++)
		for (uint32_t x = x1; x < x2; x++)
			pixels[(size_t)y * (pitch / 4) + x] = card_pixel(0, x, y);
}

static void keep(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

/* Nothing is told but the tiles that were painted; some calls tell of one, some of more than a
 * driver takes one by one. */
static void show_tiles(void)
{
	const struct head head = first_head();
	const uint32_t width = head.mode.hdisplay, height = head.mode.vdisplay;
	struct drm_clip_rect clips[48];
	struct drm_mode_fb_dirty_cmd dirty = { .clips_ptr = (uintptr_t)clips };
	struct picture picture;
	unsigned int most = 1;

	make_picture(width, height, &picture);
	set_mode(&head, picture.fb);
	dirty.fb_id = picture.fb;
	for (uint32_t y = 0; y < height; y += TILE) {
		for (uint32_t x = 0; x < width; x += TILE) {
			const uint32_t x2 = x + TILE < width ? x + TILE : width;
			const uint32_t y2 = y + TILE < height ? y + TILE : height;

			paint(picture.pixels, picture.pitch, x, y, x2, y2);
			clips[dirty.num_clips++] = (struct drm_clip_rect){ (uint16_t)x, (uint16_t)y,
									   (uint16_t)x2,
									   (uint16_t)y2 };
			if (dirty.num_clips < most && (x2 < width || y2 < height))
				continue;
			must(DRM_IOCTL_MODE_DIRTYFB, &dirty, "DIRTYFB");
			dirty.num_clips = 0;
			most = most % 48 + 7 > 48 ? 1 : most % 48 + 7;
		}
	}
	keep();
}

/* Lines longer than the picture's, which begins behind the buffer's start. */
static void show_pitch(void)
{
	const struct head head = first_head();
	const uint32_t width = head.mode.hdisplay, height = head.mode.vdisplay;
	struct picture picture;
	uint32_t fb = 0;

	make_buffer(card, width + 37, height + 3, &picture);
	paint(picture.pixels + 2 * (picture.pitch / 4) + 5, picture.pitch, 0, 0, width, height);
	if (try_fb(picture.handle, width, height, DRM_FORMAT_XRGB8888, picture.pitch,
		   2 * picture.pitch + 20, &fb))
		give_up("a framebuffer with an offset");
	set_mode(&head, fb);
	keep();
}

/* A buffer of another driver. */
static void show_import(const char *other)
{
	const struct head head = first_head();
	const int fd = open(other, O_RDWR | O_CLOEXEC);
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct picture picture;
	uint32_t fb = 0;

	if (fd < 0)
		give_up(other);
	make_buffer(fd, head.mode.hdisplay, head.mode.vdisplay, &picture);
	paint(picture.pixels, picture.pitch, 0, 0, head.mode.hdisplay, head.mode.vdisplay);
	prime.handle = picture.handle;
	if (ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		give_up("export");
	must(DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime, "import");
	close(prime.fd);
	if (try_fb(prime.handle, head.mode.hdisplay, head.mode.vdisplay, DRM_FORMAT_XRGB8888,
		   picture.pitch, 0, &fb))
		give_up("a framebuffer of it");
	set_mode(&head, fb);
	keep();
}

/* Each that the connector names, as programs without atomic calls set it. */
static void check_modes(void)
{
	struct head head = first_head();
	struct drm_mode_crtc now;
	struct picture picture;
	uint32_t good = 0;

	for (uint32_t i = 0; i < n_modes; i++) {
		head.mode = modes[i];
		make_picture(head.mode.hdisplay, head.mode.vdisplay, &picture);
		set_mode(&head, picture.fb);
		now = (struct drm_mode_crtc){ .crtc_id = head.crtc };
		must(DRM_IOCTL_MODE_GETCRTC, &now, "GETCRTC");
		if (now.mode_valid && now.fb_id == picture.fb &&
		    now.mode.hdisplay == head.mode.hdisplay &&
		    now.mode.vdisplay == head.mode.vdisplay)
			good++;
		else
			printf("# %s is not set\n", head.mode.name);
		must(DRM_IOCTL_MODE_RMFB, &picture.fb, "RMFB");
		munmap(picture.pixels, picture.size);
		must(DRM_IOCTL_MODE_DESTROY_DUMB, &picture.handle, "DESTROY_DUMB");
	}
	printf("# %u modes\n", n_modes);
	say("every mode is set", n_modes > 5 && good == n_modes);
}

static void check_refusals(void)
{
	const struct head head = first_head();
	struct drm_mode_cursor cursor = { .flags = DRM_MODE_CURSOR_BO, .crtc_id = head.crtc };
	struct picture picture;
	uint32_t fb = 0;

	make_buffer(card, 256, 256, &picture);
	say("lines shorter than the picture's",
	    try_fb(picture.handle, 256, 256, DRM_FORMAT_XRGB8888, 1020, 0, &fb) == -EINVAL);
	say("lines of no whole pixels",
	    try_fb(picture.handle, 200, 200, DRM_FORMAT_XRGB8888, 1022, 0, &fb) == -EINVAL);
	say("more lines than the buffer has",
	    try_fb(picture.handle, 256, 257, DRM_FORMAT_XRGB8888, 1024, 0, &fb) < 0);
	say("an offset beyond it",
	    try_fb(picture.handle, 256, 256, DRM_FORMAT_XRGB8888, 1024, 4, &fb) < 0);
	say("16 bits a pixel",
	    try_fb(picture.handle, 256, 256, DRM_FORMAT_RGB565, 1024, 0, &fb) == -EINVAL);
	say("no such buffer",
	    try_fb(picture.handle + 77, 256, 256, DRM_FORMAT_XRGB8888, 1024, 0, &fb) == -ENOENT);
	say("a side of 65535",
	    try_fb(picture.handle, 65535, 65535, DRM_FORMAT_XRGB8888, 262140, 0, &fb) < 0);
	cursor.width = cursor.height = 32;
	cursor.handle = picture.handle;
	say("a cursor of another size",
	    ioctl(card, DRM_IOCTL_MODE_CURSOR, &cursor) && errno == EINVAL);
	say("a good one is taken then",
	    try_fb(picture.handle, 256, 256, DRM_FORMAT_XRGB8888, 1024, 0, &fb) == 0);
}

/* Many framebuffers come and go, also the one that is shown, and with the program that had them. */
static void check_buffers(void)
{
	const struct head head = first_head();
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct picture picture, other;
	uint32_t fb = 0;
	bool good = true;

	make_picture(head.mode.hdisplay, head.mode.vdisplay, &picture);
	set_mode(&head, picture.fb);
	for (unsigned int i = 0; i < 200 && good; i++) {
		good = !try_fb(picture.handle, 64 + i % 64, 64, DRM_FORMAT_XRGB8888, picture.pitch,
			       4 * i, &fb) &&
		       !ioctl(card, DRM_IOCTL_MODE_RMFB, &fb);
	}
	say("200 framebuffers of one buffer", good);
	for (unsigned int i = 0; i < 20 && good; i++) {
		make_picture(head.mode.hdisplay, head.mode.vdisplay, &other);
		set_mode(&head, other.fb);
		good = !ioctl(card, DRM_IOCTL_MODE_RMFB, &other.fb) &&
		       !ioctl(card, DRM_IOCTL_MODE_DESTROY_DUMB, &other.handle) &&
		       !munmap(other.pixels, other.size);
	}
	say("20 that are removed while they are shown", good);
	prime.handle = picture.handle;
	good = !ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) &&
	       !ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) && prime.handle == picture.handle;
	say("a buffer leaves and comes back as itself", good);
	make_picture(32, 32, &other);
	say("and programs may forget all of it", true);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool read_event(struct drm_event_vblank *ret_event)
{
	struct pollfd ready = { .fd = card, .events = POLLIN };

	return poll(&ready, 1, 3000) == 1 &&
	       read(card, ret_event, sizeof(*ret_event)) == (ssize_t)sizeof(*ret_event);
}

/* Each flip has its event, each event a later count and time, and none is faster than the mode. */
static void check_flips(void)
{
	const struct head head = first_head();
	struct drm_event_vblank event = { 0 };
	struct picture pictures[2];
	uint32_t before = 0, bad = 0;
	uint64_t start, time, last = 0;

	for (unsigned int i = 0; i < 2; i++)
		make_picture(head.mode.hdisplay, head.mode.vdisplay, &pictures[i]);
	set_mode(&head, pictures[0].fb);
	start = now_us();
	for (unsigned int i = 0; i < FLIPS; i++) {
		struct drm_mode_crtc_page_flip flip = { .crtc_id = head.crtc,
							.fb_id = pictures[(i + 1) % 2].fb,
							.flags = DRM_MODE_PAGE_FLIP_EVENT,
							.user_data = i };

		if (ioctl(card, DRM_IOCTL_MODE_PAGE_FLIP, &flip) || !read_event(&event)) {
			say("a flip and its event", false);
			return;
		}
		time = (uint64_t)event.tv_sec * 1000000 + event.tv_usec;
		bad += event.user_data != i || (i && (event.sequence == before || time <= last));
		before = event.sequence;
		last = time;
	}
	time = now_us() - start;
	say("flips, each with its event, count and time", !bad);
	say("none is faster than the screen", FLIPS * 1000000ull / time <= head.mode.vrefresh + 2);
	printf("# %d flips in %llu ms\n", FLIPS, (unsigned long long)time / 1000);
}

/* The same without events: whoever sets another picture waits for it. */
static void check_turns(void)
{
	const struct head head = first_head();
	struct picture pictures[2];
	uint64_t start, time;

	for (unsigned int i = 0; i < 2; i++)
		make_picture(head.mode.hdisplay, head.mode.vdisplay, &pictures[i]);
	set_mode(&head, pictures[0].fb);
	start = now_us();
	for (unsigned int i = 0; i < FLIPS; i++)
		set_mode(&head, pictures[(i + 1) % 2].fb);
	time = now_us() - start;
	say("pictures set in turn are no faster than the screen",
	    FLIPS * 1000000ull / time <= head.mode.vrefresh + 2);
}

static void check_vblanks(void)
{
	const struct head head = first_head();
	union drm_wait_vblank wait = { .request = { .type = _DRM_VBLANK_RELATIVE } };
	struct picture picture;
	uint32_t first;
	uint64_t start;

	make_picture(head.mode.hdisplay, head.mode.vdisplay, &picture);
	set_mode(&head, picture.fb);
	must(DRM_IOCTL_WAIT_VBLANK, &wait, "a vblank's count");
	first = wait.reply.sequence;
	start = now_us();
	wait.request =
		(struct drm_wait_vblank_request){ .type = _DRM_VBLANK_RELATIVE, .sequence = 30 };
	must(DRM_IOCTL_WAIT_VBLANK, &wait, "30 vblanks");
	start = now_us() - start;
	say("30 vblanks are waited for", wait.reply.sequence - first >= 30);
	say("and are no faster than the mode", start >= 28 * 1000000ull / head.mode.vrefresh);
	usleep(300000); /* nobody counts meanwhile */
	first = wait.reply.sequence;
	wait.request = (struct drm_wait_vblank_request){ .type = _DRM_VBLANK_RELATIVE };
	must(DRM_IOCTL_WAIT_VBLANK, &wait, "a vblank's count");
	say("the count goes on where nobody counts", wait.reply.sequence - first >= 10);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} jobs[] = {
		{ "modes", check_modes },     { "refusals", check_refusals },
		{ "buffers", check_buffers }, { "flips", check_flips },
		{ "turns", check_turns },     { "vblanks", check_vblanks },
		{ "tiles", show_tiles },      { "pitch", show_pitch },
	};
	const char *name = argc > 1 ? argv[1] : "";

	card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (card < 0 || ioctl(card, DRM_IOCTL_SET_MASTER, 0))
		give_up("card0");
	if (!strcmp(name, "import") && argc > 2)
		show_import(argv[2]);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (!strcmp(jobs[i].name, name)) {
			jobs[i].run();
			return 0;
		}
	}
	return 2;
}

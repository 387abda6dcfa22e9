// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the guests of display.* draw, by mode setting alone: a picture whose corners name its size,
 * at every size that the host asks for; and a script of typing, scrolling and a moving window.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/job.h"
#include "tests/vm/display/kms.h"

#define CARD	   "/dev/dri/card0"
#define BACKGROUND 0x336699u
#define PAPER	   0xfafafau
#define INK	   0x101010u
#define FRAME	   0xcc6600u
#define CORNER	   8u /* pixels a side */

/* The script's parts: how often a second, and how large. */
#define CELL_WIDTH    8u
#define CELL_HEIGHT   16u
#define COLUMNS	      80u
#define ROWS	      25u
#define KEYS_PER_S    20u
#define LINES_PER_S   10u
#define STEPS_PER_S   30u
#define WINDOW_WIDTH  320u
#define WINDOW_HEIGHT 240u
#define STEP	      8u

static int card = -1;
static struct kms_picture picture;
static pthread_t follower;
static bool follows;

static void fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour)
{
	for (uint32_t i = y; i < y + height; i++) {
		uint32_t *line = picture.pixels + (size_t)i * (picture.pitch / 4);

		for (uint32_t j = x; j < x + width; j++)
			line[j] = colour;
	}
}

/* x11.py looks for these: 12 bits each of width and height. */
static void paint(void)
{
	const uint32_t colour = picture.width << 12 | picture.height;
	const uint32_t right = picture.width - CORNER, bottom = picture.height - CORNER;

	fill(0, 0, picture.width, picture.height, BACKGROUND);
	fill(0, 0, CORNER, CORNER, colour);
	fill(right, 0, CORNER, CORNER, colour);
	fill(0, bottom, CORNER, CORNER, colour);
	fill(right, bottom, CORNER, CORNER, colour);
}

/* The first head as it should be. */
static int show(void)
{
	struct kms_picture old = picture;
	struct kms_head heads[KMS_HEADS];
	unsigned int n = 0;
	int ret = kms_heads(card, heads, &n);

	if (ret < 0)
		return ret;
	if (n == 0 || heads[0].mode.hdisplay == 0)
		return -ENODEV;
	if (old.fb && old.width == heads[0].mode.hdisplay && old.height == heads[0].mode.vdisplay)
		return 0;
	ret = kms_make(card, &heads[0].mode, &picture);
	if (ret < 0)
		return ret;
	paint();
	ret = kms_show(card, &heads[0], &picture);
	kms_forget(card, &old);
	return ret;
}

static int open_card(void)
{
	if (card < 0)
		card = kms_open(CARD);
	return card < 0 ? card : 0;
}

/* Ends where it waits: nothing else here is a point of cancellation. */
static void *follow(void *opaque)
{
	const int *events = opaque;

	while (kms_wait_hotplug(*events) == 0 && show() == 0)
		;
	return NULL;
}

static void stop_following(void)
{
	if (!follows)
		return;
	pthread_cancel(follower);
	pthread_join(follower, NULL);
	follows = false;
}

/* Follows the host's sizes from now on. */
static int job_follow(const char *path, struct job_result *ret_result)
{
	static int events = -1;
	double start = now();
	int ret = open_card();

	(void)path;
	stop_following();
	/* Before the first look, so that no event is missed. */
	if (ret == 0 && events < 0)
		ret = events = kms_open_events();
	if (ret >= 0)
		ret = show();
	if (ret == 0)
		ret = -pthread_create(&follower, NULL, follow, &events);
	follows = ret == 0;
	*ret_result = (struct job_result){ 1, now() - start };
	return ret;
}

/* ---- the script ---- */

struct script {
	uint64_t bytes; /* damaged so far */
	double next; /* when the next step is due */
	uint64_t random;
};

static int damage(struct script *script, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	const struct drm_clip_rect rect = { (uint16_t)x, (uint16_t)y, (uint16_t)(x + width),
					    (uint16_t)(y + height) };

	script->bytes += (uint64_t)width * height * 4;
	return kms_dirty(card, &picture, &rect);
}

/* Until the next of @per_second steps. Who is late goes on at once: the work stays the same. */
static void wait_turn(struct script *script, unsigned int per_second)
{
	struct timespec until;

	script->next += 1.0 / per_second;
	until.tv_sec = (time_t)script->next;
	until.tv_nsec = (long)((script->next - (double)until.tv_sec) * 1e9);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* A letter: a random bit for every pixel. */
static void draw_cell(struct script *script, uint32_t column, uint32_t row)
{
	for (uint32_t y = 0; y < CELL_HEIGHT; y++) {
		uint64_t bits = next_random(&script->random);
		uint32_t *line = picture.pixels +
				 (size_t)(row * CELL_HEIGHT + y) * (picture.pitch / 4) +
				 (size_t)column * CELL_WIDTH;

		for (uint32_t x = 0; x < CELL_WIDTH; x++, bits >>= 1)
			line[x] = bits & 1 ? INK : PAPER;
	}
}

/* A letter, and the cursor behind it, for each key. */
static int type(struct script *script, unsigned int seconds)
{
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < seconds * KEYS_PER_S; i++) {
		uint32_t column = i % (COLUMNS - 1), row = i / (COLUMNS - 1) % ROWS;

		wait_turn(script, KEYS_PER_S);
		draw_cell(script, column, row);
		fill((column + 1) * CELL_WIDTH, row * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT, INK);
		ret = damage(script, column * CELL_WIDTH, row * CELL_HEIGHT, 2 * CELL_WIDTH,
			     CELL_HEIGHT);
	}
	return ret;
}

/* Text moves up by a line, and a new one comes below. */
static int scroll(struct script *script, unsigned int seconds)
{
	const size_t stride = picture.pitch / 4;
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < seconds * LINES_PER_S; i++) {
		wait_turn(script, LINES_PER_S);
		for (uint32_t y = 0; y < (ROWS - 1) * CELL_HEIGHT; y++)
			__builtin_memcpy(picture.pixels + y * stride,
					 picture.pixels + (y + CELL_HEIGHT) * stride,
					 (size_t)COLUMNS * CELL_WIDTH * 4);
		for (uint32_t column = 0; column < COLUMNS; column++)
			draw_cell(script, column, ROWS - 1);
		ret = damage(script, 0, 0, COLUMNS * CELL_WIDTH, ROWS * CELL_HEIGHT);
	}
	return ret;
}

/* A window to and fro, a step at a time: what it leaves, and where it comes. */
static int move(struct script *script, unsigned int seconds)
{
	const uint32_t way = (picture.width - WINDOW_WIDTH) / STEP - 1;
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < seconds * STEPS_PER_S; i++) {
		uint32_t at = i % (2 * way), y = picture.height - WINDOW_HEIGHT;
		uint32_t from = STEP * (at < way ? at : 2 * way - at);
		uint32_t to = at < way ? from + STEP : from - STEP;

		wait_turn(script, STEPS_PER_S);
		fill(from < to ? from : to + WINDOW_WIDTH, y, STEP, WINDOW_HEIGHT, BACKGROUND);
		fill(to, y, WINDOW_WIDTH, WINDOW_HEIGHT, PAPER);
		fill(to, y, WINDOW_WIDTH, CELL_HEIGHT, FRAME);
		ret = damage(script, from < to ? from : to, y, WINDOW_WIDTH + STEP, WINDOW_HEIGHT);
	}
	return ret;
}

/* @path: for how many seconds. The picture is as large as the host asks for. */
static int job_script(const char *path, struct job_result *ret_result)
{
	unsigned int seconds = path ? (unsigned int)strtoul(path, NULL, 10) : 0;
	struct script script = { .random = 1 };
	double start;
	int ret = open_card();

	if (ret < 0)
		return ret;
	stop_following();
	ret = show();
	if (ret < 0)
		return ret;
	if (picture.width < COLUMNS * CELL_WIDTH || picture.height < ROWS * CELL_HEIGHT)
		return -ERANGE;
	start = script.next = now();
	ret = type(&script, seconds / 3);
	if (ret == 0)
		ret = scroll(&script, seconds / 3);
	if (ret == 0)
		ret = move(&script, seconds - seconds / 3 * 2);
	*ret_result = (struct job_result){ script.bytes, now() - start };
	return ret;
}

const struct job display_jobs[] = {
	{ "display.follow", "pictures", job_follow },
	{ "display.script", "bytes", job_script },
	{ NULL, NULL, NULL },
};

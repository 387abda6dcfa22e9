// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys and pointers on their way from givers to sinks.
 *
 * A key is down for the guest while at least one giver holds it. A sink that takes over from
 * another finds no key down: what is held is released at the old one first, and its real release,
 * later, finds nothing to do. So no sink is left with a key that nobody holds.
 */
#include "host-vmm/input/input.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define WORD_BITS 64u
#define N_WORDS	  ((INPUT_N_CODES + WORD_BITS - 1) / WORD_BITS)
#define POINTS	  ((uint64_t)INPUT_POINT_MAX + 1)

enum kind {
	KIND_KEY,
	KIND_POINTER,
	N_KINDS,
};

struct input {
	pthread_mutex_t lock; /* all that follows, and the givers' */
	struct input_sink *sinks;
	struct input_sink *current[N_KINDS]; /* who got the last event; may be NULL */
	struct input_giver *givers;
	uint16_t holders[INPUT_N_CODES]; /* how many givers hold the key */
	void (*changed)(void *opaque);
	void *changed_opaque;
};

struct input_giver {
	struct input *input;
	struct input_giver *next;
	uint64_t held[N_WORDS];
};

static bool is_held(const struct input_giver *giver, unsigned int code)
{
	return giver->held[code / WORD_BITS] >> code % WORD_BITS & 1;
}

static void set_held(struct input_giver *giver, unsigned int code, bool down)
{
	uint64_t bit = 1ull << code % WORD_BITS;

	if (down)
		giver->held[code / WORD_BITS] |= bit;
	else
		giver->held[code / WORD_BITS] &= ~bit;
}

static enum kind kind_of(unsigned int code)
{
	return code >= INPUT_BUTTON_FIRST ? KIND_POINTER : KIND_KEY;
}

static void sync_sink(struct input_sink *sink)
{
	if (sink->ops->sync)
		sink->ops->sync(sink->opaque);
}

static void tell(struct input_sink *sink, uint16_t code, bool down)
{
	if (kind_of(code) == KIND_KEY)
		sink->ops->key(sink->opaque, code, down);
	else
		sink->ops->button(sink->opaque, code, down);
}

/* Under lock: nobody holds a key of @kind any more. */
static void release_kind(struct input *input, enum kind kind)
{
	struct input_sink *sink = input->current[kind];
	bool told = false;

	for (unsigned int code = 0; code < INPUT_N_CODES; code++) {
		if (input->holders[code] == 0 || kind_of(code) != kind)
			continue;
		input->holders[code] = 0;
		for (struct input_giver *giver = input->givers; giver; giver = giver->next)
			set_held(giver, code, false);
		if (sink) {
			tell(sink, code, false);
			told = true;
		}
	}
	if (told)
		sync_sink(sink);
}

static bool serves(const struct input_sink *sink, enum kind kind)
{
	return kind == KIND_KEY ? sink->ops->key != NULL : sink->ops->button != NULL;
}

/* Under lock: the sink for events of @kind, or NULL. Sinks are in the order of their ranks. */
static struct input_sink *pick(struct input *input, enum kind kind)
{
	struct input_sink *sink = input->sinks;

	while (sink &&
	       !(serves(sink, kind) && (!sink->ops->ready || sink->ops->ready(sink->opaque))))
		sink = sink->next;
	if (sink != input->current[kind]) {
		release_kind(input, kind);
		input->current[kind] = sink;
	}
	return sink;
}

static bool absolute(struct input *input)
{
	struct input_sink *sink = pick(input, KIND_POINTER);

	return sink && sink->ops->point;
}

static void say_changed(struct input *input)
{
	if (input->changed)
		input->changed(input->changed_opaque);
}

int input_create(struct input **ret_input)
{
	struct input *input = calloc(1, sizeof(*input));

	if (!input)
		return -ENOMEM;
	pthread_mutex_init(&input->lock, NULL);
	*ret_input = input;
	return 0;
}

void input_destroy(struct input *input)
{
	if (!input)
		return;
	pthread_mutex_destroy(&input->lock);
	free(input);
}

void input_add_sink(struct input *input, struct input_sink *sink)
{
	struct input_sink **at = &input->sinks;

	pthread_mutex_lock(&input->lock);
	while (*at && (*at)->rank > sink->rank)
		at = &(*at)->next;
	sink->leds = 0;
	sink->next = *at;
	*at = sink;
	say_changed(input);
	pthread_mutex_unlock(&input->lock);
}

void input_remove_sink(struct input *input, struct input_sink *sink)
{
	struct input_sink **at = &input->sinks;

	pthread_mutex_lock(&input->lock);
	while (*at && *at != sink)
		at = &(*at)->next;
	if (*at) {
		*at = sink->next;
		for (enum kind kind = 0; kind < N_KINDS; kind++)
			if (input->current[kind] == sink)
				(void)pick(input, kind);
		say_changed(input);
	}
	pthread_mutex_unlock(&input->lock);
}

void input_sink_changed(struct input *input, struct input_sink *sink, uint32_t leds)
{
	pthread_mutex_lock(&input->lock);
	sink->leds = leds;
	for (enum kind kind = 0; kind < N_KINDS; kind++)
		(void)pick(input, kind);
	say_changed(input);
	pthread_mutex_unlock(&input->lock);
}

struct input_giver *input_giver_create(struct input *input)
{
	struct input_giver *giver = calloc(1, sizeof(*giver));

	if (!giver)
		return NULL;
	giver->input = input;
	pthread_mutex_lock(&input->lock);
	giver->next = input->givers;
	input->givers = giver;
	pthread_mutex_unlock(&input->lock);
	return giver;
}

/* Under lock. */
static void press(struct input_giver *giver, unsigned int code, bool down)
{
	struct input *input = giver->input;
	struct input_sink *sink = pick(input, kind_of(code));

	/* What nobody takes is not held, or it would stick to the sink that comes. */
	if (!sink || is_held(giver, code) == down)
		return;
	set_held(giver, code, down);
	if (down ? input->holders[code]++ > 0 : --input->holders[code] > 0)
		return;
	tell(sink, code, down);
	sync_sink(sink);
}

static int press_checked(struct input_giver *giver, uint16_t code, bool down, uint16_t first,
			 uint16_t last)
{
	if (code < first || code > last)
		return -EINVAL;
	pthread_mutex_lock(&giver->input->lock);
	press(giver, code, down);
	pthread_mutex_unlock(&giver->input->lock);
	return 0;
}

int input_key(struct input_giver *giver, uint16_t code, bool down)
{
	return press_checked(giver, code, down, INPUT_KEY_FIRST, INPUT_KEY_LAST);
}

int input_button(struct input_giver *giver, uint16_t code, bool down)
{
	return press_checked(giver, code, down, INPUT_BUTTON_FIRST, INPUT_BUTTON_LAST);
}

/* The middle of the pixel, so that it is the same pixel again where the guest divides, whether it
 * rounds or cuts. */
static uint16_t scale(uint32_t pixel, uint32_t pixels)
{
	uint64_t point;

	if (pixels == 0)
		return 0;
	if (pixel >= pixels)
		pixel = pixels - 1;
	point = (2 * (uint64_t)pixel + 1) * POINTS / (2 * (uint64_t)pixels);
	return (uint16_t)(point < INPUT_POINT_MAX ? point : INPUT_POINT_MAX);
}

void input_point(struct input_giver *giver, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	struct input *input = giver->input;

	pthread_mutex_lock(&input->lock);
	if (absolute(input)) {
		struct input_sink *sink = input->current[KIND_POINTER];

		sink->ops->point(sink->opaque, scale(x, width), scale(y, height));
		sync_sink(sink);
	}
	pthread_mutex_unlock(&input->lock);
}

void input_move(struct input_giver *giver, int32_t dx, int32_t dy)
{
	struct input *input = giver->input;
	struct input_sink *sink;

	pthread_mutex_lock(&input->lock);
	sink = pick(input, KIND_POINTER);
	if (sink && sink->ops->move) {
		sink->ops->move(sink->opaque, dx, dy);
		sync_sink(sink);
	}
	pthread_mutex_unlock(&input->lock);
}

void input_wheel(struct input_giver *giver, int32_t dx, int32_t dy)
{
	struct input *input = giver->input;
	struct input_sink *sink;

	pthread_mutex_lock(&input->lock);
	sink = pick(input, KIND_POINTER);
	if (sink && sink->ops->wheel) {
		sink->ops->wheel(sink->opaque, dx, dy);
		sync_sink(sink);
	}
	pthread_mutex_unlock(&input->lock);
}

static void release_all(struct input_giver *giver)
{
	for (unsigned int code = 0; code < INPUT_N_CODES; code++)
		if (is_held(giver, code))
			press(giver, code, false);
}

void input_release(struct input_giver *giver)
{
	pthread_mutex_lock(&giver->input->lock);
	release_all(giver);
	pthread_mutex_unlock(&giver->input->lock);
}

void input_giver_destroy(struct input_giver *giver)
{
	struct input_giver **at;

	if (!giver)
		return;
	pthread_mutex_lock(&giver->input->lock);
	release_all(giver);
	at = &giver->input->givers;
	while (*at != giver)
		at = &(*at)->next;
	*at = giver->next;
	pthread_mutex_unlock(&giver->input->lock);
	free(giver);
}

bool input_is_absolute(struct input *input)
{
	bool is;

	pthread_mutex_lock(&input->lock);
	is = absolute(input);
	pthread_mutex_unlock(&input->lock);
	return is;
}

uint32_t input_leds(struct input *input)
{
	struct input_sink *sink;
	uint32_t leds;

	pthread_mutex_lock(&input->lock);
	sink = pick(input, KIND_KEY);
	leds = sink ? sink->leds : 0;
	pthread_mutex_unlock(&input->lock);
	return leds;
}

bool input_takes_keys(struct input *input)
{
	bool takes;

	pthread_mutex_lock(&input->lock);
	takes = pick(input, KIND_KEY) != NULL;
	pthread_mutex_unlock(&input->lock);
	return takes;
}

void input_listen(struct input *input, void (*changed)(void *opaque), void *opaque)
{
	pthread_mutex_lock(&input->lock);
	input->changed = changed;
	input->changed_opaque = opaque;
	pthread_mutex_unlock(&input->lock);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A graphics card that misbehaves, for tests of lodge_display: a virtio-gpu device whose other side
 * is this module. It says that it has 17 screens, and answers by its mood: as it should (fine);
 * with screens and EDIDs that are none (garbage); with a sound EDID for the first screen and one
 * with a bit turned for the others (corrupt); with less than an answer (short); with another
 * request's answer (wrong); with errors; never (silent); or all of it, late, in any order, with
 * answers to nothing, and asking for resets (mixed). Writing to change tells that screens changed,
 * writing to reset asks for one, and writing to sleep suspends it, and it does not come back.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ids.h>

#include "fake.h"

#define CONTROL	  0
#define CURSOR	  1
#define QUEUES	  2
#define HELD_MOST 8
#define HEADS	  17

enum mood { FINE, GARBAGE, CORRUPT, SHORT, WRONG, ERRORS, SILENT, MIXED, MOODS };

static const char *const mood_names[MOODS] = {
	"fine", "garbage", "corrupt", "short", "wrong", "errors", "silent", "mixed",
};

struct card {
	struct fake fake;
	u16 held[HELD_MOST]; /* control requests that are not returned yet */
	unsigned int n_held;
	u32 events;
};

static char *mood = "fine";
module_param(mood, charp, 0444);
static int chosen;

static struct card *card_of(struct fake *fake)
{
	return container_of(fake, struct card, fake);
}

/* ---- what it says ---- */

static void say_screens(struct virtio_gpu_resp_display_info *info, bool garbage)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(info->pmodes); i++) {
		struct virtio_gpu_display_one *one = &info->pmodes[i];

		if (garbage) {
			get_random_bytes(one, sizeof(*one));
			if (fake_draw(2))
				one->r.width = one->r.height =
					cpu_to_le32(U32_MAX >> fake_draw(32));
			continue;
		}
		one->enabled = cpu_to_le32(i < 2);
		one->r.width = cpu_to_le32(640 + 8 * fake_draw(8));
		one->r.height = cpu_to_le32(480);
	}
}

/* Of random bytes; with a header and sums that are right, so that somebody reads the rest. */
static void say_sound_edid(struct virtio_gpu_resp_edid *edid, unsigned int extensions)
{
	static const u8 header[] = { 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0 };
	unsigned int block, i;

	get_random_bytes(edid->edid, sizeof(edid->edid));
	edid->size = cpu_to_le32(sizeof(edid->edid));
	memcpy(edid->edid, header, sizeof(header));
	edid->edid[18] = 1;
	edid->edid[126] = extensions;
	for (block = 0; block < sizeof(edid->edid); block += 128) {
		u8 sum = 0;

		if (block)
			edid->edid[block] = fake_draw(2) ? 2 : 0x70;
		for (i = 0; i < 127; i++)
			sum += edid->edid[block + i];
		edid->edid[block + 127] = -sum;
	}
}

static void say_edid(struct virtio_gpu_resp_edid *edid, u32 screen, enum mood how)
{
	say_sound_edid(edid, how == CORRUPT ? 0 : fake_draw(9));
	if (how == CORRUPT) {
		if (screen)
			edid->edid[8 + fake_draw(100)] ^= 1 << fake_draw(8);
		return;
	}
	if (!fake_draw(3))
		get_random_bytes(edid->edid, sizeof(edid->edid));
	if (fake_draw(2))
		edid->size = cpu_to_le32(get_random_u32() >> fake_draw(32));
}

static u32 answer(const struct virtio_gpu_cmd_get_edid *request, void *memory, u32 size,
		  enum mood how)
{
	struct virtio_gpu_ctrl_hdr *header = memory;
	u32 type = le32_to_cpu(request->hdr.type);
	u32 good = VIRTIO_GPU_RESP_OK_NODATA;

	memset(memory, 0, size);
	if (type == VIRTIO_GPU_CMD_GET_DISPLAY_INFO &&
	    size >= sizeof(struct virtio_gpu_resp_display_info)) {
		good = VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
		say_screens(memory, how == GARBAGE);
	} else if (type == VIRTIO_GPU_CMD_GET_EDID && size >= sizeof(struct virtio_gpu_resp_edid)) {
		good = VIRTIO_GPU_RESP_OK_EDID;
		say_edid(memory, le32_to_cpu(request->scanout), how);
	}
	header->type = cpu_to_le32(good);
	if (how == WRONG)
		header->type = cpu_to_le32(good == VIRTIO_GPU_RESP_OK_NODATA
						   ? VIRTIO_GPU_RESP_OK_EDID
						   : VIRTIO_GPU_RESP_OK_NODATA);
	if (how == ERRORS)
		header->type = cpu_to_le32(fake_draw(8) ? VIRTIO_GPU_RESP_ERR_UNSPEC + fake_draw(8)
							: get_random_u32());
	return how == SHORT ? fake_draw(size) : size;
}

static void serve(struct fake *fake, u16 head, enum mood how)
{
	/* Of which others have no more than the header. */
	struct virtio_gpu_cmd_get_edid request = {};
	u32 asked, size, len = 0;
	const void *from = fake_find(fake, CONTROL, head, false, sizeof(request.hdr), &asked);
	void *memory = fake_find(fake, CONTROL, head, true, sizeof(request.hdr), &size);

	if (from && memory) {
		memcpy(&request, from, min_t(u32, asked, sizeof(request)));
		len = answer(&request, memory, size, how);
	}
	fake_push(fake, CONTROL, head, len);
}

static enum mood mood_now(void)
{
	if (chosen != MIXED)
		return chosen;
	return fake_draw(2) ? FINE : fake_draw(SILENT);
}

static void work_on_requests(struct card *card)
{
	struct fake *fake = &card->fake;
	u16 head;

	while (fake_pop(fake, CONTROL, &head)) {
		if (chosen == SILENT || (chosen == MIXED && !fake_draw(200)))
			continue;
		if (chosen == MIXED && !fake_draw(3) && card->n_held < HELD_MOST)
			card->held[card->n_held++] = head;
		else
			serve(fake, head, mood_now());
	}
	while (card->n_held && !fake_draw(3)) {
		unsigned int which = fake_draw(card->n_held);

		serve(fake, card->held[which], mood_now());
		card->held[which] = card->held[--card->n_held];
	}
}

static void tell_change(struct card *card)
{
	WRITE_ONCE(card->events, VIRTIO_GPU_EVENT_DISPLAY);
	fake_change(&card->fake);
}

static void work(struct fake *fake)
{
	u16 head;

	work_on_requests(card_of(fake));
	while (fake_pop(fake, CURSOR, &head)) {
		if (chosen != SILENT)
			fake_push(fake, CURSOR, head, 0);
	}
	if (chosen != MIXED)
		return;
	if (!fake_draw(500))
		fake_push(fake, fake_draw(QUEUES), get_random_u32(), get_random_u32());
	if (!fake_draw(20))
		tell_change(card_of(fake));
	if (!fake_draw(100))
		fake_want_reset(fake);
}

/* ---- the device ---- */

static void get(struct fake *fake, unsigned int offset, void *to, unsigned int len)
{
	const struct virtio_gpu_config config = {
		.events_read = cpu_to_le32(READ_ONCE(card_of(fake)->events)),
		.num_scanouts = cpu_to_le32(HEADS),
	};

	memcpy(to, (const u8 *)&config + offset, len);
}

static void set(struct fake *fake, unsigned int offset, const void *from, unsigned int len)
{
	if (offset == offsetof(struct virtio_gpu_config, events_clear))
		WRITE_ONCE(card_of(fake)->events, 0);
}

static void reset(struct fake *fake)
{
	card_of(fake)->n_held = 0;
}

static const struct fake_type type = {
	.name = "lodge-test-gpu",
	.id = VIRTIO_ID_GPU,
	.queues = QUEUES,
	.period = HZ / 50,
	.get = get,
	.set = set,
	.work = work,
	.reset = reset,
};

/* ---- life ---- */

static struct card *the_card;

static int set_change(const char *value, const struct kernel_param *param)
{
	if (!the_card)
		return -ENODEV;
	tell_change(the_card);
	return 0;
}

static int set_reset(const char *value, const struct kernel_param *param)
{
	if (!the_card)
		return -ENODEV;
	fake_want_reset(&the_card->fake);
	return 0;
}

static const struct kernel_param_ops change_ops = { .set = set_change };
module_param_cb(change, &change_ops, NULL, 0200);
static const struct kernel_param_ops reset_ops = { .set = set_reset };
module_param_cb(reset, &reset_ops, NULL, 0200);

static int set_sleep(const char *value, const struct kernel_param *param)
{
	return the_card ? fake_sleep_for_good(&the_card->fake) : -ENODEV;
}

static const struct kernel_param_ops sleep_ops = { .set = set_sleep };
module_param_cb(sleep, &sleep_ops, NULL, 0200);

static int __init gpu_init(void)
{
	chosen = match_string(mood_names, MOODS, mood);
	if (chosen < 0)
		return chosen;
	the_card = kzalloc(sizeof(*the_card), GFP_KERNEL);
	if (!the_card)
		return -ENOMEM;
	return fake_begin(&the_card->fake, &type, BIT_ULL(VIRTIO_GPU_F_EDID));
}

static void __exit gpu_exit(void)
{
	fake_end(&the_card->fake);
}

module_init(gpu_init);
module_exit(gpu_exit);
MODULE_DESCRIPTION("tests of lodge_display: a graphics card that misbehaves");
MODULE_LICENSE("GPL v2");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A host that misbehaves, for tests of lodge_backdoor: a virtio device of its kind whose other side
 * is this module. Requests come back late, damaged, too long or too short, in any order, never, or
 * twice; events are noise, for any session; at times the device breaks and asks to be reset.
 * Nothing of it may be a program's or the kernel's harm, but for errors. With calm=1 it
 * answers every request at once and says nothing by itself; writing to reset has it ask for one.
 *
 * With balloon=1 it has a balloon, whose pages stay where they are: target is what it asks for,
 * given what it was given and did not give back, back all that it gave back. cycles=N asks N times
 * for cycle_pages and then for nothing, each as soon as the other is done. With mute=1 it takes the
 * balloon's requests and never answers.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include <lodge/backdoor.h>
#include <lodge/balloon.h>
#include <lodge/rpc.h>

#include "fake.h"

#define HELD_MOST  16
#define RARELY	   400 /* breaks of the ring: one in so many requests */
#define REPLY_TEXT "1 fine"

struct host {
	struct fake fake;
	u16 held[HELD_MOST]; /* requests that are not returned yet */
	unsigned int n_held;
	u16 stats; /* the balloon's request that is kept, if has_stats */
	bool has_stats;
};

static bool calm;
module_param(calm, bool, 0644);
static bool balloon;
module_param(balloon, bool, 0444);
static bool mute;
module_param(mute, bool, 0644);
static unsigned int target, cycles, cycle_pages = 4096;
module_param(cycles, uint, 0644);
module_param(cycle_pages, uint, 0644);
static int given, back;
module_param(given, int, 0444);
module_param(back, int, 0444);

static struct host *host_of(struct fake *fake)
{
	return container_of(fake, struct host, fake);
}

/* ---- what it says ---- */

static u32 good_reply(struct fake *fake, u16 head)
{
	const struct lodge_rpc_header *request =
		fake_find(fake, LODGE_BACKDOOR_QUEUE_REQUEST, head, false, sizeof(*request), NULL);
	struct lodge_rpc_header *reply = fake_find(fake, LODGE_BACKDOOR_QUEUE_REQUEST, head, true,
						   sizeof(*reply) + sizeof(REPLY_TEXT), NULL);

	if (!request || !reply)
		return 0;
	*reply = *request;
	reply->type = cpu_to_le16(LODGE_RPC_REPLY);
	reply->flags = 0;
	reply->reply_max = 0;
	reply->size = cpu_to_le32(strlen(REPLY_TEXT));
	memcpy(reply + 1, REPLY_TEXT, strlen(REPLY_TEXT));
	return sizeof(*reply) + strlen(REPLY_TEXT);
}

static void damage(struct fake *fake, u16 head)
{
	u8 *bytes = fake_find(fake, LODGE_BACKDOOR_QUEUE_REQUEST, head, true, LODGE_RPC_HEADER_SIZE,
			      NULL);

	if (bytes)
		bytes[fake_draw(LODGE_RPC_HEADER_SIZE)] = get_random_u32();
}

static void break_something(struct fake *fake, u16 head)
{
	const unsigned int queue = LODGE_BACKDOOR_QUEUE_REQUEST;

	switch (fake_draw(3)) {
	case 0:
		fake_push(fake, queue, head, 24);
		fake_push(fake, queue, head, 24);
		break;
	case 1:
		fake_push(fake, queue, 40000, 24);
		break;
	case 2:
		fake_want_reset(fake);
		break;
	}
}

static void answer(struct host *host, u16 head)
{
	struct fake *fake = &host->fake;
	const unsigned int queue = LODGE_BACKDOOR_QUEUE_REQUEST;
	u32 good = good_reply(fake, head);

	if (calm) {
		fake_push(fake, queue, head, good);
		return;
	}
	if (fake_draw(RARELY) == 0) {
		break_something(fake, head);
		return;
	}
	switch (fake_draw(8)) {
	case 0:
		fake_push(fake, queue, head, get_random_u32());
		break;
	case 1:
		fake_push(fake, queue, head, fake_draw(64));
		break;
	case 2:
	case 3:
		damage(fake, head);
		fake_push(fake, queue, head, good);
		break;
	case 4:
		if (host->n_held < HELD_MOST) {
			host->held[host->n_held++] = head;
			break;
		}
		fallthrough;
	default:
		fake_push(fake, queue, head, good);
	}
	if (host->n_held && fake_draw(4) == 0)
		fake_push(fake, queue, host->held[--host->n_held], good);
}

static void say_something(struct fake *fake)
{
	const unsigned int queue = LODGE_BACKDOOR_QUEUE_EVENT;
	struct lodge_rpc_header *header;
	u32 len = LODGE_RPC_HEADER_SIZE + fake_draw(4) * fake_draw(1000);
	u16 head;

	if (!fake_pop(fake, queue, &head))
		return;
	header = fake_find(fake, queue, head, true, sizeof(*header), NULL);
	if (header) {
		header->magic = cpu_to_le32(LODGE_RPC_MAGIC);
		header->size = cpu_to_le32(len - LODGE_RPC_HEADER_SIZE);
		header->type = cpu_to_le16(fake_draw(20) ? LODGE_RPC_COMMAND + fake_draw(4)
							 : fake_draw(12));
		header->flags = 0;
		header->session = cpu_to_le32(fake_draw(20) ? fake_draw(8) : get_random_u32());
		header->tag = cpu_to_le32(get_random_u32());
		header->reply_max = 0;
		if (fake_draw(8) == 0)
			((u8 *)header)[fake_draw(LODGE_RPC_HEADER_SIZE)] = get_random_u32();
	}
	fake_push(fake, queue, head, fake_draw(30) ? len : get_random_u32());
}

/* ---- the balloon ---- */

static void answer_balloon(struct fake *fake, u16 head, u16 refused)
{
	const unsigned int queue = LODGE_BACKDOOR_QUEUE_BALLOON;
	struct lodge_balloon_reply *reply =
		fake_find(fake, queue, head, true, sizeof(*reply), NULL);

	if (reply) {
		reply->refused = cpu_to_le16(refused);
		reply->reserved = 0;
		reply->target = cpu_to_le32(target);
	}
	if (calm || fake_draw(8)) {
		fake_push(fake, queue, head, sizeof(*reply));
		return;
	}
	switch (fake_draw(4)) {
	case 0:
		fake_push(fake, queue, head, fake_draw(16));
		break;
	case 1:
		fake_push(fake, queue, head, get_random_u32());
		break;
	case 2:
		fake_push(fake, queue, head, sizeof(*reply));
		fake_push(fake, queue, fake_draw(20) ? head : get_random_u32(), sizeof(*reply));
		break;
	}
}

/* What it keeps goes back when there is something newer, or the module goes. */
static void release_stats(struct host *host)
{
	if (host->has_stats)
		answer_balloon(&host->fake, host->stats, 0);
	host->has_stats = false;
}

static void take_pages(const struct lodge_balloon_request *request, int sign)
{
	const struct lodge_balloon_range *range = (const void *)(request + 1);
	unsigned int i;

	for (i = 0; i < le16_to_cpu(request->count); i++) {
		given += sign * (int)le32_to_cpu(range[i].pages);
		back += sign < 0 ? (int)le32_to_cpu(range[i].pages) : 0;
	}
}

static void serve_balloon(struct host *host, u16 head)
{
	const struct lodge_balloon_request *request = fake_find(
		&host->fake, LODGE_BACKDOOR_QUEUE_BALLOON, head, false, sizeof(*request), NULL);

	if (mute || !request)
		return;
	switch (le16_to_cpu(request->op)) {
	case LODGE_BALLOON_STATS:
		release_stats(host);
		if (request->count) {
			host->stats = head;
			host->has_stats = true;
			return;
		}
		break;
	case LODGE_BALLOON_INFLATE:
		take_pages(request, 1);
		break;
	case LODGE_BALLOON_DEFLATE:
		take_pages(request, -1);
		break;
	}
	answer_balloon(&host->fake, head, calm ? 0 : fake_draw(4) * fake_draw(1000));
}

static void ask_for_pages(struct fake *fake, unsigned int pages)
{
	WRITE_ONCE(target, pages);
	fake_change(fake);
}

static void work_on_balloon(struct host *host)
{
	struct fake *fake = &host->fake;
	u16 head;

	while (fake_pop(fake, LODGE_BACKDOOR_QUEUE_BALLOON, &head))
		serve_balloon(host, head);
	if (!mute && fake_draw(calm ? 20 : 3) == 0)
		release_stats(host);
	if (!calm && fake_draw(10) == 0)
		ask_for_pages(fake, fake_draw(4) ? fake_draw(40000) : get_random_u32());
	if (cycles && given == (int)target) {
		if (target)
			cycles--;
		ask_for_pages(fake, target ? 0 : cycle_pages);
	}
}

static void work(struct fake *fake)
{
	unsigned int i;
	u16 head;

	while (fake_pop(fake, LODGE_BACKDOOR_QUEUE_REQUEST, &head))
		answer(host_of(fake), head);
	for (i = calm ? 0 : fake_draw(6); i; i--)
		say_something(fake);
	if (balloon && fake->vqs[LODGE_BACKDOOR_QUEUE_BALLOON])
		work_on_balloon(host_of(fake));
}

/* ---- the device ---- */

static void get(struct fake *fake, unsigned int offset, void *to, unsigned int len)
{
	const struct lodge_backdoor_config config = {
		.payload_max = cpu_to_le32(LODGE_RPC_PAYLOAD_MAX),
		.sessions_max = cpu_to_le32(LODGE_RPC_SESSIONS_MAX),
		.event_size = cpu_to_le32(LODGE_BACKDOOR_EVENT_SIZE),
		.balloon_target = cpu_to_le32(READ_ONCE(target)),
	};

	memcpy(to, (const u8 *)&config + offset, len);
}

static void reset(struct fake *fake)
{
	struct host *host = host_of(fake);

	host->n_held = 0;
	host->has_stats = false;
	given = 0;
}

static const struct fake_type type = {
	.name = "lodge-test-host",
	.id = LODGE_BACKDOOR_VIRTIO_ID,
	.queues = LODGE_BACKDOOR_QUEUES,
	.period = HZ / 20,
	.get = get,
	.work = work,
	.reset = reset,
};

/* ---- life ---- */

static struct host *the_host;

static int ask_for_reset(const char *value, const struct kernel_param *param)
{
	if (!the_host)
		return -ENODEV;
	fake_want_reset(&the_host->fake);
	return 0;
}

static const struct kernel_param_ops reset_ops = { .set = ask_for_reset };
module_param_cb(reset, &reset_ops, NULL, 0200);

static int set_target(const char *value, const struct kernel_param *param)
{
	unsigned int pages;
	int err = kstrtouint(value, 0, &pages);

	if (!err && !the_host)
		target = pages;
	else if (!err)
		ask_for_pages(&the_host->fake, pages);
	return err;
}

static int get_target(char *buffer, const struct kernel_param *param)
{
	return sprintf(buffer, "%u\n", target);
}

static const struct kernel_param_ops target_ops = { .set = set_target, .get = get_target };
module_param_cb(target, &target_ops, NULL, 0644);

static int __init host_init(void)
{
	the_host = kzalloc(sizeof(*the_host), GFP_KERNEL);
	if (!the_host)
		return -ENOMEM;
	return fake_begin(&the_host->fake, &type, balloon ? BIT_ULL(LODGE_BACKDOOR_F_BALLOON) : 0);
}

static void __exit host_exit(void)
{
	fake_end(&the_host->fake);
}

module_init(host_init);
module_exit(host_exit);
MODULE_DESCRIPTION("tests of lodge_backdoor: a host that misbehaves");
MODULE_LICENSE("GPL v2");

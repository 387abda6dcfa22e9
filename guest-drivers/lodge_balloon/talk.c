// SPDX-License-Identifier: GPL-2.0-only
/*
 * One request at a time to the host, and its answer.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

static unsigned int patience = 60;
module_param(patience, uint, 0644);
MODULE_PARM_DESC(patience, "seconds after which a host that does not answer is reset (60)");

unsigned long lodge_balloon_patience(void)
{
	return clamp_t(unsigned long, READ_ONCE(patience), 1, 3600) * HZ;
}

static void answered(struct lodge_balloon_job *job, unsigned int used)
{
	struct lodge_balloon *balloon = container_of(job, struct lodge_balloon, job);

	balloon->used = used;
	complete(&balloon->answered);
}

int lodge_balloon_talk_create(struct lodge_balloon *balloon)
{
	mutex_init(&balloon->talk);
	init_completion(&balloon->answered);
	balloon->message = kzalloc(sizeof(*balloon->message), GFP_KERNEL);
	balloon->reply = kzalloc(sizeof(*balloon->reply), GFP_KERNEL);
	balloon->job.out = balloon->message;
	balloon->job.in = balloon->reply;
	balloon->job.in_size = sizeof(*balloon->reply);
	balloon->job.done = answered;
	return balloon->message && balloon->reply ? 0 : -ENOMEM;
}

void lodge_balloon_talk_destroy(struct lodge_balloon *balloon)
{
	kfree(balloon->message);
	kfree(balloon->reply);
}

void lodge_balloon_begin(struct lodge_balloon *balloon)
{
	balloon->message->head.count = 0;
}

bool lodge_balloon_add(struct lodge_balloon *balloon, phys_addr_t address, unsigned long pages)
{
	unsigned int count = le16_to_cpu(balloon->message->head.count);
	struct lodge_balloon_range *last = balloon->message->ranges + count - 1;
	u64 size = (u64)pages << PAGE_SHIFT, start, end;

	if (count) {
		start = le64_to_cpu(last->address);
		end = start + ((u64)le32_to_cpu(last->pages) << PAGE_SHIFT);
		if (address == end || address + size == start) {
			last->address = cpu_to_le64(min_t(u64, address, start));
			le32_add_cpu(&last->pages, pages);
			return true;
		}
	}
	if (count == LODGE_BALLOON_RANGES)
		return false;
	last[1].address = cpu_to_le64(address);
	last[1].pages = cpu_to_le32(pages);
	last[1].reserved = 0;
	balloon->message->head.count = cpu_to_le16(count + 1);
	return true;
}

static int wait_for_answer(struct lodge_balloon *balloon)
{
	if (!wait_for_completion_timeout(&balloon->answered, lodge_balloon_patience())) {
		pr_warn_ratelimited("lodge_balloon: the host does not answer\n");
		/* The memory of the request is the device's until then. */
		lodge_session_renew(balloon->session);
		wait_for_completion(&balloon->answered);
	}
	return balloon->used == sizeof(*balloon->reply) ? 0 : -ENODEV;
}

int lodge_balloon_ask(struct lodge_balloon *balloon, unsigned int op)
{
	unsigned int count = le16_to_cpu(balloon->message->head.count), refused;
	int err;

	if (!balloon->session)
		return -ENODEV;
	balloon->message->head.op = cpu_to_le16(op);
	balloon->job.out_size =
		sizeof(balloon->message->head) + count * sizeof(balloon->message->ranges[0]);
	reinit_completion(&balloon->answered);
	err = lodge_session_balloon(balloon->session, &balloon->job);
	if (!err)
		err = wait_for_answer(balloon);
	if (err)
		return err;
	refused = le16_to_cpu(balloon->reply->refused);
	if (refused)
		pr_warn_ratelimited("lodge_balloon: the host refuses %u of %u ranges\n", refused,
				    count);
	return 0;
}

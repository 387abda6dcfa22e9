// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel moves a single page of the balloon's, so that free memory has larger pieces: another
 * page is given to the host in its place.
 */
#include <linux/kernel.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

static int tell(struct lodge_balloon *balloon, unsigned int op, struct page *page)
{
	lodge_balloon_begin(balloon);
	(void)lodge_balloon_add(balloon, page_to_phys(page), 1);
	return lodge_balloon_ask(balloon, op);
}

int lodge_balloon_move(struct lodge_movable *movable, struct page *to, struct page *from)
{
	struct lodge_balloon *balloon = container_of(movable, struct lodge_balloon, small);
	int err;

	/* Who talks may wait for memory to be made, by whoever calls this. */
	if (!mutex_trylock(&balloon->talk))
		return -EAGAIN;
	/* In this order: the balloon has one page too many meanwhile, and not one too few that
	 * nobody could find again. Without a host nobody else has the old one. */
	err = tell(balloon, LODGE_BALLOON_INFLATE, to);
	if (!err)
		(void)tell(balloon, LODGE_BALLOON_DEFLATE, from);
	mutex_unlock(&balloon->talk);
	return err ? -EBUSY : 0;
}

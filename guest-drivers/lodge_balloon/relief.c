// SPDX-License-Identifier: GPL-2.0-only
/*
 * What this system needs back it gets without the host's word: before the OOM killer runs, and by
 * the shrinker when less than the floor is available. The shrinker looks at nothing else: a page
 * cache that fills up is no reason to give the balloon's pages to it.
 */
#include <linux/kernel.h>
#include <linux/oom.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

/* For each time that memory is out. */
#define OOM_PAGES ((32ul << 20) >> PAGE_SHIFT)

static int on_oom(struct notifier_block *block, unsigned long unused, void *opaque)
{
	struct lodge_balloon *balloon = container_of(block, struct lodge_balloon, oom);
	unsigned long *freed = opaque;

	*freed += lodge_balloon_relieve(balloon, OOM_PAGES);
	return NOTIFY_OK;
}

#ifdef LODGE_HAVE_SHRINKER_COUNT
static unsigned long count(struct shrinker *shrinker, struct shrink_control *control)
{
	struct lodge_balloon *balloon = lodge_shrinker_of(shrinker)->owner;

	return lodge_available_pages() < lodge_balloon_floor() ? lodge_balloon_pages(balloon) : 0;
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *control)
{
	struct lodge_balloon *balloon = lodge_shrinker_of(shrinker)->owner;
	unsigned long given;

	/* The host answers without this system's disks, but not in no time. */
	if (!(control->gfp_mask & __GFP_IO))
		return SHRINK_STOP;
	given = lodge_balloon_relieve(balloon, control->nr_to_scan);
	return given ? given : SHRINK_STOP;
}
#endif

int lodge_balloon_relief_begin(struct lodge_balloon *balloon)
{
	int err;

	balloon->oom.notifier_call = on_oom;
	err = register_oom_notifier(&balloon->oom);
#ifdef LODGE_HAVE_SHRINKER_COUNT
	if (err)
		return err;
	err = lodge_shrinker_begin(&balloon->shrinker, balloon, count, scan);
	if (err)
		unregister_oom_notifier(&balloon->oom);
#endif
	return err;
}

void lodge_balloon_relief_end(struct lodge_balloon *balloon)
{
	lodge_shrinker_end(&balloon->shrinker);
	unregister_oom_notifier(&balloon->oom);
}

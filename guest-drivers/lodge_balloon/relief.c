// SPDX-License-Identifier: GPL-2.0-only
/*
 * What this system needs back it gets without the host's word: before the OOM killer runs, and by
 * the shrinker when less than the floor is available. The shrinker looks at nothing else: a page
 * cache that fills up is no reason to give the balloon's pages to it.
 *
 * An image of this system for hibernation must find room in free memory, and what is in the balloon
 * would be written to disk: it is given back before.
 */
#include <linux/kernel.h>
#include <linux/oom.h>
#include <linux/suspend.h>

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

static int on_sleep(struct notifier_block *block, unsigned long event, void *unused)
{
	struct lodge_balloon *balloon = container_of(block, struct lodge_balloon, sleep);

	if (event == PM_HIBERNATION_PREPARE)
		lodge_balloon_hibernate(balloon, true);
	else if (event == PM_POST_HIBERNATION)
		lodge_balloon_hibernate(balloon, false);
	return NOTIFY_DONE;
}

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

int lodge_balloon_relief_begin(struct lodge_balloon *balloon)
{
	int err;

	balloon->oom.notifier_call = on_oom;
	balloon->sleep.notifier_call = on_sleep;
	err = register_oom_notifier(&balloon->oom);
	if (err)
		return err;
	err = register_pm_notifier(&balloon->sleep);
	if (err)
		goto end_oom;
	err = lodge_shrinker_begin(&balloon->shrinker, balloon, count, scan);
	if (err)
		goto end_sleep;
	return 0;
end_sleep:
	unregister_pm_notifier(&balloon->sleep);
end_oom:
	unregister_oom_notifier(&balloon->oom);
	return err;
}

void lodge_balloon_relief_end(struct lodge_balloon *balloon)
{
	lodge_shrinker_end(&balloon->shrinker);
	unregister_pm_notifier(&balloon->sleep);
	unregister_oom_notifier(&balloon->oom);
}

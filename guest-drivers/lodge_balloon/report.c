// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page reporting: the kernel names pieces of free memory of 2 MiB, and the host has them until
 * they are used. One driver of a system may do it; virtio_balloon may have been first.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

#ifdef LODGE_HAVE_PAGE_REPORTING
static bool reporting = true;
module_param(reporting, bool, 0444);
MODULE_PARM_DESC(reporting, "tell the host of free memory (default: yes)");

static int report(struct page_reporting_dev_info *info, struct scatterlist *sg, unsigned int nents)
{
	struct lodge_balloon *balloon = container_of(info, struct lodge_balloon, reporting.info);
	struct scatterlist *piece;
	unsigned int i;
	int err;

	mutex_lock(&balloon->talk);
	lodge_balloon_begin(balloon);
	for_each_sg(sg, piece, nents, i)(void)
		lodge_balloon_add(balloon, sg_phys(piece), piece->length >> PAGE_SHIFT);
	err = lodge_balloon_ask(balloon, LODGE_BALLOON_REPORT);
	mutex_unlock(&balloon->talk);
	return err;
}

void lodge_balloon_report_begin(struct lodge_balloon *balloon)
{
	if (!reporting || lodge_pages_are_poisoned())
		return;
	memset(&balloon->reporting.info, 0, sizeof(balloon->reporting.info));
	balloon->reporting.info.report = report;
	balloon->reporting.there = !page_reporting_register(&balloon->reporting.info);
}

void lodge_balloon_report_end(struct lodge_balloon *balloon)
{
	if (balloon->reporting.there)
		page_reporting_unregister(&balloon->reporting.info);
	balloon->reporting.there = false;
}
#else
void lodge_balloon_report_begin(struct lodge_balloon *balloon)
{
}

void lodge_balloon_report_end(struct lodge_balloon *balloon)
{
}
#endif

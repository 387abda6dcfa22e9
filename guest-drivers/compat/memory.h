/* SPDX-License-Identifier: GPL-2.0-only */
/* What kernels differ in for lodge_balloon: figures of memory, shrinkers, free page reporting. */
#ifndef LODGE_COMPAT_MEMORY_H
#define LODGE_COMPAT_MEMORY_H

#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "compat/compat.h"

#ifdef LODGE_HAVE_PAGE_REPORTING
#include <linux/page_reporting.h>
#endif

#ifdef LODGE_HAVE_NODE_PAGE_STATE
#define lodge_file_pages() global_node_page_state(NR_FILE_PAGES)
#else
#define lodge_file_pages() global_page_state(NR_FILE_PAGES)
#endif

/* Pages that programs can have without swapping. */
static inline unsigned long lodge_available_pages(void)
{
#ifdef LODGE_HAVE_MEM_AVAILABLE
	long pages = si_mem_available();

	return pages < 0 ? 0 : pages;
#else
	struct sysinfo info;

	/* As a rule half of the page cache is not needed at the moment. */
	si_meminfo(&info);
	return info.freeram + lodge_file_pages() / 2;
#endif
}

/* ---- shrinkers ---- */

#ifndef SHRINK_STOP
#define SHRINK_STOP (~0ul)
#endif

typedef unsigned long lodge_shrinker_function(struct shrinker *shrinker,
					      struct shrink_control *control);

struct lodge_shrinker {
#ifdef LODGE_HAVE_SHRINKER_ALLOC
	struct shrinker *shrinker;
#else
	struct shrinker shrinker;
#endif
	lodge_shrinker_function *count, *scan;
	void *owner;
	bool there;
};

static inline struct lodge_shrinker *lodge_shrinker_of(struct shrinker *shrinker)
{
#ifdef LODGE_HAVE_SHRINKER_ALLOC
	return shrinker->private_data;
#else
	return container_of(shrinker, struct lodge_shrinker, shrinker);
#endif
}

#ifndef LODGE_HAVE_SHRINKER_COUNT
/* Before 3.12 one function does both: it scans if it is told a number, and tells what is left, or
 * -1 where nothing more comes of it. */
static inline int lodge_shrink(struct shrinker *shrinker, struct shrink_control *control)
{
	struct lodge_shrinker *made = lodge_shrinker_of(shrinker);

	if (control->nr_to_scan && made->scan(shrinker, control) == SHRINK_STOP)
		return -1;
	return min_t(unsigned long, made->count(shrinker, control), INT_MAX);
}
#endif

static inline void lodge_shrinker_fill(struct lodge_shrinker *made, struct shrinker *shrinker)
{
#ifdef LODGE_HAVE_SHRINKER_COUNT
	shrinker->count_objects = made->count;
	shrinker->scan_objects = made->scan;
#else
	shrinker->shrink = lodge_shrink;
#endif
	shrinker->seeks = DEFAULT_SEEKS;
}

static inline int lodge_shrinker_begin(struct lodge_shrinker *made, void *owner,
				       lodge_shrinker_function *count,
				       lodge_shrinker_function *scan)
{
	int err = 0;

	made->owner = owner;
	made->count = count;
	made->scan = scan;
#ifdef LODGE_HAVE_SHRINKER_ALLOC
	made->shrinker = shrinker_alloc(0, "lodge-balloon");
	if (!made->shrinker)
		return -ENOMEM;
	made->shrinker->private_data = made;
	lodge_shrinker_fill(made, made->shrinker);
	shrinker_register(made->shrinker);
#else
	lodge_shrinker_fill(made, &made->shrinker);
#if defined(LODGE_HAVE_SHRINKER_NAME)
	err = register_shrinker(&made->shrinker, "lodge-balloon");
#elif defined(LODGE_HAVE_SHRINKER_FAILS)
	err = register_shrinker(&made->shrinker);
#else
	register_shrinker(&made->shrinker);
#endif
#endif
	made->there = !err;
	return err;
}

static inline void lodge_shrinker_end(struct lodge_shrinker *made)
{
	if (!made->there)
		return;
#ifdef LODGE_HAVE_SHRINKER_ALLOC
	shrinker_free(made->shrinker);
#else
	unregister_shrinker(&made->shrinker);
#endif
	made->there = false;
}

/* ---- free page reporting: Linux 5.7 ---- */

struct lodge_reporting {
#ifdef LODGE_HAVE_PAGE_REPORTING
	struct page_reporting_dev_info info;
#endif
	bool there;
};

/* Free pages have a pattern in them that must still be there when they are used: what comes back
 * from the host is zeroes. */
static inline bool lodge_pages_are_poisoned(void)
{
#ifdef LODGE_HAVE_PAGE_POISONING_STATIC
	return page_poisoning_enabled_static();
#elif defined(LODGE_HAVE_PAGE_POISONING)
	return page_poisoning_enabled();
#else
	return false;
#endif
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * The balloon: what the guest and the host say on the backdoor's third queue.
 * protocol/spec/balloon.md has the meaning of each.
 *
 * A chain is a request (device-readable) and room for a reply (device-writable). A request is its
 * header and @count elements behind it: ranges, or statistics.
 */
#ifndef LODGE_BALLOON_H
#define LODGE_BALLOON_H

#include <linux/types.h>

#define LODGE_BALLOON_PAGE_SHIFT 12 /* all counts of pages are of 4 KiB */
#define LODGE_BALLOON_BLOCK	 (1u << 21) /* bytes that are given at once where they can be */

/* Elements of a request: 1 GiB of blocks that lie apart, in 8 KiB. */
#define LODGE_BALLOON_ELEMENTS_MAX 512u

#define LODGE_BALLOON_INFLATE 1 /* ranges: the host may have them */
#define LODGE_BALLOON_DEFLATE 2 /* ranges: the guest uses them again */
#define LODGE_BALLOON_REPORT  3 /* ranges: free, and still the guest's */
#define LODGE_BALLOON_STATS   4 /* statistics; the reply asks for the next ones */

struct lodge_balloon_request {
	__le16 op;
	__le16 count;
	__le32 reserved; /* 0 */
};
_Static_assert(sizeof(struct lodge_balloon_request) == 8, "lodge_balloon_request");

struct lodge_balloon_range {
	__le64 address; /* guest-physical, of a 4 KiB page */
	__le32 pages; /* not 0 */
	__le32 reserved; /* 0 */
};
_Static_assert(sizeof(struct lodge_balloon_range) == 16, "lodge_balloon_range");

struct lodge_balloon_reply {
	__le16 refused; /* ranges of the request that were not taken */
	__le16 reserved; /* 0 */
	__le32 target; /* pages that the guest shall give, as in configuration space */
};
_Static_assert(sizeof(struct lodge_balloon_reply) == 8, "lodge_balloon_reply");

/* Places of 64-bit values in STATS, of which a guest sends as many as it knows. All ones: not
 * known. Memory in bytes, events since the guest has booted. */
#define LODGE_BALLOON_STAT_TOTAL     0
#define LODGE_BALLOON_STAT_FREE	     1
#define LODGE_BALLOON_STAT_AVAILABLE 2
#define LODGE_BALLOON_STAT_CACHED    3
#define LODGE_BALLOON_STAT_SWAP_IN   4
#define LODGE_BALLOON_STAT_SWAP_OUT  5
#define LODGE_BALLOON_STAT_MAJOR     6 /* faults that waited for a disk */
#define LODGE_BALLOON_STAT_MINOR     7
#define LODGE_BALLOON_STAT_OOM_KILLS 8
#define LODGE_BALLOON_STAT_SMALL     9 /* in the balloon, of it in pages that lie apart */
#define LODGE_BALLOON_STAT_RETURNED  10 /* taken back without the host's word: it was needed */
#define LODGE_BALLOON_STATS_MAX	     11

#endif

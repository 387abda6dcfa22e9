/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the monitors of one user tell each other of their guests' memory.
 *
 * There is no daemon between VMs, and a monitor in its sandbox opens no socket. So they share a
 * small file beside their run-time folders, opened before the sandbox: each has a row of its own,
 * held by a lock that ends with the process, writes that, and reads all. A row that was not written
 * for a while counts as nobody's. A monitor that lies there can make the user's other VMs give
 * memory that they can spare, or keep it; nothing worse, since each decides for itself.
 *
 * One thread at a time.
 */
#ifndef LODGE_VMM_MEMORY_TABLE_H
#define LODGE_VMM_MEMORY_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "host-vmm/memory-policy/policy.h"

#define MEMORY_TABLE_ROWS      64u
#define MEMORY_TABLE_FRESH_MS  15000u
#define MEMORY_TABLE_VALUE_MAX (1ull << 46) /* bytes; what is more is a lie */

struct memory_table;

/*
 * Opens (or makes) the file and takes a row of it. -EPERM: it is not this user's alone; -ENOSPC:
 * all rows are taken; or the errno of opening and locking.
 */
int memory_table_open(const char *path, struct memory_table **ret_table);
/* Gives the row back. NULL is fine. */
void memory_table_close(struct memory_table *table);
/* @now_ms: CLOCK_MONOTONIC, which all processes of a host share. Negative errno of writing. */
int memory_table_tell(struct memory_table *table, const struct memory_share *share,
		      uint64_t now_ms);
/* The sums of what the others have told lately. Zeroes where the file cannot be read. */
void memory_table_read(const struct memory_table *table, uint64_t now_ms,
		       struct memory_share *ret_others);

#endif

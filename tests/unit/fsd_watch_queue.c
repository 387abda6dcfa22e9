// SPDX-License-Identifier: GPL-2.0-or-later
/* Events that wait to be told: what is joined, what keeps its order, and what a full queue gives
 * up. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <lodge/fs_notify.h>

#include "shared-fs/server/watch_queue.h"
#include "tests/unit/unit.h"

START_TEST(a_full_queue_gives_up_one_folder)
{
	struct watch_queue *queue = calloc(1, sizeof(*queue));
	char name[32];

	watch_queue_add(queue, 7, "kept", LODGE_FS_CREATED, 0);
	for (int i = 0; i < WATCH_QUEUE_MAX; i++) {
		sprintf(name, "%d", i);
		watch_queue_add(queue, 8, name, LODGE_FS_CREATED, 0);
	}
	ck_assert_uint_eq(queue->n, 2);
	ck_assert_str_eq(queue->events[0].name, "kept");
	ck_assert_uint_eq(queue->events[1].kinds, LODGE_FS_LOST);
	ck_assert_uint_eq(queue->events[1].folder, 8);
	watch_queue_add(queue, 8, "more", LODGE_FS_DELETED, 0);
	ck_assert_uint_eq(queue->n, 2);
	/* Many folders: all is lost at once. */
	for (uint32_t i = 0; i < WATCH_QUEUE_MAX; i++)
		watch_queue_add(queue, 100 + i, "x", LODGE_FS_CREATED, 0);
	ck_assert_uint_eq(queue->n, 1);
	ck_assert_uint_eq(queue->events[0].folder, 0);
	watch_queue_remove(queue, 1);
	watch_queue_add(queue, 8, "again", LODGE_FS_CREATED, 0);
	ck_assert_uint_eq(queue->n, 1);
	free(queue);
}
END_TEST

START_TEST(names_keep_their_order)
{
	struct watch_queue *queue = calloc(1, sizeof(*queue));

	watch_queue_add(queue, 7, "a", LODGE_FS_CREATED, 0);
	watch_queue_add(queue, 7, "a", LODGE_FS_MODIFIED, 0);
	watch_queue_add(queue, 7, "a", LODGE_FS_CLOSED, 0);
	watch_queue_add(queue, 7, "a", LODGE_FS_DELETED, 0);
	watch_queue_add(queue, 7, "a", LODGE_FS_CREATED, 0);
	watch_queue_add(queue, 7, "a", LODGE_FS_MODIFIED, 0);
	ck_assert_uint_eq(queue->n, 3);
	ck_assert_uint_eq(queue->events[0].kinds,
			  LODGE_FS_CREATED | LODGE_FS_MODIFIED | LODGE_FS_CLOSED);
	ck_assert_uint_eq(queue->events[1].kinds, LODGE_FS_DELETED);
	ck_assert_uint_eq(queue->events[2].kinds, LODGE_FS_CREATED | LODGE_FS_MODIFIED);
	free(queue);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_watch_queue");
	TCase *tcase = tcase_create("queue");

	tcase_add_test(tcase, a_full_queue_gives_up_one_folder);
	tcase_add_test(tcase, names_keep_their_order);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

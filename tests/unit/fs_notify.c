// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes of shares between a lodge-fsd that the test plays and the guest's tools. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/virtio/fs_notify.h"
#include "protocol/lib/fs_change.h"
#include "tests/unit/backdoor_rig.h"
#include "tests/unit/unit.h"

static struct fs_notify *notify;
static int fsd; /* lodge-fsd's end */

static void connect_fsd(void)
{
	int pair[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	fsd = pair[0];
	fs_notify_connect(notify, pair[1]);
}

static void setup(void)
{
	backdoor_setup();
	ck_assert_int_eq(fs_notify_create(backdoor, rig.machine.loop, &notify), 0);
	connect_fsd();
}

static void teardown(void)
{
	fs_notify_destroy(notify);
	close(fsd);
	backdoor_teardown();
}

/* What lodge-fsd was told last; -1: nothing. */
static int told(void)
{
	uint8_t word;
	int last = -1;

	settle();
	while (recv(fsd, &word, 1, 0) == 1)
		last = word;
	return last;
}

static size_t make(const char *name, void *to, size_t room)
{
	const struct fs_change change = { .kinds = LODGE_FS_CREATED,
					  .folder = 1,
					  .folder_ino = 1,
					  .name = name,
					  .name_len = strlen(name) };

	return fs_change_put(&change, to, room);
}

static void tell(const char *name)
{
	char batch[512];
	size_t len = make(name, batch, sizeof(batch));

	ck_assert_int_eq(send(fsd, batch, len, 0), (ssize_t)len);
	settle();
}

/* The newest command carries this name, or LOST (NULL). */
static void expect_told(const char *name)
{
	const struct sent *last;
	struct fs_change change;
	size_t at = 0, word = strlen(LODGE_FS_NOTIFY_WORD " ");

	settle();
	ck_assert_uint_gt(n_sent, 0);
	last = &sent[n_sent - 1];
	ck_assert_mem_eq(last->payload, LODGE_FS_NOTIFY_WORD " ", word);
	ck_assert_int_eq(
		fs_change_next(last->payload + word, last->frame.size - word, &at, &change), 1);
	if (!name) {
		ck_assert_uint_eq(change.kinds, LODGE_FS_LOST);
	} else {
		ck_assert_uint_eq(change.name_len, strlen(name));
		ck_assert_mem_eq(change.name, name, change.name_len);
	}
}

static void result(struct rpc_session *session, const char *text)
{
	rpc_session_result(session, sent[n_sent - 1].frame.tag, text, strlen(text));
	settle();
}

START_TEST(tools_that_come_are_told)
{
	struct rpc_session *session;

	ck_assert_int_eq(told(), LODGE_FS_NOTIFY_OFF);
	session = start_tools();
	ck_assert_int_eq(told(), LODGE_FS_NOTIFY_ON);
	expect_told(NULL);
	result(session, "OK ");
	tell("one");
	expect_told("one");
	rpc_session_close(session);
	ck_assert_int_eq(told(), LODGE_FS_NOTIFY_OFF);
}
END_TEST

START_TEST(one_batch_at_a_time)
{
	struct rpc_session *session = start_tools();
	size_t before;

	settle();
	result(session, "OK ");
	before = n_sent;
	tell("one");
	tell("two");
	tell("three");
	ck_assert_uint_eq(n_sent, before + 1);
	expect_told("one");
	result(session, "OK ");
	expect_told("two");
	result(session, "OK ");
	expect_told("three");
	result(session, "OK ");
	ck_assert_uint_eq(n_sent, before + 3);
	rpc_session_close(session);
}
END_TEST

START_TEST(a_guest_that_does_not_answer_stops_lodge_fsd)
{
	struct rpc_session *session = start_tools();
	char batch[512];
	size_t len = make("more", batch, sizeof(batch));
	size_t before;
	int sends = 0;

	settle();
	before = n_sent;
	while (send(fsd, batch, len, 0) > 0)
		sends++;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_lt(sends, 10000);
	settle();
	ck_assert_uint_eq(n_sent, before);
	rpc_session_close(session);
}
END_TEST

START_TEST(nonsense_becomes_lost)
{
	struct rpc_session *session = start_tools();
	char batch[512];
	size_t len = make("good", batch, sizeof(batch));

	settle();
	result(session, "OK ");
	batch[0] ^= 8;
	ck_assert_int_eq(send(fsd, batch, len, 0), (ssize_t)len);
	expect_told(NULL);
	result(session, "OK ");
	tell("good");
	expect_told("good");
	rpc_session_close(session);
}
END_TEST

START_TEST(tools_without_the_word_are_left_alone)
{
	struct rpc_session *session = start_tools();
	size_t before;

	settle();
	result(session, "ERROR Unknown Command");
	ck_assert_int_eq(told(), LODGE_FS_NOTIFY_OFF);
	before = n_sent;
	tell("one");
	ck_assert_uint_eq(n_sent, before);
	rpc_session_close(session);
	session = greet(RPC_DOOR_VIRTIO, RPC_ROOT, HELLO("toolbox"));
	start_up(session, NULL);
	ck_assert_int_eq(told(), LODGE_FS_NOTIFY_ON);
	rpc_session_close(session);
}
END_TEST

START_TEST(another_lodge_fsd_goes_on)
{
	struct rpc_session *session = start_tools();

	settle();
	/* The LOST of the beginning has no answer when it ends. */
	close(fsd);
	settle();
	connect_fsd();
	ck_assert_int_eq(told(), LODGE_FS_NOTIFY_ON);
	result(session, "OK ");
	expect_told(NULL);
	result(session, "OK ");
	tell("one");
	expect_told("one");
	rpc_session_close(session);
}
END_TEST

START_TEST(records_are_checked)
{
	uint64_t room[64] = { 0 };
	char *batch = (char *)room;
	struct lodge_fs_change *head = (void *)room;
	size_t len = make("name", batch, sizeof(room));
	struct lodge_fs_change good = *head;

	ck_assert_int_eq(fs_change_check(batch, len), 0);
	ck_assert_int_eq(fs_change_check(batch, len - 8), -EBADMSG);
	ck_assert_int_eq(fs_change_check(batch, 0), -EBADMSG);
#define BAD(change)                                                      \
	do {                                                             \
		*head = good;                                            \
		change;                                                  \
		ck_assert_int_eq(fs_change_check(batch, len), -EBADMSG); \
	} while (0)
	BAD(head->size = 0);
	BAD(head->size += 8);
	BAD(head->kinds = 0);
	BAD(head->kinds |= 0x8000);
	BAD(head->kinds |= LODGE_FS_DELETED);
	BAD(head->kinds = LODGE_FS_MOVED_TO);
	BAD(head->cookie = 1);
	BAD(head->kinds = LODGE_FS_SELF | LODGE_FS_ATTRIB);
	BAD(head->kinds = LODGE_FS_LOST);
	BAD(head->name_len = 0);
	BAD(head->name_len = 65535);
	BAD(head->path_len = 65535);
	BAD(head->folder = 0);
	*head = good;
	batch[LODGE_FS_CHANGE_SIZE] = '/';
	ck_assert_int_eq(fs_change_check(batch, len), -EBADMSG);
	batch[LODGE_FS_CHANGE_SIZE] = 'n';
	batch[len - 1] = 1;
	ck_assert_int_eq(fs_change_check(batch, len), -EBADMSG);
	len = make("..", batch, sizeof(room));
	ck_assert_int_eq(fs_change_check(batch, len), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fs_notify");
	TCase *tcase = tcase_create("notify");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, tools_that_come_are_told);
	tcase_add_test(tcase, one_batch_at_a_time);
	tcase_add_test(tcase, a_guest_that_does_not_answer_stops_lodge_fsd);
	tcase_add_test(tcase, nonsense_becomes_lost);
	tcase_add_test(tcase, tools_without_the_word_are_left_alone);
	tcase_add_test(tcase, another_lodge_fsd_goes_on);
	tcase_add_test(tcase, records_are_checked);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// The balloon's queue of the backdoor: what is given back, what must not be (T42), statistics.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <lodge/backdoor.h>
#include <lodge/balloon.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/memory-policy/steward.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/backdoor_balloon.h"
#include "host-vmm/virtio/balloon.h"
#include "host-vmm/virtio/balloon_pages.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_rig.h"

#define RING(i)	 (0x100000ull + 0x10000ull * (i))
#define OUT	 0x200000ull
#define IN	 0x210000ull
#define PAGES	 0x1000000ull /* where pages are given from */
#define WINDOW	 0x6000000000ull /* files mapped into the guest: no RAM */
#define PAGE	 4096ull
#define SIZE	 16
#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << LODGE_BACKDOOR_F_BALLOON)

static struct rig rig;
static struct device *service, *device;
static struct rig_driver driver;
static struct rig_ring ring;

static void bring_up(void)
{
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&ring, &driver, LODGE_BACKDOOR_QUEUE_BALLOON, RING(2), SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}

static void setup(void)
{
	rig = (struct rig){ .config.backdoor_device = true, .config.balloon = true };
	rig_create(&rig);
	service = rig_add_device(&rig, &backdoor_type, 0);
	device = rig_add_device(&rig, &virtio_backdoor_type, 0);
	ck_assert(service && device);
	rig.machine.devices = &device;
	rig.machine.n_devices = 1;
	rig_probe(&rig, 1, &driver);
	bring_up();
}

static void teardown(void)
{
	rig_remove_device(device);
	rig_remove_device(service);
	rig_destroy(&rig);
}

static struct balloon_info info(void)
{
	struct balloon_info now;

	ck_assert_int_eq(backdoor_balloon_get(&rig.machine, &now), 0);
	return now;
}

static void send(unsigned int op, unsigned int count, const void *elements, size_t len)
{
	struct lodge_balloon_request request = { htole16((uint16_t)op), htole16((uint16_t)count),
						 0 };

	ck_assert_int_eq(memory_write(rig.machine.memory, OUT, &request, sizeof(request)), 0);
	if (len > 0)
		ck_assert_int_eq(
			memory_write(rig.machine.memory, OUT + sizeof(request), elements, len), 0);
	rig_add(&ring,
		(struct rig_buffer[]){ { OUT, (uint32_t)(sizeof(request) + len), false },
				       { IN, sizeof(struct lodge_balloon_reply), true } },
		2);
	rig_kick(&ring);
}

/* Sends ranges: how many were refused. */
static unsigned int say(unsigned int op, const struct lodge_balloon_range *ranges,
			unsigned int count)
{
	struct lodge_balloon_reply reply;
	uint32_t len;

	send(op, count, ranges, count * sizeof(*ranges));
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, sizeof(reply));
	ck_assert_int_eq(memory_read(rig.machine.memory, IN, &reply, sizeof(reply)), 0);
	ck_assert_uint_eq(reply.reserved, 0);
	return le16toh(reply.refused);
}

static unsigned int say_one(unsigned int op, uint64_t gpa, uint32_t pages)
{
	return say(op, &(struct lodge_balloon_range){ htole64(gpa), htole32(pages), 0 }, 1);
}

START_TEST(gives_and_takes)
{
	const struct lodge_balloon_range ranges[] = {
		{ htole64(PAGES + 2 * PAGE), htole32(3), 0 },
		{ htole64(PAGES + 9 * PAGE), htole32(1), 0 },
		{ htole64(0x2000000), htole32(512), 0 },
	};

	rig_fill(&rig, PAGES, 16 * PAGE, 0x77);
	ck_assert_uint_eq(say(LODGE_BALLOON_INFLATE, ranges, 3), 0);
	ck_assert(rig_is_all(&rig, PAGES, 2 * PAGE, 0x77));
	ck_assert(rig_is_all(&rig, PAGES + 2 * PAGE, 3 * PAGE, 0));
	ck_assert(rig_is_all(&rig, PAGES + 5 * PAGE, 4 * PAGE, 0x77));
	ck_assert(rig_is_all(&rig, PAGES + 9 * PAGE, PAGE, 0));
	ck_assert(rig_is_all(&rig, PAGES + 10 * PAGE, 6 * PAGE, 0x77));
	ck_assert_uint_eq(info().actual, 516 * PAGE);
	/* A part of a range may come back. */
	ck_assert_uint_eq(say_one(LODGE_BALLOON_DEFLATE, PAGES + 3 * PAGE, 1), 0);
	ck_assert_uint_eq(info().actual, 515 * PAGE);
	rig_fill(&rig, PAGES + 3 * PAGE, PAGE, 0x78);
	ck_assert(rig_is_all(&rig, PAGES + 3 * PAGE, PAGE, 0x78));
	/* What is reported stays the guest's. */
	rig_fill(&rig, PAGES + 12 * PAGE, PAGE, 0x79);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_REPORT, PAGES + 12 * PAGE, 2), 0);
	ck_assert(rig_is_all(&rig, PAGES + 12 * PAGE, 2 * PAGE, 0));
	ck_assert_uint_eq(info().actual, 515 * PAGE);
	ck_assert_uint_eq(info().reported, 2 * PAGE);
	/* A reset is the end of all of it. */
	bring_up();
	ck_assert_uint_eq(info().actual, 0);
	ck_assert_uint_eq(say(LODGE_BALLOON_INFLATE, ranges, 3), 0);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, 0, 1), 0);
}
END_TEST

START_TEST(t42_bad_ranges)
{
	static const struct {
		uint64_t gpa;
		uint32_t pages, reserved;
	} bad[] = {
		{ RIG_MEMORY, 1, 0 }, /* behind RAM */
		{ RIG_MEMORY - PAGE, 2, 0 },
		{ 0, UINT32_MAX, 0 }, /* more than there is */
		{ PAGES, 0, 0 }, /* none */
		{ PAGES + 1, 1, 0 }, /* within a page */
		{ PAGES, 1, 1 }, /* a field that must be 0 */
		{ UINT64_MAX - PAGE + 1, 1, 0 }, /* wraps */
		{ UINT64_MAX - PAGE + 1, 2, 0 },
		{ 0xc0000000, 512, 0 }, /* the hole, where video memory is */
		{ 0xfec00000, 1, 0 }, /* the IOAPIC */
		{ WINDOW, 512, 0 }, /* files */
	};
	static const unsigned int ops[] = { LODGE_BALLOON_INFLATE, LODGE_BALLOON_DEFLATE,
					    LODGE_BALLOON_REPORT };

	memory_set_window(rig.machine.memory, 0, WINDOW, 2 << 20);
	rig_fill(&rig, PAGES, 4 * PAGE, 0x55);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct lodge_balloon_range range = { htole64(bad[i].gpa),
							   htole32(bad[i].pages),
							   htole32(bad[i].reserved) };

		for (size_t op = 0; op < 3; op++)
			ck_assert_uint_eq(say(ops[op], &range, 1), 1);
	}
	ck_assert(rig_is_all(&rig, PAGES, 4 * PAGE, 0x55));
	/* Twice, overlapping, and what was never given. */
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES + PAGE, 2), 0);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES + PAGE, 2), 1);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES, 2), 1);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_REPORT, PAGES + 2 * PAGE, 2), 1);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_DEFLATE, PAGES + 2 * PAGE, 2), 1);
	ck_assert(rig_is_all(&rig, PAGES, PAGE, 0x55));
	ck_assert(rig_is_all(&rig, PAGES + 3 * PAGE, PAGE, 0x55));
	ck_assert_uint_eq(info().actual, 2 * PAGE);
	/* Its own ring: the guest's loss. The device goes on after a reset. */
	send(LODGE_BALLOON_INFLATE, 1,
	     &(struct lodge_balloon_range){ htole64(RING(2)), htole32(16), 0 },
	     sizeof(struct lodge_balloon_range));
	rig_settle(rig.machine.loop);
	bring_up();
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES, 4), 0);
}
END_TEST

/* Sends what is no request: it is given back with nothing in it. */
static void drops(unsigned int op, unsigned int count, size_t len)
{
	static const struct lodge_balloon_range range;
	uint32_t used;

	send(op, count, &range, len);
	ck_assert(rig_take(&ring, NULL, &used));
	ck_assert_uint_eq(used, 0);
}

START_TEST(malformed_requests)
{
	uint32_t len;

	/* Operations that there are not, counts that are not what follows. */
	drops(0, 0, 0);
	drops(5, 1, 16);
	drops(0xffff, 0, 0);
	drops(LODGE_BALLOON_INFLATE, 2, 16);
	drops(LODGE_BALLOON_INFLATE, 0, 16);
	drops(LODGE_BALLOON_INFLATE, 0xffff, 16);
	drops(LODGE_BALLOON_INFLATE, 1, 15);
	drops(LODGE_BALLOON_STATS, 3, 16);
	/* No room for the reply, no header, nothing at all. */
	rig_add(&ring, (struct rig_buffer[]){ { OUT, 24, false } }, 1);
	rig_add(&ring, (struct rig_buffer[]){ { OUT, 24, false }, { IN, 7, true } }, 2);
	rig_add(&ring, (struct rig_buffer[]){ { OUT, 7, false }, { IN, 8, true } }, 2);
	rig_add(&ring, (struct rig_buffer[]){ { IN, 8, true } }, 1);
	rig_kick(&ring);
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert(rig_take(&ring, NULL, &len));
		ck_assert_uint_eq(len, 0);
	}
	/* No ranges are none. */
	ck_assert_uint_eq(say(LODGE_BALLOON_INFLATE, NULL, 0), 0);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

START_TEST(many_at_once)
{
	struct lodge_balloon_range ranges[LODGE_BALLOON_ELEMENTS_MAX];

	for (unsigned int i = 0; i < LODGE_BALLOON_ELEMENTS_MAX; i++)
		ranges[i] = (struct lodge_balloon_range){ htole64(PAGES + 2 * i * PAGE), htole32(1),
							  0 };
	ck_assert_uint_eq(say(LODGE_BALLOON_INFLATE, ranges, LODGE_BALLOON_ELEMENTS_MAX), 0);
	ck_assert_uint_eq(info().actual, LODGE_BALLOON_ELEMENTS_MAX * PAGE);
	ck_assert_uint_eq(say(LODGE_BALLOON_INFLATE, ranges, LODGE_BALLOON_ELEMENTS_MAX),
			  LODGE_BALLOON_ELEMENTS_MAX);
	ck_assert_uint_eq(say(LODGE_BALLOON_DEFLATE, ranges, LODGE_BALLOON_ELEMENTS_MAX), 0);
	ck_assert_uint_eq(info().actual, 0);
	/* More than is done in one turn. */
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, 0x400000, (RIG_MEMORY - 0x400000) / PAGE),
			  0);
	ck_assert_uint_eq(info().actual, RIG_MEMORY - 0x400000);
}
END_TEST

static void is_empty(void)
{
	ck_assert_uint_eq(info().actual, 0);
	ck_assert(!info().driver);
	ck_assert_uint_eq(info().target, 16ull << 20);
}

/* Another kernel by kexec, and a reset of the machine, under a full balloon. */
START_TEST(reset_when_full)
{
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, 16ull << 20), 0);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES, 4096), 0);
	ck_assert_uint_eq(info().actual, 16ull << 20);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	is_empty();
	bring_up();
	/* They are its own again: nothing to take back, and all to give. */
	ck_assert_uint_eq(say_one(LODGE_BALLOON_DEFLATE, PAGES, 1), 1);
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES, 4096), 0);
	ck_assert_uint_eq(info().actual, 16ull << 20);
	virtio_model_reset(device);
	is_empty();
}
END_TEST

/* All of memory, as often as a request can name it, and not at all. */
START_TEST(large_requests)
{
	struct lodge_balloon_range ranges[LODGE_BALLOON_ELEMENTS_MAX];
	uint64_t before = info().reported;

	for (unsigned int i = 0; i < LODGE_BALLOON_ELEMENTS_MAX; i++)
		ranges[i] = (struct lodge_balloon_range){ htole64(0x400000),
							  htole32((RIG_MEMORY - 0x400000) / PAGE),
							  0 };
	ck_assert_uint_eq(say(LODGE_BALLOON_REPORT, ranges, LODGE_BALLOON_ELEMENTS_MAX), 0);
	ck_assert_uint_eq(info().reported - before,
			  LODGE_BALLOON_ELEMENTS_MAX * (RIG_MEMORY - 0x400000ull));
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, RIG_MEMORY - PAGE, 1), 0);
	ck_assert_uint_eq(say(LODGE_BALLOON_INFLATE, ranges, LODGE_BALLOON_ELEMENTS_MAX),
			  LODGE_BALLOON_ELEMENTS_MAX);
	ck_assert_uint_eq(info().actual, PAGE);
	for (unsigned int i = 0; i < LODGE_BALLOON_ELEMENTS_MAX; i++)
		ranges[i].pages = htole32(UINT32_MAX);
	ck_assert_uint_eq(say(LODGE_BALLOON_REPORT, ranges, LODGE_BALLOON_ELEMENTS_MAX),
			  LODGE_BALLOON_ELEMENTS_MAX);
}
END_TEST

START_TEST(target)
{
	struct balloon_info now;

	(void)rig_raised(&driver, 0);
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, (16ull << 20) + 5), 0);
	ck_assert(rig_raised(&driver, 0));
	ck_assert_uint_eq(
		rig_config(&driver, offsetof(struct lodge_backdoor_config, balloon_target), 4),
		4096);
	/* The same again is no news. */
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, 16ull << 20), 0);
	ck_assert(!rig_raised(&driver, 0));
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, RIG_MEMORY), -ERANGE);
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, UINT64_MAX), -ERANGE);
	ck_assert_uint_eq(info().target, 16ull << 20);
	rig.config.balloon = false;
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, 0), -ENODEV);
	ck_assert_int_eq(backdoor_balloon_get(&rig.machine, &now), -ENODEV);
}
END_TEST

static void send_stats(unsigned int count, uint64_t available)
{
	uint64_t values[LODGE_BALLOON_STATS_MAX + 4];

	for (unsigned int i = 0; i < LODGE_BALLOON_STATS_MAX + 4; i++)
		values[i] = htole64(1000 + i);
	values[LODGE_BALLOON_STAT_AVAILABLE] = htole64(available);
	send(LODGE_BALLOON_STATS, count, values, count * sizeof(values[0]));
}

START_TEST(statistics)
{
	ck_assert(!info().driver);
	rig_settle(rig.machine.loop);
	send_stats(LODGE_BALLOON_STATS_MAX, 12345);
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(rig_used(&ring), 0); /* held until somebody asks */
	ck_assert(info().driver);
	ck_assert_uint_eq(info().stats[VIRTIO_BALLOON_S_AVAIL], 12345);
	ck_assert_uint_eq(info().stats[VIRTIO_BALLOON_S_MEMTOT], 1000);
	ck_assert_uint_eq(info().told, 1);
	ck_assert(rig_take(&ring, NULL, NULL));
	/* A newer guest knows more, an older one less. */
	rig_settle(rig.machine.loop);
	send_stats(LODGE_BALLOON_STATS_MAX + 4, 7);
	rig_settle(rig.machine.loop);
	send_stats(3, 8);
	ck_assert(rig_take(&ring, NULL, NULL));
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(info().stats[VIRTIO_BALLOON_S_AVAIL], 8);
	ck_assert_uint_eq(info().stats[VIRTIO_BALLOON_S_MAJFLT], UINT64_MAX);
	ck_assert(rig_take(&ring, NULL, NULL));
	/* None: the module goes, and has everything back. */
	rig_settle(rig.machine.loop);
	send_stats(LODGE_BALLOON_STATS_MAX, 9);
	rig_settle(rig.machine.loop);
	send_stats(0, 0);
	ck_assert(rig_take(&ring, NULL, NULL));
	ck_assert(rig_take(&ring, NULL, NULL));
	ck_assert(!info().driver);
}
END_TEST

static struct memory_status act(struct memory_steward *steward, struct memory_change change)
{
	struct memory_status status;

	ck_assert_int_eq(memory_steward_change(steward, &change), 0);
	memory_steward_get(steward, &status);
	return status;
}

/* Nothing is known of a guest that tells no more, and nothing new asked of it. */
START_TEST(a_guest_that_does_not_answer)
{
	struct memory_steward *steward;
	struct memory_status status;

	rig.config.memory_mode = VM_MEMORY_AUTO;
	rig.config.memory = RIG_MEMORY;
	ck_assert_int_eq(memory_steward_create(&rig.machine, NULL, &steward), 0);
	rig_settle(rig.machine.loop);
	send_stats(LODGE_BALLOON_STATS_MAX, 32ull << 20);
	rig_settle(rig.machine.loop);
	status = act(steward, (struct memory_change){ 0 });
	ck_assert(status.guest.there && status.driver == MEMORY_DRIVER_LODGE);
	ck_assert_uint_eq(status.guest.available, 32ull << 20);
	for (unsigned int i = 0; i < 3; i++)
		status = act(steward, (struct memory_change){ 0 });
	ck_assert(!status.guest.there);
	/* What the user says is asked for, and not waited for. */
	(void)rig_raised(&driver, 0);
	status = act(steward, (struct memory_change){ VM_MEMORY_MANUAL, 48ull << 20, 0, 0 });
	ck_assert_uint_eq(status.target, 16ull << 20);
	ck_assert_uint_eq(status.given, 0);
	ck_assert(rig_raised(&driver, 0));
	(void)act(steward, (struct memory_change){ 0 });
	ck_assert(!rig_raised(&driver, 0));
	/* It comes back. */
	ck_assert(rig_take(&ring, NULL, NULL));
	send_stats(LODGE_BALLOON_STATS_MAX, 40ull << 20);
	rig_settle(rig.machine.loop);
	status = act(steward, (struct memory_change){ 0 });
	ck_assert(status.guest.there);
	memory_steward_destroy(steward);
}
END_TEST

START_TEST(saved)
{
	struct state state = { 0 };

	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES, 100), 0);
	ck_assert_int_eq(backdoor_balloon_set(&rig.machine, 1 << 20), 0);
	ck_assert_int_eq(virtio_model_save(device, &state), 0);
	state_finish(&state);
	state = (struct state){ 0 };
	/* What is in goes on being in. */
	ck_assert_uint_eq(say_one(LODGE_BALLOON_INFLATE, PAGES, 1), 1);
	ck_assert_uint_eq(info().actual, 100 * PAGE);
}
END_TEST

/* Loads what @writer has into @pages. */
static int load(struct balloon_pages *pages, struct state *writer)
{
	struct state reader = { 0 };
	int ret;

	state_read_from(&reader, writer->bytes, writer->len);
	ret = balloon_pages_load(pages, &reader);
	state_finish(writer);
	*writer = (struct state){ 0 };
	return ret;
}

START_TEST(pages_saved)
{
	const uint64_t n_words = RIG_MEMORY / PAGE / 64 + 1;
	struct balloon_pages *pages, *others;
	struct state state = { 0 };

	ck_assert_int_eq(balloon_pages_create(rig.machine.memory, &pages), 0);
	ck_assert_int_eq(balloon_pages_create(rig.machine.memory, &others), 0);
	ck_assert_int_eq(balloon_pages_put(pages, PAGES, 65 * PAGE), 0);
	ck_assert_int_eq(balloon_pages_save(pages, &state), 0);
	ck_assert_int_eq(load(others, &state), 0);
	ck_assert_uint_eq(balloon_pages_bytes(others), 65 * PAGE);
	ck_assert_int_eq(balloon_pages_put(others, PAGES + 64 * PAGE, PAGE), -EEXIST);
	ck_assert_int_eq(balloon_pages_put(others, PAGES + 65 * PAGE, PAGE), 0);
	/* Of another machine. */
	state_put_u64(&state, 5);
	ck_assert_int_eq(load(others, &state), -EBADMSG);
	/* Pages that there are not, and fewer than there should be. */
	state_put_u64(&state, n_words);
	for (uint64_t i = 0; i < n_words; i++)
		state_put_u64(&state, UINT64_MAX);
	ck_assert_int_eq(load(others, &state), -EBADMSG);
	ck_assert_uint_eq(balloon_pages_bytes(others), 0);
	state_put_u64(&state, n_words);
	ck_assert_int_eq(load(others, &state), -EBADMSG);
	balloon_pages_destroy(pages);
	balloon_pages_destroy(others);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_balloon");
	TCase *queue = tcase_create("queue");

	tcase_set_timeout(queue, 60);
	tcase_add_checked_fixture(queue, setup, teardown);
	tcase_add_test(queue, gives_and_takes);
	tcase_add_test(queue, t42_bad_ranges);
	tcase_add_test(queue, malformed_requests);
	tcase_add_test(queue, many_at_once);
	tcase_add_test(queue, reset_when_full);
	tcase_add_test(queue, large_requests);
	tcase_add_test(queue, target);
	tcase_add_test(queue, statistics);
	tcase_add_test(queue, a_guest_that_does_not_answer);
	tcase_add_test(queue, saved);
	tcase_add_test(queue, pages_saved);
	suite_add_tcase(suite, queue);
	return unit_run(suite);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-input: what the devices say they are, events into a driver's buffers, slow and bad
// drivers.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <linux/input.h>
#include <linux/virtio_config.h>
#include <linux/virtio_input.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/input/input.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/input_queue.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_rig.h"

#define RING(i) (0x100000ull + 0x10000ull * (i))
#define EVENTS	0x200000ull
#define SIZE	64u
#define EVENT	sizeof(struct virtio_input_event)

static struct rig rig;
static struct device *devices[2]; /* keyboard and tablet */
static struct rig_driver drivers[2];
static struct rig_ring events[2], status[2];
static struct input_giver *giver;

static void bring_up(int at)
{
	ck_assert(rig_negotiate(&drivers[at], 1ull << VIRTIO_F_VERSION_1));
	rig_queue(&events[at], &drivers[at], 0, RING(2 * at), SIZE);
	rig_queue(&status[at], &drivers[at], 1, RING(2 * at + 1), SIZE);
	rig_driver_ok(&drivers[at]);
	ck_assert_uint_eq(rig_status(&drivers[at]), 0xf);
}

static void setup(void)
{
	rig = (struct rig){ .config.heads = 1 };
	rig_create(&rig);
	ck_assert_int_eq(input_create(&rig.machine.input), 0);
	ck_assert_uint_eq(virtio_input_type.count(&rig.config), 2);
	for (int i = 0; i < 2; i++) {
		devices[i] = rig_add_device(&rig, &virtio_input_type, i);
		ck_assert_ptr_nonnull(devices[i]);
	}
	giver = input_giver_create(rig.machine.input);
	for (int i = 0; i < 2; i++) {
		rig_probe(&rig, i + 1, &drivers[i]);
		bring_up(i);
	}
}

static void teardown(void)
{
	input_giver_destroy(giver);
	rig_remove_device(devices[1]);
	rig_remove_device(devices[0]);
	input_destroy(rig.machine.input);
	rig_destroy(&rig);
}

/* ---- the driver's side ---- */

static uint64_t buffer_of(int at, uint16_t head)
{
	return EVENTS + 0x1000ull * at + EVENT * head;
}

static void give_buffers(int at, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		rig_add(&events[at],
			&(struct rig_buffer){ buffer_of(at, events[at].next_desc), EVENT, true },
			1);
	rig_kick(&events[at]);
}

static struct input_queue_event next_event(int at)
{
	struct virtio_input_event wire;
	uint32_t head, len;

	ck_assert_msg(rig_take(&events[at], &head, &len), "no event came");
	ck_assert_uint_eq(len, EVENT);
	ck_assert_int_eq(
		memory_read(rig.machine.memory, buffer_of(at, (uint16_t)head), &wire, sizeof(wire)),
		0);
	return (struct input_queue_event){ le16toh(wire.type), le16toh(wire.code),
					   (int32_t)le32toh(wire.value) };
}

static void expect(int at, uint16_t type, uint16_t code, int32_t value)
{
	struct input_queue_event event = next_event(at);

	ck_assert_uint_eq(event.type, type);
	ck_assert_uint_eq(event.code, code);
	ck_assert_int_eq(event.value, value);
}

static void expect_nothing(int at)
{
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(rig_used(&events[at]), 0);
}

static size_t ask(int at, uint8_t select, uint8_t subsel, uint8_t answer[128])
{
	size_t size;

	bus_write(rig.machine.mmio, drivers[at].config, select, 1);
	bus_write(rig.machine.mmio, drivers[at].config + 1, subsel, 1);
	size = rig_config(&drivers[at], 2, 1);
	for (unsigned int i = 0; i < 128; i++)
		answer[i] = (uint8_t)rig_config(&drivers[at], 8 + i, 1);
	for (size_t i = size; i < 128; i++)
		ck_assert_uint_eq(answer[i], 0);
	return size;
}

static bool has_bit(int at, uint8_t type, unsigned int bit)
{
	uint8_t bits[128];
	size_t size = ask(at, VIRTIO_INPUT_CFG_EV_BITS, type, bits);

	return bit / 8 < size && bits[bit / 8] >> bit % 8 & 1;
}

/* ---- configuration space ---- */

START_TEST(they_say_what_they_are)
{
	uint8_t answer[128];

	ck_assert_uint_eq(rig_config_read(&rig, 1, 2, 2), 0x1052);
	ck_assert_uint_eq(rig_config_read(&rig, 1, 10, 2), 0x0900);
	ck_assert_uint_eq(rig_config_read(&rig, 2, 10, 2), 0x0980);
	ck_assert_uint_eq(ask(0, VIRTIO_INPUT_CFG_ID_NAME, 0, answer), strlen("Lodge keyboard"));
	ck_assert_str_eq((char *)answer, "Lodge keyboard");
	(void)ask(1, VIRTIO_INPUT_CFG_ID_NAME, 0, answer);
	ck_assert_str_eq((char *)answer, "Lodge tablet");
	ck_assert_uint_gt(ask(0, VIRTIO_INPUT_CFG_ID_SERIAL, 0, answer), 0);
	ck_assert_uint_eq(ask(0, VIRTIO_INPUT_CFG_ID_DEVIDS, 0, answer), 8);
	ck_assert_uint_eq(ask(0, VIRTIO_INPUT_CFG_PROP_BITS, 0, answer), 0);
	ck_assert_uint_eq(ask(0, VIRTIO_INPUT_CFG_UNSET, 0, answer), 0);
	ck_assert_uint_eq(ask(0, 0xff, 0xff, answer), 0);
	ck_assert_uint_eq(ask(1, VIRTIO_INPUT_CFG_ABS_INFO, ABS_Y, answer), 20);
	ck_assert_uint_eq(answer[4] | answer[5] << 8, INPUT_POINT_MAX);
	ck_assert_uint_eq(ask(1, VIRTIO_INPUT_CFG_ABS_INFO, ABS_Z, answer), 0);
	ck_assert_uint_eq(ask(0, VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, answer), 0);
}
END_TEST

START_TEST(they_say_which_events_they_have)
{
	for (unsigned int code = 0; code < KEY_CNT; code++) {
		ck_assert_int_eq(has_bit(0, EV_KEY, code), code >= 1 && code <= KEY_MICMUTE);
		ck_assert_int_eq(has_bit(1, EV_KEY, code), code >= BTN_LEFT && code <= BTN_EXTRA);
	}
	ck_assert(has_bit(0, EV_LED, LED_CAPSL) && !has_bit(1, EV_LED, LED_CAPSL));
	ck_assert(has_bit(0, EV_REP, REP_DELAY) && !has_bit(1, EV_REP, REP_DELAY));
	ck_assert(has_bit(1, EV_ABS, ABS_X) && has_bit(1, EV_ABS, ABS_Y));
	ck_assert(!has_bit(1, EV_ABS, ABS_Z) && !has_bit(0, EV_ABS, ABS_X));
	for (unsigned int code = 0; code <= REL_MAX; code++)
		ck_assert_int_eq(has_bit(1, EV_REL, code),
				 code == REL_WHEEL || code == REL_HWHEEL ||
					 code == REL_WHEEL_HI_RES || code == REL_HWHEEL_HI_RES);
	ck_assert(!has_bit(0, 0xff, 0));
}
END_TEST

/* ---- events ---- */

START_TEST(keys_and_pointer_arrive)
{
	give_buffers(0, SIZE);
	give_buffers(1, SIZE);
	ck_assert(input_is_absolute(rig.machine.input));
	(void)input_key(giver, KEY_A, true);
	(void)input_key(giver, KEY_A, false);
	expect(0, EV_KEY, KEY_A, 1);
	expect(0, EV_SYN, SYN_REPORT, 0);
	expect(0, EV_KEY, KEY_A, 0);
	expect(0, EV_SYN, SYN_REPORT, 0);
	ck_assert(rig_raised(&drivers[0], 1));
	input_point(giver, 0, 50, 100, 100);
	expect(1, EV_ABS, ABS_X, 163);
	expect(1, EV_ABS, ABS_Y, 16547);
	expect(1, EV_SYN, SYN_REPORT, 0);
	(void)input_button(giver, BTN_EXTRA, true);
	expect(1, EV_KEY, BTN_EXTRA, 1);
	expect(1, EV_SYN, SYN_REPORT, 0);
	expect_nothing(0);
	expect_nothing(1);
}
END_TEST

START_TEST(every_key_arrives_once)
{
	for (uint16_t code = INPUT_KEY_FIRST; code <= INPUT_KEY_LAST; code++) {
		give_buffers(0, 4);
		(void)input_key(giver, code, true);
		(void)input_key(giver, code, true);
		(void)input_key(giver, code, false);
		expect(0, EV_KEY, code, 1);
		expect(0, EV_SYN, SYN_REPORT, 0);
		expect(0, EV_KEY, code, 0);
		expect(0, EV_SYN, SYN_REPORT, 0);
	}
	expect_nothing(0);
}
END_TEST

START_TEST(the_wheel_counts_notches)
{
	give_buffers(1, SIZE);
	input_wheel(giver, 0, 120);
	expect(1, EV_REL, REL_WHEEL_HI_RES, 120);
	expect(1, EV_REL, REL_WHEEL, 1);
	expect(1, EV_SYN, SYN_REPORT, 0);
	input_wheel(giver, -240, 0);
	expect(1, EV_REL, REL_HWHEEL_HI_RES, -240);
	expect(1, EV_REL, REL_HWHEEL, -2);
	expect(1, EV_SYN, SYN_REPORT, 0);
	for (int i = 0; i < 3; i++) {
		input_wheel(giver, 0, -50);
		expect(1, EV_REL, REL_WHEEL_HI_RES, -50);
		if (i == 2)
			expect(1, EV_REL, REL_WHEEL, -1);
		expect(1, EV_SYN, SYN_REPORT, 0);
	}
	input_wheel(giver, INT32_MAX, INT32_MIN);
	expect_nothing(1);
}
END_TEST

START_TEST(a_late_driver_gets_the_last_place_alone)
{
	for (uint32_t x = 0; x < 100000; x++)
		input_point(giver, x % 1000, 7, 1000, 1000);
	give_buffers(1, SIZE);
	expect(1, EV_ABS, ABS_X, 32751);
	expect(1, EV_ABS, ABS_Y, 245);
	expect(1, EV_SYN, SYN_REPORT, 0);
	/* A click between two places is not passed over. */
	input_point(giver, 1, 1, 1000, 1000);
	(void)input_button(giver, BTN_LEFT, true);
	input_point(giver, 500, 500, 1000, 1000);
	(void)input_button(giver, BTN_LEFT, false);
	expect(1, EV_ABS, ABS_X, 49);
	expect(1, EV_ABS, ABS_Y, 49);
	expect(1, EV_SYN, SYN_REPORT, 0);
	expect(1, EV_KEY, BTN_LEFT, 1);
	expect(1, EV_SYN, SYN_REPORT, 0);
	expect(1, EV_ABS, ABS_X, 16400);
}
END_TEST

/* Takes all there is, as a driver that wakes up: which keys are down in the end. */
static unsigned int take_all(int at, uint8_t down[KEY_CNT])
{
	unsigned int taken = 0;

	memset(down, 0, KEY_CNT);
	for (;;) {
		give_buffers(at, 32);
		rig_settle(rig.machine.loop);
		if (rig_used(&events[at]) == 0)
			return taken;
		while (rig_used(&events[at]) > 0) {
			struct input_queue_event event = next_event(at);

			taken++;
			if (event.type == EV_KEY)
				down[event.code] = (uint8_t)event.value;
		}
		/* The rest of the buffers stays with the device: start over with none. */
		if (rig_used(&events[at]) == 0 && taken > 100000)
			ck_abort_msg("no end");
	}
}

START_TEST(a_driver_that_slept_has_no_stuck_key)
{
	uint8_t down[KEY_CNT];

	/* Each pressed, and released only after everything overflowed. */
	for (uint16_t code = INPUT_KEY_FIRST; code <= INPUT_KEY_LAST; code++)
		(void)input_key(giver, code, true);
	for (int i = 0; i < 3000; i++) {
		(void)input_key(giver, KEY_A, i % 2);
		(void)input_key(giver, KEY_B, i % 2);
	}
	for (uint16_t code = INPUT_KEY_FIRST; code <= INPUT_KEY_LAST; code++)
		(void)input_key(giver, code, code == KEY_Z);
	ck_assert_uint_le(take_all(0, down), 2 * INPUT_QUEUE_EVENTS);
	for (int code = 0; code < KEY_CNT; code++)
		ck_assert_int_eq(down[code], code == KEY_Z);
}
END_TEST

START_TEST(leds_come_back)
{
	struct virtio_input_event led = { htole16(EV_LED), htole16(LED_CAPSL), htole32(1) };
	const uint64_t at = EVENTS + 0x8000;

	ck_assert_int_eq(memory_write(rig.machine.memory, at, &led, sizeof(led)), 0);
	rig_add(&status[0], &(struct rig_buffer){ at, sizeof(led), false }, 1);
	rig_kick(&status[0]);
	ck_assert(rig_take(&status[0], NULL, NULL));
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(input_leds(rig.machine.input), 1u << LED_CAPSL);
	/* Rubbish: no LED, another type, too short, none at all. */
	led = (struct virtio_input_event){ htole16(EV_LED), 0xffff, htole32(1) };
	ck_assert_int_eq(memory_write(rig.machine.memory, at + 8, &led, sizeof(led)), 0);
	led = (struct virtio_input_event){ htole16(EV_SND), htole16(LED_NUML), htole32(1) };
	ck_assert_int_eq(memory_write(rig.machine.memory, at + 16, &led, sizeof(led)), 0);
	rig_add(&status[0], &(struct rig_buffer){ at + 8, sizeof(led), false }, 1);
	rig_add(&status[0], &(struct rig_buffer){ at + 16, sizeof(led), false }, 1);
	rig_add(&status[0], &(struct rig_buffer){ at, 7, false }, 1);
	rig_add(&status[0], &(struct rig_buffer){ at, sizeof(led), true }, 1);
	rig_kick(&status[0]);
	for (int i = 0; i < 4; i++)
		ck_assert(rig_take(&status[0], NULL, NULL));
	rig_settle(rig.machine.loop);
	ck_assert_uint_eq(input_leds(rig.machine.input), 1u << LED_CAPSL);
}
END_TEST

START_TEST(buffers_too_small_are_given_back)
{
	(void)input_key(giver, KEY_Q, true);
	for (uint32_t len = 1; len < EVENT; len++)
		rig_add(&events[0], &(struct rig_buffer){ EVENTS, len, true }, 1);
	rig_add(&events[0], &(struct rig_buffer){ EVENTS, EVENT, false }, 1);
	rig_kick(&events[0]);
	for (uint32_t i = 0; i < EVENT; i++) {
		uint32_t len;

		ck_assert(rig_take(&events[0], NULL, &len));
		ck_assert_uint_eq(len, 0);
	}
	give_buffers(0, 2);
	expect(0, EV_KEY, KEY_Q, 1);
	expect(0, EV_SYN, SYN_REPORT, 0);
}
END_TEST

START_TEST(a_driver_that_goes_leaves_nothing_held)
{
	give_buffers(0, SIZE);
	(void)input_key(giver, KEY_LEFTCTRL, true);
	expect(0, EV_KEY, KEY_LEFTCTRL, 1);
	rig_write(&drivers[0], VIRTIO_PCI_COMMON_STATUS, 0, 1);
	rig_write(&drivers[1], VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert(!input_is_absolute(rig.machine.input));
	(void)input_key(giver, KEY_LEFTCTRL, false);
	(void)input_key(giver, KEY_X, true);
	bring_up(0);
	give_buffers(0, SIZE);
	expect_nothing(0);
	(void)input_key(giver, KEY_X, true);
	expect(0, EV_KEY, KEY_X, 1);
}
END_TEST

START_TEST(a_restored_guest_is_told_of_releases)
{
	struct state state = { 0 }, from;

	give_buffers(0, SIZE);
	(void)input_key(giver, KEY_LEFTALT, true);
	expect(0, EV_KEY, KEY_LEFTALT, 1);
	expect(0, EV_SYN, SYN_REPORT, 0);
	ck_assert_int_eq(virtio_model_save(devices[0], &state), 0);
	state_read_from(&from, state.bytes, state.len);
	input_release(giver);
	expect(0, EV_KEY, KEY_LEFTALT, 0);
	expect(0, EV_SYN, SYN_REPORT, 0);
	/* The ring is where it was when it was saved; the driver's view of it, too. */
	ck_assert_int_eq(virtio_model_load(devices[0], &from), 0);
	events[0].used_idx -= 2;
	expect(0, EV_KEY, KEY_LEFTALT, 0);
	expect(0, EV_SYN, SYN_REPORT, 0);
	state_finish(&state);
	/* Cut short at each byte: an error, no more. */
	ck_assert_int_eq(virtio_model_save(devices[1], &state), 0);
	for (size_t len = 0; len < state.len; len++) {
		state_read_from(&from, state.bytes, len);
		ck_assert_int_lt(virtio_model_load(devices[1], &from), 0);
	}
	state_finish(&state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_input");
	TCase *tcase = tcase_create("input");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, they_say_what_they_are);
	tcase_add_test(tcase, they_say_which_events_they_have);
	tcase_add_test(tcase, keys_and_pointer_arrive);
	tcase_add_test(tcase, every_key_arrives_once);
	tcase_add_test(tcase, the_wheel_counts_notches);
	tcase_add_test(tcase, a_late_driver_gets_the_last_place_alone);
	tcase_add_test(tcase, a_driver_that_slept_has_no_stuck_key);
	tcase_add_test(tcase, leds_come_back);
	tcase_add_test(tcase, buffers_too_small_are_given_back);
	tcase_add_test(tcase, a_driver_that_goes_leaves_nothing_held);
	tcase_add_test(tcase, a_restored_guest_is_told_of_releases);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

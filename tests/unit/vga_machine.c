// SPDX-License-Identifier: GPL-2.0-or-later
// Bare-metal guests that draw on the VGA of a whole machine, each compared dot by dot with what it
// was told to draw. Skipped where there is no /dev/kvm.
#include <linux/kvm.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "host-vmm/devices/vga_private.h"
#include "host-vmm/display/viewer.h"
#include "host-vmm/kvm.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "tests/unit/blind_viewer.h"
#include "tests/unit/vga_machine_rig.h"

/* Where tests and guests meet in memory. */
#define FLAG 0x9000

/* Registers as BIOSes' tables have them: misc, 5 sequencer, 25 CRTC, 20 attribute, 9 graphics. */
#define SET_MODE(table)                                                                      \
	"call 7f\n 7: pop %esi\n add $(8f - 7b), %esi\n jmp 9f\n 8: .byte " table "\n 9:\n"  \
	"mov $0x3c2, %dx\n outsb\n"                                                          \
	"mov $0x3c4, %dx\n xor %ecx, %ecx\n"                                                 \
	"1: lodsb\n mov %al, %ah\n mov %cl, %al\n out %ax, %dx\n inc %ecx\n cmp $5, %ecx\n"  \
	"jb 1b\n"                                                                            \
	"mov $0x3d4, %dx\n mov $0x0011, %ax\n out %ax, %dx\n xor %ecx, %ecx\n"               \
	"1: lodsb\n mov %al, %ah\n mov %cl, %al\n out %ax, %dx\n inc %ecx\n cmp $25, %ecx\n" \
	"jb 1b\n"                                                                            \
	"mov $0x3da, %dx\n in %dx, %al\n mov $0x3c0, %dx\n xor %ecx, %ecx\n"                 \
	"1: mov %cl, %al\n out %al, %dx\n lodsb\n out %al, %dx\n inc %ecx\n cmp $20, %ecx\n" \
	"jb 1b\n mov $0x20, %al\n out %al, %dx\n"                                            \
	"mov $0x3ce, %dx\n xor %ecx, %ecx\n"                                                 \
	"1: lodsb\n mov %al, %ah\n mov %cl, %al\n out %ax, %dx\n inc %ecx\n cmp $9, %ecx\n"  \
	"jb 1b\n"
#define MODE_12                                                                                   \
	"0xe3, 3,1,15,0,6, 0x5f,0x4f,0x50,0x82,0x54,0x80,0x0b,0x3e,0,0x40,0,0,0,0,0,0,0xea,0x8c," \
	"0xdf,0x28,0,0xe7,4,0xe3,0xff, 0,1,2,3,4,5,0x14,7,0x38,0x39,0x3a,0x3b,0x3c,0x3d,0x3e,"    \
	"0x3f,1,0,15,0, 0,0,0,0,0,0,5,15,0xff"
#define MODE_13                                                                                  \
	"0x63, 3,1,15,0,14, 0x5f,0x4f,0x50,0x82,0x54,0x80,0xbf,0x1f,0,0x41,0,0,0,0,0,0,0x9c,"    \
	"0x8e,0x8f,0x28,0x40,0x96,0xb9,0xa3,0xff, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,0x41,0," \
	"15,0, 0,0,0,0,0,0x40,5,15,0xff"
#define VBE(index, value)                                                                 \
	"mov $0x1ce, %dx\n mov $" #index ", %ax\n out %ax, %dx\n inc %edx\n mov $" #value \
	", %ax\n out %ax, %dx\n"

/* Cell i is i * 0x3b1d, of 16 bits; no cursor. */
TINY_CODE(text_guest, 32,
	  STACK "mov $0x3d4, %dx\n mov $0x200a, %ax\n out %ax, %dx\n"
		"mov $0xb8000, %edi\n xor %ecx, %ecx\n"
		"1: imul $0x3b1d, %ecx, %eax\n stosw\n inc %ecx\n cmp $2000, %ecx\n jb 1b\n" STOP);
/* Four bytes of plane p, at 4 * i, are i * (0x01234567 + p). */
TINY_CODE(planar_guest, 32,
	  STACK SET_MODE(
		  MODE_12) "xor %ebx, %ebx\n"
			   "3: mov $0x3c4, %dx\n mov %bl, %cl\n mov $1, %ah\n shl %cl, %ah\n"
			   "mov $2, %al\n out %ax, %dx\n mov $0xa0000, %edi\n xor %ecx, %ecx\n"
			   "1: lea 0x1234567(%ebx), %eax\n imul %ecx, %eax\n stosl\n inc %ecx\n"
			   "cmp $9600, %ecx\n jb 1b\n inc %ebx\n cmp $4, %ebx\n jb 3b\n" STOP);
/* Colour i is i / 4 in blue; four dots, at 4 * i, are i * 0x01234567. */
TINY_CODE(
	bytes_guest, 32,
	STACK SET_MODE(
		MODE_13) "mov $0x3c8, %dx\n xor %eax, %eax\n out %al, %dx\n inc %edx\n xor %ecx, %ecx\n"
			 "1: xor %al, %al\n out %al, %dx\n out %al, %dx\n mov %cl, %al\n shr $2, %al\n"
			 "out %al, %dx\n inc %ecx\n cmp $256, %ecx\n jb 1b\n"
			 "mov $0xa0000, %edi\n xor %ecx, %ecx\n"
			 "1: imul $0x1234567, %ecx, %eax\n stosl\n inc %ecx\n cmp $16000, %ecx\n jb 1b\n" STOP);
/* Dot i is i * 0x9e3779b1. */
#define DRAW                                                                    \
	"xor %ecx, %ecx\n 1: imul $0x9e3779b1, %ecx, %eax\n stosl\n inc %ecx\n" \
	"cmp $0xc0000, %ecx\n jb 1b\n"
#define MODE_VBE VBE(4, 0) VBE(1, 1024) VBE(2, 768) VBE(3, 32) VBE(4, 0x41)

/* Each time that the flag has grown, dot 600 * 1024 + 500 becomes the flag. */
TINY_CODE(vbe_guest, 32,
	  STACK MODE_VBE FIND_SCREEN "mov %edi, %ebx\n" DRAW "xor %eax, %eax\n"
				     "2: pause\n cmp 0x9000, %eax\n je 2b\n mov 0x9000, %eax\n"
				     "mov %eax, (600 * 1024 + 500) * 4(%ebx)\n jmp 2b\n");
/* Moves BAR 0 onto RAM, the APIC, itself halfway and nowhere, switches it off and on, and writes
 * where it was each time; then puts it back and draws. */
TINY_CODE(
	bar_guest, 32,
	STACK MODE_VBE FIND_SCREEN
	"mov %edi, %ebp\n mov $200, %esi\n"
	"3:\n" CONFIG(
		"0x10") "mov $-1, %eax\n out %eax, %dx\n in %dx, %eax\n movl $1, (%ebp)\n"
			"mov $0x1000000, %eax\n out %eax, %dx\n movl $2, 0x1000000\n movl $2, (%ebp)\n"
			"mov $0xfe000000, %eax\n out %eax, %dx\n movl $3, (%ebp)\n"
			"lea 0x1000000(%ebp), %eax\n out %eax, %dx\n movl $4, (%ebp)\n movl $4, 0x1000000(%ebp)\n"
			"xor %eax, %eax\n out %eax, %dx\n movl $5, (%ebp)\n"
			"mov %ebp, %eax\n out %eax, %dx\n movl $6, (%ebp)\n" CONFIG(
				"0x4") "in %dx, %eax\n and $0xfffffffd, %eax\n out %eax, %dx\n movl $7, (%ebp)\n"
				       "or $2, %eax\n out %eax, %dx\n movl $8, (%ebp)\n dec %esi\n jnz 3b\n"
				       "mov %ebp, %edi\n" DRAW STOP);
/* Draws in a VBE mode, and resets; CMOS memory at 0x40 tells the second time. */
TINY_CODE(reset_guest, 32,
	  STACK
	  "mov $0x40, %al\n out %al, $0x70\n in $0x71, %al\n test %al, %al\n jnz 3f\n"
	  "mov $1, %al\n out %al, $0x71\n" VBE(1, 1024) VBE(2, 768) VBE(3, 32)
		  VBE(4,
		      0x41) "mov $0xa0000, %edi\n mov $0x4000, %ecx\n mov $-1, %eax\n rep stosl\n"
			    "mov $0xcf9, %dx\n mov $6, %al\n out %al, %dx\n 2: jmp 2b\n 3:\n" STOP);

static uint32_t expect_text(uint32_t x, uint32_t y)
{
	uint16_t cell = (uint16_t)((y / 16 * 80 + x / 9) * 0x3b1d);
	uint8_t bits = vga_font[cell & 0xff][y % 16];
	bool ink = x % 9 < 8 ? bits & 0x80 >> x % 9 : (cell & 0xe0) == 0xc0 && bits & 1;

	return vga_machine_colours[ink ? cell >> 8 & 15 : cell >> 12 & 7];
}

START_TEST(text)
{
	vga_machine_start(text_guest);
	vga_machine_wait(720, 400, expect_text);
	vga_machine_stop();
}
END_TEST

static uint32_t expect_planar(uint32_t x, uint32_t y)
{
	uint32_t at = y * 80 + x / 8, colour = 0;

	for (uint32_t plane = 0; plane < 4; plane++) {
		uint32_t four = at / 4 * (0x1234567 + plane);

		colour |= (four >> 8 * (at % 4) >> (7 - x % 8) & 1) << plane;
	}
	return vga_machine_colours[colour];
}

START_TEST(mode_12h)
{
	vga_machine_start(planar_guest);
	vga_machine_wait(640, 480, expect_planar);
	vga_machine_stop();
}
END_TEST

static uint32_t expect_bytes(uint32_t x, uint32_t y)
{
	uint32_t at = y / 2 * 320 + x / 2;
	uint32_t blue = (at / 4 * 0x1234567 >> 8 * (at % 4) & 0xff) >> 2;

	return blue << 2 | blue >> 4;
}

START_TEST(mode_13h)
{
	vga_machine_start(bytes_guest);
	vga_machine_wait(640, 400, expect_bytes);
	vga_machine_stop();
}
END_TEST

static uint32_t flag;

static uint32_t expect_vbe(uint32_t x, uint32_t y)
{
	if (flag && x == 500 && y == 600)
		return flag & 0xffffff;
	return (y * 1024 + x) * 0x9e3779b1u & 0xffffff;
}

/* ---- a window ---- */

static struct told {
	uint64_t pixels;
	bool hit; /* the line that changes was in it */
} told, seen;
static uint32_t serial_told;

static void damage(void *opaque, unsigned int head, uint32_t serial,
		   const struct display_rect *rects, unsigned int n_rects)
{
	(void)opaque;
	(void)head;
	serial_told = serial;
	for (unsigned int i = 0; i < n_rects; i++) {
		told.pixels += (uint64_t)rects[i].width * rects[i].height;
		told.hit |= rects[i].y <= 600 && rects[i].y + rects[i].height > 600;
	}
}

static const struct display_viewer_ops viewer_ops = {
	.ready = blind_ready,
	.frame = blind_frame,
	.damage = damage,
	.cursor = blind_cursor,
	.cursor_at = blind_cursor_at,
};
static struct display_viewer viewer = { .ops = &viewer_ops, .heads = 1 };

static void attach(void *opaque)
{
	display_attach(opaque, &viewer);
}

static void detach(void *opaque)
{
	display_detach(opaque, &viewer);
}

/* What was told since the last call. */
static void look(void *opaque)
{
	seen = told;
	told = (struct told){ 0 };
	display_shown(opaque, &viewer, 0, serial_told);
}

static void look_until_hit(void)
{
	const struct timespec moment = { .tv_nsec = 5000000 };

	for (int ms = 0; ms < VGA_MACHINE_WAIT_MS; ms += 5) {
		loop_call(display_loop(vga_machine->display), look, vga_machine->display);
		if (seen.hit)
			return;
		nanosleep(&moment, NULL);
	}
	ck_abort_msg("the window was not told of the dot that changed");
}

/* KVM's own word. The memory's size is the most that it can have. */
static bool is_logged(void)
{
	static uint64_t dirty[(256u << 20) / 4096 / 64];
	struct kvm_dirty_log log = { .slot = KVM_SLOT_VGA, .dirty_bitmap = dirty };

	return ioctl(vga_machine->vm_fd, KVM_GET_DIRTY_LOG, &log) == 0;
}

/* It goes off a second after the last one who looked. */
static void check_log_ends(void)
{
	const struct timespec moment = { .tv_nsec = 5000000 };

	for (int ms = 0; is_logged(); ms += 5) {
		ck_assert_int_lt(ms, VGA_MACHINE_WAIT_MS);
		nanosleep(&moment, NULL);
	}
}

/* The guest writes to memory behind BAR 0, which stops it nowhere; windows learn what changed. */
START_TEST(vbe_with_dirty_log)
{
	struct display *display;
	uint64_t pixels = 0;

	flag = 0;
	vga_machine_start(vbe_guest);
	display = vga_machine->display;
	vga_machine_wait(1024, 768, expect_vbe);
	check_log_ends();
	loop_call(display_loop(display), attach, display);
	look_until_hit();
	ck_assert(is_logged());
	/* Only pages that changed: 4 lines for each dot, once what is left of the start is told. */
	for (uint32_t i = 1; i <= 20; i++) {
		flag = i;
		ck_assert_int_eq(memory_write(vga_machine->memory, FLAG, &flag, sizeof(flag)), 0);
		look_until_hit();
		pixels = seen.pixels;
	}
	ck_assert_uint_gt(pixels, 0);
	ck_assert_uint_le(pixels, 1024 * 4);
	loop_call(display_loop(display), detach, display);
	check_log_ends();
	vga_machine_wait(1024, 768, expect_vbe);
	vga_machine_stop();
}
END_TEST

START_TEST(t53_bar_moves_everywhere)
{
	flag = 0;
	vga_machine_start(bar_guest);
	vga_machine_wait(1024, 768, expect_vbe);
	vga_machine_stop();
}
END_TEST

/* A reset is a power-on: text mode again, with its font. */
static uint32_t expect_blank(uint32_t x, uint32_t y)
{
	bool cursor = x < 9 && (y == 13 || y == 14);

	return cursor ? 0xaaaaaa : 0;
}

START_TEST(reset_brings_text_back)
{
	struct pollfd event = { .events = POLLIN };

	vga_machine_start(reset_guest);
	event.fd = vga_machine->event_fd;
	ck_assert_int_eq(poll(&event, 1, VGA_MACHINE_WAIT_MS), 1);
	ck_assert_int_eq(machine_dispatch(vga_machine), MACHINE_NONE);
	vga_machine_wait(720, 400, expect_blank);
	vga_machine_stop();
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("vga_machine");
	TCase *tcase = tcase_create("guests that draw");

	tcase_set_timeout(tcase, 90);
	tcase_add_checked_fixture(tcase, vga_machine_setup, vga_machine_teardown);
	tcase_add_test(tcase, text);
	tcase_add_test(tcase, mode_12h);
	tcase_add_test(tcase, mode_13h);
	tcase_add_test(tcase, vbe_with_dirty_log);
	tcase_add_test(tcase, t53_bar_moves_everywhere);
	tcase_add_test(tcase, reset_brings_text_back);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return vga_machine_main("vga_machine", make_suite);
}

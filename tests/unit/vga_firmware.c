// SPDX-License-Identifier: GPL-2.0-or-later
// SeaBIOS' vgabios, as distributions ship it for 1af4:1050, on our VGA: a bare-metal guest starts
// it in real mode and makes the calls of INT 10h that the test asks for. Skipped where there is no
// /dev/kvm, or no such image.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/bus.h"
#include "host-vmm/display/display.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "tests/unit/vga_machine_rig.h"

#define IMAGE	  "/usr/share/seabios/vgabios-virtio.bin"
#define IMAGE_AT  0xc0000
#define IMAGE_MAX 0x10000

/* Where test and guest meet: calls asked for and made, registers, a buffer. */
#define ASKED	  0x9000
#define MADE	  0x9004
#define REGISTERS 0x9020
#define BUFFER	  0x9100
#define BAR	  0x9014

/* At 0x8000, from 9: on. The tables of descriptors and interrupts are behind the code. */
TINY_CODE(
	firmware_guest, 32,
	STACK FIND_SCREEN
	"mov %edi, 0x9014\n shr $8, %ebx\n mov %bx, 0x9010\n"
	"mov $0x8000, %edi\n mov $(8f - 9f), %ecx\n call 7f\n 7: pop %esi\n add $(9f - 7b), %esi\n"
	"rep movsb\n lgdt 0x8000 + (3f - 9f)\n ljmp $8, $0x8000\n"
	"9: .code16\n mov $16, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n"
	"mov %cr0, %eax\n and $0xfe, %al\n mov %eax, %cr0\n"
	".byte 0xea\n .word 0x8000 + (6f - 9b), 0\n"
	"6: xor %ax, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n mov $0x7000, %sp\n"
	"lidt 0x8000 + (5f - 9b)\n mov 0x9010, %ax\n"
	".byte 0x9a\n .word 3, 0xc000\n"
	"1: incl 0x9004\n"
	"2: pause\n mov 0x9000, %eax\n cmp 0x9004, %eax\n jle 2b\n"
	"mov 0x9028, %ax\n mov %ax, %es\n mov 0x902a, %di\n mov 0x902c, %bp\n"
	"mov 0x9022, %bx\n mov 0x9024, %cx\n mov 0x9026, %dx\n mov 0x9020, %ax\n"
	"int $0x10\n"
	"mov %ax, 0x9020\n mov %bx, 0x9022\n mov %cx, 0x9024\n mov %dx, 0x9026\n"
	"mov %es, 0x9028\n mov %di, 0x902a\n mov %bp, 0x902c\n jmp 1b\n"
	"5: .word 0x3ff\n .long 0\n"
	"4: .quad 0, 0x00009b000000ffff, 0x000093000000ffff\n"
	"3: .word 23\n .long 0x8000 + (4b - 9b)\n"
	"8: .code32\n");

struct registers {
	uint16_t ax, bx, cx, dx, es, di, bp;
};

static uint8_t image[IMAGE_MAX];
static size_t image_len;
static uint32_t calls;

static uint32_t peek(uint64_t gpa)
{
	uint32_t value;

	ck_assert_int_eq(memory_read(vga_machine->memory, gpa, &value, sizeof(value)), 0);
	return value;
}

static void poke(uint64_t gpa, const void *bytes, size_t len)
{
	ck_assert_int_eq(memory_write(vga_machine->memory, gpa, bytes, len), 0);
}

static void wait_made(uint32_t count)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (int ms = 0; ms < VGA_MACHINE_WAIT_MS && peek(MADE) != count; ms++)
		nanosleep(&moment, NULL);
	ck_assert_uint_eq(peek(MADE), count);
}

static void int10(struct registers *registers)
{
	calls++;
	poke(REGISTERS, registers, sizeof(*registers));
	poke(ASKED, &calls, sizeof(calls));
	wait_made(calls);
	ck_assert_int_eq(memory_read(vga_machine->memory, REGISTERS, registers, sizeof(*registers)),
			 0);
}

static void call(uint16_t ax, uint16_t bx, uint16_t cx, uint16_t dx)
{
	int10(&(struct registers){ .ax = ax, .bx = bx, .cx = cx, .dx = dx });
}

static void setup(void)
{
	vga_machine_setup();
	vga_machine_load(firmware_guest);
	poke(IMAGE_AT, image, image_len);
	machine_go(vga_machine);
	/* The first count says that it has set itself up. */
	wait_made(1);
	calls = 1;
}

static void teardown(void)
{
	vga_machine_stop();
	vga_machine_teardown();
}

/* ---- text ---- */

static const char text[] = "Lodge: INT 10h";
static uint8_t font[256][16];

static uint32_t expect_text(uint32_t x, uint32_t y)
{
	uint32_t row = y / 16, column = x / 9;
	bool written = row == 3 && column >= 5 && column < 5 + strlen(text);
	uint8_t character = written ? (uint8_t)text[column - 5] : ' ';
	bool ink = x % 9 < 8 && font[character][y % 16] & 0x80 >> x % 9;

	return vga_machine_colours[ink ? 7 : 0];
}

START_TEST(text_by_calls)
{
	struct registers where = { .ax = 0x1130, .bx = 0x0600 };

	call(0x0003, 0, 0, 0);
	int10(&where);
	ck_assert_int_eq(
		memory_read(vga_machine->memory, where.es * 16u + where.bp, font, sizeof(font)), 0);
	call(0x0100, 0, 0x2000, 0); /* no cursor */
	call(0x0200, 0, 0, 3 << 8 | 5);
	for (size_t i = 0; i < strlen(text); i++)
		call((uint16_t)(0x0e00 | text[i]), 7, 0, 0);
	vga_machine_wait(720, 400, expect_text);
}
END_TEST

/* ---- graphics: dots of colour x % 16 on the line y = 2 * x + 1 ---- */

static uint32_t dots, stretch;

static uint32_t expect_dots(uint32_t x, uint32_t y)
{
	x /= stretch;
	y /= stretch;
	return x < dots && y == 2 * x + 1 ? vga_machine_colours[x % 16] : 0;
}

static void write_dots(void)
{
	for (uint32_t x = 0; x < dots; x++)
		call((uint16_t)(0x0c00 | x % 16), 0, (uint16_t)x, (uint16_t)(2 * x + 1));
}

START_TEST(mode_12h)
{
	dots = 64;
	stretch = 1;
	call(0x0012, 0, 0, 0);
	write_dots();
	vga_machine_wait(640, 480, expect_dots);
}
END_TEST

START_TEST(mode_13h)
{
	dots = 64;
	stretch = 2;
	call(0x0013, 0, 0, 0);
	write_dots();
	vga_machine_wait(640, 400, expect_dots);
}
END_TEST

/* ---- VBE ---- */

static uint32_t expect_pattern(uint32_t x, uint32_t y)
{
	return y < 8 ? (y * 1024 + x) * 0x9e3779b1u & 0xffffff : 0;
}

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* The mode of this size, and where its memory is, as VBE's own tables tell. */
static uint16_t find_mode(uint16_t width, uint16_t height, uint8_t bpp, uint32_t *ret_memory)
{
	uint8_t info[256];

	for (uint16_t mode = 0x100; mode < 0x200; mode++) {
		struct registers ask = { .ax = 0x4f01, .cx = mode, .di = BUFFER };

		int10(&ask);
		if (ask.ax != 0x004f)
			continue;
		ck_assert_int_eq(memory_read(vga_machine->memory, BUFFER, info, sizeof(info)), 0);
		if (get16(info + 18) != width || get16(info + 20) != height || info[25] != bpp)
			continue;
		*ret_memory = get16(info + 40) | (uint32_t)get16(info + 42) << 16;
		return mode;
	}
	ck_abort_msg("no mode of %ux%u", width, height);
	return 0;
}

START_TEST(vbe)
{
	struct registers ask = { .ax = 0x4f00, .di = BUFFER };
	uint32_t memory = 0;
	uint8_t info[256];
	uint16_t mode;

	poke(BUFFER, "VBE2", 4);
	int10(&ask);
	ck_assert_uint_eq(ask.ax, 0x004f);
	ck_assert_int_eq(memory_read(vga_machine->memory, BUFFER, info, sizeof(info)), 0);
	ck_assert_int_eq(memcmp(info, "VESA", 4), 0);
	ck_assert_uint_eq(get16(info + 18), (16 << 20) / 65536);
	mode = find_mode(1024, 768, 32, &memory);
	ck_assert_uint_eq(memory, peek(BAR));
	ask = (struct registers){ .ax = 0x4f02, .bx = 0x4000 | mode };
	int10(&ask);
	ck_assert_uint_eq(ask.ax, 0x004f);
	for (uint32_t i = 0; i < 8 * 1024; i++)
		bus_write(vga_machine->mmio, memory + 4 * i, i * 0x9e3779b1u, 4);
	vga_machine_wait(1024, 768, expect_pattern);
	/* And back. */
	call(0x0012, 0, 0, 0);
	dots = 0;
	stretch = 1;
	vga_machine_wait(640, 480, expect_dots);
}
END_TEST

static bool load_image(void)
{
	FILE *file = fopen(IMAGE, "rb");

	if (file) {
		image_len = fread(image, 1, sizeof(image), file);
		fclose(file);
	}
	return image_len > 0;
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("vga_firmware");
	TCase *tcase = tcase_create("vgabios");

	tcase_set_timeout(tcase, 90);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, text_by_calls);
	tcase_add_test(tcase, mode_12h);
	tcase_add_test(tcase, mode_13h);
	tcase_add_test(tcase, vbe);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	if (!load_image()) {
		printf("vga_firmware: skipped: no %s (package seabios)\n", IMAGE);
		return EXIT_SUCCESS;
	}
	return vga_machine_main("vga_firmware", make_suite);
}

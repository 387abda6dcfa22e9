/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole machines with a head, for guests of a few instructions that draw on the VGA.
 */
#ifndef LODGE_TESTS_VGA_MACHINE_RIG_H
#define LODGE_TESTS_VGA_MACHINE_RIG_H

#include <check.h>
#include <stdint.h>

#include "tests/unit/tiny_kernel.h"

#define VGA_MACHINE_WAIT_MS 60000

/* PVH leaves the stack pointer and the direction undefined. */
#define STACK "mov $0x170000, %esp\n cld\n"
#define STOP  "cli\n 4: hlt\n jmp 4b\n"
/* EBX: configuration address of the function; EDI: its BAR 0. */
#define CONFIG(at) "lea " at "(%ebx), %eax\n mov $0xcf8, %dx\n out %eax, %dx\n mov $0xcfc, %dx\n"
#define FIND_SCREEN                                             \
	"mov $0x80000000, %ebx\n 1: add $0x800, %ebx\n" CONFIG( \
		"0") "in %dx, %eax\n cmp $0x10501af4, %eax\n jne 1b\n" CONFIG("0x10") "in %dx, %eax\n and $0xfffffff0, %eax\n mov %eax, %edi\n"

struct machine;

extern struct machine *vga_machine;
/* The 16 colours of text modes, from the manual's table. */
extern const uint32_t vga_machine_colours[16];

/* The test's fixture: a machine that is destroyed at the end, if one was made. */
void vga_machine_setup(void);
void vga_machine_teardown(void);
/* Makes a machine that would run @code; loaded, not started. */
void vga_machine_load(struct tiny_code code);
void vga_machine_start(struct tiny_code code);
void vga_machine_stop(void);

typedef uint32_t (*vga_machine_expect)(uint32_t x, uint32_t y);

/* Waits until each dot of head 0 is as expected. */
void vga_machine_wait(uint32_t width, uint32_t height, vga_machine_expect expected);

/* The whole of main(). */
int vga_machine_main(const char *program, Suite *(*make_suite)(void));

#endif

// SPDX-License-Identifier: GPL-2.0-or-later
// Whole machines with a head, and their pictures dot by dot. Skipped where there is no /dev/kvm.
#include "tests/unit/vga_machine_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/display/display.h"
#include "host-vmm/kvm.h"
#include "host-vmm/machine.h"
#include "protocol/lib/log.h"
#include "tests/unit/unit.h"

struct machine *vga_machine;

const uint32_t vga_machine_colours[16] = {
	0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa,
	0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff,
};

static char dir[] = "/tmp/vga_machine.XXXXXX";
static char kernel[64], name[] = "test", none[] = "none";
static char *no_initrds[] = { NULL };
static struct vm_config config;

void vga_machine_setup(void)
{
	config = (struct vm_config){
		.dir = dir,
		.name = name,
		.cpus = 1,
		.hypervisor = VM_HYPERVISOR_LODGE,
		.memory = 64 << 20,
		.kernel = kernel,
		.initrds = no_initrds,
		.serial = none,
		.i8042 = true,
		.legacy = true,
		.heads = 1,
		.display_memory = 16 << 20,
	};
}

void vga_machine_teardown(void)
{
	machine_destroy(vga_machine);
	vga_machine = NULL;
}

void vga_machine_load(struct tiny_code code)
{
	tiny_kernel_write_elf(kernel, code);
	ck_assert_int_eq(machine_create(&config, &vga_machine), 0);
	ck_assert_int_eq(machine_load(vga_machine), 0);
}

void vga_machine_start(struct tiny_code code)
{
	vga_machine_load(code);
	machine_go(vga_machine);
}

void vga_machine_stop(void)
{
	machine_request(vga_machine, MACHINE_KILL);
	ck_assert_int_eq(machine_dispatch(vga_machine), MACHINE_KILL);
}

static unsigned int count_wrong(const struct display_shot *shot, vga_machine_expect expected)
{
	unsigned int wrong = 0;

	for (uint32_t y = 0; y < shot->height; y++)
		for (uint32_t x = 0; x < shot->width; x++)
			wrong += (shot->pixels[y * shot->width + x] & 0xffffff) != expected(x, y);
	return wrong;
}

void vga_machine_wait(uint32_t width, uint32_t height, vga_machine_expect expected)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	unsigned int wrong = UINT32_MAX;

	for (int ms = 0; ms < VGA_MACHINE_WAIT_MS && wrong; ms += 20) {
		struct display_shot shot = { 0 };

		nanosleep(&moment, NULL);
		if (display_shoot(vga_machine->display, 0, &shot) < 0)
			continue;
		if (shot.width == width && shot.height == height)
			wrong = count_wrong(&shot, expected);
		free(shot.pixels);
	}
	ck_assert_uint_eq(wrong, 0);
}

static bool has_kvm(const char *program)
{
	char message[KVM_MESSAGE_MAX];
	int fd;

	if (kvm_open(&fd, message) < 0) {
		printf("%s: skipped: %s\n", program, message);
		return false;
	}
	close(fd);
	return true;
}

int vga_machine_main(const char *program, Suite *(*make_suite)(void))
{
	int status;

	log_init(program, LOG_LEVEL_ERROR);
	if (!has_kvm(program))
		return EXIT_SUCCESS;
	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	status = unit_run(make_suite());
	(void)unlink(kernel);
	(void)rmdir(dir);
	return status;
}

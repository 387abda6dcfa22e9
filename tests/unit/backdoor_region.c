// SPDX-License-Identifier: GPL-2.0-or-later
// The backdoor's shared memory region: a page where the machine has a clock, that follows its BAR.
#include <check.h>
#include <linux/virtio_pci.h>
#include <lodge/vmclock.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/virtio/models.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_rig.h"

#define PCI_COMMAND	 0x04
#define PCI_COMMAND_MEM	 0x02
#define PCI_BAR0	 0x10
#define PCI_CAPABILITIES 0x34
#define PCI_CAP_VENDOR	 0x09

static struct rig rig;
static struct device *service, *device;
static struct rig_driver driver;

static void set_up(bool clock)
{
	rig = (struct rig){ .config.backdoor_device = true };
	rig_create(&rig);
	/* Never looked into: the rig stands in for it. */
	rig.machine.clock = clock ? (struct clock *)&rig : NULL;
	service = rig_add_device(&rig, &backdoor_type, 0);
	device = rig_add_device(&rig, &virtio_backdoor_type, 0);
	ck_assert(service && device);
	rig_probe(&rig, 1, &driver);
}

static void tear_down(void)
{
	rig_remove_device(device);
	rig_remove_device(service);
	rig_destroy(&rig);
}

static uint32_t config(unsigned int offset, unsigned int size)
{
	return rig_config_read(&rig, 1, offset, size);
}

/* The capability of a shared memory region, or 0. */
static unsigned int find_region(void)
{
	for (unsigned int at = config(PCI_CAPABILITIES, 1); at; at = config(at + 1, 1))
		if (config(at, 1) == PCI_CAP_VENDOR &&
		    config(at + 3, 1) == VIRTIO_PCI_CAP_SHARED_MEMORY_CFG)
			return at;
	return 0;
}

START_TEST(region)
{
	unsigned int at, bar;
	uint64_t gpa;

	set_up(true);
	at = find_region();
	ck_assert_uint_ne(at, 0);
	/* struct virtio_pci_cap64: bar, id, offset, length; then their high halves */
	bar = config(at + 4, 1);
	ck_assert_uint_eq(config(at + 5, 1), 0);
	ck_assert_uint_eq(config(at + 8, 4), 0);
	ck_assert_uint_eq(config(at + 12, 4), LODGE_VMCLOCK_SIZE);
	ck_assert_uint_eq(config(at + 16, 4), 0);
	ck_assert_uint_eq(config(at + 20, 4), 0);
	gpa = (config(PCI_BAR0 + 4 * bar, 4) & ~0xfu) | (uint64_t)config(PCI_BAR0 + 4 * bar + 4, 4)
								<< 32;
	ck_assert_uint_eq(gpa % LODGE_VMCLOCK_SIZE, 0);
	rig_config_write(&rig, 1, PCI_COMMAND, PCI_COMMAND_MEM, 2);
	ck_assert_uint_eq(rig.clock_gpa, gpa);
	rig_config_write(&rig, 1, PCI_COMMAND, 0, 2);
	ck_assert_uint_eq(rig.clock_gpa, 0);
	rig_config_write(&rig, 1, PCI_BAR0 + 4 * bar, (uint32_t)gpa + 0x10000, 4);
	rig_config_write(&rig, 1, PCI_COMMAND, PCI_COMMAND_MEM, 2);
	ck_assert_uint_eq(rig.clock_gpa, gpa + 0x10000);
	tear_down();
}
END_TEST

START_TEST(no_clock)
{
	set_up(false);
	ck_assert_uint_eq(find_region(), 0);
	rig_config_write(&rig, 1, PCI_COMMAND, PCI_COMMAND_MEM, 2);
	ck_assert_uint_eq(rig.clock_gpa, 0);
	tear_down();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_region");
	TCase *cases = tcase_create("region");

	tcase_add_test(cases, region);
	tcase_add_test(cases, no_clock);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}

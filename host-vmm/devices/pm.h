/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI hardware: the fixed kind (PM1a, PM timer, GPE0), and what the reduced kind has instead, a
 * sleep register. Offsets from LAYOUT_PORT_PM, which the FADT tells the guest.
 */
#ifndef LODGE_VMM_PM_H
#define LODGE_VMM_PM_H

#define PM_EVENT	 0x00u /* PM1 status, then enable, 16 bits each */
#define PM_EVENT_BYTES	 4u
#define PM_CONTROL	 0x04u
#define PM_CONTROL_BYTES 2u
#define PM_TIMER	 0x08u
#define PM_TIMER_BYTES	 4u
#define PM_GPE0		 0x10u /* status, then enable, 16 bits each */
#define PM_GPE0_BYTES	 4u
#define PM_SLEEP_CONTROL 0x14u /* of reduced hardware, one byte each */
#define PM_SLEEP_STATUS	 0x15u
#define PM_BYTES	 0x20u

#define PM_TIMER_HZ 3579545u

struct device;

/* Power button pressed: status bit and SCI, or on reduced hardware an edge on the SCI's line. Any
 * thread. @device is of pm_type. */
void pm_press_power_button(struct device *device);

#endif

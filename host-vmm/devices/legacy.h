/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's legacy devices, for devices/registry.c.
 */
#ifndef LODGE_VMM_LEGACY_H
#define LODGE_VMM_LEGACY_H

struct device_type;

extern const struct device_type i8042_type;
extern const struct device_type pm_type;
extern const struct device_type rtc_type;
extern const struct device_type serial_type;

#endif

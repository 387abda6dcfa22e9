/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plug-ins of lodged, one file each; plugins.c has their order.
 */
#ifndef LODGE_GUEST_LODGED_PLUGINS_H
#define LODGE_GUEST_LODGED_PLUGINS_H

#include "guest-daemon/lodged/lodged.h"

extern const struct plugin display_plugin;
extern const struct plugin exec_plugin;
extern const struct plugin facts_plugin;
extern const struct plugin files_plugin;
extern const struct plugin guestinfo_plugin;
extern const struct plugin memory_plugin;
extern const struct plugin power_plugin;
extern const struct plugin procs_plugin;
extern const struct plugin share_changes_plugin;
extern const struct plugin shares_plugin;
extern const struct plugin state_plugin;
extern const struct plugin time_plugin;

#endif

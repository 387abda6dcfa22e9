# SPDX-License-Identifier: GPL-2.0-or-later
# The system daemon of guests. Everything but main() is the library "lodgedcore", for tests.
libs += lodgedcore
lodgedcore_srcs := $(addprefix guest-daemon/lodged/, \
	account.c children.c conf.c core.c display.c display_owner.c facts_net.c facts_os.c jobs.c link.c local.c notify.c \
	plugin_display.c plugin_exec.c plugin_facts.c plugin_files.c plugin_guestinfo.c plugin_memory.c plugin_power.c \
	plugin_procs.c plugin_share_changes.c plugin_shares.c plugin_state.c plugin_time.c plugins.c policy.c \
	pump.c share_changes.c share_server.c shares.c shutdown.c task.c task_child.c timekeeping.c timesync.c vmware_facts.c watch.c)
lodgedcore_pkgs := glib-2.0

progs += lodged
lodged_srcs := guest-daemon/lodged/main.c
lodged_libs := lodgedcore guestlib proto
man_pages += guest-daemon/lodged/lodged.8.scd guest-daemon/lodged/tools.conf.5.scd

unit_tests += lodged_link
lodged_link_srcs := tests/unit/lodged_link.c tests/unit/lodged_rig.c
lodged_link_libs := lodgedcore guestlib proto
lodged_link_pkgs := check

unit_tests += timesync
timesync_srcs := tests/unit/timesync.c guest-daemon/lodged/timesync.c
timesync_pkgs := check

unit_tests += lodged_time
lodged_time_srcs := tests/unit/lodged_time.c tests/unit/lodged_rig.c
lodged_time_libs := lodgedcore guestlib proto
lodged_time_pkgs := check

unit_tests += lodged_memory
lodged_memory_srcs := tests/unit/lodged_memory.c tests/unit/lodged_rig.c
lodged_memory_libs := lodgedcore guestlib proto
lodged_memory_pkgs := check

unit_tests += lodged_exec
lodged_exec_srcs := tests/unit/lodged_exec.c tests/unit/lodged_rig.c
lodged_exec_libs := lodgedcore guestlib proto
lodged_exec_pkgs := check

unit_tests += lodged_changes
lodged_changes_srcs := tests/unit/lodged_changes.c tests/unit/lodged_rig.c
lodged_changes_libs := lodgedcore guestlib proto
lodged_changes_pkgs := check

unit_tests += lodged_shares
lodged_shares_srcs := tests/unit/lodged_shares.c tests/unit/lodged_rig.c
lodged_shares_libs := lodgedcore guestlib proto
lodged_shares_pkgs := check

unit_tests += lodged_share_server
lodged_share_server_srcs := tests/unit/lodged_share_server.c tests/unit/lodged_rig.c
lodged_share_server_libs := lodgedcore guestlib proto
lodged_share_server_pkgs := check

unit_tests += lodged_display
lodged_display_srcs := tests/unit/lodged_display.c tests/unit/lodged_rig.c
lodged_display_libs := lodgedcore guestlib proto
lodged_display_pkgs := check

unit_tests += lodged_power
lodged_power_srcs := tests/unit/lodged_power.c tests/unit/lodged_rig.c
lodged_power_libs := lodgedcore guestlib proto
lodged_power_pkgs := check

# They start lodge-files of the same build.
unit_tests += lodged_files
lodged_files_srcs := tests/unit/lodged_files.c tests/unit/lodged_rig.c
lodged_files_libs := lodgedcore guestlib proto
lodged_files_pkgs := check
$(BUILD)/unit/lodged_files: | $(BUILD)/bin/lodge-files

unit_tests += lodged_hostile
lodged_hostile_srcs := tests/unit/lodged_hostile.c tests/unit/lodged_rig.c
lodged_hostile_libs := lodgedcore guestlib proto
lodged_hostile_pkgs := check
$(BUILD)/unit/lodged_hostile: | $(BUILD)/bin/lodged $(BUILD)/bin/lodge-files

fuzz_targets += lodged_frames
lodged_frames_srcs := tests/fuzz/lodged_frames.c
lodged_frames_libs := lodgedcore guestlib proto

# SPDX-License-Identifier: GPL-2.0-or-later
# mount.lodge: shares in the guest, by the best way that there is.
libs += mount
mount_srcs := \
	shared-fs/guest/device.c \
	shared-fs/guest/message.c \
	shared-fs/guest/mounts.c \
	shared-fs/guest/options.c \
	shared-fs/guest/pump.c \
	shared-fs/guest/serve.c \
	shared-fs/guest/stream.c \
	shared-fs/guest/ways.c

progs += mount.lodge
mount.lodge_srcs := shared-fs/guest/main.c
mount.lodge_libs := mount proto
# And one that runs in any guest, whatever its C library.
guest_progs += mount.lodge

unit_tests += mount_lodge mount_pump mount_stream
mount_lodge_srcs := tests/unit/mount_lodge.c
mount_lodge_libs := mount proto
mount_lodge_pkgs := check
mount_pump_srcs := tests/unit/mount_pump.c
mount_pump_libs := mount proto
mount_pump_pkgs := check
thread_tests += mount_pump
mount_stream_srcs := tests/unit/mount_stream.c
mount_stream_libs := mount proto
mount_stream_pkgs := check
mount_stream_ldflags := -Wl,--wrap=pthread_create

fuzz_targets += mount_messages
mount_messages_srcs := tests/fuzz/mount_messages.c
mount_messages_libs := mount proto

man_pages += shared-fs/guest/mount.lodge.8.scd

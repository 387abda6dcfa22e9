# SPDX-License-Identifier: GPL-2.0-or-later
# What every user-space side needs to talk: log lines, descriptors, framing.
libs += proto
proto_srcs := \
	protocol/lib/capabilities.c \
	protocol/lib/child.c \
	protocol/lib/fd.c \
	protocol/lib/fields.c \
	protocol/lib/folder.c \
	protocol/lib/frame.c \
	protocol/lib/fs_change.c \
	protocol/lib/fs_stream.c \
	protocol/lib/log.c \
	protocol/lib/mountinfo.c \
	protocol/lib/patience.c \
	protocol/lib/pressure.c \
	protocol/lib/read_ahead.c \
	protocol/lib/seccomp_filter.c \
	protocol/lib/thread.c

# For those who pack and unpack files.
libs += pack
pack_srcs := protocol/lib/pack.c
pack_pkgs := libarchive

unit_tests += patience seccomp_filter log_lines
patience_srcs := tests/unit/patience.c
patience_libs := proto
patience_pkgs := check
seccomp_filter_srcs := tests/unit/seccomp_filter.c
seccomp_filter_libs := proto
seccomp_filter_pkgs := check
log_lines_srcs := tests/unit/log_lines.c
log_lines_libs := proto
log_lines_pkgs := check

fuzz_targets += fs_changes
fs_changes_srcs := tests/fuzz/fs_changes.c
fs_changes_libs := proto

# SPDX-License-Identifier: GPL-2.0-or-later
# What every user-space side needs to talk: log lines, descriptors, framing.
libs += proto
proto_srcs := \
	protocol/lib/fd.c \
	protocol/lib/fields.c \
	protocol/lib/frame.c \
	protocol/lib/fs_change.c \
	protocol/lib/log.c

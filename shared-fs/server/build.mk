# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-fsd: the file server.
libs += fsd
fsd_srcs := \
	shared-fs/server/attr.c \
	shared-fs/server/caller.c \
	shared-fs/server/closer.c \
	shared-fs/server/control.c \
	shared-fs/server/data.c \
	shared-fs/server/dax.c \
	shared-fs/server/dax_buffer.c \
	shared-fs/server/dir.c \
	shared-fs/server/dispatch.c \
	shared-fs/server/entry.c \
	shared-fs/server/evict.c \
	shared-fs/server/file.c \
	shared-fs/server/fs.c \
	shared-fs/server/fstype.c \
	shared-fs/server/handle.c \
	shared-fs/server/inode.c \
	shared-fs/server/ioctl.c \
	shared-fs/server/keeper.c \
	shared-fs/server/kept.c \
	shared-fs/server/lock.c \
	shared-fs/server/memory.c \
	shared-fs/server/options.c \
	shared-fs/server/queue.c \
	shared-fs/server/recover.c \
	shared-fs/server/redo.c \
	shared-fs/server/remote.c \
	shared-fs/server/session.c \
	shared-fs/server/share.c \
	shared-fs/server/shared.c \
	shared-fs/server/slots.c \
	shared-fs/server/vhost.c \
	shared-fs/server/vring.c \
	shared-fs/server/watch.c \
	shared-fs/server/watch_own.c \
	shared-fs/server/watch_queue.c \
	shared-fs/server/watch_send.c \
	shared-fs/server/watch_table.c \
	shared-fs/server/workers.c \
	shared-fs/server/xattr.c

progs += lodge-fsd
lodge-fsd_srcs := shared-fs/server/main.c shared-fs/server/sandbox.c shared-fs/server/seccomp.c
lodge-fsd_pkgs := libseccomp
lodge-fsd_libs := fsd proto

# The conformance run inside of a guest.
guest_progs += fs-conform
fs-conform_srcs := tests/vm/posix/conform.c tests/vm/posix/names.c tests/vm/posix/data.c \
	tests/vm/posix/attrs.c tests/vm/posix/refusals.c tests/vm/posix/stamps.c tests/vm/posix/users.c

# Random calls against a model of the file.
guest_progs += fs-random
fs-random_srcs := tests/vm/posix/random.c

unit_tests += fsd_requests
fsd_requests_srcs := tests/unit/fsd_requests.c tests/unit/fsd_harness.c
fsd_requests_libs := fsd proto
fsd_requests_pkgs := check

unit_tests += fsd_limits
fsd_limits_srcs := tests/unit/fsd_limits.c tests/unit/fsd_harness.c
fsd_limits_libs := fsd proto
fsd_limits_pkgs := check

# Shares that are taken away, locks that are waited for.
unit_tests += fsd_shares
fsd_shares_srcs := tests/unit/fsd_shares.c tests/unit/fsd_harness.c
fsd_shares_libs := fsd proto
fsd_shares_pkgs := check

unit_tests += fsd_kept
fsd_kept_srcs := tests/unit/fsd_kept.c tests/unit/fsd_harness.c
fsd_kept_libs := fsd proto
fsd_kept_pkgs := check

unit_tests += fsd_hostile
fsd_hostile_srcs := tests/unit/fsd_hostile.c tests/unit/fsd_harness.c
fsd_hostile_libs := fsd proto
fsd_hostile_pkgs := check

fuzz_targets += fuse_request vhost_user_backend
fuse_request_srcs := tests/fuzz/fuse_request.c
fuse_request_libs := fsd proto
fuzz_targets += fuse_sequence
fuse_sequence_srcs := tests/fuzz/fuse_sequence.c
fuse_sequence_libs := fsd proto
fuzz_targets += fuzz_kept
fuzz_kept_srcs := tests/fuzz/kept.c
fuzz_kept_libs := fsd proto
vhost_user_backend_srcs := tests/fuzz/vhost_user_backend.c
vhost_user_backend_libs := fsd proto

man_pages += shared-fs/server/lodge-fsd.8.scd

unit_tests += fsd_tables
fsd_tables_srcs := tests/unit/fsd_tables.c
fsd_tables_libs := fsd proto
fsd_tables_pkgs := check

unit_tests += fsd_race
fsd_race_srcs := tests/unit/fsd_race.c
fsd_race_libs := fsd proto
fsd_race_pkgs := check
thread_tests += fsd_race

# Kills the program itself.
unit_tests += fsd_death
fsd_death_srcs := tests/unit/fsd_death.c tests/unit/fsd_tracer.c tests/unit/fsd_harness.c
fsd_death_libs := fsd proto
fsd_death_pkgs := check
$(BUILD)/unit/fsd_death: | $(BUILD)/bin/lodge-fsd

# The same, with a ring full of requests.
unit_tests += fsd_flight
fsd_flight_srcs := tests/unit/fsd_flight.c tests/unit/fsd_tracer.c tests/unit/fsd_harness.c
fsd_flight_libs := fsd proto
fsd_flight_pkgs := check
$(BUILD)/unit/fsd_flight: | $(BUILD)/bin/lodge-fsd

# The same, and the processes that start it.
unit_tests += fsd_keeper
fsd_keeper_srcs := tests/unit/fsd_keeper.c tests/unit/fsd_tracer.c tests/unit/fsd_harness.c
fsd_keeper_libs := fsd proto
fsd_keeper_pkgs := check
$(BUILD)/unit/fsd_keeper: | $(BUILD)/bin/lodge-fsd

# Many files at once.
unit_tests += fsd_many
fsd_many_srcs := tests/unit/fsd_many.c tests/unit/fsd_harness.c
fsd_many_libs := fsd proto
fsd_many_pkgs := check

unit_tests += fsd_evict
fsd_evict_srcs := tests/unit/fsd_evict.c tests/unit/fsd_harness.c
fsd_evict_libs := fsd proto
fsd_evict_pkgs := check

unit_tests += fsd_evict_folders
fsd_evict_folders_srcs := tests/unit/fsd_evict_folders.c tests/unit/fsd_harness.c
fsd_evict_folders_libs := fsd proto
fsd_evict_folders_pkgs := check

unit_tests += fsd_dax
fsd_dax_srcs := tests/unit/fsd_dax.c tests/unit/fsd_harness.c
fsd_dax_libs := fsd proto
fsd_dax_pkgs := check

unit_tests += fsd_scarce
fsd_scarce_srcs := tests/unit/fsd_scarce.c tests/unit/fsd_harness.c
fsd_scarce_libs := fsd proto
fsd_scarce_pkgs := check
$(BUILD)/unit/fsd_scarce: | $(BUILD)/bin/lodge-fsd
fsd_scarce_ldflags := -Wl,--wrap=malloc,--wrap=calloc,--wrap=mmap,--wrap=openat,--wrap=pthread_create

unit_tests += fsd_watch
fsd_watch_srcs := tests/unit/fsd_watch.c tests/unit/fsd_watch_rig.c tests/unit/fsd_harness.c
fsd_watch_libs := fsd proto
fsd_watch_pkgs := check

unit_tests += fsd_watch_own
fsd_watch_own_srcs := tests/unit/fsd_watch_own.c tests/unit/fsd_watch_rig.c tests/unit/fsd_harness.c
fsd_watch_own_libs := fsd proto
fsd_watch_own_pkgs := check

unit_tests += fsd_watch_queue
fsd_watch_queue_srcs := tests/unit/fsd_watch_queue.c
fsd_watch_queue_libs := fsd proto
fsd_watch_queue_pkgs := check

# What outlives all of its processes.
unit_tests += fsd_session
fsd_session_srcs := tests/unit/fsd_session.c tests/unit/fsd_harness.c
fsd_session_libs := fsd proto
fsd_session_pkgs := check

# Shares that are another machine's.
unit_tests += fsd_listing
fsd_listing_srcs := tests/unit/fsd_listing.c tests/unit/fsd_harness.c
fsd_listing_libs := fsd proto
fsd_listing_pkgs := check

unit_tests += fsd_validity
fsd_validity_srcs := tests/unit/fsd_validity.c tests/unit/fsd_harness.c
fsd_validity_libs := fsd proto
fsd_validity_pkgs := check

unit_tests += fsd_data
fsd_data_srcs := tests/unit/fsd_data.c tests/unit/fsd_harness.c
fsd_data_libs := fsd proto
fsd_data_pkgs := check

unit_tests += fsd_remote
fsd_remote_srcs := tests/unit/fsd_remote.c tests/unit/fsd_far_machine.c tests/unit/fsd_harness.c
fsd_remote_libs := fsd proto
fsd_remote_pkgs := check

unit_tests += fsd_unanswered
fsd_unanswered_srcs := tests/unit/fsd_unanswered.c tests/unit/fsd_far_machine.c tests/unit/fsd_harness.c
fsd_unanswered_libs := fsd proto
fsd_unanswered_pkgs := check
fsd_unanswered_ldflags := -Wl,--wrap=close

# What requests cost.
unit_tests += fsd_calls
fsd_calls_srcs := tests/unit/fsd_calls.c tests/unit/fsd_harness.c
fsd_calls_libs := fsd proto
fsd_calls_pkgs := check
fsd_calls_ldflags := -Wl,--wrap=openat,--wrap=statx,--wrap=close

unit_tests += fsd_outside
fsd_outside_srcs := tests/unit/fsd_outside.c tests/unit/fsd_harness.c
fsd_outside_libs := fsd proto
fsd_outside_pkgs := check

unit_tests += fsd_lists
fsd_lists_srcs := tests/unit/fsd_lists.c tests/unit/fsd_harness.c
fsd_lists_libs := fsd proto
fsd_lists_pkgs := check

# Behind this machine's FUSE driver.
unit_tests += fsd_mounted
fsd_mounted_srcs := tests/unit/fsd_mounted.c shared-fs/server/sandbox.c shared-fs/server/seccomp.c
fsd_mounted_libs := fsd proto
fsd_mounted_pkgs := check libseccomp
$(BUILD)/unit/fsd_mounted: | $(BUILD)/guest/fs-conform $(BUILD)/guest/fs-random

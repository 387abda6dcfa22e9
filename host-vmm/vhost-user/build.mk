# SPDX-License-Identifier: GPL-2.0-or-later
# vhost-user front end: devices whose queues another process serves.
vhost_user_srcs := \
	host-vmm/vhost-user/frontend.c \
	host-vmm/vhost-user/inflight.c \
	host-vmm/vhost-user/wire.c
virtio_fs_srcs := \
	host-vmm/shm_window.c \
	host-vmm/vhost-user/channel.c \
	host-vmm/vhost-user/spawn.c \
	host-vmm/vhost-user/starter.c \
	host-vmm/virtio/fs.c \
	host-vmm/virtio/fs_backend.c \
	host-vmm/virtio/fs_choice.c \
	host-vmm/virtio/fs_control.c \
	host-vmm/virtio/fs_late.c \
	host-vmm/virtio/fs_notify.c \
	host-vmm/virtio/fs_orphans.c \
	host-vmm/virtio/fs_ring.c \
	host-vmm/virtio/fs_shares.c \
	host-vmm/virtio/fs_stream.c \
	host-vmm/virtio/fs_streaming.c \
	host-vmm/virtio/fs_window.c
vmm_srcs += $(vhost_user_srcs) $(virtio_fs_srcs)

unit_tests += vhost_user_connection
vhost_user_connection_srcs := tests/unit/vhost_user_connection.c tests/unit/vhost_user_fake.c \
	$(vhost_user_srcs) host-vmm/memory.c
vhost_user_connection_libs := proto
vhost_user_connection_pkgs := check

fuzz_targets += vhost_user_frontend
vhost_user_frontend_srcs := tests/fuzz/vhost_user_frontend.c $(vhost_user_srcs) \
	host-vmm/memory.c
vhost_user_frontend_libs := proto

unit_tests += vhost_user_fs
vhost_user_fs_srcs = tests/unit/vhost_user_fs.c tests/unit/vhost_user_requests.c \
	tests/unit/fsd_child.c \
	$(virtio_rig_srcs) $(vhost_user_srcs) $(virtio_fs_srcs) $(backdoor_srcs)
vhost_user_fs_libs := vmconf proto
vhost_user_fs_pkgs := check

# Another machine is a server of lodge-fsd's code, which has an fs_share_add() of its own.
unit_tests += vhost_user_far
vhost_user_far_srcs = tests/unit/vhost_user_far.c tests/unit/vhost_user_requests.c \
	tests/unit/fsd_child.c tests/unit/fsd_far_machine.c \
	$(virtio_rig_srcs) $(vhost_user_srcs) \
	$(filter-out %/fs_shares.c,$(virtio_fs_srcs)) $(backdoor_srcs)
vhost_user_far_libs := vmconf fsd proto
vhost_user_far_pkgs := check

unit_tests += vhost_user_orphans
vhost_user_orphans_srcs = tests/unit/vhost_user_orphans.c tests/unit/vhost_user_requests.c \
	$(virtio_rig_srcs) $(vhost_user_srcs) host-vmm/virtio/fs_orphans.c
vhost_user_orphans_libs := proto
vhost_user_orphans_pkgs := check

unit_tests += vhost_user_starter
vhost_user_starter_srcs := tests/unit/vhost_user_starter.c host-vmm/vhost-user/spawn.c \
	host-vmm/vhost-user/starter.c
vhost_user_starter_libs := proto
vhost_user_starter_pkgs := check

vmm_srcs += host-vmm/sandbox.c
unit_tests += vmm_sandbox
vmm_sandbox_srcs := tests/unit/vmm_sandbox.c host-vmm/sandbox.c host-vmm/display/segment.c
vmm_sandbox_libs := proto
vmm_sandbox_pkgs := check

unit_tests += shm_window
shm_window_srcs := tests/unit/shm_window.c host-vmm/shm_window.c
shm_window_libs := proto
shm_window_pkgs := check

unit_tests += vhost_channel
vhost_channel_srcs := tests/unit/vhost_channel.c host-vmm/loop.c host-vmm/vhost-user/channel.c
vhost_channel_libs := proto
vhost_channel_pkgs := check

fuzz_targets += vhost_user_channel
vhost_user_channel_srcs := tests/fuzz/vhost_user_channel.c host-vmm/loop.c host-vmm/shm_window.c \
	host-vmm/vhost-user/channel.c
vhost_user_channel_libs := proto

unit_tests += vcpu_faults
vcpu_faults_srcs := tests/unit/vcpu_faults.c host-vmm/vcpu_faults.c
vcpu_faults_libs := proto
vcpu_faults_pkgs := check

unit_tests += fs_notify
fs_notify_srcs = tests/unit/fs_notify.c host-vmm/virtio/fs_notify.c $(backdoor_rig_srcs)
fs_notify_libs := proto
fs_notify_pkgs := check

unit_tests += fs_stream
fs_stream_srcs = tests/unit/fs_stream.c tests/unit/fsd_child.c $(vhost_user_srcs) $(virtio_fs_srcs) \
	$(backdoor_rig_srcs)
fs_stream_libs := vmconf proto
fs_stream_pkgs := check

fuzz_targets += fuzz_fs_stream
fuzz_fs_stream_srcs := tests/fuzz/fs_stream.c host-vmm/virtio/fs_ring.c host-vmm/memory.c
fuzz_fs_stream_libs := proto

# SPDX-License-Identifier: GPL-2.0-or-later
# The backdoor: the RPC service, and the door that carries frames by virtio.
backdoor_srcs := $(addprefix host-vmm/backdoor/, \
	backdoor.c \
	command.c \
	deliver.c \
	diskinfo.c \
	dispatch.c \
	facts.c \
	facts_fields.c \
	frame_door.c \
	nicinfo.c \
	rate.c \
	session.c \
	start.c \
	stream.c \
	vars.c \
	words_clock.c \
	words_guest.c \
	words_info.c \
	words_log.c \
	words_memory.c \
	words_session.c \
	words_tools.c) host-vmm/clock/host.c
backdoor_device_srcs := $(addprefix host-vmm/virtio/, backdoor.c backdoor_balloon.c balloon_pages.c)
vmm_srcs += $(backdoor_srcs) $(backdoor_device_srcs)

unit_tests += rpc_frames
rpc_frames_srcs := tests/unit/rpc_frames.c
rpc_frames_libs := proto
rpc_frames_pkgs := check

# Tests bring a machine without KVM, the rig of virtio's tests (whose build.mk comes later: "=").
unit_tests += backdoor_service backdoor_start backdoor_tools backdoor_power backdoor_facts backdoor_virtio backdoor_port \
	backdoor_hostile
backdoor_rig_srcs = tests/unit/backdoor_rig.c $(backdoor_srcs) $(virtio_rig_srcs)
backdoor_service_srcs = tests/unit/backdoor_service.c $(backdoor_rig_srcs)
backdoor_service_libs := proto
backdoor_service_pkgs := check
backdoor_start_srcs = tests/unit/backdoor_start.c $(backdoor_rig_srcs)
backdoor_start_libs := proto
backdoor_start_ldflags := -Wl,--wrap=clock_gettime
backdoor_start_pkgs := check
backdoor_hostile_srcs = tests/unit/backdoor_hostile.c $(backdoor_rig_srcs)
backdoor_hostile_libs := proto
backdoor_hostile_ldflags := -Wl,--wrap=clock_gettime
backdoor_hostile_pkgs := check
backdoor_tools_srcs = tests/unit/backdoor_tools.c $(backdoor_rig_srcs)
backdoor_tools_libs := proto
backdoor_tools_pkgs := check
backdoor_power_srcs = tests/unit/backdoor_power.c $(backdoor_rig_srcs)
backdoor_power_libs := proto
backdoor_power_pkgs := check
backdoor_facts_srcs = tests/unit/backdoor_facts.c $(backdoor_srcs) $(virtio_rig_srcs)
backdoor_facts_libs := proto
backdoor_facts_pkgs := check
backdoor_virtio_srcs = tests/unit/backdoor_virtio.c $(backdoor_srcs) $(backdoor_device_srcs) \
	$(virtio_rig_srcs)
backdoor_virtio_libs := proto
backdoor_virtio_pkgs := check
unit_tests += backdoor_region
backdoor_region_srcs = tests/unit/backdoor_region.c $(backdoor_srcs) $(backdoor_device_srcs) \
	$(virtio_rig_srcs)
backdoor_region_libs := proto
backdoor_region_pkgs := check
unit_tests += backdoor_balloon
backdoor_balloon_srcs = tests/unit/backdoor_balloon.c $(backdoor_srcs) $(backdoor_device_srcs) \
	host-vmm/virtio/balloon.c $(addprefix host-vmm/memory-policy/, host.c policy.c steward.c table.c) \
	$(virtio_rig_srcs)
backdoor_balloon_libs := proto
backdoor_balloon_pkgs := check
backdoor_port_srcs = tests/unit/backdoor_port.c $(backdoor_srcs) $(console_srcs) $(virtio_rig_srcs)
backdoor_port_libs := proto
backdoor_port_pkgs := check

fuzz_targets += fuzz_rpc_frames fuzz_rpc_words fuzz_balloon
fuzz_balloon_srcs = tests/fuzz/balloon.c $(backdoor_srcs) $(backdoor_device_srcs) $(virtio_rig_srcs)
fuzz_balloon_libs := proto
fuzz_rpc_frames_srcs = tests/fuzz/rpc_frames.c $(backdoor_srcs) $(virtio_rig_srcs)
fuzz_rpc_frames_libs := proto
fuzz_rpc_words_srcs = tests/fuzz/rpc_words.c $(backdoor_srcs) $(virtio_rig_srcs)
fuzz_rpc_words_libs := proto

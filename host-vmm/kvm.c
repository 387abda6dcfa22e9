// SPDX-License-Identifier: GPL-2.0-or-later
// /dev/kvm: what we need of it, said in plain words where it is missing, and a VM with its chips.
#include "host-vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "protocol/lib/fd.h"

const struct kvm_requirement kvm_requirements[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "the guest's memory is memory of ours" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "interrupt controllers run in the kernel" },
	{ KVM_CAP_PIT2, "KVM_CAP_PIT2", "the PC's timer runs in the kernel" },
	{ KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "the guest is told what the processor can do" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "processors are reset and started" },
	{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", "devices send MSI-X interrupts" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "interrupts reach the guest without stopping it" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "doorbells reach devices without stopping it" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "processors are stopped reliably" },
	{ 0 },
};

static void say_open_error(int error, char message[KVM_MESSAGE_MAX])
{
	switch (error) {
	case ENOENT:
		snprintf(message, KVM_MESSAGE_MAX,
			 "/dev/kvm is missing: load the module kvm_intel or kvm_amd, and switch on "
			 "virtualization (VT-x, AMD-V) in the firmware's setup");
		break;
	case EACCES:
	case EPERM:
		snprintf(message, KVM_MESSAGE_MAX,
			 "/dev/kvm may not be opened by this user: join the group that owns it "
			 "('sudo usermod -aG kvm %s', then log in again)",
			 getenv("USER") ? getenv("USER") : "$USER");
		break;
	case ENODEV:
	case ENXIO:
		snprintf(message, KVM_MESSAGE_MAX,
			 "/dev/kvm is there but no KVM module answers: load kvm_intel or kvm_amd, "
			 "and switch on virtualization (VT-x, AMD-V) in the firmware's setup");
		break;
	default:
		snprintf(message, KVM_MESSAGE_MAX, "/dev/kvm cannot be opened: %s",
			 strerror(error));
	}
}

int kvm_capability(int fd, int capability)
{
	int value = ioctl(fd, KVM_CHECK_EXTENSION, capability);

	return value < 0 ? 0 : value;
}

int kvm_open(int *ret_kvm_fd, char message[KVM_MESSAGE_MAX])
{
	autofd fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0) {
		int error = errno;

		say_open_error(error, message);
		return -error;
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		snprintf(message, KVM_MESSAGE_MAX,
			 "/dev/kvm does not speak KVM's interface version %d: is it a device of "
			 "something else?",
			 KVM_API_VERSION);
		return -ENODEV;
	}
	for (const struct kvm_requirement *need = kvm_requirements; need->name; need++) {
		if (kvm_capability(fd, need->capability) > 0)
			continue;
		snprintf(message, KVM_MESSAGE_MAX,
			 "this kernel's KVM lacks %s, by which %s: use Linux 4.13 or newer on x86",
			 need->name, need->why);
		return -ENOTSUP;
	}
	*ret_kvm_fd = fd_steal(&fd);
	return 0;
}

/* Needed by Intel processors without unrestricted guest mode; others ignore it. */
static int place_real_mode_pages(int vm_fd)
{
	uint64_t identity_map = LAYOUT_IDENTITY_MAP;

	if (kvm_capability(vm_fd, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0 &&
	    ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
		return -errno;
	if (kvm_capability(vm_fd, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    ioctl(vm_fd, KVM_SET_TSS_ADDR, LAYOUT_TSS) < 0)
		return -errno;
	return 0;
}

int kvm_create_vm(int kvm_fd, int *ret_vm_fd, char message[KVM_MESSAGE_MAX])
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	const char *what = "a virtual machine";
	int ret, vm_fd = -1;

	do {
		vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	} while (vm_fd < 0 && errno == EINTR);
	if (vm_fd < 0) {
		ret = -errno;
		goto fail;
	}
	what = "pages for real mode";
	ret = place_real_mode_pages(vm_fd);
	if (ret < 0)
		goto fail;
	what = "interrupt controllers";
	if (ioctl(vm_fd, KVM_CREATE_IRQCHIP, 0) < 0) {
		ret = -errno;
		goto fail;
	}
	what = "a timer";
	if (ioctl(vm_fd, KVM_CREATE_PIT2, &pit) < 0) {
		ret = -errno;
		goto fail;
	}
	*ret_vm_fd = vm_fd;
	return 0;

fail:
	snprintf(message, KVM_MESSAGE_MAX,
		 "KVM cannot make %s: %s; 'lodge check' tells what this host can do", what,
		 strerror(-ret));
	fd_close(&vm_fd);
	return ret;
}

/* A slot for [start, end) of @region. */
static int map_slot(int vm_fd, uint32_t slot, const struct memory_region *region, uint64_t start,
		    uint64_t end)
{
	struct kvm_userspace_memory_region map = {
		.slot = slot,
		.guest_phys_addr = region->gpa + start,
		.memory_size = end - start,
		.userspace_addr = (uintptr_t)region->host + start,
	};

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &map) < 0 ? -errno : 0;
}

int kvm_map_memory(int vm_fd, const struct memory *memory, bool has_vga)
{
	const struct memory_region *regions;
	uint32_t slot = 0;
	size_t n_regions;
	int ret = 0;

	regions = memory_regions(memory, &n_regions);
	for (size_t i = 0; i < n_regions && ret == 0; i++) {
		uint64_t start = 0;

		if (i == 0 && has_vga) {
			ret = map_slot(vm_fd, slot++, &regions[i], 0, LAYOUT_VGA);
			start = LAYOUT_VGA + LAYOUT_VGA_SIZE;
		}
		if (ret == 0)
			ret = map_slot(vm_fd, slot++, &regions[i], start, regions[i].size);
	}
	return ret;
}

struct kvm_chips {
	struct kvm_irqchip irqchips[3]; /* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */
	struct kvm_pit_state2 pit;
};

int kvm_chips_take(int vm_fd, struct kvm_chips **ret_chips)
{
	struct kvm_chips *chips = calloc(1, sizeof(*chips));
	int ret;

	if (!chips)
		return -ENOMEM;
	for (unsigned int i = 0; i < 3; i++) {
		chips->irqchips[i].chip_id = i;
		if (ioctl(vm_fd, KVM_GET_IRQCHIP, &chips->irqchips[i]) < 0)
			goto fail;
	}
	if (ioctl(vm_fd, KVM_GET_PIT2, &chips->pit) < 0)
		goto fail;
	*ret_chips = chips;
	return 0;

fail:
	ret = -errno;
	free(chips);
	return ret;
}

int kvm_chips_restore(int vm_fd, const struct kvm_chips *chips)
{
	for (unsigned int i = 0; i < 3; i++) {
		struct kvm_irqchip irqchip = chips->irqchips[i];

		if (ioctl(vm_fd, KVM_SET_IRQCHIP, &irqchip) < 0)
			return -errno;
	}
	if (ioctl(vm_fd, KVM_SET_PIT2, &chips->pit) < 0)
		return -errno;
	return 0;
}

void kvm_chips_free(struct kvm_chips *chips)
{
	free(chips);
}

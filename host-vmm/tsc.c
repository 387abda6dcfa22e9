// SPDX-License-Identifier: GPL-2.0-or-later
// The time-stamp counter of a vCPU: the host's and an offset, which guests may change.
#include "host-vmm/tsc.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* Intel SDM volume 4 */
#define IA32_TIME_STAMP_COUNTER 0x10
#define IA32_TSC_ADJUST		0x3b

int tsc_watch(int vm_fd)
{
	struct kvm_enable_cap exits = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
					.args = { KVM_MSR_EXIT_REASON_FILTER } };
	unsigned long denied = 0;
	struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	filter.ranges[0] = (struct kvm_msr_filter_range){ .flags = KVM_MSR_FILTER_WRITE,
							  .nmsrs = 1,
							  .base = IA32_TIME_STAMP_COUNTER,
							  .bitmap = (uint8_t *)&denied };
	filter.ranges[1] = filter.ranges[0];
	filter.ranges[1].base = IA32_TSC_ADJUST;
	if (ioctl(vm_fd, KVM_ENABLE_CAP, &exits) < 0 ||
	    ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter) < 0)
		return -errno;
	return 0;
}

static int offset_attribute(int vcpu_fd, unsigned long request, uint64_t *offset)
{
	struct kvm_device_attr attribute = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return ioctl(vcpu_fd, request, &attribute) < 0 ? -errno : 0;
}

int tsc_offset(int vcpu_fd, uint64_t *ret_offset)
{
	uint64_t offset = 0;
	int ret = offset_attribute(vcpu_fd, KVM_GET_DEVICE_ATTR, &offset);

	if (!ret)
		*ret_offset = offset;
	return ret;
}

/* @request: KVM_GET_MSRS or KVM_SET_MSRS, which tell how many they did. */
static int msr(int vcpu_fd, unsigned long request, uint32_t index, uint64_t *value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} one = { .head.nmsrs = 1, .entry = { .index = index, .data = *value } };
	int done = ioctl(vcpu_fd, request, &one);

	if (done < 0)
		return -errno;
	*value = one.entry.data;
	return done == 1 ? 0 : -EINVAL;
}

/*
 * A write to one of the two moves the other by as much. The host's write of TSC_ADJUST moves
 * nothing: it comes last, beside the offset.
 */
static int move(int vcpu_fd, uint32_t index, uint64_t value)
{
	uint64_t adjust = 0, before = 0, offset = 0, by;
	int ret = msr(vcpu_fd, KVM_GET_MSRS, IA32_TSC_ADJUST, &adjust);

	if (!ret)
		ret = msr(vcpu_fd, KVM_GET_MSRS, index, &before);
	if (!ret)
		ret = offset_attribute(vcpu_fd, KVM_GET_DEVICE_ATTR, &offset);
	if (ret)
		return ret;
	by = value - before;
	offset += by;
	adjust += by;
	ret = offset_attribute(vcpu_fd, KVM_SET_DEVICE_ATTR, &offset);
	return ret ? ret : msr(vcpu_fd, KVM_SET_MSRS, IA32_TSC_ADJUST, &adjust);
}

int tsc_write(int vcpu_fd, struct kvm_run *run)
{
	int ret = -ENOENT;

	if (run->msr.index == IA32_TIME_STAMP_COUNTER || run->msr.index == IA32_TSC_ADJUST)
		ret = move(vcpu_fd, run->msr.index, run->msr.data);
	run->msr.error = ret != 0;
	return ret;
}

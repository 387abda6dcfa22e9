// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's statistics of page faults. */
#include "host-vmm/vcpu_faults.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

#define STATS_MAX     1024 /* descriptors that are looked at */
#define STAT_NAME_MAX 64 /* KVM_STATS_NAME_SIZE is 48 */

/* The first counts all faults, the others what became of them. Names are the kernel's. */
static const char *const kinds[VCPU_FAULTS_KINDS] = {
	"pf_taken", "pf_fixed", "pf_fast", "pf_emulate", "pf_spurious",
};

static void note(struct vcpu_faults *faults, const char *name, uint64_t offset)
{
	for (size_t i = 0; i < VCPU_FAULTS_KINDS; i++) {
		if (!strcmp(name, kinds[i]))
			faults->offsets[i] = offset;
	}
}

static void find_offsets(struct vcpu_faults *faults)
{
	struct kvm_stats_header header;
	size_t size, len;
	char *list;

	if (pread(faults->fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.name_size > STAT_NAME_MAX || header.name_size == 0 ||
	    header.num_desc > STATS_MAX)
		return;
	/* At once: there are some fifty. */
	size = sizeof(struct kvm_stats_desc) + header.name_size;
	len = size * header.num_desc;
	list = malloc(len + 1);
	if (!list)
		return;
	if (pread(faults->fd, list, len, (off_t)header.desc_offset) == (ssize_t)len) {
		for (char *at = list; at < list + len; at += size) {
			struct kvm_stats_desc desc;

			memcpy(&desc, at, sizeof(desc));
			at[size - 1] = 0;
			note(faults, at + sizeof(desc), header.data_offset + desc.offset);
		}
	}
	free(list);
}

void vcpu_faults_open(struct vcpu_faults *faults, int vcpu_fd)
{
	*faults = (struct vcpu_faults){ .fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL) };
	if (faults->fd >= 0)
		find_offsets(faults);
	if (!faults->offsets[0] || !faults->offsets[1])
		fd_close(&faults->fd);
}

void vcpu_faults_close(struct vcpu_faults *faults)
{
	fd_close(&faults->fd);
}

uint64_t vcpu_faults_count(const struct vcpu_faults *faults)
{
	uint64_t values[VCPU_FAULTS_KINDS] = { 0 };

	if (faults->fd < 0)
		return 0;
	for (size_t i = 0; i < VCPU_FAULTS_KINDS; i++) {
		if (faults->offsets[i] && pread(faults->fd, &values[i], sizeof(values[i]),
						(off_t)faults->offsets[i]) != sizeof(values[i]))
			return 0;
	}
	for (size_t i = 1; i < VCPU_FAULTS_KINDS; i++)
		values[0] -= values[i] < values[0] ? values[i] : values[0];
	return values[0];
}

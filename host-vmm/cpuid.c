// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CPUID of a vCPU.
 *
 * Theory of operation: KVM's list is copied leaf by leaf. A const table names the leaves that are
 * changed and by which function; a function may drop the leaf. Leaves that depend on topology are
 * dropped where KVM would show the host's, and made anew at the end.
 *
 * Sources: Intel SDM volume 2A (CPUID), AMD APM volume 3 appendix E, Linux
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "host-vmm/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <asm/kvm_para.h>

#include <lodge/cpuid.h>

#define CPUID_ENTRIES_MAX 256 /* KVM_MAX_CPUID_ENTRIES of the kernel */
#define CPUID_ADDED_MAX	  8 /* leaves that we add at most */
#define APIC_TIMER_KHZ	  1000000 /* KVM's APIC_BUS_CYCLE_NS is 1 */

#define LEAF1_ECX_MONITOR      (1u << 3)
#define LEAF1_ECX_VMX	       (1u << 5)
#define LEAF1_ECX_X2APIC       (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR   (1u << 31)
#define LEAF1_EDX_HTT	       (1u << 28)
#define LEAF6_EAX_ARAT	       (1u << 2)
#define EXT1_ECX_CMP_LEGACY    (1u << 1)
#define EXT1_ECX_SVM	       (1u << 2)
#define TOPOLOGY_SMT	       1u
#define TOPOLOGY_CORE	       2u

struct builder {
	const struct cpuid_options *options;
	uint32_t index; /* of the vCPU: its APIC id too */
	unsigned int shift; /* APIC id bits within the socket */
	bool amd; /* or Hygon */
	uint32_t max_basic;
	struct kvm_cpuid2 *out;
};

/* Changes @entry; false to leave it out. */
typedef bool (*patch_fn)(struct builder *builder, struct kvm_cpuid_entry2 *entry);

static bool patch_drop(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	(void)builder;
	(void)entry;
	return false;
}

static bool patch_features(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	entry->ebx = (entry->ebx & 0xffff) | builder->index << 24;
	entry->ebx |= (1u << builder->shift) << 16;
	entry->ecx |= LEAF1_ECX_X2APIC | LEAF1_ECX_HYPERVISOR;
	entry->ecx &= ~(LEAF1_ECX_MONITOR | LEAF1_ECX_VMX | LEAF1_ECX_TSC_DEADLINE);
	if (builder->options->tsc_deadline)
		entry->ecx |= LEAF1_ECX_TSC_DEADLINE;
	entry->edx &= ~LEAF1_EDX_HTT;
	if (builder->options->cpus > 1)
		entry->edx |= LEAF1_EDX_HTT;
	return true;
}

/* Intel's leaf 4 and AMD's 0x8000001D agree in what is changed: who shares a cache. Level 3 is
 * shared by the socket, the others belong to one core. */
static bool patch_cache(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	uint32_t type = entry->eax & 0x1f, level = entry->eax >> 5 & 7;
	uint32_t sharing = level >= 3 ? (1u << builder->shift) - 1 : 0;

	if (type == 0)
		return true;
	entry->eax &= 0x3fff;
	entry->eax |= sharing << 14;
	if (entry->function == 4)
		entry->eax |= ((1u << builder->shift) - 1) << 26;
	return true;
}

static bool patch_power(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	(void)builder;
	*entry = (struct kvm_cpuid_entry2){ .function = 6, .eax = LEAF6_EAX_ARAT };
	return true;
}

static bool patch_extended_features(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	entry->ecx &= ~(EXT1_ECX_SVM | EXT1_ECX_CMP_LEGACY);
	if (builder->amd && builder->options->cpus > 1)
		entry->ecx |= EXT1_ECX_CMP_LEGACY;
	return true;
}

static bool patch_address_sizes(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	entry->ecx = 0;
	if (builder->amd)
		entry->ecx = builder->shift << 12 | (builder->options->cpus - 1);
	return true;
}

static bool patch_amd_topology(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	entry->eax = builder->index;
	entry->ebx = builder->index; /* one thread per core */
	entry->ecx = 0;
	entry->edx = 0;
	return builder->amd;
}

static bool patch_kvm(struct builder *builder, struct kvm_cpuid_entry2 *entry)
{
	if (builder->options->vmware_only)
		return false;
	if (builder->options->kvm_only)
		return true;
	entry->function += LODGE_CPUID_KVM_BASE - LODGE_CPUID_BASE;
	if (entry->function == LODGE_CPUID_KVM_BASE)
		entry->eax = LODGE_CPUID_KVM_BASE + (KVM_CPUID_FEATURES - KVM_CPUID_SIGNATURE);
	return true;
}

static const struct {
	uint32_t function;
	patch_fn patch;
} patches[] = {
	{ 0x1, patch_features },
	{ 0x4, patch_cache },
	{ 0x5, patch_drop }, /* MONITOR */
	{ 0x6, patch_power },
	{ 0xb, patch_drop }, /* made anew: topology */
	{ 0x1f, patch_drop }, /* likewise */
	{ 0x80000001, patch_extended_features },
	{ 0x80000008, patch_address_sizes },
	{ 0x8000000a, patch_drop }, /* SVM */
	{ 0x8000001d, patch_cache },
	{ 0x8000001e, patch_amd_topology },
	{ 0x80000026, patch_drop }, /* the host's topology */
	{ KVM_CPUID_SIGNATURE, patch_kvm },
	{ KVM_CPUID_FEATURES, patch_kvm },
};

static patch_fn find_patch(uint32_t function)
{
	for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++)
		if (patches[i].function == function)
			return patches[i].patch;
	return NULL;
}

static void add(struct builder *builder, struct kvm_cpuid_entry2 entry)
{
	builder->out->entries[builder->out->nent++] = entry;
}

/* Two levels below the socket: one thread in a core, all cores in the socket. */
static void add_topology(struct builder *builder, uint32_t function)
{
	if (builder->max_basic < function)
		return;
	add(builder, (struct kvm_cpuid_entry2){
			     .function = function,
			     .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			     .ebx = 1,
			     .ecx = TOPOLOGY_SMT << 8,
			     .edx = builder->index,
		     });
	add(builder, (struct kvm_cpuid_entry2){
			     .function = function,
			     .index = 1,
			     .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			     .eax = builder->shift,
			     .ebx = builder->options->cpus,
			     .ecx = TOPOLOGY_CORE << 8 | 1,
			     .edx = builder->index,
		     });
	add(builder, (struct kvm_cpuid_entry2){
			     .function = function,
			     .index = 2,
			     .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			     .ecx = 2,
			     .edx = builder->index,
		     });
}

/* Lodge's range and VMware's are alike but for the signature; features that VMware tells in ECX of
 * the second leaf (calls by VMCALL) would end in KVM, so none are told. */
static void add_hypervisor(struct builder *builder)
{
	const char *signature = builder->options->vmware_only ? LODGE_CPUID_VMWARE
							      : LODGE_CPUID_SIGNATURE;
	struct kvm_cpuid_entry2 base = {
		.function = LODGE_CPUID_BASE,
		.eax = LODGE_CPUID_TIMING,
	};

	memcpy(&base.ebx, signature, 4);
	memcpy(&base.ecx, signature + 4, 4);
	memcpy(&base.edx, signature + 8, 4);
	add(builder, base);
	add(builder, (struct kvm_cpuid_entry2){
			     .function = LODGE_CPUID_TIMING,
			     .ebx = APIC_TIMER_KHZ,
		     });
}

static bool is_amd(const struct kvm_cpuid_entry2 *leaf0)
{
	return memcmp(&leaf0->ebx, "Auth", 4) == 0 || memcmp(&leaf0->ebx, "Hygo", 4) == 0;
}

int cpuid_for_vcpu(const struct kvm_cpuid2 *supported, const struct cpuid_options *options,
		   unsigned int index, struct kvm_cpuid2 **ret_cpuid)
{
	struct builder builder = { .options = options, .index = index };
	size_t room = supported->nent + CPUID_ADDED_MAX;

	builder.out = calloc(1, sizeof(*builder.out) + room * sizeof(builder.out->entries[0]));
	if (!builder.out)
		return -ENOMEM;
	while (1u << builder.shift < options->cpus)
		builder.shift++;
	for (uint32_t i = 0; i < supported->nent; i++) {
		if (supported->entries[i].function != 0)
			continue;
		builder.amd = is_amd(&supported->entries[i]);
		builder.max_basic = supported->entries[i].eax;
	}
	for (uint32_t i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 entry = supported->entries[i];
		patch_fn patch = find_patch(entry.function);

		if (!patch || patch(&builder, &entry))
			add(&builder, entry);
	}
	add_topology(&builder, 0xb);
	add_topology(&builder, 0x1f);
	if (!options->kvm_only)
		add_hypervisor(&builder);
	*ret_cpuid = builder.out;
	return 0;
}

int cpuid_supported(int kvm_fd, struct kvm_cpuid2 **ret_cpuid)
{
	struct kvm_cpuid2 *cpuid;
	int ret;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		ret = -errno;
		free(cpuid);
		return ret;
	}
	*ret_cpuid = cpuid;
	return 0;
}

void cpuid_set_tsc(struct kvm_cpuid2 *cpuid, uint32_t khz)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == LODGE_CPUID_TIMING)
			cpuid->entries[i].eax = khz;
}

unsigned int cpuid_address_bits(const struct kvm_cpuid2 *supported)
{
	for (uint32_t i = 0; i < supported->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &supported->entries[i];

		if (entry->function == 0x80000008 && (entry->eax & 0xff) != 0)
			return entry->eax & 0xff;
	}
	return 36;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// By what a guest knows its machine: CPUID, SMBIOS, the UUID.
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/cpuid.h>

#include "host-vmm/boot/smbios.h"
#include "host-vmm/conf/uuid.h"
#include "host-vmm/cpuid.h"
#include "host-vmm/layout.h"
#include "tests/unit/unit.h"

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *cpuid, uint32_t function,
					   uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

static struct kvm_cpuid2 *make_supported(const char *vendor)
{
	const struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0, .eax = 0x1f },
		{ .function = 1, .ebx = 0x07101234, .ecx = 0x28, .edx = 1u << 28 },
		{ .function = 4, .eax = 0xfc01c163, .flags = 1 },
		{ .function = 0xb, .eax = 1, .ebx = 2, .edx = 77, .flags = 1 },
		{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
		{ .function = 0x40000001, .eax = 0x01007efb },
		{ .function = 0x80000001, .ecx = 0x7 },
		{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x7007 },
		{ .function = 0x8000000a, .eax = 1 },
		{ .function = 0x8000001e, .eax = 77 },
	};
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + sizeof(entries));

	cpuid->nent = sizeof(entries) / sizeof(entries[0]);
	memcpy(cpuid->entries, entries, sizeof(entries));
	memcpy(&cpuid->entries[0].ebx, vendor, 4);
	return cpuid;
}

START_TEST(cpuid_topology)
{
	const struct cpuid_options options = { .cpus = 6, .tsc_deadline = true };
	struct kvm_cpuid2 *supported = make_supported("Auth"), *cpuid;

	ck_assert_uint_eq(cpuid_address_bits(supported), 48);
	ck_assert_int_eq(cpuid_for_vcpu(supported, &options, 5, &cpuid), 0);
	ck_assert_uint_eq(leaf(cpuid, 1, 0)->ebx >> 16, 0x0508);
	ck_assert_uint_eq(leaf(cpuid, 1, 0)->ecx, 1u << 31 | 1u << 24 | 1u << 21);
	ck_assert_uint_eq(leaf(cpuid, 4, 0)->eax >> 26, 7);
	ck_assert_uint_eq(leaf(cpuid, 4, 0)->eax >> 14 & 0xfff, 7);
	ck_assert_uint_eq(leaf(cpuid, 0xb, 1)->ebx, 6);
	ck_assert_uint_eq(leaf(cpuid, 0xb, 1)->eax, 3);
	ck_assert_uint_eq(leaf(cpuid, 0xb, 0)->edx, 5);
	ck_assert_ptr_nonnull(leaf(cpuid, 0x1f, 1));
	ck_assert_uint_eq(leaf(cpuid, 0x80000001, 0)->ecx, 0x3);
	ck_assert_uint_eq(leaf(cpuid, 0x80000008, 0)->ecx, 0x3005);
	ck_assert_uint_eq(leaf(cpuid, 0x8000001e, 0)->eax, 5);
	ck_assert_ptr_null(leaf(cpuid, 0x8000000a, 0));
	free(cpuid);
	free(supported);
}
END_TEST

START_TEST(cpuid_hypervisor)
{
	struct cpuid_options options = { .cpus = 1 };
	struct kvm_cpuid2 *supported = make_supported("Genu"), *cpuid;

	ck_assert_int_eq(cpuid_for_vcpu(supported, &options, 0, &cpuid), 0);
	ck_assert_int_eq(memcmp(&leaf(cpuid, LODGE_CPUID_BASE, 0)->ebx, "LodgeLodgeVM", 12), 0);
	ck_assert_uint_eq(leaf(cpuid, LODGE_CPUID_BASE, 0)->eax, LODGE_CPUID_TIMING);
	cpuid_set_tsc(cpuid, 2000000);
	ck_assert_uint_eq(leaf(cpuid, LODGE_CPUID_TIMING, 0)->eax, 2000000);
	ck_assert_uint_eq(leaf(cpuid, LODGE_CPUID_KVM_BASE, 0)->eax, LODGE_CPUID_KVM_BASE + 1);
	ck_assert_uint_eq(leaf(cpuid, LODGE_CPUID_KVM_BASE + 1, 0)->eax, 0x01007efb);
	ck_assert_ptr_null(leaf(cpuid, 0x40000001, 0));
	ck_assert_ptr_null(leaf(cpuid, 0x8000001e, 0));
	free(cpuid);
	options.kvm_only = true;
	ck_assert_int_eq(cpuid_for_vcpu(supported, &options, 0, &cpuid), 0);
	ck_assert_uint_eq(leaf(cpuid, 0x40000000, 0)->ebx, 0x4b4d564b);
	ck_assert_ptr_nonnull(leaf(cpuid, 0x40000001, 0));
	ck_assert_ptr_null(leaf(cpuid, LODGE_CPUID_KVM_BASE, 0));
	free(cpuid);
	options.kvm_only = false;
	options.vmware_only = true;
	ck_assert_int_eq(cpuid_for_vcpu(supported, &options, 0, &cpuid), 0);
	ck_assert_int_eq(memcmp(&leaf(cpuid, 0x40000000, 0)->ebx, "VMwareVMware", 12), 0);
	cpuid_set_tsc(cpuid, 2000000);
	ck_assert_uint_eq(leaf(cpuid, 0x40000010, 0)->eax, 2000000);
	ck_assert_uint_eq(leaf(cpuid, 0x40000010, 0)->ebx, 1000000);
	ck_assert_uint_eq(leaf(cpuid, 0x40000010, 0)->ecx, 0);
	ck_assert_ptr_null(leaf(cpuid, 0x40000001, 0));
	ck_assert_ptr_null(leaf(cpuid, LODGE_CPUID_KVM_BASE, 0));
	free(cpuid);
	free(supported);
}
END_TEST

/* The string number @number behind the structure at @at. */
static const char *smbios_string(const uint8_t *at, unsigned int number)
{
	const char *text = (const char *)at + at[1];

	while (--number > 0)
		text += strlen(text) + 1;
	return text;
}

START_TEST(smbios_tables)
{
	const uint8_t uuid[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
				   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	const uint8_t swapped[8] = { 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66 };
	uint8_t bytes[SMBIOS_TABLES_MAX], sum = 0, types = 0;
	int len = smbios_build(uuid, LAYOUT_SMBIOS, bytes);
	uint32_t size;
	uint64_t first;
	size_t at;

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(memcmp(bytes, "_SM3_", 5), 0);
	for (size_t i = 0; i < bytes[6]; i++)
		sum += bytes[i];
	ck_assert_uint_eq(sum, 0);
	memcpy(&size, bytes + 12, sizeof(size));
	memcpy(&first, bytes + 16, sizeof(first));
	at = first - LAYOUT_SMBIOS;
	ck_assert_uint_eq(at + size, len);
	while (bytes[at] != 127) {
		types |= 1u << bytes[at];
		if (bytes[at] == 0)
			ck_assert_uint_eq(bytes[at + 0x13], 0x10);
		if (bytes[at] == 1) {
			ck_assert_str_eq(smbios_string(bytes + at, 1), "Lodge");
			ck_assert_str_eq(smbios_string(bytes + at, 4),
					 "Lodge-00112233445566778899aabbccddeeff");
			ck_assert_int_eq(memcmp(bytes + at + 8, swapped, 8), 0);
			ck_assert_int_eq(memcmp(bytes + at + 16, uuid + 8, 8), 0);
		}
		at += bytes[at + 1];
		while (bytes[at] != 0 || bytes[at + 1] != 0)
			at++;
		at += 2;
	}
	ck_assert_uint_eq(types, 1u << 0 | 1u << 1 | 1u << 3);
	ck_assert_uint_eq(at + 6, len);
}
END_TEST

START_TEST(uuids_are_of_host_and_folder)
{
	uint8_t one[16], same[16], folder[16], host[16];

	vm_uuid_make("0123", "/vms/a", one);
	vm_uuid_make("0123", "/vms/a", same);
	vm_uuid_make("0123", "/vms/b", folder);
	vm_uuid_make("4567", "/vms/a", host);
	ck_assert_int_eq(memcmp(one, same, 16), 0);
	ck_assert_int_ne(memcmp(one, folder, 16), 0);
	ck_assert_int_ne(memcmp(one, host, 16), 0);
	ck_assert_uint_eq(one[6] >> 4, 8);
	ck_assert_uint_eq(one[8] >> 6, 2);
}
END_TEST

START_TEST(uuids_are_texts)
{
	static const char text[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	static const char *const wrong[] = {
		"",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c80",
		"6ba7b8109-dad-11d1-80b4-00c04fd430c8",
		"6ba7b810-9dad-11d1-80b4-00c04fd430cx",
		"{ba7b810-9dad-11d1-80b4-00c04fd430c}",
		"00000000-0000-0000-0000-000000000000",
		"ffffffff-ffff-ffff-ffff-ffffffffffff",
	};
	char back[VM_UUID_TEXT];
	uint8_t uuid[16], same[16];

	ck_assert_int_eq(vm_uuid_parse(text, uuid), 0);
	vm_uuid_format(uuid, back);
	ck_assert_str_eq(back, text);
	ck_assert_int_eq(vm_uuid_parse("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", same), 0);
	ck_assert_mem_eq(uuid, same, sizeof(uuid));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(vm_uuid_parse(wrong[i], uuid), -EINVAL);
	ck_assert_mem_eq(uuid, same, sizeof(uuid));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmm_identity");
	TCase *tcase = tcase_create("identity");

	tcase_add_test(tcase, cpuid_topology);
	tcase_add_test(tcase, cpuid_hypervisor);
	tcase_add_test(tcase, smbios_tables);
	tcase_add_test(tcase, uuids_are_of_host_and_folder);
	tcase_add_test(tcase, uuids_are_texts);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * CPUID leaves by which a guest knows Lodge; protocol/spec/cpuid.md has the meaning.
 */
#ifndef LODGE_CPUID_H
#define LODGE_CPUID_H

/* EAX: highest leaf of this range. EBX, ECX, EDX: the signature, first byte lowest. */
#define LODGE_CPUID_BASE      0x40000000u
#define LODGE_CPUID_SIGNATURE "LodgeLodgeVM" /* 12 bytes, no NUL */
#define LODGE_CPUID_VMWARE    "VMwareVMware" /* in its place, with hypervisor=vmware */

/* EAX: TSC frequency in kHz, or 0. EBX: local APIC timer's input in kHz. ECX, EDX: 0. */
#define LODGE_CPUID_TIMING 0x40000010u

/* KVM's own leaves (signature, then features), moved up from 0x40000000 and 0x40000001. */
#define LODGE_CPUID_KVM_BASE 0x40000100u

#endif

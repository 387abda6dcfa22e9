/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/kvm: opening it, what we need of it, and a VM with its in-kernel chips.
 *
 * Source of the numbers: <linux/kvm.h> and the kernel's Documentation/virt/kvm/api.rst.
 * Locking: none; each function touches only the descriptors that it is given.
 */
#ifndef LODGE_VMM_KVM_H
#define LODGE_VMM_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

/* A capability without which Lodge cannot run; `lodge check` lists the same table. */
struct kvm_requirement {
	int capability; /* KVM_CAP_* */
	const char *name;
	const char *why; /* "interrupts reach the guest without a stop of ours" */
};

/* Ends with a NULL name. */
extern const struct kvm_requirement kvm_requirements[];

#define KVM_MESSAGE_MAX 512 /* bytes of a message, its NUL included */

/*
 * Opens /dev/kvm and checks it. On an error @message holds one line that says what is missing, what
 * it is needed for and what to do: -ENOENT, -EACCES, -ENODEV, -ENOTSUP, or open(2)'s errno.
 */
int kvm_open(int *ret_kvm_fd, char message[KVM_MESSAGE_MAX]);
/* The value of an optional capability; 0 where it is missing. @fd: /dev/kvm's or a VM's. */
int kvm_capability(int fd, int capability);

/* A VM with PIC, IOAPIC, LAPICs and PIT. @message as above. */
int kvm_create_vm(int kvm_fd, int *ret_vm_fd, char message[KVM_MESSAGE_MAX]);
/* Memory slots: RAM's are numbered from 0, those of shared windows from 64 (virtio/fs_window.c). */
#define KVM_SLOT_VGA	   8u /* video memory, behind BAR 0 */
#define KVM_SLOT_CLOCK	   9u /* the clock page, where ACPI says that it is */
#define KVM_SLOT_CLOCK_BAR 10u /* the same, behind the backdoor's BAR */
/* Makes each region of @memory slots, but for the VGA's window where @has_vga: accesses to it stop
 * the guest. */
int kvm_map_memory(int vm_fd, const struct memory *memory, bool has_vga);

/* Power-on state of the chips: taken from a new VM, put back at each reset. */
struct kvm_chips;
int kvm_chips_take(int vm_fd, struct kvm_chips **ret_chips);
int kvm_chips_restore(int vm_fd, const struct kvm_chips *chips);
void kvm_chips_free(struct kvm_chips *chips);

#endif

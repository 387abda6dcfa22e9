/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine: everything that a device or a vCPU may reach.
 *
 * Life: machine_create() checks the configuration against this host, makes memory, chips, devices
 * and vCPUs; machine_load() loads the boot image; machine_go() lets the vCPUs run; whenever
 * event_fd becomes readable, machine_dispatch() acts on what happened, until it returns why the
 * guest is down for good; machine_destroy() undoes all, in reverse. Main thread only, but for what
 * says "any thread".
 */
#ifndef LODGE_VMM_MACHINE_H
#define LODGE_VMM_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/boot/boot.h"
#include "protocol/lib/log.h"

struct backdoor;
struct bus;
struct clock;
struct device;
struct display;
struct hugepages;
struct input;
struct irq;
struct kvm_chips;
struct loop;
struct memory;
struct memory_steward;
struct pci_bus;
struct vcpu;
struct vm_config;
struct vmw_ports;

/* Why a machine stops or changes; later ones override earlier ones of less weight. */
enum machine_event {
	MACHINE_NONE = 0,
	MACHINE_RESET = 1, /* guest asked for a reboot (0xCF9, i8042, triple fault) */
	MACHINE_POWEROFF = 2, /* guest entered S5 */
	MACHINE_KILL = 3, /* host's word: stop at once */
	MACHINE_CRASH = 4, /* KVM gave up; a crash report has been logged */
};

struct machine {
	const struct vm_config *config; /* borrowed */
	int kvm_fd;
	int vm_fd;
	struct memory *memory;
	struct hugepages *hugepages; /* from machine_load() on; may be NULL */
	struct bus *ports;
	struct bus *mmio;
	struct irq *irq;
	struct pci_bus *pci;
	uint64_t pci_mmio64, pci_mmio64_size; /* window for 64-bit BARs, layout_pci_mmio64() */
	struct loop *loop; /* serves the devices' queues and descriptors */
	struct backdoor *backdoor; /* a device; NULL where all of its doors are off */
	struct display *display; /* of a device; NULL where vm.conf has no heads, as */
	struct input *input; /* this one */
	struct memory_steward *steward; /* who decides how much memory the guest has; or NULL */
	struct clock *clock; /* a device; NULL where the guest has no clock page */
	struct vmw_ports *vmw_ports; /* a device that vCPUs ask before the ports' bus; or NULL */
	uint8_t uuid[16]; /* in the order in which it is written */

	struct device **devices; /* in creation order */
	size_t n_devices;
	pthread_mutex_t vcpus_lock; /* for the end, when devices still ask for vCPUs' figures */
	struct vcpu **vcpus;
	size_t n_vcpus;

	/* Under event_lock; event_fd becomes readable (for the main loop) when it is set. */
	pthread_mutex_t event_lock;
	enum machine_event event;
	int event_fd;

	/* Under event_lock: what was asked for, and what is. paused_changed: paused, or the end. */
	bool pause_wanted, paused;
	pthread_cond_t paused_changed;

	/* Exit status that the guest's init reported (`lodge run`), or -1. Under event_lock. */
	int guest_status;

	struct kvm_chips *power_on_chips;
	struct log_ratelimit guest_log; /* for lines that the guest can provoke */
	struct boot_files boot;
	unsigned int address_bits; /* of guest-physical addresses */
};

int machine_create(const struct vm_config *config, struct machine **ret_machine);
/* Loads the boot image and makes the last threads: everything is there, and no guest runs. On an
 * error, one line has been logged. */
int machine_load(struct machine *machine);
void machine_go(struct machine *machine);
/* Stops all processors, and returns when they are parked. */
void machine_park(struct machine *machine);
/* Both, for callers without a sandbox between them. */
int machine_start(struct machine *machine);
/*
 * Acts on the event that made event_fd readable: restarts the guest for MACHINE_RESET (unless
 * stop_on_reset), else stops all vCPUs. MACHINE_NONE while the guest goes on, else why it ended.
 */
enum machine_event machine_dispatch(struct machine *machine);
/* Does what machine_pause() asked for; part of machine_dispatch(). */
void machine_follow_pause(struct machine *machine);
/* Part of machine_create(). */
void machine_pause_init(struct machine *machine);
void machine_destroy(struct machine *machine);
/* Page faults of all vCPUs that KVM did not resolve so far (vcpu_faults.h). Any thread; 0 at the
 * end.
 */
uint64_t machine_unresolved_faults(struct machine *machine);

/* Any thread. Returns at once; the main thread acts on it. */
void machine_request(struct machine *machine, enum machine_event event);
/*
 * Stops the guest's processors, or lets them go on, and waits until it is so. Its devices finish
 * what they had begun, its time goes on, and what it is asked meanwhile waits. Fine where it is so
 * already. Any thread but the main one. -ETIMEDOUT: not within a few seconds.
 */
int machine_pause(struct machine *machine, bool pause);
bool machine_paused(struct machine *machine);
/* Whether a request waits for machine_dispatch(): a vCPU stops then. Any thread. */
bool machine_event_pending(const struct machine *machine);
/* Presses the ACPI power button. Any thread. -ENODEV where the machine has none. */
int machine_press_power_button(struct machine *machine);
/* The guest's init tells the command's exit status. Any thread. */
void machine_set_guest_status(struct machine *machine, int status);

#endif

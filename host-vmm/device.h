/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device contract. A device model is one file, one `const struct device_type`, and one row in
 * devices/registry.c; the machine creates the rows forward and destroys what it made backward.
 *
 * Instances hold all state of a device: no file-scope variables, so that one process can hold two
 * machines. A device claims ports, memory and interrupts through the machine and gives back in
 * destroy() what it took in create().
 */
#ifndef LODGE_VMM_DEVICE_H
#define LODGE_VMM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "host-vmm/shm_window.h"

struct device;
struct machine;
struct state;
struct vm_config;

struct device_type {
	const char *name; /* one lower-case word: "serial", "virtio-blk" */
	const char *help; /* one line, for `lodge-vmm --list-devices` */
	size_t size; /* of the instance, whose first member is struct device */
	bool shares_memory; /* another process serves it, and maps the guest's memory */

	/* How many of them @config wants. NULL: always one. */
	size_t (*count)(const struct vm_config *config);
	/*
	 * Brings up a zeroed instance whose base is filled. On an error it has undone what it did
	 * and has logged one line that names the thing and the remedy. Main thread, no vCPU runs.
	 */
	int (*create)(struct device *device);
	/* Power-on state again, guest reboot. Main thread, vCPUs are stopped. NULL: nothing to do.
	 */
	void (*reset)(struct device *device);
	/* The guest is about to run, for the first time, after a reset or a pause, or it has
	 * stopped for a pause. Main thread, vCPUs are parked. NULL: it makes no difference. */
	void (*running)(struct device *device, bool runs);
	/* Main thread, vCPUs are gone. */
	void (*destroy)(struct device *device);
	/*
	 * What the guest could tell from the device's power-on state, and back. vCPUs are stopped;
	 * load() comes after create() and checks what it reads: -EBADMSG. NULL: has no state.
	 */
	int (*save)(struct device *device, struct state *state);
	int (*load)(struct device *device, struct state *state);
	/*
	 * KVM_RUN met EFAULT: whether memory that this device gave to the guest is to blame, and
	 * can be used now. The vCPU's thread. NULL: it gives none that could fail.
	 */
	enum shm_repair (*repair)(struct device *device);
};

/* First member of every instance. */
struct device {
	const struct device_type *type;
	struct machine *machine;
	size_t index; /* 0 to count - 1: which of the configured ones it is */
	char name[32]; /* "virtio-blk.0": for messages */
};

/* In creation order; NULL-terminated. */
extern const struct device_type *const device_types[];

#endif

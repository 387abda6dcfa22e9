// SPDX-License-Identifier: GPL-2.0-or-later
// One virtual machine: its parts made in order and undone in reverse, its events acted upon.
#include "host-vmm/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/boot/boot.h"
#include "host-vmm/boot/mptable.h"
#include "host-vmm/boot/smbios.h"
#include "host-vmm/bus.h"
#include "host-vmm/conf/uuid.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/cpuid.h"
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/devices/pci.h"
#include "host-vmm/devices/pm.h"
#include "host-vmm/hugepages.h"
#include "host-vmm/irq.h"
#include "host-vmm/kvm.h"
#include "host-vmm/layout.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/vcpu.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define PORTS_LIMIT 0x10000u

static int check_memory(const struct vm_config *config)
{
	struct sysinfo info;

	if (config->memory > LAYOUT_RAM_MAX) {
		log_error("[memory] size is more than a VM can have (%llu GiB)",
			  LAYOUT_RAM_MAX >> 30);
		return -EINVAL;
	}
	if (sysinfo(&info) == 0 && config->memory > (uint64_t)info.totalram * info.mem_unit) {
		log_error("[memory] size is %llu MiB, and this host has %llu MiB: give the VM less",
			  (unsigned long long)(config->memory >> 20),
			  (unsigned long long)((uint64_t)info.totalram * info.mem_unit >> 20));
		return -ENOMEM;
	}
	return 0;
}

static int make_kvm(struct machine *machine)
{
	char message[KVM_MESSAGE_MAX];
	int ret;

	ret = kvm_open(&machine->kvm_fd, message);
	if (ret == 0)
		ret = kvm_create_vm(machine->kvm_fd, &machine->vm_fd, message);
	if (ret < 0) {
		log_error("%s", message);
		return ret;
	}
	ret = kvm_chips_take(machine->vm_fd, &machine->power_on_chips);
	if (ret < 0)
		log_error("the interrupt controllers' state cannot be read: %s", strerror(-ret));
	return ret;
}

static size_t count_devices(const struct vm_config *config, const struct device_type *type)
{
	return type->count ? type->count(config) : 1;
}

/* Private memory is the faster one; it will not do where another process serves a device. */
static enum memory_kind memory_kind(const struct vm_config *config)
{
	for (const struct device_type *const *type = device_types; *type; type++)
		if ((*type)->shares_memory && count_devices(config, *type) > 0)
			return MEMORY_SHARED;
	return MEMORY_PRIVATE;
}

static int make_memory(struct machine *machine)
{
	int ret = check_memory(machine->config);

	if (ret < 0)
		return ret;
	ret = memory_create(machine->config->memory, memory_kind(machine->config),
			    &machine->memory);
	if (ret == 0)
		ret = kvm_map_memory(machine->vm_fd, machine->memory, machine->config->heads > 0);
	if (ret < 0)
		log_error("the guest's memory (%llu MiB) cannot be had: %s; close something, or "
			  "give the VM less ([memory] size)",
			  (unsigned long long)(machine->config->memory >> 20), strerror(-ret));
	return ret;
}

static int make_buses(struct machine *machine)
{
	int ret;

	ret = bus_create("ports", PORTS_LIMIT, &machine->ports);
	if (ret == 0)
		ret = bus_create("memory", 0, &machine->mmio);
	if (ret == 0)
		ret = irq_create(machine->vm_fd, &machine->irq);
	if (ret == 0)
		ret = loop_create("devices", &machine->loop);
	if (ret == 0)
		ret = pci_bus_create(machine, &machine->pci);
	if (ret < 0)
		log_error("the machine cannot be made: %s; close something", strerror(-ret));
	return ret;
}

static int make_device(struct machine *machine, const struct device_type *type, size_t index)
{
	struct device *device = calloc(1, type->size);
	int ret;

	if (!device) {
		log_error("%s.%zu cannot be made: out of memory", type->name, index);
		return -ENOMEM;
	}
	device->type = type;
	device->machine = machine;
	device->index = index;
	snprintf(device->name, sizeof(device->name), "%s.%zu", type->name, index);
	ret = type->create(device);
	if (ret < 0) {
		free(device);
		return ret;
	}
	machine->devices[machine->n_devices++] = device;
	return 0;
}

static int make_devices(struct machine *machine)
{
	size_t n = 0;
	int ret;

	for (const struct device_type *const *type = device_types; *type; type++)
		n += count_devices(machine->config, *type);
	machine->devices = calloc(n + 1, sizeof(struct device *));
	if (!machine->devices) {
		log_error("the devices cannot be made: out of memory");
		return -ENOMEM;
	}
	for (const struct device_type *const *type = device_types; *type; type++) {
		size_t count = count_devices(machine->config, *type);

		for (size_t i = 0; i < count; i++) {
			ret = make_device(machine, *type, i);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

static int make_vcpus(struct machine *machine, const struct kvm_cpuid2 *supported)
{
	struct cpuid_options options = {
		.cpus = machine->config->cpus,
		.kvm_only = machine->config->hypervisor == VM_HYPERVISOR_KVM,
		.vmware_only = machine->config->hypervisor == VM_HYPERVISOR_VMWARE,
		.tsc_deadline = kvm_capability(machine->vm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	};
	int ret = 0, most = kvm_capability(machine->vm_fd, KVM_CAP_MAX_VCPUS);

	if (most > 0 && options.cpus > (unsigned int)most) {
		log_error("[cpu] count is %u, and this host's KVM allows %d: give the VM less",
			  options.cpus, most);
		return -EINVAL;
	}
	machine->vcpus = calloc(options.cpus, sizeof(struct vcpu *));
	if (!machine->vcpus) {
		log_error("the processors cannot be made: out of memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < options.cpus && ret == 0; i++) {
		struct kvm_cpuid2 *cpuid;

		ret = cpuid_for_vcpu(supported, &options, i, &cpuid);
		if (ret < 0)
			break;
		ret = vcpu_create(machine, i, cpuid, &machine->vcpus[i]);
		free(cpuid);
		if (ret == 0)
			machine->n_vcpus++;
	}
	if (ret < 0)
		log_error("cpu %zu cannot be made: %s; lower [cpu] count, or close something",
			  machine->n_vcpus, strerror(-ret));
	return ret;
}

static int make_parts(struct machine *machine)
{
	struct kvm_cpuid2 *supported = NULL;
	int ret;

	ret = boot_open(machine->config, &machine->boot);
	if (ret == 0)
		ret = make_kvm(machine);
	if (ret < 0)
		return ret;
	ret = cpuid_supported(machine->kvm_fd, &supported);
	if (ret < 0) {
		log_error("KVM does not tell what the processor can do: %s", strerror(-ret));
		return ret;
	}
	machine->address_bits = cpuid_address_bits(supported);
	machine->pci_mmio64 = layout_pci_mmio64(machine->address_bits, &machine->pci_mmio64_size);
	ret = make_memory(machine);
	if (ret == 0)
		ret = make_buses(machine);
	if (ret == 0)
		ret = make_devices(machine);
	if (ret == 0)
		ret = make_vcpus(machine, supported);
	free(supported);
	return ret;
}

int machine_create(const struct vm_config *config, struct machine **ret_machine)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	int ret;

	if (!machine) {
		log_error("no memory for the machine");
		return -ENOMEM;
	}
	machine->config = config;
	machine->kvm_fd = machine->vm_fd = machine->boot.kernel = -1;
	machine->guest_status = -1;
	if (config->uuid.given)
		memcpy(machine->uuid, config->uuid.bytes, sizeof(machine->uuid));
	else
		vm_uuid_of(config->dir, machine->uuid);
	pthread_mutex_init(&machine->vcpus_lock, NULL);
	pthread_mutex_init(&machine->event_lock, NULL);
	machine_pause_init(machine);
	machine->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = machine->event_fd < 0 ? -errno : 0;
	if (ret < 0)
		log_error("no eventfd for the machine: %s; raise 'ulimit -n'", strerror(-ret));
	else
		ret = make_parts(machine);
	if (ret < 0) {
		machine_destroy(machine);
		return ret;
	}
	*ret_machine = machine;
	return 0;
}

uint64_t machine_unresolved_faults(struct machine *machine)
{
	uint64_t count = 0;

	/* Not to be waited for: it is held while vCPUs end, and one may wait for a device first. */
	if (pthread_mutex_trylock(&machine->vcpus_lock))
		return 0;
	for (size_t i = 0; i < machine->n_vcpus; i++)
		count += vcpu_unresolved_faults(machine->vcpus[i]);
	pthread_mutex_unlock(&machine->vcpus_lock);
	return count;
}

void machine_destroy(struct machine *machine)
{
	if (!machine)
		return;
	pthread_mutex_lock(&machine->vcpus_lock);
	while (machine->n_vcpus > 0)
		vcpu_destroy(machine->vcpus[--machine->n_vcpus]);
	free(machine->vcpus);
	pthread_mutex_unlock(&machine->vcpus_lock);
	hugepages_stop(machine->hugepages);
	while (machine->n_devices > 0) {
		struct device *device = machine->devices[--machine->n_devices];

		device->type->destroy(device);
		free(device);
	}
	free(machine->devices);
	if (machine->pci)
		pci_bus_destroy(machine->pci);
	loop_destroy(machine->loop);
	irq_destroy(machine->irq);
	bus_destroy(machine->mmio);
	bus_destroy(machine->ports);
	fd_close(&machine->vm_fd);
	memory_destroy(machine->memory);
	kvm_chips_free(machine->power_on_chips);
	boot_close(&machine->boot);
	fd_close(&machine->kvm_fd);
	fd_close(&machine->event_fd);
	pthread_cond_destroy(&machine->paused_changed);
	pthread_mutex_destroy(&machine->event_lock);
	pthread_mutex_destroy(&machine->vcpus_lock);
	free(machine);
}

static bool has_device(const struct machine *machine, const struct device_type *type)
{
	for (size_t i = 0; i < machine->n_devices; i++)
		if (machine->devices[i]->type == type)
			return true;
	return false;
}

static int write_acpi(struct machine *machine)
{
	struct acpi_options options = {
		.cpus = machine->config->cpus,
		.has_serial = has_device(machine, &serial_type),
		.has_i8042 = has_device(machine, &i8042_type),
		.has_rtc = has_device(machine, &rtc_type),
		.has_vga = machine->config->heads > 0,
		.has_pci = pci_bus_in_use(machine->pci),
		.has_clock = machine->clock != NULL,
		.reduced = !machine->config->legacy,
		.pci_mmio64 = machine->pci_mmio64,
		.pci_mmio64_size = machine->pci_mmio64_size,
	};
	uint8_t *tables = calloc(1, ACPI_TABLES_MAX);
	int ret;

	if (!tables)
		return -ENOMEM;
	ret = acpi_build(&options, LAYOUT_ACPI, tables);
	if (ret > 0)
		ret = memory_write(machine->memory, LAYOUT_ACPI, tables, ret);
	free(tables);
	return ret;
}

static int write_mptable(struct machine *machine)
{
	uint8_t table[MPTABLE_MAX], pointer[MPTABLE_POINTER_BYTES];
	size_t len = mptable_build(machine->config->cpus, LAYOUT_MPTABLE, table, pointer);
	int ret = memory_write(machine->memory, LAYOUT_MPTABLE, table, len);

	if (ret == 0)
		ret = memory_write(machine->memory, LAYOUT_EBDA, pointer, sizeof(pointer));
	return ret;
}

static int write_smbios(struct machine *machine)
{
	uint8_t tables[SMBIOS_TABLES_MAX];
	int ret = smbios_build(machine->uuid, LAYOUT_SMBIOS, tables);

	return ret < 0 ? ret : memory_write(machine->memory, LAYOUT_SMBIOS, tables, ret);
}

/* Everything at power-on state, the boot image loaded, all vCPUs parked and ready. */
static int power_on(struct machine *machine)
{
	struct boot_entry entry;
	int ret;

	ret = pci_bus_assign(machine->pci);
	if (ret == 0)
		ret = write_acpi(machine);
	if (ret == 0)
		ret = write_mptable(machine);
	if (ret == 0)
		ret = write_smbios(machine);
	if (ret < 0) {
		log_error("the machine cannot be set up: %s", strerror(-ret));
		return ret;
	}
	ret = boot_load(machine->memory, machine->config, &machine->boot, &entry);
	if (ret < 0)
		return ret;
	for (size_t i = 0; i < machine->n_vcpus; i++) {
		ret = vcpu_reset(machine->vcpus[i], &entry);
		if (ret < 0) {
			log_error("cpu %zu cannot be reset: %s", i, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

/* Old contents go back to the host: a guest that restarts for ever does not grow. */
static int clear_memory(struct machine *machine)
{
	const struct memory_region *regions;
	size_t n_regions;
	int ret = 0;

	regions = memory_regions(machine->memory, &n_regions);
	for (size_t i = 0; i < n_regions && ret == 0; i++)
		ret = memory_discard(machine->memory, regions[i].gpa, regions[i].size);
	return ret;
}

static int restart(struct machine *machine)
{
	int ret;

	for (size_t i = machine->n_devices; i-- > 0;)
		if (machine->devices[i]->type->reset)
			machine->devices[i]->type->reset(machine->devices[i]);
	ret = kvm_chips_restore(machine->vm_fd, machine->power_on_chips);
	if (ret == 0)
		ret = clear_memory(machine);
	hugepages_hurry(machine->hugepages);
	if (ret < 0) {
		log_error("the machine cannot be reset: %s", strerror(-ret));
		return ret;
	}
	ret = power_on(machine);
	/* One that is paused starts when it goes on. */
	if (ret == 0 && !machine_paused(machine))
		machine_go(machine);
	return ret;
}

int machine_load(struct machine *machine)
{
	int ret = power_on(machine);

	if (ret < 0)
		return ret;
	/* It is for speed alone: a machine without it runs. Private memory needs none. */
	if (memory_fd(machine->memory) >= 0 &&
	    hugepages_start(machine->memory, &machine->hugepages) < 0)
		log_warn("no thread for huge pages; the guest's memory stays in small ones");
	return 0;
}

int machine_start(struct machine *machine)
{
	int ret = machine_load(machine);

	if (ret == 0)
		machine_go(machine);
	return ret;
}

static enum machine_event take_event(struct machine *machine)
{
	enum machine_event event;
	uint64_t count;

	pthread_mutex_lock(&machine->event_lock);
	event = machine->event;
	__atomic_store_n(&machine->event, MACHINE_NONE, __ATOMIC_SEQ_CST);
	(void)!read(machine->event_fd, &count, sizeof(count));
	pthread_mutex_unlock(&machine->event_lock);
	return event;
}

enum machine_event machine_dispatch(struct machine *machine)
{
	enum machine_event event;

	machine_follow_pause(machine);
	if (!machine_event_pending(machine))
		return MACHINE_NONE;
	/* First, so that what the vCPUs ask for at the same time is taken too. */
	machine_park(machine);
	event = take_event(machine);
	if (event != MACHINE_RESET || machine->config->stop_on_reset)
		return event;
	if (restart(machine) < 0)
		return MACHINE_CRASH;
	return MACHINE_NONE;
}

void machine_request(struct machine *machine, enum machine_event event)
{
	uint64_t one = 1;

	pthread_mutex_lock(&machine->event_lock);
	if (event > machine->event)
		__atomic_store_n(&machine->event, event, __ATOMIC_SEQ_CST);
	(void)!write(machine->event_fd, &one, sizeof(one));
	pthread_mutex_unlock(&machine->event_lock);
}

bool machine_event_pending(const struct machine *machine)
{
	return __atomic_load_n(&machine->event, __ATOMIC_SEQ_CST) != MACHINE_NONE;
}

int machine_press_power_button(struct machine *machine)
{
	for (size_t i = 0; i < machine->n_devices; i++) {
		if (machine->devices[i]->type != &pm_type)
			continue;
		pm_press_power_button(machine->devices[i]);
		return 0;
	}
	return -ENODEV;
}

void machine_set_guest_status(struct machine *machine, int status)
{
	pthread_mutex_lock(&machine->event_lock);
	machine->guest_status = status;
	pthread_mutex_unlock(&machine->event_lock);
}

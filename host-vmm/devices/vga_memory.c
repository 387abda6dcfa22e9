// SPDX-License-Identifier: GPL-2.0-or-later
// Video memory: the mapping, the KVM slot that follows BAR 0, and the log of what is written there.
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "host-vmm/devices/pci.h"
#include "host-vmm/devices/vga_private.h"
#include "host-vmm/kvm.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"

#define GRANULES_PER_PAGE (VGA_PAGE / VGA_GRANULE)

int vga_memory_create(struct vga *vga)
{
	vga->damage = calloc(vga->size / VGA_GRANULE / 64, sizeof(*vga->damage));
	vga->dirty = calloc(vga->size / VGA_PAGE / 64, sizeof(*vga->dirty));
	if (!vga->damage || !vga->dirty)
		return -ENOMEM;
	vga->memory = mmap(NULL, vga->size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vga->memory == MAP_FAILED) {
		vga->memory = NULL;
		return -errno;
	}
	(void)madvise(vga->memory, vga->size, MADV_DONTDUMP);
	(void)madvise(vga->memory, vga->size, MADV_DONTFORK);
	return 0;
}

/* Under slot_lock. */
static int set_slot(const struct vga *vga, bool placed, bool logged)
{
	struct kvm_userspace_memory_region region = {
		.slot = KVM_SLOT_VGA,
		.flags = placed && logged ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = vga->gpa,
		.memory_size = placed ? vga->size : 0,
		.userspace_addr = (uintptr_t)vga->memory,
	};

	if (vga->machine->vm_fd < 0)
		return -ENODEV;
	return ioctl(vga->machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

void vga_memory_destroy(struct vga *vga)
{
	if (vga->placed)
		(void)set_slot(vga, false, false);
	if (vga->memory)
		munmap(vga->memory, vga->size);
	free(vga->damage);
	free(vga->dirty);
}

void vga_memory_clear(struct vga *vga, uint64_t len)
{
	uint64_t pages;

	if (len > vga->size)
		len = vga->size;
	pages = len & ~(uint64_t)(VGA_PAGE - 1);
	if (pages && madvise(vga->memory, pages, MADV_DONTNEED) < 0)
		memset(vga->memory, 0, pages);
	memset(vga->memory + pages, 0, len - pages);
}

bool vga_memory_log(struct vga *vga, bool on)
{
	bool turned_on = false;

	pthread_mutex_lock(&vga->slot_lock);
	if (vga->logged != on) {
		if (vga->placed && set_slot(vga, true, on) < 0)
			on = vga->logged;
		turned_on = on && !vga->logged;
		vga->logged = on;
	}
	pthread_mutex_unlock(&vga->slot_lock);
	return turned_on;
}

void vga_memory_note_writes(struct vga *vga)
{
	struct kvm_dirty_log log = { .slot = KVM_SLOT_VGA, .dirty_bitmap = vga->dirty };
	bool known;

	pthread_mutex_lock(&vga->slot_lock);
	known = vga->placed && vga->logged &&
		ioctl(vga->machine->vm_fd, KVM_GET_DIRTY_LOG, &log) == 0;
	pthread_mutex_lock(&vga->lock);
	for (uint64_t i = 0; known && i < vga->size / VGA_PAGE / 64; i++) {
		while (vga->dirty[i]) {
			uint64_t page = i * 64 + (uint64_t)__builtin_ctzll(vga->dirty[i]);
			uint64_t granule = page * GRANULES_PER_PAGE;

			vga->dirty[i] &= vga->dirty[i] - 1;
			vga->damage[granule / 64] |= ((1ull << GRANULES_PER_PAGE) - 1)
						     << granule % 64;
			vga->damaged = true;
		}
	}
	pthread_mutex_unlock(&vga->lock);
	pthread_mutex_unlock(&vga->slot_lock);
}

/* ---- BAR 0 ---- */

/* Where there is no slot (tests, a BAR that KVM does not take), accesses come here. */
static uint64_t bar_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;
	uint64_t value = 0;

	memcpy(&value, vga->memory + offset, size);
	return value;
}

static void bar_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	pthread_mutex_lock(&vga->lock);
	memcpy(vga->memory + offset, &value, size);
	vga_touch(vga, offset, size);
	pthread_mutex_unlock(&vga->lock);
}

static const struct io_ops bar_ops = { .read = bar_read, .write = bar_write };

static void bar_mapped(void *opaque, bool enabled, uint64_t base)
{
	struct vga *vga = opaque;

	pthread_mutex_lock(&vga->slot_lock);
	if (!enabled && vga->placed)
		(void)set_slot(vga, false, false);
	vga->gpa = base;
	vga->placed = enabled && set_slot(vga, true, vga->logged) == 0;
	pthread_mutex_unlock(&vga->slot_lock);
	/* What the log of the old place knew is gone. */
	pthread_mutex_lock(&vga->lock);
	vga_touch_all(vga);
	pthread_mutex_unlock(&vga->lock);
}

void vga_bar(struct vga *vga, struct pci_bar *ret_bar)
{
	*ret_bar = (struct pci_bar){
		.kind = PCI_BAR_MEM32_PREFETCH,
		.region = { .name = "vga", .size = vga->size, .ops = &bar_ops, .opaque = vga },
		.mapped = bar_mapped,
	};
}

/* ---- state: pages that are not all zeroes ---- */

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, VGA_PAGE - 1) == 0;
}

int vga_memory_save(struct vga *vga, struct state *state)
{
	uint64_t n_pages = vga->size / VGA_PAGE;

	for (uint64_t page = 0; page < n_pages; page++) {
		if (is_zero(vga->memory + page * VGA_PAGE))
			continue;
		state_put_u32(state, (uint32_t)page);
		state_put(state, vga->memory + page * VGA_PAGE, VGA_PAGE);
	}
	state_put_u32(state, (uint32_t)n_pages);
	return state_error(state);
}

int vga_memory_load(struct vga *vga, struct state *state)
{
	uint64_t n_pages = vga->size / VGA_PAGE;
	uint32_t page;

	vga_memory_clear(vga, vga->size);
	for (;;) {
		page = state_get_u32(state);
		if (state_error(state) < 0 || page > n_pages)
			return -EBADMSG;
		if (page == n_pages)
			return 0;
		state_get(state, vga->memory + (uint64_t)page * VGA_PAGE, VGA_PAGE);
	}
}

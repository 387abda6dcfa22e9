/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio-gpu on a machine without KVM, a driver that gives it commands one by one, and a display
 * that only writes down what it is told.
 */
#ifndef LODGE_TESTS_VIRTIO_GPU_RIG_H
#define LODGE_TESTS_VIRTIO_GPU_RIG_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/display/display.h"
#include "tests/unit/virtio_rig.h"

#define GPU_HEADS     2u
#define GPU_MEMORY    (16ull << 20)
#define GPU_FAKE_MAX  4096u
#define GPU_COMMAND   0x200000ull /* where a command lies while it is given */
#define GPU_PAGES     0x1000000ull /* free memory of the guest, up to RIG_MEMORY */
#define GPU_FENCE     0x1122334455667788ull
#define GPU_SLOT      1u
#define GPU_NO_ANSWER 0u /* of gpu_rig_command(): the chain came back without a header */

struct display {
	struct loop *loop;
	struct display_want wants[GPU_HEADS];
	void (*changed)(void *opaque);
	void *changed_opaque;
	unsigned int releases;

	struct fake_head {
		bool set;
		unsigned int sets; /* calls, with or without a picture */
		struct display_picture picture;
		unsigned int n_damage;
		struct display_rect damage[GPU_FAKE_MAX];
		uint32_t cursor_width, cursor_height, hot_x, hot_y, x, y;
		uint32_t cursor[64 * 64];
	} heads[GPU_HEADS];

	void (*moved)(void); /* on the loop, at each display_move_cursor(); or NULL */
	unsigned int vga_resets;
	bool refuse_waits;
	unsigned int n_waits;
	struct {
		unsigned int head;
		void (*done)(void *opaque);
		void *opaque;
	} waits[GPU_FAKE_MAX];
};

struct gpu_rig {
	struct rig rig;
	struct display display;
	struct device *device;
	struct rig_driver driver;
	struct rig_ring control, cursor;
};

void gpu_rig_create(struct gpu_rig *gpu);
void gpu_rig_destroy(struct gpu_rig *gpu);
/* Negotiates all that is offered and starts the queues. */
void gpu_rig_start(struct gpu_rig *gpu);

/* Gives the device @len bytes and waits for the answer: its type. @answer: room for @answer_len
 * bytes, or NULL for a header. */
uint32_t gpu_rig_command(struct gpu_rig *gpu, const void *command, size_t len, void *answer,
			 size_t answer_len);
/* The same, without waiting. */
void gpu_rig_offer(struct gpu_rig *gpu, const void *command, size_t len);
uint32_t gpu_rig_cursor(struct gpu_rig *gpu, const struct virtio_gpu_update_cursor *command);

/* Commands that answer with a header. */
uint32_t gpu_rig_create_2d(struct gpu_rig *gpu, uint32_t id, uint32_t format, uint32_t width,
			   uint32_t height);
uint32_t gpu_rig_attach(struct gpu_rig *gpu, uint32_t id,
			const struct virtio_gpu_mem_entry *entries, uint32_t n);
uint32_t gpu_rig_blob(struct gpu_rig *gpu, uint32_t id, uint64_t size,
		      const struct virtio_gpu_mem_entry *entries, uint32_t n);
uint32_t gpu_rig_scanout(struct gpu_rig *gpu, uint32_t head, uint32_t id,
			 struct virtio_gpu_rect rect);
uint32_t gpu_rig_transfer(struct gpu_rig *gpu, uint32_t id, struct virtio_gpu_rect rect,
			  uint64_t offset);
uint32_t gpu_rig_flush(struct gpu_rig *gpu, uint32_t id, struct virtio_gpu_rect rect);
/* UNREF, DETACH_BACKING: commands of a resource and nothing else. */
uint32_t gpu_rig_plain(struct gpu_rig *gpu, uint32_t type, uint32_t id);

/* All that wait for a frame of @head are called. */
void gpu_rig_show(struct gpu_rig *gpu, unsigned int head);
void gpu_rig_settle(struct gpu_rig *gpu);

#endif

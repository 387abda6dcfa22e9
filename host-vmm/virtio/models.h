/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtio device models that the monitor serves itself, for devices/registry.c.
 */
#ifndef LODGE_VMM_VIRTIO_MODELS_H
#define LODGE_VMM_VIRTIO_MODELS_H

struct device_type;

extern const struct device_type virtio_console_type;
extern const struct device_type virtio_rng_type;
extern const struct device_type virtio_blk_type;
extern const struct device_type virtio_balloon_type;
extern const struct device_type virtio_backdoor_type;
extern const struct device_type virtio_gpu_type;
extern const struct device_type virtio_input_type;

#endif

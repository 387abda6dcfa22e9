/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balloon's queue of the backdoor's virtio device (protocol/spec/balloon.md): the host's end of
 * the guest's module lodge_balloon.
 *
 * The first group of functions is for the device and runs on its loop unless it says otherwise; the
 * second is what the monitor asks, on any thread, and waits for nothing.
 */
#ifndef LODGE_VMM_BACKDOOR_BALLOON_H
#define LODGE_VMM_BACKDOOR_BALLOON_H

#include <stdint.h>

struct balloon_info;
struct backdoor_balloon;
struct machine;
struct state;
struct virtio_device;
struct virtqueue;

/* @vdev has its device. -ENOMEM. */
int backdoor_balloon_create(struct virtio_device *vdev, struct backdoor_balloon **ret_balloon);
/* NULL is fine. */
void backdoor_balloon_destroy(struct backdoor_balloon *balloon);
void backdoor_balloon_kick(struct backdoor_balloon *balloon, struct virtqueue *vq);
void backdoor_balloon_stop(struct backdoor_balloon *balloon, struct virtqueue *vq);
void backdoor_balloon_reset(struct backdoor_balloon *balloon);
int backdoor_balloon_save(const struct backdoor_balloon *balloon, struct state *state);
int backdoor_balloon_load(struct backdoor_balloon *balloon, struct state *state);
/* Pages of 4 KiB, for configuration space. Any thread. */
uint32_t backdoor_balloon_target(const struct backdoor_balloon *balloon);

/* As balloon_set_target() and balloon_get_info() of balloon.h: -ENODEV where the machine has no
 * backdoor device, -ERANGE. "driver" is true once the module has told its statistics. */
int backdoor_balloon_set(struct machine *machine, uint64_t bytes);
int backdoor_balloon_get(struct machine *machine, struct balloon_info *ret_info);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DAX window of a virtio-fs device (virtio 1.2 section 5.11.6.4): shared memory region 0, into
 * which the back end has pieces of files mapped by its own requests.
 *
 * Locking: create and destroy on the main thread, place and repair on any, the rest on the device's
 * loop. Requests of the back end are served by a thread of the window's own, so that the device's
 * loop can wait for the back end meanwhile.
 */
#ifndef LODGE_VMM_FS_WINDOW_H
#define LODGE_VMM_FS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/shm_window.h"

struct device;
struct fs_backend;
struct fs_window;
struct vhost_user;

#define FS_WINDOW_SHMID 0 /* VIRTIO_FS_SHMCAP_ID_CACHE of <linux/virtio_fs.h> */

/* A window of @size bytes, the power of two from SHM_WINDOW_SIZE_MIN on. @tag names the thread. */
int fs_window_create(struct device *device, const char *tag, uint64_t size,
		     struct fs_window **ret_window);
/* NULL is fine. */
void fs_window_destroy(struct fs_window *window);

/* Gives a connected back end, which has been greeted, a channel for its requests, unless it has one
 * already. The errno of the connection. */
int fs_window_connect(struct fs_window *window, struct vhost_user *vu);
/* Before the back end gets the queues: a request may have its buffers in the window. Linux leaves
 * the BAR where it is from then on. */
void fs_window_announce(struct fs_window *window, struct fs_backend *backend);
/* The back end is gone, and with it the channel. What it had mapped stays: the guest goes on
 * reading files there, where zeroes would be lies, until the next back end has something else
 * mapped or all unmapped. */
void fs_window_disconnect(struct fs_window *window);
/* The device was reset: nothing is mapped any more. */
void fs_window_clear(struct fs_window *window);

/* The guest has moved the BAR: pci_bar.mapped. */
void fs_window_place(struct fs_window *window, bool enabled, uint64_t gpa);
/* KVM_RUN met EFAULT. */
enum shm_repair fs_window_repair(struct fs_window *window);

#endif

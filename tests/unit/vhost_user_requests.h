/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests on a ring of the rig, for tests of the virtio-fs device: request number i has a
 * place of its own for what it asks and for its answer, and is known by unique 1000 + i.
 */
#ifndef TESTS_VHOST_USER_REQUESTS_H
#define TESTS_VHOST_USER_REQUESTS_H

#include <linux/fuse.h>

#include "tests/unit/virtio_rig.h"

uint64_t request_at(unsigned int i); /* guest-physical */
uint64_t answer_at(unsigned int i);

/* Makes a request with @opcode on the root and @len bytes of body available: its head. */
uint16_t ask(struct rig_ring *ring, unsigned int i, uint32_t opcode, const void *body, size_t len);
struct fuse_out_header answer(struct rig *rig, unsigned int i);
void assert_answer(struct rig *rig, unsigned int i, int error);
/* Waits for the next used element, which must be @head. */
void assert_taken(struct rig_ring *ring, uint16_t head);

#endif

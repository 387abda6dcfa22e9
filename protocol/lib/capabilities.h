/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities, which are a thread's own: capabilities(7). */
#ifndef LODGE_LIB_CAPABILITIES_H
#define LODGE_LIB_CAPABILITIES_H

#include <stdint.h>

/*
 * Leaves the calling thread those of @mask that it has, bits 1 << CAP_... below 32, and no others.
 * Threads that it makes from then on have no more. Without any it changes nothing.
 */
void capabilities_keep(uint32_t mask);

#endif

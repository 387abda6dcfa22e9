/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a few instructions: whether KVM runs 64-bit guest code at all, and natively.
 *
 * Some hosts have a /dev/kvm that interprets guests instruction by instruction. That looks like KVM
 * and boots no kernel within a day, so the guest counts, too, and has TINY_LIMIT_MS for it.
 */
#ifndef LODGE_VMM_CLI_PROBE_TINY_H
#define LODGE_VMM_CLI_PROBE_TINY_H

#define TINY_LOOPS    10000000 /* of four instructions: 10 ms natively, 0.5 s under emulated SVM */
#define TINY_LIMIT_MS 6000

/* 0 where it ran, with the time that it took; else a negative errno and *ret_why, g_free(). */
int probe_tiny(unsigned int *ret_ms, char **ret_why);

#endif

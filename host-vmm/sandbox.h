/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the monitor may still ask of the kernel once a guest runs.
 */
#ifndef LODGE_VMM_SANDBOX_H
#define LODGE_VMM_SANDBOX_H

#include <linux/capability.h>
#include <stdbool.h>

struct vm_config;

/* What a machine needs beside what all need; see sandbox.c for what each opens. */
struct sandbox_needs {
	bool open_files; /* to read: boot images are loaded anew at each reboot of the guest */
	bool open_folders; /* to name, not to read: shares that are added later */
	bool connect; /* to Unix sockets: somebody else's back ends, which may come back */
	bool io_uring; /* disks */
	bool display; /* memory that windows map, anew for each mode */
	bool terminal; /* stdio: terminal modes are put back at the end */
};

struct sandbox_needs sandbox_needs_of(const struct vm_config *config);

/*
 * What a monitor that runs as root still has, by capabilities_keep() (protocol/lib/capabilities.h):
 * each of its threads calls it when it begins, and sandbox_enter() for its own caller. Boot images,
 * shares and back ends' sockets may be users'; so may files whose times a guest changes by storing
 * into its window; and older kernels count the rings of disks as locked memory.
 */
#define SANDBOX_CAPABILITIES (1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_IPC_LOCK)

/*
 * Binds all threads of the process for good. Call it once, when everything is set up: helper
 * processes forked, files open, threads made. -ENOSYS where the kernel has no seccomp filters, or
 * the errno of seccomp(2); nothing is bound then.
 */
int sandbox_enter(const struct sandbox_needs *needs);

#endif

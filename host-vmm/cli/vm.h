/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM as the verbs see it: its folder, its run-time folder, whether it runs. */
#ifndef LODGE_VMM_CLI_VM_H
#define LODGE_VMM_CLI_VM_H

#include <stdbool.h>
#include <sys/types.h>

struct vm {
	char *name, *dir, *runtime, *socket;
	bool running;
	char *other; /* NULL, or the folder of the VM that runs in its place, of the same name */
	pid_t pid; /* of the monitor that runs; 0 where it is not known */
};

/* Finds the VM that @word names. Prints the error: 0 or a status of sysexits.h. */
int vm_find(const char *word, struct vm *ret_vm);
/* The same, for verbs that only a running VM has; EX_UNAVAILABLE where it does not run. */
int vm_find_running(const char *word, struct vm *ret_vm);
/* Prints that another VM of its name runs: EX_TEMPFAIL. */
int vm_fail_other(const struct vm *vm);
void vm_clear(struct vm *vm);
/* The VM whose run-time folder has @name and whose own is @dir (NULL: whatever runs there); takes
 * no errors. */
void vm_open(const char *name, const char *dir, const char *runtime, struct vm *ret_vm);

/* Waits for the monitor's end: false where it still runs after @timeout_ms (-1: no limit). */
bool vm_wait_end(const struct vm *vm, int timeout_ms);
/* Ends it by SIGKILL first, if it still runs. */
bool vm_end(const struct vm *vm, int timeout_ms);

/* Starts a VM that is off, and returns when its guest runs. Prints the error: 0 or a status. */
int vm_start(const struct vm *vm);
/* False for the throw-away VMs of `lodge run`, which are gone once they are off. */
bool vm_can_start(const struct vm *vm);

/* For verbs that take one NAME and nothing more: 0, or EX_USAGE with the error printed. */
int one_name(int argc, char **argv, const char *verb);

#endif

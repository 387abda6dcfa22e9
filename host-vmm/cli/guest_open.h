/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a VM's name to its guest's tools. */
#ifndef LODGE_VMM_CLI_GUEST_OPEN_H
#define LODGE_VMM_CLI_GUEST_OPEN_H

struct guest_link;
struct vm;

/*
 * Finds the running VM @word and connects to its tools.sock. Prints the error: 0 or a status of
 * sysexits.h. vm_clear() either way.
 */
int guest_open(const char *word, struct vm *ret_vm, struct guest_link **ret_link);

#endif

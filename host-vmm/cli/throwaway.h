/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run-time folders of VMs that nobody keeps, those of `lodge run` and of `lodge check`: each
 * has a folder "run", claimed (conf/claim.h) for as long as the command lives.
 */
#ifndef LODGE_VMM_CLI_THROWAWAY_H
#define LODGE_VMM_CLI_THROWAWAY_H

/* Claims @runtime, which exists: -EADDRINUSE where another command has it, or a VM runs there.
 * fd_close() ends it. */
int throwaway_claim(const char *runtime, int *ret_claim);
/* Removes what the command and its monitor have made in @runtime, which is claimed, and it. */
void throwaway_remove(const char *runtime);
/*
 * Does so for all in the folder of all run-time folders that were left by a command that was
 * killed: neither it nor a monitor has them any more. Prints nothing.
 */
void throwaway_sweep(void);

#endif

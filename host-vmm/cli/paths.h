/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are: VMs' folders, their run-time folders, Lodge's helper programs.
 *
 * All results are g_free()d by the caller. Errors set *ret_message: one line with the remedy.
 */
#ifndef LODGE_VMM_CLI_PATHS_H
#define LODGE_VMM_CLI_PATHS_H

#include <stdbool.h>
#include <sys/types.h>

/* The folder of all of the user's VMs, $XDG_DATA_HOME/lodge. It may not exist yet. */
char *paths_vms(void);
/*
 * The folder of the VM that @word names: one of the user's by its name, or any by its path (a word
 * with a '/'). -ENOENT where it has no vm.conf. A throw-away VM that runs is found, too.
 */
int paths_vm(const char *word, char **ret_dir, char **ret_message);

/* The folder of all run-time folders, $XDG_RUNTIME_DIR/lodge or a stand-in; made, mode 0700. */
int paths_runtime_base(char **ret_dir, char **ret_message);
/* Its folder for @name; made. -ENAMETOOLONG where a socket in it could not be bound. */
int paths_runtime(const char *name, char **ret_dir, char **ret_message);
/* Whether a monitor runs in @runtime; *ret_pid is its process where it says so, else 0. */
bool paths_is_running(const char *runtime, pid_t *ret_pid);

/* Whether a device or a pipe is there: no file takes its place, its bytes go into it. */
bool paths_is_special(const char *path);

/* The helper program @name. NULL where there is none in any of the places. */
char *paths_helper(const char *name);

#endif

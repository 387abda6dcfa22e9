/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fork of a task, and its child's side.
 */
#ifndef LODGE_GUEST_TASK_CHILD_H
#define LODGE_GUEST_TASK_CHILD_H

#include "guest-daemon/lodged/task.h"

struct task_fds {
	bool wanted[3]; /* standard input, output, error: else /dev/null */
};

/*
 * Makes the child. @ours: lodged's ends of pipes, -1 where not wanted; on a terminal the first two
 * are its master. *ret_report_fd: where a report may come, non-blocking.
 */
int task_fork(const struct task_type *type, const struct task_spec *spec,
	      const struct task_fds *fds, int ours[3], int *ret_report_fd, pid_t *ret_pid);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deaths that are placed: the tracer of a lodge-fsd (fsd_rig_options.program) stops the server
 * where it enters or leaves the system call that does a request's work, and kills it there.
 */
#ifndef LODGE_TESTS_FSD_TRACER_H
#define LODGE_TESTS_FSD_TRACER_H

#include "tests/unit/fsd_harness.h"

/* The server of the next request dies at @call (SYS_...), after it was @done or before; and so do
 * the next servers that try it, up to @times in all. */
void fsd_die_at(struct fsd_rig *rig, long call, bool done, int times);
/* Kills the server, which has nothing to do, and waits for the next. */
void fsd_kill_idle(const struct fsd_rig *rig);
/* The server, the next one where the last has just died. */
pid_t fsd_wait_server(const struct fsd_rig *rig);

#endif

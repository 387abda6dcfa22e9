/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page faults that KVM met and could not resolve, from its binary statistics
 * (KVM_GET_STATS_FD, Linux 5.14).
 *
 * What it is for: until Linux 6.12 a touch of a file's cut end does not make KVM_RUN fail where KVM
 * may wait for a page asynchronously. KVM takes the fault, waits, tries again, for ever, and nobody
 * is told. The count of faults goes up then, and that of resolved ones does not.
 *
 * Locking: open and close while the vCPU does not run, count by any one thread.
 */
#ifndef LODGE_VMM_VCPU_FAULTS_H
#define LODGE_VMM_VCPU_FAULTS_H

#include <stdint.h>

#define VCPU_FAULTS_KINDS 5

struct vcpu_faults {
	int fd; /* -1: the host has no statistics */
	uint64_t offsets[VCPU_FAULTS_KINDS]; /* in the descriptor's file; 0: this kernel has none */
};

void vcpu_faults_open(struct vcpu_faults *faults, int vcpu_fd);
void vcpu_faults_close(struct vcpu_faults *faults);
/* Faults so far that led to nothing; 0 where that is not known. */
uint64_t vcpu_faults_count(const struct vcpu_faults *faults);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two ends of the lab agree on: lab-pump beside QEMU, lab-init as process 1 inside.
 *
 * Four virtio-serial ports join them. Three carry the bytes of stdin, stdout and stderr as they
 * are. The fourth carries records, each a text that ends with a NUL.
 *
 * lab-pump to lab-init, once, ended by an empty record:
 *	uid=N gid=N groups=N,N,... cwd=PATH results=PATH see=PATH... env=K=V... arg=TEXT...
 * and later:
 *	stdin=N			stdin ended after N bytes (once COMMAND has started)
 * lab-init to lab-pump:
 *	started			COMMAND runs
 *	exit=S out=N err=N	COMMAND ended with status S, having written so many bytes; nothing
 *follows
 */
#ifndef LODGE_TESTS_LAB_JOB_H
#define LODGE_TESTS_LAB_JOB_H

#define LAB_PORT_CTL "org.lodge.lab.ctl"
#define LAB_PORT_IN  "org.lodge.lab.stdin"
#define LAB_PORT_OUT "org.lodge.lab.stdout"
#define LAB_PORT_ERR "org.lodge.lab.stderr"

/* The lab's own failures, apart from those of COMMAND (the numbers that timeout(1) and env(1) use).
 */
#define LAB_EXIT_TIMEOUT     124
#define LAB_EXIT_LAB	     125
#define LAB_EXIT_CANNOT_EXEC 126
#define LAB_EXIT_NOT_FOUND   127

#define LAB_TAG_ROOT	"hostroot"
#define LAB_TAG_RESULTS "results"

/* Enough for an environment and arguments as large as execve(2) takes by default. */
#define LAB_JOB_MAX (4u << 20)

#endif

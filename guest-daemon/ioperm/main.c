// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-ioperm: runs a program that may use VMware's I/O ports, on hosts whose KVM does not let
// every process do so (kvm.enable_vmware_backdoor).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#include <lodge/backdoor.h>

#define PORTS 8u /* each access takes four of them from its own on */

/* As a shell's: 125 for our own failures, 126 and 127 where the program cannot be run or found. */
#define EXIT_OURS      125
#define EXIT_CANNOT    126
#define EXIT_NOT_FOUND 127

static const char usage[] =
	"usage: lodge-ioperm PROGRAM [ARGUMENT]...\n"
	"\n"
	"Runs PROGRAM, and what it starts, with VMware's I/O ports (0x5658 and on) open to it. The\n"
	"caller must be root, or have CAP_SYS_RAWIO. For the service of open-vm-tools:\n"
	"\n"
	"  # /etc/systemd/system/open-vm-tools.service.d/lodge.conf\n"
	"  [Unit]\n"
	"  ConditionVirtualization=\n"
	"  [Service]\n"
	"  ExecStart=\n"
	"  ExecStart=" LODGE_PREFIX "/libexec/lodge/guest/lodge-ioperm /usr/bin/vmtoolsd\n";

static void explain(int error)
{
	const char *remedy = "is this a PC?";

	if (error == EPERM)
		remedy = "run it as root (CAP_SYS_RAWIO), on a kernel that is not locked down";
	else if (error == ENOSYS)
		remedy = "this kernel was built without ioperm(2)";
	fprintf(stderr, "lodge-ioperm: the I/O ports cannot be had: %s; %s\n", strerror(error),
		remedy);
}

int main(int argc, char **argv)
{
	char **program = argv + 1;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--") == 0)
		program++;
	if (!*program) {
		fputs(usage, stderr);
		return EXIT_OURS;
	}
	if (ioperm(LODGE_VMW_PORT, PORTS, 1) < 0) {
		explain(errno);
		return EXIT_OURS;
	}
	execvp(*program, program);
	fprintf(stderr, "lodge-ioperm: cannot run %s: %s\n", *program, strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT;
}

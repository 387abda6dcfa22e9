// SPDX-License-Identifier: GPL-2.0-or-later
// The `lodge` command: finds the verb in the table and runs it.
#include "host-vmm/cli/cli.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/lib/log.h"

static const struct verb verbs[] = {
	{ "check", "what this host can do, and how to get what is missing", verb_check },
	{ "run", "start an instant VM and run a command in it", verb_run },
	{ "create", "make a VM", verb_create },
	{ "start", "start a VM", verb_start },
	{ "stop", "press a VM's power button, and wait", verb_stop },
	{ "kill", "pull a VM's plug", verb_kill },
	{ "pause", "stop a VM's processors", verb_pause },
	{ "resume", "let them go on", verb_resume },
	{ "list", "list VMs", verb_list },
	{ "show", "show a VM's settings", verb_show },
	{ "set", "change a VM's settings", verb_set },
	{ "delete", "delete a VM and all its files", verb_delete },
	{ "share", "add, remove and list a VM's shared folders", verb_share },
	{ "info", "show what a running VM has, and what its guest tells", verb_info },
	{ "top", "show what running VMs use: processor, memory, disk", verb_top },
	{ "exec", "run a program in a running VM", verb_exec },
	{ "shell", "a shell in a running VM", verb_shell },
	{ "cp", "copy files and folders into a running VM, or out of it", verb_cp },
	{ "ps", "list the processes in a running VM", verb_ps },
	{ "shutdown", "shut a VM's guest down by its tools, or else its power button",
	  verb_shutdown },
	{ "reboot", "reboot a VM's guest", verb_reboot },
	{ "wait", "wait until a VM has tools, an address, a variable, or is off", verb_wait },
	{ "var", "read and write a VM's guestinfo variables", verb_var },
	{ "view", "show a running VM's screens in windows", verb_view },
	{ "screenshot", "write what a VM's screen shows to a file", verb_screenshot },
	{ "keys", "press keys of a running VM's keyboard", verb_keys },
	{ "resize", "say what size a VM's screen should be", verb_resize },
	{ "events", "print what happens to a running VM", verb_events },
};

static int usage(FILE *to)
{
	fprintf(to,
		"Usage: lodge VERB [OPTIONS] [NAME] ...\n\n"
		"Desktop virtualization. A VM is a folder with a vm.conf in it; NAME is a VM of\n"
		"yours or the path of such a folder.\n\nVerbs:\n");
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to, "\nlodge VERB --help tells more of a verb; lodge(1) of all.\n");
	return to == stdout ? EX_OK : EX_USAGE;
}

/* What stdio could not write is a failure of the verb, where nobody else has closed the other end.
 */
static int finish(int status)
{
	struct stat out;

	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (fstat(STDOUT_FILENO, &out) || S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode))
		return status;
	return status ? status
		      : fail(EX_IOERR, "standard output: not all could be written; is there room?");
}

/* What is opened first would else be standard input, and get what is printed. */
static int open_missing(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (open_missing())
		return fail(EX_OSERR, "/dev/null: cannot be opened in place of a standard stream "
				      "that is closed; open that");
	setlocale(LC_CTYPE, "");
	log_init("lodge", LOG_LEVEL_WARN);
	/* Ends of sockets and pipes are errors of write(2) here. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		return usage(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return finish(usage(stdout));
	if (!strcmp(argv[1], "--version")) {
		printf("lodge " LODGE_VERSION "\n");
		return finish(EX_OK);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
		if (!strcmp(argv[1], verbs[i].name))
			return finish(verbs[i].run(argc - 1, argv + 1));
	}
	return fail(EX_USAGE, "there is no verb '%s'; lodge --help lists them", argv[1]);
}

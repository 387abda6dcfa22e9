// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge exec` and `lodge shell`: a program in a running VM, as if it ran here.
#include "host-vmm/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/guest_exec.h"
#include "host-vmm/cli/guest_link.h"
#include "host-vmm/cli/guest_open.h"
#include "host-vmm/cli/vm.h"

#define TIMEOUT_MAX (365 * 24 * 3600) /* seconds */

static const char exec_summary[] =
	"Runs CMD in a running VM, by the guest's tools, with this command's standard streams.";
static const char exec_description[] =
	"The exit status is CMD's, 128 + N where signal N killed it; 124 after --timeout, 125 where\n"
	"the tools are missing or do not allow it, 126 where CMD cannot be started, 127 where there\n"
	"is none. Signals are passed on; the third one that would end us does. With --tty, Ctrl-]\n"
	"three times within a second leaves.";

/* What is free of the options; the words are argv's. */
static void spec_clear(struct guest_exec_spec *spec, char *user, char *dir)
{
	g_free(user);
	g_free(dir);
	g_strfreev(spec->env);
}

static int check(const struct guest_exec_spec *spec, int timeout)
{
	for (char **env = spec->env; env && *env; env++) {
		if (**env == '=' || !strchr(*env, '='))
			return fail(EX_USAGE, "--env: '%s' will not do; write NAME=VALUE", *env);
	}
	if (timeout < 0 || timeout > TIMEOUT_MAX)
		return fail(EX_USAGE, "--timeout: %d will not do; give 1 to %d seconds", timeout,
			    TIMEOUT_MAX);
	return 0;
}

static int run(const char *word, struct guest_exec_spec *spec)
{
	struct vm vm = { 0 };
	struct guest_link *link;
	int status = guest_open(word, &vm, &link);

	spec->name = vm.name;
	if (!status)
		status = guest_exec(link, spec);
	else
		status = GUEST_NO_TOOLS;
	vm_clear(&vm);
	return status;
}

int verb_exec(int argc, char **argv)
{
	struct guest_exec_spec spec = { 0 };
	char *user = NULL, *dir = NULL;
	gboolean tty = FALSE, no_stdin = FALSE;
	int timeout = 0;
	/* clang-format off */
	const GOptionEntry entries[] = {
		{ "user", 'u', 0, G_OPTION_ARG_STRING, &user, "the guest's user", "NAME" },
		{ "dir", 'd', 0, G_OPTION_ARG_FILENAME, &dir,
		  "where it runs; the user's home if not given", "DIR" },
		{ "env", 'e', 0, G_OPTION_ARG_FILENAME_ARRAY, &spec.env, "for CMD's environment",
		  "NAME=VALUE" },
		{ "tty", 't', 0, G_OPTION_ARG_NONE, &tty, "give CMD a terminal", NULL },
		{ "no-stdin", 'n', 0, G_OPTION_ARG_NONE, &no_stdin, "CMD reads from /dev/null", NULL },
		{ "timeout", 0, 0, G_OPTION_ARG_INT, &timeout, "end it after so long", "SECONDS" },
		{ 0 },
	};
	/* clang-format on */
	int status;

	status = parse_command_options(&argc, &argv, "NAME [--] CMD [ARG...]", exec_summary,
				       exec_description, entries);
	spec.user = user;
	spec.dir = dir;
	spec.tty = tty;
	spec.no_stdin = no_stdin;
	spec.timeout_s = (unsigned int)timeout;
	if (!status && argc < 2)
		status = fail(EX_USAGE, "exec: which VM? say NAME CMD; lodge list shows them");
	spec.argv = argv + 2;
	if (!status && argc > 2 && !strcmp(argv[2], "--"))
		spec.argv++;
	if (!status && (argc < 3 || !*spec.argv))
		status = fail(EX_USAGE,
			      "exec: what is to run? say NAME CMD, as in: lodge exec %s "
			      "uname -a; lodge shell %s gives a shell",
			      argv[1], argv[1]);
	if (!status)
		status = check(&spec, timeout);
	if (!status)
		status = run(argv[1], &spec);
	spec_clear(&spec, user, dir);
	return status;
}

int verb_shell(int argc, char **argv)
{
	/* Which shell is the user's only the guest knows; a login's environment has it. */
	char shell[] = "/bin/sh", option[] = "-c", login[] = "exec \"${SHELL:-/bin/sh}\" -l";
	char *command[] = { shell, option, login, NULL };
	struct guest_exec_spec spec = { .argv = command };
	char *user = NULL, *dir = NULL;
	const GOptionEntry entries[] = {
		{ "user", 'u', 0, G_OPTION_ARG_STRING, &user, "the guest's user", "NAME" },
		{ "dir", 'd', 0, G_OPTION_ARG_FILENAME, &dir,
		  "where it runs; the user's home if not given", "DIR" },
		{ "env", 'e', 0, G_OPTION_ARG_FILENAME_ARRAY, &spec.env, "for its environment",
		  "NAME=VALUE" },
		{ 0 },
	};
	int status;

	status = parse_options(&argc, &argv, "NAME",
			       "A shell in a running VM, by the guest's tools.",
			       "Ctrl-] three times within a second leaves it. Without a terminal "
			       "it reads commands\nfrom standard input. The exit status is as of "
			       "lodge exec.",
			       entries);
	spec.user = user;
	spec.dir = dir;
	spec.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (!status)
		status = one_name(argc, argv, "shell");
	if (!status)
		status = check(&spec, 0);
	if (!status)
		status = run(argv[1], &spec);
	spec_clear(&spec, user, dir);
	return status;
}

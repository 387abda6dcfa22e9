// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge view`: becomes lodge-view, which shows a VM's screens in windows.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/view.h"
#include "host-vmm/cli/vm.h"

struct wishes {
	char *display, *host_key;
	char **heads;
	gboolean full_screen;
};

static void add(GPtrArray *words, const char *option, const char *value)
{
	if (value)
		g_ptr_array_add(words, g_strconcat(option, value, NULL));
}

GPtrArray *view_command(const char *runtime)
{
	char *program = paths_helper("lodge-view");
	g_autofree char *name = g_path_get_basename(runtime);
	GPtrArray *words;

	if (!program)
		return NULL;
	words = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(words, program);
	g_ptr_array_add(words, g_build_filename(runtime, "display.sock", NULL));
	/* An instant VM's own is not the one that it goes by. */
	g_ptr_array_add(words, g_strconcat("--name=", name, NULL));
	return words;
}

static int view(const struct vm *vm, const struct wishes *wishes)
{
	GPtrArray *words = view_command(vm->runtime);
	int error;

	if (!words)
		return fail(EX_UNAVAILABLE,
			    "there is no lodge-view beside this command; install it");
	if (access(g_ptr_array_index(words, 1), F_OK)) {
		g_ptr_array_unref(words);
		return fail(EX_UNAVAILABLE,
			    "%s has no screen; lodge set %s display.heads=1, and start it anew",
			    vm->name, vm->name);
	}
	add(words, "--display=", wishes->display);
	add(words, "--host-key=", wishes->host_key);
	for (char **head = wishes->heads; head && *head; head++)
		add(words, "--head=", *head);
	add(words, "--full-screen", wishes->full_screen ? "" : NULL);
	g_ptr_array_add(words, NULL);
	execv(g_ptr_array_index(words, 0), (char **)words->pdata);
	error = errno;
	g_ptr_array_unref(words);
	return fail(EX_OSERR, "lodge-view cannot be started: %s", g_strerror(error));
}

int verb_view(int argc, char **argv)
{
	struct wishes wishes = { 0 };
	/* clang-format off */
	const GOptionEntry entries[] = {
		{ "display", 0, 0, G_OPTION_ARG_STRING, &wishes.display, "the X server; $DISPLAY if not given", "NAME" },
		{ "head", 0, 0, G_OPTION_ARG_STRING_ARRAY, &wishes.heads, "show screen N; all if not given", "N" },
		{ "full-screen", 0, 0, G_OPTION_ARG_NONE, &wishes.full_screen, "start with the whole screen", NULL },
		{ "host-key", 0, 0, G_OPTION_ARG_STRING, &wishes.host_key, "what lets the keyboard go; Control_R if not given", "KEY" },
		{ 0 },
	};
	/* clang-format on */
	struct vm vm = { 0 };
	int status;

	status = parse_options(
		&argc, &argv, "NAME", "Shows a running VM's screens in windows.",
		"Closing them stops nothing; they may be opened again, and several "
		"times.\nThe host key lets the keyboard go, and with F is full screen, "
		"with D Ctrl-Alt-Del,\nwith S a screenshot, with G a grab, with Q the "
		"end: lodge-view(1).",
		entries);
	if (!status)
		status = one_name(argc, argv, "view");
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = view(&vm, &wishes);
	vm_clear(&vm);
	g_free(wishes.display);
	g_free(wishes.host_key);
	g_strfreev(wishes.heads);
	return status;
}

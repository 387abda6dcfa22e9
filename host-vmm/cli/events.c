// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge events`: what happens to a running VM, a line of JSON for each thing.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/follow.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"
#include "protocol/lib/fd.h"

static int print(const char *line)
{
	g_autofree char *shown = json_sound(line);
	g_autofree char *text = g_strconcat(shown, "\n", NULL);

	return fd_write_all(STDOUT_FILENO, text, strlen(text));
}

static int events(const struct vm *vm)
{
	g_autofree char *message = NULL;
	struct follow *follow;
	JsonObject *event;
	int ret = follow_open(vm->socket, &follow, &message);

	if (ret)
		return fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	while (!ret || ret == -EINTR) {
		ret = follow_next(follow, -1, &event);
		if (ret)
			continue;
		json_object_unref(event);
		ret = print(follow_line(follow));
	}
	follow_close(follow);
	/* The VM's end is ours, as is that of whoever reads. */
	if (ret == -ECONNRESET || ret == -EPIPE)
		return EX_OK;
	return fail(status_of(ret), "%s: events: %s", vm->name, g_strerror(-ret));
}

int verb_events(int argc, char **argv)
{
	const GOptionEntry entries[] = { { 0 } };
	struct vm vm = { 0 };
	int status;

	status =
		parse_options(&argc, &argv, "NAME",
			      "Prints what happens to a running VM, a line of JSON for each thing.",
			      "It ends when the VM does, behind an event \"off\".", entries);
	if (!status)
		status = one_name(argc, argv, "events");
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = events(&vm);
	vm_clear(&vm);
	return status;
}

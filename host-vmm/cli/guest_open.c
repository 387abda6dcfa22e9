// SPDX-License-Identifier: GPL-2.0-or-later
// Connects a verb with the guest's tools.
#include "host-vmm/cli/guest_open.h"

#include <glib.h>
#include <sysexits.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/guest_link.h"
#include "host-vmm/cli/vm.h"

int guest_open(const char *word, struct vm *ret_vm, struct guest_link **ret_link)
{
	g_autofree char *path = NULL;
	int status = vm_find_running(word, ret_vm);
	int ret;

	if (status)
		return status;
	path = g_build_filename(ret_vm->runtime, "tools.sock", NULL);
	ret = guest_link_open(path, ret_link);
	if (ret)
		return fail(EX_UNAVAILABLE,
			    "%s: its monitor offers no guest operations (%s: %s); set "
			    "backdoor.port=yes and start it anew",
			    ret_vm->name, path, g_strerror(-ret));
	return 0;
}

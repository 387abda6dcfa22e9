// SPDX-License-Identifier: GPL-2.0-or-later
// Gives capabilities away; the C library has no functions for it.
#include "protocol/lib/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

void capabilities_keep(uint32_t mask)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data) < 0)
		return;
	data[0].permitted &= mask;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){ 0 };
	/* Nobody is refused having less. */
	(void)syscall(SYS_capset, &head, data);
}

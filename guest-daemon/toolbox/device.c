// SPDX-License-Identifier: GPL-2.0-or-later
// device: the VM's removable devices, by the I/O ports' commands for them.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "guest-daemon/lib/vmport.h"
#include "guest-daemon/toolbox/toolbox.h"

#define DEVICES_MAX 50
#define CONNECT	    0x80000000u

/* As the host keeps it, four bytes a call: open-vm-tools lib/include/removable_device.h. */
union record {
	struct {
		char name[32];
		uint32_t uid;
		uint8_t enabled;
	} info;
	uint32_t words[10];
};

static bool get(uint32_t id, union record *ret_record)
{
	memset(ret_record, 0, sizeof(*ret_record));
	for (uint32_t i = 0; i < sizeof(*ret_record) / 4; i++) {
		struct vmport_regs regs = { .bx = id << 16 | i * 4 };

		vmport_call(VMPORT_GETDEVICELISTELEMENT, &regs);
		if (regs.ax != 1)
			return false;
		ret_record->words[i] = regs.bx;
	}
	ret_record->info.name[sizeof(ret_record->info.name) - 1] = '\0';
	/* The terminal is not the host's. */
	for (char *at = ret_record->info.name; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	}
	return ret_record->info.name[0] != '\0';
}

static int list(void)
{
	union record record;

	for (uint32_t id = 0; id < DEVICES_MAX; id++) {
		if (get(id, &record))
			printf("%s: %s\n", record.info.name,
			       record.info.enabled ? "Enabled" : "Disabled");
	}
	return 0;
}

static int find(const struct toolbox *toolbox, const char *name, union record *ret_record,
		uint32_t *ret_id)
{
	for (uint32_t id = 0; id < DEVICES_MAX; id++) {
		if (get(id, ret_record) && !strcmp(ret_record->info.name, name)) {
			*ret_id = id;
			return 0;
		}
	}
	return complain(toolbox, EX_OSFILE, "no device %s", name);
}

static int set(const struct toolbox *toolbox, uint32_t id, const char *name, bool enable)
{
	struct vmport_regs regs = { .bx = id | (enable ? CONNECT : 0) };

	vmport_call(VMPORT_TOGGLEDEVICE, &regs);
	if (regs.ax != 1)
		return complain(toolbox, EX_TEMPFAIL, "the host does not %s %s",
				enable ? "connect" : "disconnect", name);
	if (!toolbox->quiet)
		printf("%s\n", enable ? "Enabled" : "Disabled");
	return 0;
}

int verb_device(const struct toolbox *toolbox, int argc, char **argv)
{
	static const char *const words[] = { "list", "status", "enable", "disable", NULL };
	union record record;
	uint32_t id = 0;
	int ret;

	if (argc < 1)
		return misused(toolbox, "missing", "subcommand");
	if (!g_strv_contains(words, argv[0]))
		return misused(toolbox, "unknown subcommand", argv[0]);
	if (argc < 2 && strcmp(argv[0], "list") != 0)
		return misused(toolbox, "missing", "device");
	ret = vmport_claim();
	if (ret)
		return complain(toolbox, ret == -EPERM ? EX_NOPERM : EX_UNAVAILABLE,
				"not available: %s", door_why(DOOR_IOPORTS, ret));
	if (!strcmp(argv[0], "list"))
		return list();
	ret = find(toolbox, argv[1], &record, &id);
	if (ret)
		return ret;
	if (strcmp(argv[0], "status") != 0)
		return set(toolbox, id, argv[1], !strcmp(argv[0], "enable"));
	printf("%s\n", record.info.enabled ? "Enabled" : "Disabled");
	return record.info.enabled ? 0 : EX_UNAVAILABLE;
}

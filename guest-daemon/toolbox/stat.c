// SPDX-License-Identifier: GPL-2.0-or-later
// stat: figures of the host and of this VM.
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lodge/backdoor.h>

#include "guest-daemon/lib/vmport.h"
#include "guest-daemon/toolbox/toolbox.h"
#include "protocol/lib/fields.h"

static int no_ports(const struct toolbox *toolbox, int error)
{
	return complain(toolbox, error == -EPERM ? EX_NOPERM : EX_UNAVAILABLE, "not available: %s",
			door_why(DOOR_IOPORTS, error));
}

/* VMware's ports, for guests of hosts that have no other door. */
static int ports_time(int64_t *ret_seconds)
{
	struct vmport_regs regs = { 0 };
	int ret = vmport_claim();

	if (ret)
		return ret;
	vmport_call(VMPORT_GETTIMEFULL, &regs);
	if (regs.ax == LODGE_VMW_MAGIC) {
		*ret_seconds = (int64_t)((uint64_t)regs.si << 32 | regs.dx);
	} else {
		regs = (struct vmport_regs){ 0 };
		vmport_call(VMPORT_GETTIME, &regs);
		*ret_seconds = (int32_t)regs.ax;
	}
	*ret_seconds += regs.bx / 1000000;
	return 0;
}

static int hosttime(const struct toolbox *toolbox)
{
	int64_t seconds = 0;
	struct tm tm;
	time_t time;
	char text[64];
	int ret;

	if (toolbox_host_time(toolbox, &seconds)) {
		ret = ports_time(&seconds);
		if (ret)
			return no_ports(toolbox, ret);
	}
	time = seconds;
	if (seconds <= 0 || !localtime_r(&time, &tm) ||
	    !strftime(text, sizeof(text), "%d %b %Y %H:%M:%S", &tm))
		return complain(toolbox, EX_TEMPFAIL, "the host does not tell its time");
	printf("%s\n", text);
	return 0;
}

/* What the processor says of itself; the host's word is the same figure. */
static unsigned int cpuinfo_mhz(void)
{
	g_autofree char *text = NULL;
	const char *found;

	if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL))
		return 0;
	found = strstr(text, "cpu MHz");
	found = found ? strchr(found, ':') : NULL;
	return found ? (unsigned int)(g_ascii_strtod(found + 1, NULL) + 0.5) : 0;
}

static int speed(const struct toolbox *toolbox)
{
	struct vmport_regs regs = { 0 };
	unsigned int mhz = 0;

	if (!vmport_claim()) {
		vmport_call(VMPORT_GETMHZ, &regs);
		mhz = regs.ax == UINT32_MAX ? 0 : regs.ax;
	}
	if (!mhz)
		mhz = cpuinfo_mhz();
	if (!mhz)
		return complain(toolbox, EX_TEMPFAIL, "the processor's speed is not known");
	printf("%u MHz\n", mhz);
	return 0;
}

/* guestlib.info.get: a 32-bit version, then the 64-bit id; both little-endian. */
static int sessionid(const struct toolbox *toolbox)
{
	static const char ask[] = "guestlib.info.get 3";
	struct door_answer answer;
	uint64_t id;
	int ret = toolbox_ask(toolbox, ask, sizeof(ask) - 1, &answer);

	if (ret)
		return toolbox_no_host(toolbox, ret);
	if (answer.ok && answer.len >= 12) {
		memcpy(&id, answer.payload + 4, sizeof(id));
		printf("0x%llx\n", (unsigned long long)le64toh(id));
	} else {
		ret = complain(toolbox, EX_UNAVAILABLE,
			       "not available: the host has no session ID");
	}
	free(answer.payload);
	return ret;
}

/* MiB, as VMware's tools say it. */
static int balloon(const struct toolbox *toolbox)
{
	static const char ask[] = "lodge.balloon";
	struct door_answer answer;
	uint64_t given;
	int ret = toolbox_ask(toolbox, ask, sizeof(ask) - 1, &answer);

	if (ret)
		return toolbox_no_host(toolbox, ret);
	if (answer.ok && !fields_check(answer.payload, answer.len) &&
	    !fields_number(answer.payload, answer.len, "given", INT64_MAX, &given))
		printf("%" PRIu64 " MB\n", given >> 20);
	else
		ret = complain(toolbox, EX_UNAVAILABLE,
			       "not available: the host has no balloon for this VM");
	free(answer.payload);
	return ret;
}

static int not_told(const struct toolbox *toolbox)
{
	return complain(toolbox, EX_UNAVAILABLE,
			"not available: the host does not tell this figure");
}

int verb_stat(const struct toolbox *toolbox, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct toolbox *toolbox);
	} figures[] = {
		{ "hosttime", hosttime }, { "speed", speed },	  { "sessionid", sessionid },
		{ "balloon", balloon },	  { "swap", not_told },	  { "memlimit", not_told },
		{ "memres", not_told },	  { "cpures", not_told }, { "cpulimit", not_told },
		{ "raw", not_told },
	};

	if (argc < 1)
		return misused(toolbox, "missing", "subcommand");
	for (size_t i = 0; i < G_N_ELEMENTS(figures); i++) {
		if (!strcmp(figures[i].name, argv[0]))
			return figures[i].run(toolbox);
	}
	return misused(toolbox, "unknown subcommand", argv[0]);
}

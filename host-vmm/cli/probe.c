// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the host's own kernel for a moment, because only that shows whether KVM can run kernels.
#include "host-vmm/cli/probe.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#include "host-vmm/cli/initramfs.h"
#include "host-vmm/cli/kernel.h"
#include "host-vmm/cli/monitor.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/probe_tiny.h"
#include "host-vmm/cli/tail.h"
#include "host-vmm/cli/throwaway.h"
#include "protocol/lib/fd.h"

struct place {
	char *runtime, *conf, *initrd, *serial, *log;
	int claim;
};

static int place_make(struct place *place, char **ret_message)
{
	g_autofree char *name = g_strdup_printf("check-%d", (int)getpid());
	int ret = paths_runtime(name, &place->runtime, ret_message);

	if (ret)
		return ret;
	ret = throwaway_claim(place->runtime, &place->claim);
	if (ret) {
		*ret_message = g_strdup_printf("%s: cannot be claimed: %s; make room there",
					       place->runtime, g_strerror(-ret));
		return ret;
	}
	place->conf = g_build_filename(place->runtime, "vm.conf", NULL);
	place->initrd = g_build_filename(place->runtime, "initrd", NULL);
	place->serial = g_build_filename(place->runtime, "serial.log", NULL);
	place->log = g_build_filename(place->runtime, "vmm.log", NULL);
	return 0;
}

static void place_remove(struct place *place)
{
	if (place->claim >= 0)
		throwaway_remove(place->runtime);
	fd_close(&place->claim);
	g_free(place->runtime);
	g_free(place->conf);
	g_free(place->initrd);
	g_free(place->serial);
	g_free(place->log);
}

static int write_files(const struct place *place, const struct kernel *kernel, char **ret_message)
{
	const struct initramfs_parts parts = { .hello = true };
	g_autoptr(GByteArray) conf = g_byte_array_new();
	g_autofree char *text = NULL;
	int ret;

	run_conf_add(conf, LODGE_RUN_CONF_MODE, "hello");
	ret = initramfs_build(place->initrd, kernel, &parts, conf, ret_message);
	if (ret)
		return ret;
	text = g_strdup_printf("[memory]\nsize=128M\n[boot]\nkernel=%s\ninitrd=initrd\n"
			       "append=console=ttyS0 panic=-1 quiet\non-reset=stop\n"
			       "[serial]\nbackend=file:serial.log\n",
			       kernel->image);
	if (g_file_set_contents(place->conf, text, -1, NULL))
		return 0;
	*ret_message = g_strdup_printf("%s: cannot be written; make room there", place->conf);
	return -EIO;
}

static bool wait_for_end(struct monitor *monitor)
{
	gint64 end = g_get_monotonic_time() + PROBE_LIMIT_MS * 1000;

	while (monitor->notify >= 0) {
		gint64 left = (end - g_get_monotonic_time()) / 1000;
		struct pollfd pfd = { monitor->notify, POLLIN, 0 };

		if (left <= 0 || !poll(&pfd, 1, (int)left))
			return false;
		monitor_read(monitor);
	}
	return true;
}

static char *why_not(const struct place *place, const struct monitor *monitor, bool ended)
{
	g_autofree char *error = monitor_last_error(place->log);

	if (!ended)
		return g_strdup_printf("it said nothing for %d s", PROBE_LIMIT_MS / 1000);
	if (error)
		return g_steal_pointer(&error);
	if (monitor->reason == MONITOR_RESET)
		return g_strdup("it reset itself (triple fault)");
	return g_strdup("it ended before its first words");
}

static int try_kernel(const struct place *place, const struct kernel *kernel, struct probe *probe,
		      char **ret_message)
{
	struct monitor_spec spec = { .dir = place->runtime,
				     .runtime = place->runtime,
				     .log = place->log };
	g_autofree char *hello = NULL;
	struct monitor monitor;
	gint64 start;
	bool ended;
	int ret;

	ret = write_files(place, kernel, ret_message);
	if (ret)
		return ret;
	start = g_get_monotonic_time();
	ret = monitor_start(&spec, &monitor, ret_message);
	if (ret)
		return ret;
	ended = wait_for_end(&monitor);
	probe->ms = (unsigned int)((g_get_monotonic_time() - start) / 1000);
	hello = tail_find(place->serial, LODGE_RUN_HELLO);
	probe->runs = hello;
	probe->tried = g_strdup_printf("kernel %s", kernel->version);
	if (!probe->runs)
		probe->why = why_not(place, &monitor, ended);
	monitor_finish(&monitor);
	return 0;
}

int probe_guest(struct probe *ret_probe, char **ret_message)
{
	g_autofree char *no_kernel = NULL;
	struct place place = { .claim = -1 };
	struct kernel kernel;
	int ret;

	*ret_probe = (struct probe){ 0 };
	/* A kernel would keep us waiting where this one cannot run. */
	if (probe_tiny(&ret_probe->ms, &ret_probe->why)) {
		ret_probe->tried = g_strdup("a guest of a few instructions");
		return 0;
	}
	if (kernel_find("/boot", "/lib/modules", &kernel, &no_kernel)) {
		ret_probe->tried = g_strdup("a guest of a few instructions (there is no kernel to "
					    "try)");
		ret_probe->runs = true;
		return 0;
	}
	ret = place_make(&place, ret_message);
	if (!ret)
		ret = try_kernel(&place, &kernel, ret_probe, ret_message);
	place_remove(&place);
	kernel_clear(&kernel);
	return ret;
}

void probe_clear(struct probe *probe)
{
	g_free(probe->tried);
	g_free(probe->why);
}

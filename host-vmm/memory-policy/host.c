// SPDX-License-Identifier: GPL-2.0-or-later
// The host's memory and how long its programs waited for it, by two files of /proc.
#include "host-vmm/memory-policy/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/pressure.h"

#define TEXT_MAX 4096 /* what is of interest stands in the first lines */

void memory_host_open(struct memory_host_files *files)
{
	*files = (struct memory_host_files){
		.meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC),
		.pressure = open("/proc/pressure/memory", O_RDONLY | O_CLOEXEC),
	};
}

void memory_host_close(struct memory_host_files *files)
{
	fd_close(&files->meminfo);
	fd_close(&files->pressure);
}

/* Both files are made anew for a reading at 0. */
static int read_text(int fd, char *text)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, TEXT_MAX - 1, 0);

	if (n <= 0)
		return -ENODATA;
	text[n] = 0;
	return 0;
}

int memory_host_parse(const char *text, const char *key, uint64_t *ret_bytes)
{
	size_t len = strlen(key);
	const char *line = text;
	uint64_t kib;

	while (line && *line) {
		if (!strncmp(line, key, len) && line[len] == ':' &&
		    sscanf(line + len + 1, "%" SCNu64, &kib) == 1 && kib <= UINT64_MAX >> 10) {
			*ret_bytes = kib << 10;
			return 0;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return -ENODATA;
}

void memory_host_read(struct memory_host_files *files, uint64_t now_ms,
		      struct memory_host *ret_host)
{
	struct pressure pressure;
	char text[TEXT_MAX];

	*ret_host = (struct memory_host){ 0 };
	if (read_text(files->meminfo, text) ||
	    memory_host_parse(text, "MemAvailable", &ret_host->available) ||
	    memory_host_parse(text, "MemTotal", &ret_host->total))
		ret_host->total = 0;
	if (read_text(files->pressure, text) || pressure_parse(text, &pressure))
		return;
	if (files->at_ms && now_ms > files->at_ms)
		ret_host->stall =
			memory_stall(files->stalled_us, pressure.some_us, now_ms - files->at_ms);
	files->stalled_us = pressure.some_us;
	files->at_ms = now_ms;
}

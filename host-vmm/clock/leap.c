// SPDX-License-Identifier: GPL-2.0-or-later
// What TAI is ahead of UTC by the list of leap seconds that comes with the tz database.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host-vmm/clock/clock.h"

#define NTP_TO_UNIX INT64_C(2208988800) /* RFC 5905, figure 4 */
#define TAI_MOST    1000

int leap_list_read(const char *path, int64_t now, struct leap_list *ret_list)
{
	struct leap_list list = { .until = INT64_MAX };
	int64_t expires = 0, from;
	FILE *file = fopen(path, "re");
	char line[256];
	int tai;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "#@ %" SCNd64, &from) == 1 && from >= 0)
			expires = from - NTP_TO_UNIX;
		if (sscanf(line, "%" SCNd64 " %d", &from, &tai) != 2 || from < 0 || tai <= 0 ||
		    tai > TAI_MOST)
			continue;
		if (from - NTP_TO_UNIX <= now)
			list.tai = tai;
		else if (from - NTP_TO_UNIX < list.until)
			list.until = from - NTP_TO_UNIX;
	}
	fclose(file);
	if (expires < list.until)
		list.until = expires;
	if (!list.tai || list.until <= now)
		return -ENODATA;
	*ret_list = list;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// The ACPI power button, by which the host asks the guest to stop.
#include "guest-daemon/init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INPUTS_MAX 16 /* event nodes that are looked at; a VM of ours has two or three */

static bool has_power_key(int fd)
{
	unsigned char keys[KEY_MAX / 8 + 1] = { 0 };

	if (ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) < 0)
		return false;
	/* A keyboard may have such a key too; the button has nothing but it. */
	return keys[KEY_POWER / 8] >> KEY_POWER % 8 & 1 && !(keys[KEY_A / 8] >> KEY_A % 8 & 1);
}

int power_button_open(void)
{
	char path[32];

	for (int i = 0; i < INPUTS_MAX; i++) {
		int fd;

		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (has_power_key(fd))
			return fd;
		close(fd);
	}
	return -ENODEV;
}

bool power_button_pressed(int fd)
{
	struct input_event event;
	bool pressed = false;

	while (read(fd, &event, sizeof(event)) == sizeof(event)) {
		if (event.type == EV_KEY && event.code == KEY_POWER && event.value)
			pressed = true;
	}
	return pressed;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile host: any bytes behind the greeting end the door or are answered, and nothing else
// happens.
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/pump.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/frame.h"
#include "protocol/lib/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TURNS 200 /* of the door's loop, for one input */

/* lodged without a door of its own and with a policy that allows nothing. */
static struct lodged lodged;
static struct pump pumps[8];
static size_t n_pumps;

static void conf_changed(void *opaque)
{
	(void)opaque;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_init("fuzz", LOG_LEVEL_ERROR);
	if (children_start(&lodged.children) ||
	    conf_start("/nonexistent/tools.conf", conf_changed, NULL, &lodged.conf) ||
	    plugins_start(&lodged))
		abort();
	return 0;
}

/* Streams as a task would have them, on descriptors that take and give everything. */
static void open_pump(struct door *door, const char *args, size_t len, const char *key,
		      enum door_direction direction)
{
	struct pump *pump = &pumps[n_pumps];
	uint64_t number;

	if (n_pumps == G_N_ELEMENTS(pumps) || fields_number(args, len, key, UINT32_MAX, &number))
		return;
	pump_init(pump, direction, NULL, NULL);
	if (pump_open(pump, door, (uint32_t)number) == 0) {
		pump_start(pump, open(direction == DOOR_STREAM_IN ? "/dev/null" : "/dev/zero",
				      O_RDWR | O_CLOEXEC));
		n_pumps++;
	} else {
		pump_stop(pump, "");
	}
}

static void command(void *opaque, struct door_command *command, const char *word, const char *args,
		    size_t len)
{
	struct door *door = door_command_door(command);

	(void)opaque;
	if (args[len] || strlen(word) > 64)
		abort();
	if (!strcmp(word, "streams") && !fields_check(args, len)) {
		open_pump(door, args, len, "stdin", DOOR_STREAM_IN);
		open_pump(door, args, len, "stdout", DOOR_STREAM_OUT);
		door_command_ok(command);
	} else if (!strcmp(word, "reset") || !strcmp(word, "lodge.facts")) {
		/* They would look at this machine, in children. */
		door_command_ok(command);
	} else {
		plugins_command(&lodged, command, word, args, len);
	}
}

static bool greet(struct door *door, int host)
{
	struct lodge_rpc_header header;
	struct frame frame = { .size = 2, .type = LODGE_RPC_REPLY };
	char drop[1024];

	if (door_dispatch(door) || read(host, &header, sizeof(header)) != sizeof(header))
		return false;
	frame.tag = le32toh(header.tag);
	(void)!read(host, drop, sizeof(drop));
	frame_build(&frame, drop);
	memcpy(drop + LODGE_RPC_HEADER_SIZE, "1 ", 2);
	return write(host, drop, LODGE_RPC_HEADER_SIZE + 2) == LODGE_RPC_HEADER_SIZE + 2 &&
	       !door_dispatch(door) && door_ready(door);
}

static void drain(int host)
{
	static char dropped[65536];

	while (recv(host, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct door_ops ops = { .command = command };
	const struct door_config config = { "toolbox", "fuzz", &ops, NULL, NULL };
	struct door *door;
	int ends[2], ret = 0;

	if (size > 100000 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return 0;
	if (door_open_fd(DOOR_PORT, ends[0], &config, &door) || !greet(door, ends[1]))
		abort();
	n_pumps = 0;
	for (size_t done = 0, turn = 0; !ret && turn < TURNS; turn++) {
		ssize_t put = done < size ? write(ends[1], data + done, size - done) : 0;

		if (put > 0)
			done += (size_t)put;
		ret = door_dispatch(door);
		while (g_main_context_iteration(NULL, FALSE) && turn++ < TURNS)
			;
		drain(ends[1]);
		if (!ret && done == size && door_timeout(door) != 0)
			break;
	}
	plugins_lost(&lodged);
	door_close(door);
	for (size_t i = 0; i < n_pumps; i++)
		pump_stop(&pumps[i], "");
	close(ends[1]);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// backdoor-client: what a session over /dev/lodge can do, alone, beside others, and when it ends.
#include "tests/vm/backdoor/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures;

bool all_good(void)
{
	return failures == 0;
}

void check(bool good, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	printf("%s - %s\n", good ? "ok" : "not ok", line);
	fflush(stdout);
	failures += !good;
}

void check_errno(ssize_t got, int wanted, const char *what)
{
	int error = got < 0 ? errno : 0;

	check(error == wanted, "%s: %s%s%s", what, wanted ? strerror(wanted) : "works",
	      error == wanted ? "" : ", not ", error == wanted ? "" : strerror(error));
}

int open_dev(int flags)
{
	int fd, tries;

	/* Numbers of sessions that were closed are free when the host has heard of it. */
	for (tries = 0; tries < 5000; tries++) {
		fd = open(DEV, O_RDWR | O_CLOEXEC | flags);
		if (fd >= 0 || errno != EBUSY)
			break;
		usleep(1000);
	}
	if (fd < 0) {
		check(false, "open " DEV ": %s", strerror(errno));
		exit(1);
	}
	return fd;
}

struct lodge_rpc_header make_header(uint16_t type, uint32_t size, uint32_t tag)
{
	return (struct lodge_rpc_header){
		.magic = LODGE_RPC_MAGIC,
		.size = size,
		.type = type,
		.tag = tag,
		.reply_max = type == LODGE_RPC_REQUEST ? REPLY_SIZE : 0,
	};
}

ssize_t send_frame(int fd, uint16_t type, uint32_t tag, const void *payload, size_t size)
{
	struct lodge_rpc_header header = make_header(type, (uint32_t)size, tag);
	char *whole = malloc(sizeof(header) + size);
	ssize_t got;

	if (!whole)
		return -ENOMEM;
	memcpy(whole, &header, sizeof(header));
	memcpy(whole + sizeof(header), payload, size);
	got = write(fd, whole, sizeof(header) + size);
	free(whole);
	return got < 0 ? -errno : got;
}

ssize_t send_request(int fd, uint32_t tag, const char *text)
{
	return send_frame(fd, LODGE_RPC_REQUEST, tag, text, strlen(text));
}

int receive(int fd, struct message *message)
{
	ssize_t got = read(fd, message, sizeof(message->header) + sizeof(message->payload));

	if (got <= 0)
		return got < 0 ? -errno : 1;
	message->size = got - (ssize_t)sizeof(message->header);
	if (message->header.magic != LODGE_RPC_MAGIC ||
	    message->size != (ssize_t)message->header.size)
		return -EBADMSG;
	if (message->size < (ssize_t)sizeof(message->payload))
		message->payload[message->size] = '\0';
	return 0;
}

bool ask(int fd, const char *text, size_t size, const char *reply, struct message *ret_message)
{
	static uint32_t tag = 1000;
	int tries;

	for (tries = 0; tries < 10000; tries++) {
		if (send_frame(fd, LODGE_RPC_REQUEST, ++tag, text, size) < 0 ||
		    receive(fd, ret_message))
			return false;
		if (ret_message->header.tag != tag || ret_message->header.type != LODGE_RPC_REPLY)
			return false;
		if (!(ret_message->header.flags & LODGE_RPC_F_BUSY))
			return !strncmp(ret_message->payload, reply, strlen(reply));
		usleep(1000); /* the host's rate limit lets it pass in a moment */
	}
	return false;
}

bool hello(int fd, const char *app)
{
	struct message message;
	char text[128];
	int n = snprintf(text, sizeof(text), "lodge.hello app=%s%cversion=1%ccommands=%d%c", app, 0,
			 0, !strcmp(app, "toolbox"), 0);

	return ask(fd, text, (size_t)n, "1 ", &message);
}

static short ready(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&poll_fd, 1, 0) < 0 ? -1 : poll_fd.revents;
}

void test_basic(void)
{
	struct pollfd poll_fd = { .events = POLLIN };
	struct message message;
	int fd = open_dev(O_NONBLOCK), other = open_dev(0);
	char small[LODGE_RPC_HEADER_SIZE + 1];

	check(ready(fd) == POLLOUT, "a new session can be written, not read");
	check_errno(read(fd, &message, sizeof(message)), EAGAIN, "read with nothing there");
	check(hello(other, "cli"), "hello");
	check(ask(other, "info-set guestinfo.basic 17", 27, "1", &message), "info-set");
	check(ask(other, "info-get guestinfo.basic", 24, "1 17", &message), "info-get: %s",
	      message.payload);
	check(ask(other, "no-such-word", 12, "0 Unknown command", &message), "unknown word");
	check(message.header.session < LODGE_RPC_SESSIONS_MAX, "a session number of the kernel's");

	check(send_request(fd, 7, "info-get guestinfo.basic") > 0,
	      "a request before hello is sent");
	poll_fd.fd = fd;
	check(poll(&poll_fd, 1, 5000) == 1 && poll_fd.revents == POLLIN, "poll tells of its reply");
	check_errno(read(fd, small, sizeof(small)), EMSGSIZE, "read with too little room");
	check(!receive(fd, &message) && message.header.tag == 7 &&
		      !strcmp(message.payload, "0 say lodge.hello first"),
	      "the reply is still there: %s", message.payload);
	check(ready(fd) == POLLOUT, "then the session is quiet");
	close(fd);
	close(other);
}

static bool one_of_many(int number)
{
	char set[64], get[64], reply[64];
	struct message message;
	int fd = open_dev(0);
	int round;
	bool good = hello(fd, "cli");

	for (round = 0; good && round < 40; round++) {
		snprintf(set, sizeof(set), "info-set guestinfo.many%d %d.%d", number, number,
			 round);
		snprintf(get, sizeof(get), "info-get guestinfo.many%d", number);
		snprintf(reply, sizeof(reply), "1 %d.%d", number, round);
		good = ask(fd, set, strlen(set), "1", &message) &&
		       ask(fd, get, strlen(get), reply, &message);
	}
	close(fd);
	return good;
}

void test_many(void)
{
	int number, status, good = 0;

	for (number = 0; number < 16; number++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(one_of_many(number) ? 0 : 1);
	}
	for (number = 0; number < 16; number++)
		if (wait(&status) > 0 && status == 0)
			good++;
	check(good == 16, "%d of 16 programs at once have their own answers", good);
}

/* Without root, and with ROOT in every header. */
void test_user(void)
{
	int fds[LODGE_RPC_SESSIONS_MAX];
	struct message message;
	struct lodge_rpc_header header;
	unsigned int n = 0, tries = 0, i;
	int fd;

	if (setgid(65534) || setuid(65534)) {
		check(false, "setuid: %s", strerror(errno));
		return;
	}
	fd = open_dev(0);
	check(ask(fd, "lodge.hello app=cli", 20, "1 ", &message) &&
		      memmem(message.payload, (size_t)message.size, "privilege=user", 14),
	      "without root, the host says privilege=user");
	header = make_header(LODGE_RPC_REQUEST, 25, 5);
	header.flags = LODGE_RPC_F_ROOT;
	header.session = 0;
	memcpy(&message.header, &header, sizeof(header));
	memcpy(message.payload, "info-set guestinfo.root 1", 25);
	check(write(fd, &message, sizeof(header) + 25) > 0 && !receive(fd, &message) &&
		      !strcmp(message.payload, "0 Permission denied"),
	      "and ROOT in the header changes nothing: %s", message.payload);
	close(fd);
	/* The one that was closed has its number until the host has heard of it. */
	while (n < LODGE_RPC_SESSIONS_MAX) {
		fds[n] = open(DEV, O_RDWR);
		if (fds[n] >= 0)
			n++;
		else if (errno == EBUSY && n < LODGE_RPC_SESSIONS_MAX / 4 && tries++ < 1000)
			usleep(1000);
		else
			break;
	}
	check(n == LODGE_RPC_SESSIONS_MAX / 4 && errno == EBUSY, "a user has %u sessions: %s", n,
	      strerror(errno));
	for (i = 0; i < n; i++)
		close(fds[i]);
}

/* Closed with a request under way; then all numbers are to be had, and none hears of another. */
void test_midclose(void)
{
	int fds[LODGE_RPC_SESSIONS_MAX];
	struct message message;
	unsigned int i, n = 0, bad = 0, tries;

	for (i = 0; i < 500; i++) {
		int fd = open_dev(0);

		send_frame(fd, LODGE_RPC_REQUEST, i, "lodge.hello app=cli", 20);
		send_request(fd, i, "info-get guestinfo.basic");
		close(fd);
	}
	/* Numbers are free when the host has given everything back: soon, not at once. */
	for (tries = 0; tries < 5000 && n < LODGE_RPC_SESSIONS_MAX; tries++) {
		fds[n] = open(DEV, O_RDWR | O_NONBLOCK);
		if (fds[n] >= 0)
			n++;
		else
			usleep(1000);
	}
	check(n == LODGE_RPC_SESSIONS_MAX, "after 500 closed in mid-request, %u sessions are free",
	      n);
	check_errno(open(DEV, O_RDWR), EBUSY, "one more session than there are");
	for (i = 0; i < n; i++)
		bad += receive(fds[i], &message) != -EAGAIN;
	check(bad == 0, "%u new sessions hear what was for old ones", bad);
	for (i = 0; i < n; i++)
		close(fds[i]);
}

void test_toolbox(void)
{
	struct message message = { .size = 0 };
	int first = open_dev(0), second, end;

	check(hello(first, "toolbox"), "hello of the daemon");
	end = receive(first, &message);
	check(!end && message.header.type == LODGE_RPC_COMMAND &&
		      !strncmp(message.payload, "reset", 5),
	      "the host commands: %s", message.payload);
	check(send_frame(first, LODGE_RPC_RESULT, message.header.tag, "OK ATR toolbox", 14) > 0,
	      "its result is sent");
	check(send_frame(first, LODGE_RPC_RESULT, 99999, "OK nobody asked", 15) > 0,
	      "a result that nobody asked for is sent");
	check(send_frame(first, LODGE_RPC_DATA, 77, "x", 1) > 0, "data of no stream are sent");
	second = open_dev(0);
	check(hello(second, "toolbox"), "hello of the next daemon");
	do {
		end = receive(first, &message);
	} while (!end && message.header.type != LODGE_RPC_CLOSE);
	check(!end, "the first one's session is closed");
	check(receive(first, &message) == 1, "then its file ends");
	check(send_request(first, 1, "info-get x") == -EPIPE, "and takes nothing");
	close(second);
	close(first);
}

/* A reader and a poller who are there when the device goes. */
void test_wait(int error)
{
	struct message message;
	int read_fd = open_dev(0), poll_fd_number = open_dev(0), status = 0;
	struct pollfd poll_fd = { .fd = poll_fd_number, .events = POLLIN };
	pid_t reader;

	check(hello(read_fd, "cli") && hello(poll_fd_number, "cli"), "two sessions wait");
	reader = fork();
	if (reader == 0)
		_exit(receive(read_fd, &message) == -error ? 0 : 1);
	printf("waiting\n");
	fflush(stdout);
	check(poll(&poll_fd, 1, 60000) == 1 && poll_fd.revents & POLLERR &&
		      poll_fd.revents & POLLHUP,
	      "poll ends with POLLERR and POLLHUP");
	check(waitpid(reader, &status, 0) == reader && status == 0, "read ends: %s",
	      strerror(error));
	check(receive(poll_fd_number, &message) == -error, "so does the other's");
	check(send_request(poll_fd_number, 1, "info-get x") == -error, "so does write");
	check(send_request(poll_fd_number, 1, "info-get x") == -error, "and again");
	close(read_fd);
	close(poll_fd_number);
}

static const struct group {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "basic", test_basic },       { "many", test_many },	    { "user", test_user },
	{ "midclose", test_midclose }, { "toolbox", test_toolbox }, { "hostile", test_hostile },
	{ "flood", test_flood },       { "fuzz", test_fuzz },	    { "speed", test_speed },
	{ "hold", test_hold },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(groups) / sizeof(groups[0]); i++)
		if (!strcmp(argv[1], groups[i].name)) {
			groups[i].run();
			return all_good() ? 0 : 1;
		}
	if (argc == 3 && !strcmp(argv[1], "wait")) {
		test_wait(!strcmp(argv[2], "unbind") ? ENODEV : ECONNRESET);
		return all_good() ? 0 : 1;
	}
	if (argc == 4 && !strcmp(argv[1], "load")) {
		test_load(atoi(argv[2]), atoi(argv[3]));
		return all_good() ? 0 : 1;
	}
	fprintf(stderr,
		"usage: backdoor-client GROUP | wait unbind|reset | load SECONDS PROCESSES\n");
	return 2;
}

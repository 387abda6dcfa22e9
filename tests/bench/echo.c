// SPDX-License-Identifier: GPL-2.0-or-later
// bench-echo SOCKET: the host's end of a peer's port: listens, and gives back what comes.
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char bytes[4096];
	ssize_t got;
	int listener, client;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: bench-echo SOCKET\n");
		return 2;
	}
	memcpy(address.sun_path, argv[1], strlen(argv[1]) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0) {
		perror("bench-echo");
		return 1;
	}
	client = accept(listener, NULL, NULL);
	while ((got = read(client, bytes, sizeof(bytes))) > 0)
		if (write(client, bytes, (size_t)got) != got)
			break;
	return 0;
}

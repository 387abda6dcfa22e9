// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines to lodge-fsd's control socket, and its answers. */
#include "host-vmm/virtio/fs_control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "protocol/lib/fd.h"

#define LINE_MAX_BYTES	1024 /* lodge-fsd's limit */
#define ANSWER_LIMIT_MS 5000

void fs_rules_text(const struct fs_share_info *info, char lead, char ret_text[FS_RULES_MAX])
{
	const struct vm_share_rules *rules = &info->rules;
	uint32_t uid = VM_GUEST_USER_ID, gid = VM_GUEST_USER_ID;
	size_t n = 0;

	*ret_text = 0;
	if (rules->read_only)
		n += (size_t)snprintf(ret_text, FS_RULES_MAX, "%cro", lead);
	if (rules->owner.kind == VM_OWNER_IDS) {
		uid = rules->owner.uid;
		gid = rules->owner.gid;
	}
	/* Root's files stay root's: who runs VMs as root means what the ids say. */
	if (rules->owner.kind == VM_OWNER_EXACT)
		n += (size_t)snprintf(ret_text + n, FS_RULES_MAX - n, "%cexact", lead);
	else if (rules->owner.kind == VM_OWNER_IDS || geteuid())
		n += (size_t)snprintf(ret_text + n, FS_RULES_MAX - n, "%cowner=%u:%u", lead, uid,
				      gid);
	if (rules->file_mask || rules->dir_mask)
		snprintf(ret_text + n, FS_RULES_MAX - n, "%cmask=%o:%o", lead, rules->file_mask,
			 rules->dir_mask);
}

/* A space ends a name and a newline the line. */
static int encode_name(const char *name, char ret_text[3 * VM_SHARE_NAME_MAX + 1])
{
	char *out = ret_text;

	if (strlen(name) > VM_SHARE_NAME_MAX || strchr(name, '\n'))
		return -EINVAL;
	for (; *name; name++) {
		if (*name == ' ' || *name == '%')
			out += sprintf(out, "%%%02x", *name);
		else
			*out++ = *name;
	}
	*out = 0;
	return 0;
}

static int read_answer(int socket, char ret_line[FS_WHY_MAX])
{
	size_t len = 0;

	while (!len || ret_line[len - 1] != '\n') {
		struct pollfd pfd = { .fd = socket, .events = POLLIN };
		ssize_t got;

		if (poll(&pfd, 1, ANSWER_LIMIT_MS) != 1)
			return -ETIMEDOUT;
		/* Beyond the room only the end of the line counts. */
		if (len == FS_WHY_MAX - 1)
			len--;
		got = recv(socket, ret_line + len, FS_WHY_MAX - 1 - len, 0);
		if (got <= 0)
			return -EPIPE;
		len += (size_t)got;
	}
	ret_line[len - 1] = 0;
	return 0;
}

static int order(int socket, const char *line, int fd, char ret_why[FS_WHY_MAX])
{
	char stale[LINE_MAX_BYTES];
	int ret;

	/* Answers to orders that were not waited for. */
	while (recv(socket, stale, sizeof(stale), MSG_DONTWAIT) > 0)
		;
	ret = fd_send(socket, line, strlen(line), &fd, fd >= 0);
	if (!ret)
		ret = read_answer(socket, ret_why);
	if (ret) {
		snprintf(ret_why, FS_WHY_MAX, "lodge-fsd does not answer: %s", strerror(-ret));
		return ret;
	}
	return strcmp(ret_why, "ok") ? -EREMOTEIO : 0;
}

static int order_share(int socket, const char *verb, const struct fs_share_info *info, int path_fd,
		       char ret_why[FS_WHY_MAX])
{
	char name[3 * VM_SHARE_NAME_MAX + 1], rules[FS_RULES_MAX], line[LINE_MAX_BYTES];

	if (encode_name(info->name, name))
		return -EINVAL;
	fs_rules_text(info, ' ', rules);
	snprintf(line, sizeof(line), "%s %s%s\n", verb, name, rules);
	return order(socket, line, path_fd, ret_why);
}

int fs_control_add(int socket, const struct fs_share_info *info, int path_fd,
		   char ret_why[FS_WHY_MAX])
{
	return order_share(socket, "add", info, path_fd, ret_why);
}

int fs_control_keep(int socket, const struct fs_share_info *info, int path_fd,
		    char ret_why[FS_WHY_MAX])
{
	return order_share(socket, "keep", info, path_fd, ret_why);
}

int fs_control_window(int socket, uint64_t gpa, char ret_why[FS_WHY_MAX])
{
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof(line), "window %llx\n", (unsigned long long)gpa);
	return order(socket, line, -1, ret_why);
}

int fs_control_remove(int socket, const char *name, char ret_why[FS_WHY_MAX])
{
	char encoded[3 * VM_SHARE_NAME_MAX + 1], line[LINE_MAX_BYTES];

	if (encode_name(name, encoded))
		return -EINVAL;
	snprintf(line, sizeof(line), "remove %s\n", encoded);
	return order(socket, line, -1, ret_why);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of lodge-fsd. */
#ifndef LODGE_FSD_OPTIONS_H
#define LODGE_FSD_OPTIONS_H

#include "shared-fs/server/fs.h"

enum sandbox_mode {
	SANDBOX_BEST,
	SANDBOX_NAMESPACE,
	SANDBOX_LANDLOCK,
	SANDBOX_NONE,
};

struct share_option {
	char name[SHARE_NAME_MAX + 1];
	char *path; /* owned */
	bool read_only;
	struct owner_map owner;
};

struct options {
	const char *socket_path; /* NULL: socket_fd */
	int socket_fd;
	const char *control_path; /* NULL: control_fd, -1 for none */
	int control_fd;
	int notify_fd; /* -1: none */
	int session_fd; /* -1: none */
	const char *tag;
	bool export; /* the only share is the root */
	bool once;
	bool show_help;
	bool show_version;
	enum sandbox_mode sandbox;
	enum cache_mode cache;
	bool host_locks;
	bool no_xattr;
	uint64_t dax_size; /* bytes; 0: no window */
	bool dax_auto; /* see struct fs_config */
	size_t n_shares;
	struct share_option *shares; /* owned */
};

/* 0, or -EINVAL after it said on stderr what is wrong and what would be right. */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);
void options_help(void);

/* Parses NAME=PATH[:RULE...]; without @named, PATH alone. Says what is wrong. */
int share_option_parse(const char *text, bool named, struct share_option *ret_share);

#endif

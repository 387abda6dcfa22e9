// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line of mount.lodge. */
#include "shared-fs/guest/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/select.h>

#define TAG_DEFAULT "lodge" /* of lodge-vmm's device */
#define MESSAGES_FD "--messages-fd="

static const struct {
	const char *name;
	unsigned long set;
	unsigned long clear;
} flags[] = {
	{ "ro", MS_RDONLY, 0 },
	{ "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 },
	{ "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 },
	{ "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "noatime", MS_NOATIME, 0 },
	{ "atime", 0, MS_NOATIME },
	{ "nodiratime", MS_NODIRATIME, 0 },
	{ "diratime", 0, MS_NODIRATIME },
	{ "relatime", MS_RELATIME, 0 },
	{ "norelatime", 0, MS_RELATIME },
	{ "strictatime", MS_STRICTATIME, 0 },
	/* For mount(8) and systemd, mount(8) hands some of them on. */
	{ "defaults", 0, 0 },
	{ "remount", 0, 0 },
	{ "auto", 0, 0 },
	{ "noauto", 0, 0 },
	{ "nofail", 0, 0 },
	{ "async", 0, 0 },
	{ "_netdev", 0, 0 },
	{ "nouser", 0, 0 },
	{ "user", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0 },
	{ "users", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0 },
	{ "owner", MS_NOSUID | MS_NODEV, 0 },
	{ "group", MS_NOSUID | MS_NODEV, 0 },
};

static bool is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

/* The value of NAME=VALUE, NULL: another word. */
static const char *value_of(const char *word, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len <= n || memcmp(word, name, n) || word[n] != '=')
		return NULL;
	*ret_len = len - n - 1;
	return word + n + 1;
}

static int take_text(char *to, size_t size, const char *text, size_t len)
{
	if (!len || len >= size)
		return -EINVAL;
	memcpy(to, text, len);
	to[len] = 0;
	return 0;
}

static int take_value(struct mount_options *options, const char *word, size_t len, bool *ret_ours)
{
	const char *value;
	size_t n;

	*ret_ours = true;
	value = value_of(word, len, "tag", &n);
	if (value)
		return take_text(options->tag, sizeof(options->tag), value, n);
	value = value_of(word, len, "dax", &n);
	if (value) {
		if (!is(value, n, "always") && !is(value, n, "never") && !is(value, n, "inode"))
			return -EINVAL;
		return take_text(options->dax, sizeof(options->dax), value, n);
	}
	value = value_of(word, len, "way", &n);
	if (value) {
		for (enum mount_way way = WAY_ANY; way <= WAY_RPC; way++) {
			if (!is(value, n, options_way_name(way)))
				continue;
			options->way = way;
			return 0;
		}
		return -EINVAL;
	}
	*ret_ours = false;
	return 0;
}

static int take_option(struct mount_options *options, const char *word, size_t len)
{
	bool ours;
	int err;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!is(word, len, flags[i].name))
			continue;
		options->flags &= ~flags[i].clear;
		options->flags |= flags[i].set;
		return 0;
	}
	/* Comments of fstab for other programs, and who may unmount. */
	if (!len || (len > 2 && !memcmp(word, "x-", 2)) || (len > 2 && !memcmp(word, "X-", 2)) ||
	    (len >= 8 && !memcmp(word, "comment=", 8)) || (len >= 5 && !memcmp(word, "user=", 5)))
		return 0;
	err = take_value(options, word, len, &ours);
	/* mount(8) hands on what the file system that is mounted says of itself. */
	if (!err && !ours && !options->sloppy && !options->remount)
		err = -EINVAL;
	if (err) {
		options->bad = word;
		options->bad_len = len;
	}
	return err;
}

static int take_list(struct mount_options *options, const char *list)
{
	int err = 0;

	while (!err) {
		size_t len = strcspn(list, ",");

		err = take_option(options, list, len);
		list += len;
		if (!*list)
			break;
		list++;
	}
	return err;
}

static int bad_word(struct mount_options *options, const char *word)
{
	options->bad = word;
	options->bad_len = strlen(word);
	return -EINVAL;
}

static int take_place(struct mount_options *options, const char *word)
{
	if (!options->source)
		options->source = word;
	else if (!options->folder)
		options->folder = word;
	else
		return bad_word(options, word);
	return 0;
}

static bool take_number(const char *text, int *ret_number)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (end == text || *end || number > FD_SETSIZE)
		return false;
	*ret_number = (int)number;
	return true;
}

/* "--which" and the like; false: another word. */
static bool take_long(struct mount_options *options, const char *word)
{
	if (!strcmp(word, "--which"))
		options->which = true;
	else if (!strcmp(word, "--foreground"))
		options->foreground = true;
	else if (!strncmp(word, MESSAGES_FD, strlen(MESSAGES_FD)))
		return take_number(word + strlen(MESSAGES_FD), &options->messages_fd);
	else if (!strcmp(word, "--help"))
		options->help = true;
	else if (!strcmp(word, "--version"))
		options->version = true;
	else
		return false;
	return true;
}

/* Letters of one word: mount(8) gives them one by one, people do not. Those with a value take the
 * rest, or the next word. */
static int take_letters(struct mount_options *options, char **argv, int *i)
{
	const char *word = argv[*i];

	for (const char *letter = word + 1; *letter; letter++) {
		const char *value = letter[1] ? letter + 1 : argv[*i + 1];

		switch (*letter) {
		case 's':
			options->sloppy = true;
			break;
		case 'f':
			options->fake = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'n': /* /etc/mtab is the kernel's */
			break;
		case 'r':
			options->flags |= MS_RDONLY;
			break;
		case 'w':
			options->flags &= ~(unsigned long)MS_RDONLY;
			break;
		case 'h':
			options->help = true;
			break;
		case 'o': /* taken once -s is known */
		case 't': /* fuse.lodge, lodge: it is ours */
		case 'N': /* mount(8) has entered the namespace */
			if (!value)
				return bad_word(options, word);
			*i += !letter[1];
			return 0;
		default:
			return bad_word(options, word);
		}
	}
	return 0;
}

/* What other options mean depends on it. */
static int find_remount(struct mount_options *options, const char *list)
{
	for (;;) {
		size_t len = strcspn(list, ",");

		if (is(list, len, "remount"))
			options->remount = true;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

/* All of -o, of which there may be several, to @take. */
static int for_lists(struct mount_options *options, char **argv,
		     int (*take)(struct mount_options *options, const char *list))
{
	int err = 0;

	for (int i = 1; argv[i] && !err; i++) {
		const char *o = argv[i][0] == '-' && argv[i][1] != '-' ? strpbrk(argv[i], "otN")
								       : NULL;

		if (!o)
			continue;
		if (*o == 'o')
			err = take(options, o[1] ? o + 1 : argv[i + 1]);
		i += !o[1];
	}
	return err;
}

int options_parse(struct mount_options *ret_options, int argc, char **argv)
{
	struct mount_options *options = ret_options;
	int err = 0;

	*options = (struct mount_options){ .tag = TAG_DEFAULT, .messages_fd = -1 };
	for (int i = 1; i < argc && !err; i++) {
		if (argv[i][0] != '-' || !argv[i][1])
			err = take_place(options, argv[i]);
		else if (argv[i][1] == '-')
			err = take_long(options, argv[i]) ? 0 : bad_word(options, argv[i]);
		else
			err = take_letters(options, argv, &i);
	}
	if (!err)
		err = for_lists(options, argv, find_remount);
	if (!err)
		err = for_lists(options, argv, take_list);
	if (err || options->help || options->version || options->which)
		return err;
	if (!options->source || !options->folder)
		return bad_word(options, options->source ? "no folder" : "no share");
	return 0;
}

int options_path(const struct mount_options *options, char *ret_path, size_t size)
{
	const char *at = options->source;
	size_t used = 0;

	if (!strcmp(at, options->tag))
		at = "";
	while (*at) {
		size_t len = strcspn(at, "/");

		if (is(at, len, ".") || is(at, len, ".."))
			return -EINVAL;
		if (used + 1 + len + 1 > size)
			return -ENAMETOOLONG;
		if (len && used)
			ret_path[used++] = '/';
		memcpy(ret_path + used, at, len);
		used += len;
		at += len + (at[len] == '/');
	}
	ret_path[used] = 0;
	return 0;
}

const char *options_way_name(enum mount_way way)
{
	static const char *const names[] = {
		[WAY_ANY] = "auto",
		[WAY_VIRTIOFS] = "virtiofs",
		[WAY_LODGE_FS] = "lodge_fs",
		[WAY_RPC] = "rpc",
	};

	return names[way];
}

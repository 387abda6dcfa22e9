// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing of the command line, with an error for each way to get it wrong. */
#include "shared-fs/server/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "shared-fs/server/dax.h"
#include "shared-fs/server/vhost.h"

enum {
	OPT_SOCKET = 256,
	OPT_FD,
	OPT_CONTROL,
	OPT_CONTROL_FD,
	OPT_NOTIFY_FD,
	OPT_SESSION_FD,
	OPT_TAG,
	OPT_SHARE,
	OPT_EXPORT,
	OPT_CACHE,
	OPT_LOCKS,
	OPT_NO_XATTR,
	OPT_DAX_SIZE,
	OPT_DAX_FILES,
	OPT_SANDBOX,
	OPT_ONCE,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "fd", required_argument, NULL, OPT_FD },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "control-fd", required_argument, NULL, OPT_CONTROL_FD },
	{ "notify-fd", required_argument, NULL, OPT_NOTIFY_FD },
	{ "session-fd", required_argument, NULL, OPT_SESSION_FD },
	{ "tag", required_argument, NULL, OPT_TAG },
	{ "share", required_argument, NULL, OPT_SHARE },
	{ "export", required_argument, NULL, OPT_EXPORT },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "locks", required_argument, NULL, OPT_LOCKS },
	{ "no-xattr", no_argument, NULL, OPT_NO_XATTR },
	{ "dax-size", required_argument, NULL, OPT_DAX_SIZE },
	{ "dax-files", required_argument, NULL, OPT_DAX_FILES },
	{ "sandbox", required_argument, NULL, OPT_SANDBOX },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

void options_help(void)
{
	puts("Usage: lodge-fsd (--socket PATH | --fd N) (--share SHARE... | --export FOLDER)\n"
	     "Serve folders of this host to a virtual machine, as the vhost-user back end of a\n"
	     "virtio-fs device.\n"
	     "\n"
	     "  --socket PATH        listen on PATH; serve one front end after the other\n"
	     "  --fd N               use the socket N, connected or listening, that was inherited\n"
	     "  --share NAME=PATH[:RULE...]\n"
	     "                       a folder of the device's root; repeat for more\n"
	     "  --export PATH[:RULE...]\n"
	     "                       make this folder the device's root\n"
	     "  RULE is ro; owner=UID:GID, the guest's owner of files that are ours; exact, for\n"
	     "       owners and modes as the guest sets them; mask=FILES:FOLDERS, permission bits\n"
	     "       to base 8 that the guest does not see\n"
	     "  --tag TAG            answer for the device's configuration space, with this tag\n"
	     "  --control PATH       listen for commands on PATH: add, remove, list shares\n"
	     "  --control-fd N       the same on an inherited, connected socket\n"
	     "  --notify-fd N        tell what programs of the host change, on an inherited socket\n"
	     "  --session-fd N       keep what the next lodge-fsd needs to go on in an inherited memfd\n"
	     "  --cache auto|never|always\n"
	     "                       what the guest may keep (auto: files checked when opened)\n"
	     "  --locks guest|host   where file locks are taken (guest)\n"
	     "  --no-xattr           no extended attributes\n"
	     "  --dax-size MIB       let front ends that can map files of 2 MiB and more into a\n"
	     "                       window of this size (0)\n"
	     "  --dax-files all|auto the large ones of all file systems, or where that is always\n"
	     "                       faster (all)\n"
	     "  --sandbox namespace|landlock|none\n"
	     "                       default: the best that this host allows\n"
	     "  --once               end when the front end disconnects\n"
	     "  --help, --version");
}

/* A choice out of @names; -1, after a message, for none of them. */
static int choose(const char *option, const char *value, const char *const *names)
{
	for (int i = 0; names[i]; i++) {
		if (!strcmp(value, names[i]))
			return i;
	}
	log_error("--%s cannot be '%s': use %s, %s%s%s", option, value, names[0], names[1],
		  names[2] ? " or " : "", names[2] ? names[2] : "");
	return -1;
}

static int parse_fd(const char *option, const char *value)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(value, &end, 10);
	if (errno || *end || end == value || fd < 0 || fd > INT32_MAX) {
		log_error("--%s cannot be '%s': give the number of an open descriptor", option,
			  value);
		return -EINVAL;
	}
	return (int)fd;
}

static int check_socket_path(const char *option, const char *path)
{
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (*path && strlen(path) <= max)
		return 0;
	log_error(
		"--%s '%s' is %s: a socket's path has 1 to %zu bytes; use a shorter one, for example "
		"below $XDG_RUNTIME_DIR",
		option, path, *path ? "too long" : "empty", max);
	return -EINVAL;
}

static bool parse_id(const char *text, const char **end, uint32_t *ret_id)
{
	unsigned long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, (char **)end, 10);
	*ret_id = (uint32_t)value;
	return !errno && value < UINT32_MAX; /* (uid_t)-1 means "leave it" to chown(2) */
}

static bool parse_mask(const char *text, const char **end, uint32_t *ret_mask)
{
	unsigned long value;

	if (*text < '0' || *text > '7')
		return false;
	value = strtoul(text, (char **)end, 8);
	*ret_mask = (uint32_t)value;
	return value <= 0777;
}

int share_rule_parse(const char *word, bool *ret_read_only, struct owner_map *owner)
{
	const char *end;

	if (!strcmp(word, "ro")) {
		*ret_read_only = true;
	} else if (!strcmp(word, "exact")) {
		owner->exact = true;
	} else if (!strncmp(word, "owner=", strlen("owner="))) {
		if (!parse_id(word + strlen("owner="), &end, &owner->uid) || *end != ':' ||
		    !parse_id(end + 1, &end, &owner->gid) || *end)
			return -EINVAL;
		owner->active = true;
	} else if (!strncmp(word, "mask=", strlen("mask="))) {
		if (!parse_mask(word + strlen("mask="), &end, &owner->file_mask) || *end != ':' ||
		    !parse_mask(end + 1, &end, &owner->dir_mask) || *end)
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	return owner->active && owner->exact ? -EINVAL : 0;
}

/* The last ":RULE" of @path, NULL where it has none. Two of them hold a colon. */
static char *last_rule(char *path)
{
	static const char *const with_colon[] = { ":owner=", ":mask=" };
	char *last = strrchr(path, ':');
	char *found = NULL;

	if (last && (!strcmp(last, ":ro") || !strcmp(last, ":exact")))
		return last;
	for (size_t i = 0; i < sizeof(with_colon) / sizeof(with_colon[0]); i++) {
		for (char *at = strstr(path, with_colon[i]); at;
		     at = strstr(at + 1, with_colon[i])) {
			if (!strchr(at, '/') && at > found)
				found = at;
		}
	}
	return found;
}

/* The last ":RULE" of @path if it is one of ours, cut off. */
static int take_suffix(char *path, struct share_option *share, bool *ret_taken)
{
	char *rule = last_rule(path);
	int ret;

	*ret_taken = rule;
	if (!rule)
		return 0;
	ret = share_rule_parse(rule + 1, &share->read_only, &share->owner);
	*rule = 0;
	return ret;
}

int share_option_parse(const char *text, bool named, struct share_option *ret_share)
{
	const char *equals = named ? strchr(text, '=') : NULL;
	struct share_option share = { .name = "export" };
	bool taken = true;

	if (named) {
		if (!equals) {
			log_error("--share '%s' has no '=': write NAME=PATH", text);
			return -EINVAL;
		}
		if (equals - text > SHARE_NAME_MAX) {
			log_error(
				"the share name '%.32s...' has %td bytes: at most %d are possible",
				text, equals - text, SHARE_NAME_MAX);
			return -EINVAL;
		}
		memcpy(share.name, text, (size_t)(equals - text));
		share.name[equals - text] = 0;
		if (share_name_check(share.name)) {
			log_error(
				"'%s' cannot be a share's name: use 1 to %d bytes of UTF-8 without '/', "
				"and not '.' or '..'",
				share.name, SHARE_NAME_MAX);
			return -EINVAL;
		}
	}
	share.path = strdup(named ? equals + 1 : text);
	while (share.path && taken) {
		if (take_suffix(share.path, &share, &taken)) {
			log_error("'%s' has a bad rule: write :ro, :exact or :owner=UID:GID with "
				  "two numbers, :mask=FILES:FOLDERS with two to base 8",
				  text);
			free(share.path);
			return -EINVAL;
		}
	}
	if (!share.path || !*share.path) {
		log_error("'%s' names no folder: write %sPATH", text, named ? "NAME=" : "");
		free(share.path);
		return -EINVAL;
	}
	*ret_share = share;
	return 0;
}

static int add_share(struct options *options, const char *text, bool named)
{
	struct share_option *shares;
	int ret;

	if (options->n_shares == SHARES_MAX) {
		log_error("there are more than %d shares: share a folder above some of them",
			  SHARES_MAX);
		return -EINVAL;
	}
	if (options->n_shares && (options->export || !named)) {
		log_error(
			"--export '%s' is the whole device: use --share NAME=PATH for each of several "
			"folders",
			named ? options->shares[0].path : text);
		return -EINVAL;
	}
	shares = reallocarray(options->shares, options->n_shares + 1, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	options->shares = shares;
	ret = share_option_parse(text, named, &shares[options->n_shares]);
	if (ret)
		return ret;
	for (size_t i = 0; i < options->n_shares; i++) {
		if (!strcmp(shares[i].name, shares[options->n_shares].name)) {
			log_error("two shares are named '%s': give one of them another name",
				  shares[i].name);
			free(shares[options->n_shares].path);
			return -EINVAL;
		}
	}
	options->n_shares++;
	options->export = !named;
	return 0;
}

static int parse_dax_size(const char *value, uint64_t *ret_size)
{
	unsigned long mib;
	char *end;

	errno = 0;
	mib = strtoul(value, &end, 10);
	*ret_size = (uint64_t)mib << 20;
	if (*value >= '0' && *value <= '9' && !errno && !*end && mib <= DAX_SIZE_MAX >> 20 &&
	    *ret_size % DAX_SLOT_SIZE == 0)
		return 0;
	log_error("--dax-size cannot be '%s': give MiB, an even number up to %llu", value,
		  DAX_SIZE_MAX >> 20);
	return -EINVAL;
}

static int take_option(struct options *options, int option, const char *value)
{
	static const char *const caches[] = { "auto", "never", "always", NULL };
	static const char *const locks[] = { "guest", "host", NULL, NULL };
	static const char *const dax_files[] = { "all", "auto", NULL };
	static const char *const sandboxes[] = { "namespace", "landlock", "none", NULL };
	int choice;

	switch (option) {
	case OPT_SOCKET:
		options->socket_path = value;
		return check_socket_path("socket", value);
	case OPT_FD:
		options->socket_fd = parse_fd("fd", value);
		return options->socket_fd < 0 ? -EINVAL : 0;
	case OPT_CONTROL:
		options->control_path = value;
		return check_socket_path("control", value);
	case OPT_CONTROL_FD:
		options->control_fd = parse_fd("control-fd", value);
		return options->control_fd < 0 ? -EINVAL : 0;
	case OPT_NOTIFY_FD:
		options->notify_fd = parse_fd("notify-fd", value);
		return options->notify_fd < 0 ? -EINVAL : 0;
	case OPT_SESSION_FD:
		options->session_fd = parse_fd("session-fd", value);
		return options->session_fd < 0 ? -EINVAL : 0;
	case OPT_TAG:
		options->tag = value;
		if (*value && strlen(value) <= TAG_MAX)
			return 0;
		log_error("the tag '%s' is %s: it has 1 to %d bytes", value,
			  *value ? "too long" : "empty", TAG_MAX);
		return -EINVAL;
	case OPT_SHARE:
	case OPT_EXPORT:
		return add_share(options, value, option == OPT_SHARE);
	case OPT_CACHE:
		choice = choose("cache", value, caches);
		options->cache = (enum cache_mode)choice;
		return choice < 0 ? -EINVAL : 0;
	case OPT_LOCKS:
		choice = choose("locks", value, locks);
		options->host_locks = choice == 1;
		return choice < 0 ? -EINVAL : 0;
	case OPT_SANDBOX:
		choice = choose("sandbox", value, sandboxes);
		options->sandbox = (enum sandbox_mode)(choice + 1);
		return choice < 0 ? -EINVAL : 0;
	case OPT_NO_XATTR:
		options->no_xattr = true;
		return 0;
	case OPT_DAX_SIZE:
		return parse_dax_size(value, &options->dax_size);
	case OPT_DAX_FILES:
		choice = choose("dax-files", value, dax_files);
		options->dax_auto = choice == 1;
		return choice < 0 ? -EINVAL : 0;
	case OPT_ONCE:
		options->once = true;
		return 0;
	case OPT_HELP:
		options->show_help = true;
		return 0;
	case OPT_VERSION:
		options->show_version = true;
		return 0;
	default:
		return -EINVAL; /* getopt has said what is wrong */
	}
}

static int check_together(const struct options *options)
{
	if (options->show_help || options->show_version)
		return 0;
	if (!options->socket_path == (options->socket_fd < 0)) {
		log_error("give either --socket PATH or --fd N for the front end's connection");
		return -EINVAL;
	}
	if (options->control_path && options->control_fd >= 0) {
		log_error("give only one of --control and --control-fd");
		return -EINVAL;
	}
	if (!options->n_shares && !options->control_path && options->control_fd < 0) {
		log_error("there is nothing to serve: give --share NAME=PATH or --export PATH");
		return -EINVAL;
	}
	return 0;
}

int options_parse(struct options *options, int argc, char **argv)
{
	int option;
	int ret;

	*options = (struct options){
		.socket_fd = -1, .control_fd = -1, .notify_fd = -1, .session_fd = -1
	};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		ret = take_option(options, option, optarg);
		if (ret)
			return ret;
	}
	if (optind < argc) {
		log_error("'%s' belongs to no option: see --help", argv[optind]);
		return -EINVAL;
	}
	return check_together(options);
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->n_shares; i++)
		free(options->shares[i].path);
	free(options->shares);
}

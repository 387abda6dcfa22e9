// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-toolbox: the user's command in a guest. Under the names vmware-toolbox-cmd and
 * vmware-rpctool it takes the words of those.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/toolbox/toolbox.h"

static const struct verb verbs[] = {
	{ "status", false, verb_status,
	  "[--json]: what works here, and what would make it better" },
	{ "share", false, verb_share, "[list] [--json]: the host's shared folders" },
	{ "display", false, verb_display,
	  "[--json]: what each head shows and should show, and who sets it" },
	{ "rpc", false, verb_rpc, "REQUEST: asks the host, as in: rpc \"info-get guestinfo.x\"" },
	{ "stat", false, verb_stat,
	  "hosttime | speed | sessionid | balloon | swap | memlimit | memres | cpures | cpulimit" },
	{ "timesync", false, verb_timesync, "enable | disable | status" },
	{ "script", false, verb_script,
	  "power|shutdown|suspend|resume  enable | disable | set PATH | current | default" },
	{ "config", false, verb_config,
	  "get SECTION KEY | set SECTION KEY VALUE | remove SECTION KEY" },
	{ "logging", false, verb_logging, "level get SERVICE | level set SERVICE LEVEL" },
	{ "device", false, verb_device, "list | status NAME | enable NAME | disable NAME" },
	{ "info", true, verb_info, "update [network]: tells the host anew" },
	/* Of vmware-toolbox-cmd, for scripts that ask. */
	{ "disk", false, verb_absent, NULL },
	{ "upgrade", false, verb_absent, NULL },
	{ "gueststore", false, verb_absent, NULL },
	{ "globalconf", false, verb_absent, NULL },
};

int complain(const struct toolbox *toolbox, int status, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", toolbox->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

int misused(const struct toolbox *toolbox, const char *what, const char *which)
{
	return complain(toolbox, EX_USAGE, "%s %s; try: %s help", what, which, toolbox->name);
}

static void usage(const struct toolbox *toolbox)
{
	printf("usage: %s [OPTION...] VERB [WORD...]\n\n", toolbox->name);
	for (size_t i = 0; i < G_N_ELEMENTS(verbs) && verbs[i].help; i++)
		printf("  %-9s %s\n", verbs[i].name, verbs[i].help);
	printf("\n  -d, --door=virtio|port|ioports|daemon  only this way to the host\n"
	       "      --door-path=PATH                   where that door is\n"
	       "      --conf=FILE                        the tools.conf to read and change\n"
	       "  -q, --quiet, -v, --version, -h, --help\n");
}

static int run_verb(const struct toolbox *toolbox, int argc, char **argv)
{
	if (argc < 1)
		return misused(toolbox, "missing", "verb");
	if (!strcmp(argv[0], "help")) {
		usage(toolbox);
		return 0;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
		if (strcmp(verbs[i].name, argv[0]) != 0)
			continue;
		if (verbs[i].for_root && geteuid() != 0)
			return complain(toolbox, EX_NOPERM, "%s is for root", argv[0]);
		return verbs[i].run(toolbox, argc - 1, argv + 1);
	}
	return misused(toolbox, "unknown verb", argv[0]);
}

/* -1: go on with what follows the options; else the exit status. */
static int parse_options(struct toolbox *toolbox, int argc, char **argv)
{
	enum { DOOR_PATH = 256, CONF };
	static const struct option longs[] = {
		{ "door", required_argument, NULL, 'd' },
		{ "door-path", required_argument, NULL, DOOR_PATH },
		{ "conf", required_argument, NULL, CONF },
		{ "quiet", no_argument, NULL, 'q' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	enum door_kind kind;
	int c;

	while ((c = getopt_long(argc, argv, "+d:qvh", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (door_by_name(optarg, &kind))
				return misused(toolbox, "unknown door", optarg);
			toolbox->only = (int)kind;
			break;
		case DOOR_PATH:
			toolbox->door_path = optarg;
			break;
		case CONF:
			toolbox->conf = optarg;
			break;
		case 'q':
			toolbox->quiet = true;
			break;
		case 'v':
			printf("%s (lodge)\n", LODGE_VERSION);
			return 0;
		case 'h':
			usage(toolbox);
			return 0;
		default:
			return EX_USAGE;
		}
	}
	return -1;
}

/* vmware-rpctool has no options: its first word is the request. */
static int as_rpctool(const struct toolbox *toolbox, int argc, char **argv)
{
	int status =
		verb_rpc(toolbox, argc > 1 ? 1 : 0, (char *[]){ argc > 1 ? argv[1] : NULL, NULL });

	return status ? 1 : 0;
}

/* That of the lodged that runs, which may have another than the usual one: an instant VM's has. */
static char *find_conf(const struct toolbox *toolbox)
{
	bool named = toolbox->only == DOOR_DAEMON && toolbox->door_path;
	g_autofree char *folder = g_path_get_dirname(named ? toolbox->door_path : LODGED_SOCKET);
	g_autofree char *link = g_build_filename(folder, LODGED_CONF_LINK, NULL);
	char *path = g_file_read_link(link, NULL);

	return path ? path : g_strdup(LODGE_CONF);
}

/* What stdio could not write has not reached who asked. */
static int finish(const struct toolbox *toolbox, int status)
{
	if (fflush(stdout) || ferror(stdout))
		return complain(toolbox, EX_IOERR, "cannot write");
	return status;
}

int main(int argc, char **argv)
{
	g_autofree char *name = g_path_get_basename(argc ? argv[0] : "lodge-toolbox");
	struct toolbox toolbox = { .name = name, .only = -1 };
	g_autofree char *conf = NULL;
	int status;

	if (!strcmp(name, "vmware-rpctool"))
		return finish(&toolbox, as_rpctool(&toolbox, argc, argv)) ? 1 : 0;
	status = parse_options(&toolbox, argc, argv);
	if (status >= 0)
		return finish(&toolbox, status);
	conf = find_conf(&toolbox);
	if (!toolbox.conf)
		toolbox.conf = conf;
	return finish(&toolbox, run_verb(&toolbox, argc - optind, argv + optind));
}

// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-view: the window of a running VM. `lodge view NAME` starts it.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "host-vmm/view/view.h"
#include "protocol/lib/log.h"

/* <X11/keysymdef.h>, of keys that no guest misses much. */
static const struct {
	const char *name;
	xcb_keysym_t keysym;
} host_keys[] = {
	{ "Control_R", 0xffe4 }, { "Control_L", 0xffe3 },   { "Shift_R", 0xffe2 },
	{ "Alt_R", 0xffea },	 { "Super_L", 0xffeb },	    { "Super_R", 0xffec },
	{ "Menu", 0xff67 },	 { "Scroll_Lock", 0xff14 }, { "Pause", 0xff13 },
	{ "F11", 0xffc8 },	 { "F12", 0xffc9 },	    { "none", 0 },
};
#define N_HOST_KEYS (sizeof(host_keys) / sizeof(host_keys[0]))

static int usage(FILE *to)
{
	fprintf(to, "Usage: lodge-view [OPTION...] SOCKET\n\n"
		    "Shows the screens of the VM whose display.sock is SOCKET.\n\n"
		    "  --display=NAME    the X server (default: $DISPLAY)\n"
		    "  --head=N          show screen N, from 1 on; may be repeated (default: all)\n"
		    "  --name=NAME       the VM's in titles (default: what it says itself)\n"
		    "  --full-screen     start with the whole screen\n"
		    "  --host-key=KEY    one of");
	for (size_t i = 0; i < N_HOST_KEYS; i++)
		fprintf(to, "%s %s", i > 0 ? "," : "", host_keys[i].name);
	fprintf(to,
		"\n"
		"                    (default: Control_R). Alone it grabs the keyboard or lets\n"
		"                    it go; with F: full screen, G: grab, D: Ctrl-Alt-Del,\n"
		"                    S: screenshot, Q: close the window. The VM goes on.\n"
		"  --help, --version\n");
	return to == stdout ? EX_OK : EX_USAGE;
}

static bool set_host_key(struct view_options *options, const char *name)
{
	for (size_t i = 0; i < N_HOST_KEYS; i++) {
		if (strcasecmp(name, host_keys[i].name) != 0)
			continue;
		options->host_key = host_keys[i].keysym;
		options->host_key_name = host_keys[i].name;
		return true;
	}
	fprintf(stderr, "lodge-view: --host-key=%s is none that I know; --help lists them\n", name);
	return false;
}

static bool add_head(struct view_options *options, const char *text)
{
	char *end;
	unsigned long head = strtoul(text, &end, 10);

	if (*end != 0 || head == 0 || head > LODGE_DISPLAY_HEADS_MAX) {
		fprintf(stderr, "lodge-view: --head=%s is no number from 1 to %u\n", text,
			LODGE_DISPLAY_HEADS_MAX);
		return false;
	}
	options->heads |= 1u << (head - 1);
	return true;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "display", required_argument, NULL, 'd' },
		{ "head", required_argument, NULL, 'n' },
		{ "name", required_argument, NULL, 'a' },
		{ "full-screen", no_argument, NULL, 'f' },
		{ "host-key", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	struct view_options options = { .confined = true };
	int option;

	log_init("lodge-view", LOG_LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	/* Else stdio asks what it writes to, which it may not later. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	(void)set_host_key(&options, "Control_R");
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'd':
			options.display = optarg;
			break;
		case 'a':
			options.name = optarg;
			break;
		case 'n':
			if (!add_head(&options, optarg))
				return EX_USAGE;
			break;
		case 'f':
			options.fullscreen = true;
			break;
		case 'k':
			if (!set_host_key(&options, optarg))
				return EX_USAGE;
			break;
		case 'h':
			return usage(stdout);
		case 'v':
			printf("lodge-view " LODGE_VERSION "\n");
			return EX_OK;
		default:
			return EX_USAGE;
		}
	}
	if (optind + 1 != argc)
		return usage(stderr);
	options.socket = argv[optind];
	return view_run(&options);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodged: the system daemon of a guest. Start, main loop, end.
 *
 * Stages: options -> single instance -> children, configuration, plug-ins -> door -> main loop ->
 * all of it backward.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/lodged/display.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/timekeeping.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

static void usage(FILE *to)
{
	fprintf(to, "usage: lodged [OPTION...]\n\n"
		    "  -d, --door=virtio|port|ioports   only this way to the host\n"
		    "      --door-path=PATH             where that door is\n"
		    "  -c, --conf=FILE                  instead of " LODGE_CONF "\n"
		    "      --run-folder=FOLDER          instead of " LODGED_RUN "\n"
		    "  -V, --version\n"
		    "  -h, --help\n");
}

/* Whether to go on; else *ret_status is the exit status. */
static bool parse_options(int argc, char **argv, struct lodged_options *options, int *ret_status)
{
	enum { DOOR_PATH = 256, RUN_FOLDER };
	static const struct option longs[] = {
		{ "door", required_argument, NULL, 'd' },
		{ "door-path", required_argument, NULL, DOOR_PATH },
		{ "conf", required_argument, NULL, 'c' },
		{ "run-folder", required_argument, NULL, RUN_FOLDER },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	enum door_kind kind;
	int c;

	*ret_status = EX_USAGE;
	while ((c = getopt_long(argc, argv, "d:c:Vh", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (door_by_name(optarg, &kind) || kind == DOOR_DAEMON) {
				fprintf(stderr, "lodged: no such door: %s\n", optarg);
				return false;
			}
			options->door = (int)kind;
			break;
		case DOOR_PATH:
			for (int i = 0; i < DOOR_DAEMON; i++)
				options->paths[i] = optarg;
			break;
		case 'c':
			options->conf = optarg;
			break;
		case RUN_FOLDER:
			options->run_folder = optarg;
			break;
		case 'V':
			printf("lodged %s\n", LODGE_VERSION);
			*ret_status = 0;
			return false;
		case 'h':
			usage(stdout);
			*ret_status = 0;
			return false;
		default:
			usage(stderr);
			return false;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return false;
	}
	return true;
}

/* The descriptor that holds the lock for as long as the process lives. */
static int take_lock(const char *folder)
{
	autofd at = -1, fd = -1;
	struct stat st;

	if (mkdir(folder, 0755) && errno != EEXIST)
		return -errno;
	at = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0 || fstat(at, &st))
		return -errno;
	/* Who may write there could put a link, or a socket of its own, in place of ours. */
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	fd = openat(at, "lodged.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return fd_steal(&fd);
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer opaque)
{
	struct lodged *lodged = opaque;
	struct signalfd_siginfo info;

	(void)condition;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return G_SOURCE_CONTINUE;
	if (info.ssi_signo == SIGHUP)
		conf_reload(lodged->conf);
	else
		lodged_quit(lodged, 0);
	return G_SOURCE_CONTINUE;
}

static int watch_signals(struct lodged *lodged)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	g_unix_fd_add(fd, G_IO_IN, on_signal, lodged);
	return 0;
}

int main(int argc, char **argv)
{
	struct lodged_options options = { .door = -1,
					  .conf = LODGE_CONF,
					  .run_folder = LODGED_RUN,
					  .end_system = shutdown_start,
					  .clock = &timekeeping_system,
					  .display = &display_system };
	struct lodged lodged = { 0 };
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *helpers = g_path_get_dirname(self ? self : argv[0]);
	int lock, ret, status;

	options.helpers = helpers;
	if (!parse_options(argc, argv, &options, &status))
		return status;
	log_init("lodged", LOG_LEVEL_INFO);
	/* No user of the guest may look into a process that has the way to the host open. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	umask(022);
	lock = take_lock(options.run_folder);
	if (lock < 0) {
		log_error(lock == -EBUSY ? "another lodged runs" : "cannot lock %s: %s",
			  options.run_folder, strerror(-lock));
		return EX_TEMPFAIL;
	}
	ret = watch_signals(&lodged);
	if (!ret)
		ret = lodged_start(&lodged, &options);
	if (ret == -ENODEV) {
		/* A service that ends before it says so has failed, whatever its status is. */
		notify("READY=1");
		lodged.exit_status = LODGED_EXIT_NO_HOST;
	} else if (ret) {
		log_error("cannot start: %s", strerror(-ret));
		lodged.exit_status = EX_OSERR;
	} else {
		notify("READY=1");
		g_main_loop_run(lodged.loop);
		notify("STOPPING=1");
	}
	lodged_stop(&lodged);
	close(lock);
	return lodged.exit_status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* mount.lodge: `mount -t lodge SHARE FOLDER`, the best way that there is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/lib/log.h"
#include "shared-fs/guest/device.h"
#include "shared-fs/guest/mounts.h"
#include "shared-fs/guest/options.h"
#include "shared-fs/guest/ways.h"

/* mount(8), "EXIT STATUS" */
#define EXIT_USAGE 1
#define EXIT_MOUNT 32

static const char usage[] =
	"usage: mount.lodge SHARE[/FOLDER] FOLDER [-fnrsvw] [-o OPTION,...]\n"
	"       mount.lodge --which [-o tag=TAG]\n"
	"\n"
	"Mounts a folder that the host shares; SHARE may be the device's tag (lodge), for all of them.\n"
	"  -o ro,nosuid,nodev,noexec,noatime,...   as of mount(8)\n"
	"  -o remount          change those of what is mounted there\n"
	"  -o tag=TAG          the device (lodge)\n"
	"  -o way=WAY          virtiofs, the kernel's driver; lodge_fs, the module of that name; rpc, the\n"
	"                      messages of lodged; or auto, the best of them\n"
	"  -o dax=WHEN         always, never, inode; virtiofs alone\n"
	"  -v                  say which way it is\n"
	"  --which             only say which way it would be\n"
	"  --foreground, --messages-fd=N   for lodged\n"
	"  --help, --version\n";

static int explain(const struct mount_options *options, enum mount_way way, int err)
{
	const char *name = options_way_name(way);

	if (err == -ENOENT || err == -ENOTDIR || err == -ELOOP)
		log_error("%s, or %s: %s. `lodge share list` on the host names what is shared",
			  options->source, options->folder, strerror(-err));
	else if (err == -EBUSY && way == WAY_LODGE_FS)
		log_error("another program has %s/%s open", LODGE_FS_FOLDER, options->tag);
	else if (err == -ENOTCONN && way == WAY_RPC)
		log_error("lodged has not mounted the shares at %s", MOUNTS_FOLDER);
	else if (err == -ECONNRESET && options->foreground)
		log_error("%s: the mount by %s is over", options->source, name);
	else if (err == -ETIMEDOUT)
		log_error("%s: the host's file server does not answer", options->tag);
	else if (err == -EINVAL && way == WAY_VIRTIOFS)
		log_error(
			"cannot mount %s by %s: no device has the tag %s, or an option is not known",
			options->source, name, options->tag);
	else
		log_error("cannot mount %s at %s by %s: %s", options->source, options->folder, name,
			  strerror(-err));
	return EXIT_MOUNT;
}

static int remount(const struct mount_options *options)
{
	int err = options->fake ? 0 : mounts_remount(options->folder, options->flags);

	if (!err)
		return 0;
	log_error("cannot remount %s: %s", options->folder,
		  err == -EINVAL ? "no folder of the host is mounted there" : strerror(-err));
	return EXIT_MOUNT;
}

static int run(const struct mount_options *options)
{
	enum mount_way way;
	int err;

	if (options->remount)
		return remount(options);
	err = way_find(options, &way);
	if (err) {
		log_error(
			"neither the kernel's virtiofs nor the module lodge_fs has a device, nor does lodged mount its messages; is a folder shared?");
		return EXIT_MOUNT;
	}
	if (options->which) {
		puts(options_way_name(way));
		return 0;
	}
	if (!options->fake)
		err = way_mount(options, way);
	if (err)
		return explain(options, way, err);
	if (options->verbose)
		printf("mount.lodge: %s is at %s, by %s\n", options->source, options->folder,
		       options_way_name(way));
	return 0;
}

int main(int argc, char **argv)
{
	struct mount_options options;

	log_init("mount.lodge", LOG_LEVEL_INFO);
	if (options_parse(&options, argc, argv)) {
		log_error("cannot understand: %.*s; mount.lodge --help tells more",
			  (int)options.bad_len, options.bad);
		return EXIT_USAGE;
	}
	if (options.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (options.version) {
		puts("mount.lodge " LODGE_VERSION);
		return 0;
	}
	if (!device_tag_ok(options.tag)) {
		log_error("a tag is made of letters, digits, '.', '_' and '-': %s", options.tag);
		return EXIT_USAGE;
	}
	return run(&options);
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Tells early, and in words, what of a VM's settings this host cannot give.
#include "host-vmm/cli/hostcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "host-vmm/conf/words.h"
#include "protocol/lib/folder.h"

uint64_t host_memory(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		return 0;
	return (uint64_t)info.totalram * info.mem_unit;
}

static int say(char **ret_message, int error, const char *path, const char *why, const char *remedy)
{
	*ret_message = g_strdup_printf("%s: %s; %s", path, why, remedy);
	return -error;
}

static int check_file(const char *path, const char *what, char **ret_message)
{
	g_autofree char *remedy = g_strdup_printf("%s must be a file that you may read", what);
	struct stat st;

	if (stat(path, &st) || access(path, R_OK))
		return say(ret_message, errno, path, g_strerror(errno), remedy);
	if (!S_ISREG(st.st_mode))
		return say(ret_message, EISDIR, path, "not a file", remedy);
	if (!st.st_size)
		return say(ret_message, EINVAL, path, "empty", remedy);
	return 0;
}

static int check_disk(const struct vm_disk *disk, char **ret_message)
{
	g_autofree char *make = g_strdup_printf("make it: truncate -s 20G %s", disk->file);
	struct stat st;

	if (stat(disk->file, &st))
		return say(ret_message, errno, disk->file, g_strerror(errno),
			   errno == ENOENT ? make : "a disk must be a file or block device");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return say(ret_message, EISDIR, disk->file, "no file and no block device",
			   "give a disk image");
	if (S_ISREG(st.st_mode) && st.st_size < 512)
		return say(ret_message, EINVAL, disk->file, "smaller than one sector",
			   "a raw disk image has 512 bytes or more");
	if (access(disk->file, disk->read_only ? R_OK : R_OK | W_OK))
		return say(ret_message, errno, disk->file, g_strerror(errno),
			   disk->read_only ? "you must be able to read it"
					   : "you must be able to write it, or set it read-only");
	return 0;
}

/* One on a machine that is silent for now is no reason not to start: see fs_late.h. */
static int check_share(struct folder *folder, char **ret_message)
{
	folder_check(folder);
	if (!folder->error || folder->error == -ETIMEDOUT)
		return 0;
	return say(ret_message, -folder->error, folder->path,
		   folder->error == -ENOTDIR ? "not a folder" : g_strerror(-folder->error),
		   "a share must be a folder that you may read");
}

static int check_shares(const struct vm_config *config, char **ret_message)
{
	g_autofree struct folder *folders = g_new(struct folder, config->n_shares);
	int ret = 0;

	for (size_t i = 0; i < config->n_shares; i++)
		folder_init(&folders[i], config->shares[i].path);
	folders_open(folders, config->n_shares);
	for (size_t i = 0; i < config->n_shares; i++) {
		if (!ret)
			ret = check_share(&folders[i], ret_message);
		folder_close(&folders[i]);
	}
	return ret;
}

static int check_folder(const char *path, const char *what, char **ret_message)
{
	g_autofree char *remedy = g_strdup_printf("%s must be a folder that you may read", what);
	struct stat st;

	if (stat(path, &st))
		return say(ret_message, errno, path, g_strerror(errno), remedy);
	if (!S_ISDIR(st.st_mode))
		return say(ret_message, ENOTDIR, path, "not a folder", remedy);
	if (access(path, R_OK | X_OK))
		return say(ret_message, errno, path, g_strerror(errno), remedy);
	return 0;
}

static int check_memory(const struct vm_config *config, char **ret_message)
{
	g_autofree char *wanted = vm_format_size(config->memory);
	uint64_t there = host_memory();

	if (!there || config->memory <= there)
		return 0;
	*ret_message = g_strdup_printf("memory size %s is more than this host's %" G_GUINT64_FORMAT
				       "M; give less",
				       wanted, there >> 20);
	return -EINVAL;
}

int host_check(const struct vm_config *config, char **ret_message)
{
	int ret = check_memory(config, ret_message);

	if (!ret)
		ret = check_file(config->kernel, "a kernel", ret_message);
	for (char **initrd = config->initrds; !ret && *initrd; initrd++)
		ret = check_file(*initrd, "an initrd", ret_message);
	for (size_t i = 0; !ret && i < config->n_disks; i++)
		ret = check_disk(&config->disks[i], ret_message);
	if (!ret)
		ret = check_shares(config, ret_message);
	if (!ret && config->root)
		ret = check_folder(config->root, "the root", ret_message);
	return ret;
}

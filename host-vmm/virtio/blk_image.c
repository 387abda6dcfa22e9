// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening disk images.
 *
 * The lock is an open file description lock over the whole file: it goes when the last descriptor
 * is closed, however the process ends, and it conflicts with the byte locks that QEMU sets. Such
 * locks do not say who holds them, so for the message we look for a process that has the file open.
 */
#include "host-vmm/virtio/blk_image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define PHYSICAL_BLOCK 4096u /* of file systems and of disks since 2010 */
#define DIRECT_ALIGN   4096u /* where the kernel does not tell */

/* ---- who else has it open ---- */

static bool has_open(const char *pid, const struct stat *file)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	fds = opendir(path);
	if (!fds)
		return false;
	while (!found && (entry = readdir(fds))) {
		struct stat other;

		found = fstatat(dirfd(fds), entry->d_name, &other, 0) == 0 &&
			other.st_dev == file->st_dev && other.st_ino == file->st_ino &&
			other.st_rdev == file->st_rdev;
	}
	closedir(fds);
	return found;
}

static void name_process(const char *pid, char *text, size_t len)
{
	char path[64], comm[32] = "";
	autofd fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : fd_read_all(fd, comm, sizeof(comm) - 1);
	if (n > 0)
		comm[strcspn(comm, "\n")] = '\0';
	snprintf(text, len, "process %.20s (%s)", pid, n > 0 ? comm : "?");
}

/* "process 1234 (lodge-vmm)", or less where it cannot be seen. */
static void find_holder(int fd, char *text, size_t len)
{
	char self[32];
	struct dirent *entry;
	struct stat file;
	DIR *proc = opendir("/proc");

	snprintf(text, len, "another disk of this VM, or a process of another user");
	snprintf(self, sizeof(self), "%d", getpid());
	if (!proc)
		return;
	if (fstat(fd, &file) == 0) {
		while ((entry = readdir(proc))) {
			if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
			    strcmp(entry->d_name, self) == 0 || !has_open(entry->d_name, &file))
				continue;
			name_process(entry->d_name, text, len);
			break;
		}
	}
	closedir(proc);
}

static int lock_image(const struct blk_image *image, const char *path, const char *name)
{
	struct flock lock = {
		.l_type = image->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	char holder[96];

	if (fcntl(image->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES) {
		log_warn("%s: %s cannot be locked (%s): nothing keeps a second VM from it", name,
			 path, strerror(errno));
		return 0;
	}
	find_holder(image->fd, holder, sizeof(holder));
	log_error("%s: %s is in use by %s: stop that, or use a copy", name, path, holder);
	return -EBUSY;
}

/* ---- what it is ---- */

static int measure_device(struct blk_image *image, uint64_t *ret_bytes)
{
	int logical = BLK_SECTOR;
	unsigned int physical = PHYSICAL_BLOCK;

	if (ioctl(image->fd, BLKGETSIZE64, ret_bytes) < 0)
		return -errno;
	if (ioctl(image->fd, BLKSSZGET, &logical) == 0 && logical >= (int)BLK_SECTOR)
		image->block_size = (uint32_t)logical;
	if (ioctl(image->fd, BLKPBSZGET, &physical) == 0 && physical >= BLK_SECTOR)
		image->physical_block = physical;
	image->memory_align = image->direct ? image->block_size : 1;
	return 0;
}

static void measure_direct(struct blk_image *image)
{
	struct statx status;

	image->block_size = DIRECT_ALIGN;
	image->memory_align = DIRECT_ALIGN;
#ifdef STATX_DIOALIGN
	if (statx(image->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
	    (status.stx_mask & STATX_DIOALIGN) && status.stx_dio_offset_align > 0) {
		image->block_size = status.stx_dio_offset_align;
		image->memory_align = status.stx_dio_mem_align;
	}
#else
	(void)status;
#endif
	if (image->block_size < BLK_SECTOR)
		image->block_size = BLK_SECTOR;
}

static int measure(struct blk_image *image, const char *path, const char *name)
{
	struct statfs fs;
	struct stat status;
	uint64_t bytes;
	int ret = 0;

	if (fstat(image->fd, &status) < 0)
		return -errno;
	image->block_size = BLK_SECTOR;
	image->physical_block = PHYSICAL_BLOCK;
	image->memory_align = 1;
	bytes = (uint64_t)status.st_size;
	if (S_ISBLK(status.st_mode)) {
		ret = measure_device(image, &bytes);
	} else if (!S_ISREG(status.st_mode)) {
		log_error("%s: %s is neither a file nor a block device", name, path);
		return -EINVAL;
	} else if (image->direct) {
		measure_direct(image);
	}
	if (S_ISREG(status.st_mode) && fstatfs(image->fd, &fs) == 0)
		image->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	image->sectors = bytes / image->block_size * (image->block_size / BLK_SECTOR);
	if (ret == 0 && image->sectors == 0) {
		log_error("%s: %s has %llu bytes, less than a block of %u: give it a size "
			  "(truncate -s 10G FILE)",
			  name, path, (unsigned long long)bytes, image->block_size);
		return -EINVAL;
	}
	if (ret < 0)
		log_error("%s: the size of %s cannot be read: %s", name, path, strerror(-ret));
	return ret;
}

static int open_image(struct blk_image *image, const char *path, const char *name)
{
	int flags = O_CLOEXEC | O_NOCTTY | (image->read_only ? O_RDONLY : O_RDWR);
	struct stat status;
	int error;

	if (image->direct)
		flags |= O_DIRECT;
	/* Of a block device: not while it is mounted or part of something. */
	if (!image->read_only && stat(path, &status) == 0 && S_ISBLK(status.st_mode))
		flags |= O_EXCL;
	image->fd = open(path, flags);
	if (image->fd >= 0)
		return 0;
	error = errno;
	switch (error) {
	case EINVAL:
		log_error("%s: %s: its file system has no direct I/O: set direct=no", name, path);
		return -EINVAL;
	case EACCES:
	case EROFS:
		log_error("%s: %s may not be opened for %s: change its mode, or set read-only=yes",
			  name, path, image->read_only ? "reading" : "writing");
		return -EACCES;
	case EBUSY:
		log_error("%s: %s is mounted or in use by the host: unmount it first", name, path);
		return -EBUSY;
	default:
		break;
	}
	log_error("%s: %s cannot be opened: %s: check file= of the disk", name, path,
		  strerror(error));
	return -error;
}

int blk_image_open(struct blk_image *image, const struct vm_disk *disk, const char *dir,
		   const char *name)
{
	char path[PATH_MAX];
	int ret;

	*image = (struct blk_image){
		.fd = -1,
		.read_only = disk->read_only,
		.direct = disk->direct,
	};
	if (snprintf(path, sizeof(path), "%s%s%s", disk->file[0] == '/' ? "" : dir,
		     disk->file[0] == '/' ? "" : "/", disk->file) >= (int)sizeof(path)) {
		log_error("%s: the path of its file is too long", name);
		return -ENAMETOOLONG;
	}
	ret = open_image(image, path, name);
	if (ret == 0)
		ret = measure(image, path, name);
	if (ret == 0)
		ret = lock_image(image, path, name);
	if (ret < 0)
		blk_image_close(image);
	return ret;
}

void blk_image_close(struct blk_image *image)
{
	fd_close(&image->fd);
}

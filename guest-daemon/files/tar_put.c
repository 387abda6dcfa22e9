// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unpacks a pax archive below a folder.
 *
 * The library reads the format; what is made on disk is made here, since every name is a
 * stranger's: looked up part by part (below.c), under a temporary name first, renamed when it is
 * whole. Folders get their permissions and times last, when nothing is put into them any more.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/files/files.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/pack.h"

#define CHUNK 65536
/* Set-user-ID means something only for files that keep their owner. */
#define PERMISSIONS	  01777
#define OWNED_PERMISSIONS 07777

struct folder {
	struct folder *next; /* the one before */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime;
	char name[];
};

struct unpack {
	struct archive *archive;
	struct input input;
	char chunk[CHUNK]; /* of the input, for the archive library */
	int root;
	struct folder *folders;
	char temporary[32];
	bool owners; /* are taken from the archive */
	struct report *report;
};

static int fault(const struct unpack *unpack, int error, const char *name)
{
	return report_set(unpack->report, -error, "%s: %s", name, strerror(-error));
}

static const char *name_of(struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);

	/* In a locale that cannot say it. */
	return name ? name : archive_entry_pathname_utf8(entry);
}

static struct timespec mtime_of(struct archive_entry *entry)
{
	struct timespec mtime = { 0, UTIME_OMIT };

	if (archive_entry_mtime_is_set(entry))
		mtime = (struct timespec){ archive_entry_mtime(entry),
					   archive_entry_mtime_nsec(entry) };
	return mtime;
}

/* As cp(1) does it: one that may not be given is not. */
static int set_owner_and_mode(const struct unpack *unpack, int fd, uid_t uid, gid_t gid,
			      mode_t mode)
{
	bool owned = unpack->owners && !fchown(fd, uid, gid);

	return fchmod(fd, mode & (owned ? OWNED_PERMISSIONS : PERMISSIONS)) ? -errno : 0;
}

static int write_blocks(const struct unpack *unpack, int fd)
{
	la_int64_t offset;
	const void *bytes;
	size_t len;
	int ret;

	while ((ret = archive_read_data_block(unpack->archive, &bytes, &len, &offset)) ==
	       ARCHIVE_OK) {
		if (lseek(fd, offset, SEEK_SET) < 0)
			return -errno;
		ret = fd_write_all(fd, bytes, len);
		if (ret)
			return ret;
	}
	return ret == ARCHIVE_EOF ? 0 : -EBADMSG;
}

static int make_file(const struct unpack *unpack, struct archive_entry *entry, int folder)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, mtime_of(entry) };
	autofd fd = openat(folder, unpack->temporary,
			   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write_blocks(unpack, fd);
	/* A hole at the end is no block. */
	if (!ret && archive_entry_size_is_set(entry) && ftruncate(fd, archive_entry_size(entry)))
		ret = -errno;
	if (!ret)
		pack_set_attributes(entry, fd);
	if (!ret)
		ret = set_owner_and_mode(unpack, fd, (uid_t)archive_entry_uid(entry),
					 (gid_t)archive_entry_gid(entry),
					 archive_entry_perm(entry));
	if (!ret && futimens(fd, times))
		ret = -errno;
	return ret;
}

static int make_hard_link(const struct unpack *unpack, const char *target, int folder)
{
	char name[PATH_MAX];
	const char *last;
	autofd from = -1;

	if (strlen(target) >= sizeof(name))
		return -ENAMETOOLONG;
	strcpy(name, target);
	from = below_parent(unpack->root, name, &last);
	if (from < 0)
		return from;
	return linkat(from, last, folder, unpack->temporary, 0) ? -errno : 0;
}

/* Under the temporary name, what is no folder. */
static int make(const struct unpack *unpack, struct archive_entry *entry, int folder)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, mtime_of(entry) };
	const char *target = archive_entry_hardlink(entry);
	const char *link = archive_entry_symlink(entry);

	if (target)
		return make_hard_link(unpack, target, folder);
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return make_file(unpack, entry, folder);
	case AE_IFLNK:
		if (!link || symlinkat(link, folder, unpack->temporary))
			return link ? -errno : -EBADMSG;
		if (unpack->owners &&
		    fchownat(folder, unpack->temporary, (uid_t)archive_entry_uid(entry),
			     (gid_t)archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) &&
		    errno != EPERM)
			return -errno;
		return utimensat(folder, unpack->temporary, times, AT_SYMLINK_NOFOLLOW) ? -errno
											: 0;
	case AE_IFIFO:
		return mkfifoat(folder, unpack->temporary, archive_entry_perm(entry) & PERMISSIONS)
			       ? -errno
			       : 0;
	default:
		return -EPERM;
	}
}

static int make_folder(struct unpack *unpack, struct archive_entry *entry, const char *name,
		       int folder, const char *last)
{
	struct folder *kept;
	struct stat st;

	if (*last && strcmp(last, ".") != 0 && mkdirat(folder, last, 0700)) {
		if (errno != EEXIST)
			return -errno;
		if (fstatat(folder, last, &st, AT_SYMLINK_NOFOLLOW))
			return -errno;
		if (!S_ISDIR(st.st_mode))
			return S_ISLNK(st.st_mode) ? -EPERM : -ENOTDIR;
	}
	if (archive_entry_xattr_count(entry)) {
		autofd fd = openat(folder, *last ? last : ".",
				   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			pack_set_attributes(entry, fd);
	}
	kept = malloc(sizeof(*kept) + strlen(name) + 1);
	if (!kept)
		return -ENOMEM;
	kept->next = unpack->folders;
	kept->mode = archive_entry_perm(entry);
	kept->uid = (uid_t)archive_entry_uid(entry);
	kept->gid = (gid_t)archive_entry_gid(entry);
	kept->mtime = mtime_of(entry);
	strcpy(kept->name, name);
	unpack->folders = kept;
	return 0;
}

static int take_entry(struct unpack *unpack, struct archive_entry *entry)
{
	const char *given = name_of(entry), *last;
	char name[PATH_MAX];
	autofd folder = -1;
	int ret;

	if (!given || strlen(given) >= sizeof(name))
		return report_set(unpack->report, given ? ENAMETOOLONG : EBADMSG,
				  "a name in the archive cannot be used");
	strcpy(name, given);
	folder = below_parent(unpack->root, name, &last);
	if (folder < 0)
		return fault(unpack, folder, given);
	if (archive_entry_filetype(entry) == AE_IFDIR && !archive_entry_hardlink(entry)) {
		ret = make_folder(unpack, entry, given, folder, last);
	} else {
		ret = *last && strcmp(last, ".") != 0 ? make(unpack, entry, folder) : -EISDIR;
		if (!ret && renameat(folder, unpack->temporary, folder, last))
			ret = -errno;
		/* A rename of one name of a file to another of its names keeps both. */
		if (ret || archive_entry_hardlink(entry))
			(void)unlinkat(folder, unpack->temporary, 0);
	}
	return ret ? fault(unpack, ret, given) : 0;
}

static int finish_folder(const struct unpack *unpack, struct folder *kept)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, kept->mtime };
	char name[PATH_MAX];
	const char *last;
	autofd parent = -1, fd = -1;
	int ret;

	strcpy(name, kept->name);
	parent = below_parent(unpack->root, name, &last);
	if (parent < 0)
		return parent;
	fd = openat(parent, *last ? last : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = set_owner_and_mode(unpack, fd, kept->uid, kept->gid, kept->mode);
	return !ret && futimens(fd, times) ? -errno : ret;
}

static int finish_folders(struct unpack *unpack, int ret)
{
	struct folder *kept;

	while ((kept = unpack->folders)) {
		int error = ret ? 0 : finish_folder(unpack, kept);

		if (error)
			ret = fault(unpack, error, kept->name);
		unpack->folders = kept->next;
		free(kept);
	}
	return ret;
}

static la_ssize_t read_input(struct archive *archive, void *opaque, const void **ret_bytes)
{
	struct unpack *unpack = opaque;
	ssize_t got = input_read(&unpack->input, unpack->chunk, sizeof(unpack->chunk));

	*ret_bytes = unpack->chunk;
	if (got < 0)
		archive_set_error(archive, (int)-got, "%s", strerror((int)-got));
	return got;
}

static int read_all(struct unpack *unpack)
{
	struct archive_entry *entry;
	int ret = 0, got = ARCHIVE_OK;

	while (!ret && (got = archive_read_next_header(unpack->archive, &entry)) >= ARCHIVE_WARN &&
	       got != ARCHIVE_EOF)
		ret = take_entry(unpack, entry);
	if (!ret && got < ARCHIVE_WARN)
		ret = report_set(unpack->report, EBADMSG, "the archive: %s",
				 archive_error_string(unpack->archive));
	return finish_folders(unpack, ret);
}

static int unpack_all(struct unpack *unpack, int in)
{
	if (input_open(&unpack->input, in))
		return failed(unpack->report, "standard input");
	if (!unpack->archive || archive_read_support_format_tar(unpack->archive) ||
	    archive_read_open(unpack->archive, unpack, NULL, read_input, NULL))
		return report_set(unpack->report, EBADMSG, "no archive came");
	if (jail_enter())
		return report_set(unpack->report, EPERM, "cannot enter the sandbox");
	return read_all(unpack);
}

int tar_put(const char *path, bool owners, int in, struct report *report)
{
	struct unpack *unpack = calloc(1, sizeof(*unpack));
	int ret;

	if (!unpack)
		return report_set(report, ENOMEM, "out of memory");
	unpack->report = report;
	unpack->owners = owners;
	unpack->input.signals = -1;
	unpack->archive = archive_read_new();
	snprintf(unpack->temporary, sizeof(unpack->temporary), ".lodge-put-%d", (int)getpid());
	unpack->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = unpack->root < 0 ? failed(report, path) : unpack_all(unpack, in);
	archive_read_free(unpack->archive);
	input_close(&unpack->input);
	fd_close(&unpack->root);
	free(unpack);
	return ret;
}

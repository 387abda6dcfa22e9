// SPDX-License-Identifier: GPL-2.0-or-later
// A file or folder as a pax archive, names relative to its parent, links as links.
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/files/files.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/pack.h"

#define CHUNK 65536

struct pack {
	struct archive *archive;
	struct archive_entry_linkresolver *links;
	size_t skip; /* bytes of fts_path that are the parent's */
	struct report *report;
};

static int archive_fault(const struct pack *pack)
{
	int error = archive_errno(pack->archive);

	return report_set(pack->report, error > 0 ? error : EIO, "%s",
			  archive_error_string(pack->archive));
}

/* Its header has told how long it is: what it lost since went out as zeroes. */
static bool has_shrunk(int fd, struct archive_entry *entry)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size < archive_entry_size(entry);
}

static int write_entry(const struct pack *pack, struct archive_entry *entry, const FTSENT *found,
		       int fd)
{
	int ret = 0;

	if (archive_write_header(pack->archive, entry) < ARCHIVE_WARN)
		return archive_fault(pack);
	if (fd >= 0)
		ret = pack_body(pack->archive, entry, fd);
	if (!ret && fd >= 0 && has_shrunk(fd, entry))
		return report_set(pack->report, EAGAIN,
				  "%s: became shorter while it was copied; copy it again",
				  found->fts_path);
	if (ret == -EPIPE || (!ret && archive_write_finish_entry(pack->archive) < ARCHIVE_WARN))
		return archive_fault(pack);
	errno = -ret;
	return ret ? failed(pack->report, found->fts_path) : 0;
}

/* The second name of a file that has several is a link to the first. */
static int write_body(const struct pack *pack, struct archive_entry **entry, const FTSENT *found)
{
	struct archive_entry *spare = NULL;
	autofd fd = -1;

	archive_entry_linkify(pack->links, entry, &spare);
	if (archive_entry_hardlink(*entry))
		return write_entry(pack, *entry, found, -1);
	fd = open(found->fts_accpath, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return failed(pack->report, found->fts_path);
	pack_holes(*entry, fd);
	return write_entry(pack, *entry, found, fd);
}

static int write_found(const struct pack *pack, const FTSENT *found)
{
	struct archive_entry *entry = archive_entry_new();
	char target[PATH_MAX] = "";
	ssize_t len;
	int ret = 0;

	if (!entry)
		return report_set(pack->report, ENOMEM, "out of memory");
	archive_entry_copy_pathname(entry, found->fts_path + pack->skip);
	archive_entry_copy_stat(entry, found->fts_statp);
	if (found->fts_info == FTS_SL || found->fts_info == FTS_SLNONE) {
		len = readlink(found->fts_accpath, target, sizeof(target) - 1);
		if (len < 0)
			ret = failed(pack->report, found->fts_path);
		archive_entry_copy_symlink(entry, target);
	} else {
		pack_attributes(entry, found->fts_accpath);
	}
	if (found->fts_info != FTS_F)
		archive_entry_set_size(entry, 0);
	if (!ret)
		ret = found->fts_info == FTS_F ? write_body(pack, &entry, found)
					       : write_entry(pack, entry, found, -1);
	archive_entry_free(entry);
	return ret;
}

static int write_one(const struct pack *pack, const FTSENT *found)
{
	switch (found->fts_info) {
	case FTS_D:
	case FTS_F:
	case FTS_SL:
	case FTS_SLNONE:
		return write_found(pack, found);
	case FTS_DEFAULT:
		/* Sockets cannot be copied, devices must not be. */
		return S_ISFIFO(found->fts_statp->st_mode) ? write_found(pack, found) : 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		errno = found->fts_errno;
		return failed(pack->report, found->fts_path);
	default:
		return 0;
	}
}

static int write_tree(const struct pack *pack, char *path)
{
	char *const paths[] = { path, NULL };
	FTS *tree = fts_open(paths, FTS_PHYSICAL, NULL);
	FTSENT *found;
	int ret = 0;

	if (!tree)
		return failed(pack->report, path);
	errno = 0;
	while (!ret && (found = fts_read(tree)))
		ret = write_one(pack, found);
	if (!ret && errno)
		ret = failed(pack->report, path);
	(void)fts_close(tree);
	return ret;
}

int tar_get(const char *path, int out, struct report *report)
{
	struct pack pack = { .archive = archive_write_new(),
			     .links = archive_entry_linkresolver_new(),
			     .report = report };
	char root[PATH_MAX];
	size_t len = strlen(path);
	int ret = 0;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(root))
		return report_set(report, ENAMETOOLONG, "the path is too long");
	memcpy(root, path, len);
	root[len] = '\0';
	/* "/" itself has no parent: its names begin below it. */
	pack.skip = len == 1 ? 1 : (size_t)(strrchr(root, '/') + 1 - root);
	if (len == 1)
		strcpy(root, "/.");
	if (!pack.archive || !pack.links)
		return report_set(report, ENOMEM, "out of memory");
	/* Names are bytes; in which character set is for people to say. */
	if (archive_write_set_format_pax(pack.archive) ||
	    archive_write_set_options(pack.archive, "hdrcharset=BINARY") < ARCHIVE_WARN ||
	    archive_write_set_bytes_per_block(pack.archive, CHUNK) ||
	    archive_write_set_bytes_in_last_block(pack.archive, 1) ||
	    archive_write_open_fd(pack.archive, out))
		ret = archive_fault(&pack);
	archive_entry_linkresolver_set_strategy(pack.links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	if (!ret && jail_enter())
		ret = report_set(report, EPERM, "cannot enter the sandbox");
	if (!ret)
		ret = write_tree(&pack, root);
	if (!ret && archive_write_close(pack.archive) < ARCHIVE_WARN)
		ret = archive_fault(&pack);
	archive_entry_linkresolver_free(pack.links);
	archive_write_free(pack.archive);
	return ret;
}

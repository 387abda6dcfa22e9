// SPDX-License-Identifier: GPL-2.0-or-later
// Brings files and folders into the guest: walks them, and sends an archive that the guest's tools
// unpack.
#include "host-vmm/cli/copy.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/cli.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/pack.h"

#define CHUNK (64 << 10)

#define NO_KIND_OF_OURS "neither file, folder nor link"

struct pack {
	struct copy *copy;
	struct archive *archive;
	struct archive_entry_linkresolver *links;
	const char *name; /* of the file or folder in the guest */
	size_t root_len; /* of the walk's root in paths */
	int error; /* of the link, or of the guest */
	char *culprit; /* NULL, or the path of what cannot be read any more */
	unsigned int left_out;
};

static la_ssize_t write_stream(struct archive *archive, void *opaque, const void *bytes, size_t len)
{
	struct pack *pack = opaque;

	if (!pack->error)
		pack->error = copy_send(pack->copy, bytes, len, false);
	if (!pack->error)
		return (la_ssize_t)len;
	archive_set_error(archive, EPIPE, "cut off");
	return -1;
}

static void leave_out(struct pack *pack, const char *path, const char *why)
{
	pack->left_out++;
	(void)fail(0, "%s: %s; left out", path, why);
}

static int send_entry(struct pack *pack, struct archive_entry *entry, int fd)
{
	int ret = 0;

	if (archive_write_header(pack->archive, entry) < ARCHIVE_WARN)
		return -EPIPE;
	if (fd >= 0)
		ret = pack_body(pack->archive, entry, fd);
	if (!ret && archive_write_finish_entry(pack->archive) < ARCHIVE_WARN)
		ret = -EPIPE;
	return ret;
}

/* The second name of a file that has several is a link to the first. */
static int send_file(struct pack *pack, struct archive_entry **entry, int fd)
{
	struct archive_entry *spare = NULL;

	archive_entry_linkify(pack->links, entry, &spare);
	if (archive_entry_hardlink(*entry))
		return send_entry(pack, *entry, -1);
	pack_holes(*entry, fd);
	return send_entry(pack, *entry, fd);
}

static void set_owner(const struct pack *pack, struct archive_entry *entry, const FTSENT *found)
{
	if (pack->copy->archive) {
		pack_attributes(entry, found->fts_accpath);
		return;
	}
	/* Whose they are in the guest is for the guest's user to be. */
	archive_entry_set_uid(entry, 0);
	archive_entry_set_gid(entry, 0);
	archive_entry_set_perm(entry, found->fts_statp->st_mode & 0777);
}

static int send_one(struct pack *pack, const FTSENT *found, int fd)
{
	struct archive_entry *entry = archive_entry_new();
	g_autofree char *path = g_strconcat(pack->name, found->fts_path + pack->root_len, NULL);
	g_autofree char *target = NULL;
	int ret;

	archive_entry_copy_pathname(entry, path);
	archive_entry_copy_stat(entry, found->fts_statp);
	set_owner(pack, entry, found);
	if (found->fts_info == FTS_SL || found->fts_info == FTS_SLNONE) {
		target = g_file_read_link(found->fts_accpath, NULL);
		archive_entry_copy_symlink(entry, target ? target : "");
	}
	ret = fd >= 0 ? send_file(pack, &entry, fd) : send_entry(pack, entry, -1);
	archive_entry_free(entry);
	return ret;
}

/* What it has lost since its header was sent came to the guest as zeroes. */
static bool has_shrunk(int fd, const struct stat *told)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size < told->st_size;
}

static int send_body(struct pack *pack, const FTSENT *found)
{
	autofd fd = open(found->fts_accpath, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int ret;

	/* Since the walk has looked another one may have come in its place. */
	if (fd < 0 || fstat(fd, found->fts_statp)) {
		leave_out(pack, found->fts_path, g_strerror(errno));
		return 0;
	}
	if (!S_ISREG(found->fts_statp->st_mode)) {
		leave_out(pack, found->fts_path, NO_KIND_OF_OURS);
		return 0;
	}
	ret = send_one(pack, found, fd);
	if (!ret && has_shrunk(fd, found->fts_statp)) {
		pack->left_out++;
		(void)fail(0, "%s: became shorter while it was copied; copy it again",
			   found->fts_path);
	}
	if (ret && ret != -EPIPE)
		pack->culprit = g_strdup(found->fts_path);
	return ret;
}

static int send_found(struct pack *pack, const FTSENT *found)
{
	switch (found->fts_info) {
	case FTS_DP:
		return 0;
	case FTS_D:
	case FTS_SL:
	case FTS_SLNONE:
		return send_one(pack, found, -1);
	case FTS_F:
		return send_body(pack, found);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		leave_out(pack, found->fts_path, g_strerror(found->fts_errno));
		return 0;
	default:
		leave_out(pack, found->fts_path, NO_KIND_OF_OURS);
		return 0;
	}
}

static char *strip_slashes(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return g_strndup(path, len);
}

static int send_tree(struct pack *pack, const char *path)
{
	g_autofree char *root = strip_slashes(path);
	char *roots[] = { root, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	FTSENT *found;
	int ret = 0;

	if (!walk)
		return -errno;
	/* Below "/" paths begin with that slash. */
	pack->root_len = strcmp(root, "/") != 0 ? strlen(root) : 0;
	while (!ret && (found = fts_read(walk)))
		ret = send_found(pack, found);
	/* Its end, or that of our memory. */
	if (!ret && errno)
		ret = -errno;
	fts_close(walk);
	return ret;
}

static int open_archive(struct pack *pack)
{
	pack->archive = archive_write_new();
	pack->links = archive_entry_linkresolver_new();
	if (!pack->archive || !pack->links)
		return -ENOMEM;
	archive_entry_linkresolver_set_strategy(pack->links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
	if (archive_write_set_format_pax(pack->archive) ||
	    archive_write_set_bytes_per_block(pack->archive, CHUNK) ||
	    archive_write_set_bytes_in_last_block(pack->archive, 1) ||
	    archive_write_open(pack->archive, pack, NULL, write_stream, NULL))
		return -EINVAL;
	return 0;
}

int copy_put_tree(struct copy *copy, const char *path, const char *folder, const char *name)
{
	const char *const fields[] = { "form", "tar", copy->archive ? "owners" : NULL, "1", NULL };
	struct pack pack = { .copy = copy, .name = name };
	int ret = copy_begin(copy, "lodge.file-put ", folder, fields, false);

	if (!ret)
		ret = open_archive(&pack);
	if (!ret)
		ret = send_tree(&pack, path);
	/* What is still in its buffer goes out here, or nowhere. */
	if (pack.archive && !ret && archive_write_close(pack.archive))
		ret = -EPIPE;
	archive_entry_linkresolver_free(pack.links);
	archive_write_free(pack.archive);
	if (pack.error)
		ret = pack.error;
	else if (pack.culprit)
		copy_blame(copy, pack.culprit, false);
	if (!ret)
		ret = copy_send(copy, "", 0, true);
	ret = copy_finish(copy, ret);
	g_free(pack.culprit);
	return ret || !pack.left_out ? ret : EX_NOINPUT;
}

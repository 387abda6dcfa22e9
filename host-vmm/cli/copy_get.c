// SPDX-License-Identifier: GPL-2.0-or-later
// Takes a file or a folder out of the guest: reads the archive that the guest's tools send, and
// makes here what is in it.
#include "host-vmm/cli/copy.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/cli.h"
#include "protocol/lib/pack.h"

#define PADDING_MAX (1 << 20) /* bytes behind an archive's end */
#define LINKS_MAX   40 /* as the kernel's MAXSYMLINKS */
#define PERMISSIONS 0777 /* no setuid, setgid or sticky by a guest's word */
#define RANDOM	    ".XXXXXX"

struct unpack {
	struct copy *copy;
	struct archive *from, *to;
	char *top; /* the archive's first component */
	char *goal; /* what becomes of it: a path below the working folder */
	const char *final; /* where it belongs in the end, for messages */
	size_t pending; /* bytes of the stream that libarchive has and that are not taken off yet */
	int error; /* of the link */
	bool merge; /* into a folder that is there */
	char *link; /* what was asked for is a link, to this */
};

/* ---- the stream, for libarchive ---- */

static la_ssize_t read_stream(struct archive *archive, void *opaque, const void **ret_bytes)
{
	struct unpack *unpack = opaque;
	struct copy *copy = unpack->copy;
	const unsigned char *bytes;
	size_t len;

	/* What it had before it is done with now. */
	if (unpack->pending)
		unpack->error = guest_stream_take(copy->link, &copy->stream, unpack->pending);
	unpack->pending = 0;
	for (;;) {
		len = guest_stream_peek(&copy->stream, &bytes);
		if (unpack->error || copy->stream.reset || (copy->command.done && !len)) {
			archive_set_error(archive, EPIPE, "cut off");
			return copy->stream.ended && !unpack->error ? 0 : -1;
		}
		if (len || copy->stream.ended)
			break;
		unpack->error = copy_wait(copy);
	}
	unpack->pending = len;
	copy_count(copy, len);
	*ret_bytes = bytes;
	return (la_ssize_t)len;
}

/* ---- entries ---- */

/* "etc/hosts" of the archive of "etc" becomes "GOAL/hosts"; NULL where it is not below. */
static char *place(const struct unpack *unpack, const char *path)
{
	size_t len = strlen(unpack->top);

	while (path && g_str_has_prefix(path, "./"))
		path += 2;
	if (!path || strncmp(path, unpack->top, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return g_strconcat(unpack->goal, path + len, NULL);
}

static int take_top(struct unpack *unpack, struct archive_entry *entry)
{
	const char *path = archive_entry_pathname(entry);

	while (path && g_str_has_prefix(path, "./"))
		path += 2;
	if (!path || !*path || *path == '/')
		return -EBADMSG;
	unpack->top = g_strndup(path, strcspn(path, "/"));
	if (archive_entry_filetype(entry) == AE_IFLNK) {
		unpack->link = g_strdup(archive_entry_symlink(entry));
		return unpack->link && *unpack->link ? -ELOOP : -EBADMSG;
	}
	return unpack->merge && archive_entry_filetype(entry) != AE_IFDIR ? -EISDIR : 0;
}

static int finish(struct unpack *unpack, int ret)
{
	if (!unpack->link)
		return copy_finish(unpack->copy, ret);
	return copy_cancel(unpack->copy);
}

/* 0: it is to be made, 1: it is to be left out. */
static int prepare(const struct unpack *unpack, struct archive_entry *entry)
{
	g_autofree char *path = place(unpack, archive_entry_pathname(entry));
	const char *hard = archive_entry_hardlink(entry);
	g_autofree char *target = hard ? place(unpack, hard) : NULL;
	mode_t type = archive_entry_filetype(entry);

	if (!path || (hard && !target))
		return -EBADMSG;
	if (!hard && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
		return 1;
	archive_entry_set_pathname(entry, path);
	if (hard)
		archive_entry_set_hardlink(entry, target);
	archive_entry_set_perm(entry, archive_entry_perm(entry) & PERMISSIONS);
	archive_entry_acl_clear(entry);
	if (unpack->copy->archive)
		pack_user_attributes(entry);
	else
		archive_entry_xattr_clear(entry);
	archive_entry_set_fflags(entry, 0, 0);
	return 0;
}

static int fault(const struct unpack *unpack, struct archive *archive)
{
	int error = archive_errno(archive);

	if (unpack->error)
		return unpack->error;
	/* The guest gave it up, and its result tells why. */
	if (archive == unpack->from && unpack->copy->stream.reset)
		return -EPIPE;
	if (archive != unpack->to || error <= 0)
		return -EBADMSG;
	copy_blame(unpack->copy, unpack->final, true);
	return -error;
}

static int write_whole(struct unpack *unpack, struct archive_entry *entry)
{
	const void *bytes;
	la_int64_t offset;
	size_t len;
	int ret = archive_write_header(unpack->to, entry);

	if (ret < ARCHIVE_WARN)
		return fault(unpack, unpack->to);
	while ((ret = archive_read_data_block(unpack->from, &bytes, &len, &offset)) >=
		       ARCHIVE_WARN &&
	       ret != ARCHIVE_EOF) {
		if (archive_write_data_block(unpack->to, bytes, len, offset) < ARCHIVE_WARN)
			return fault(unpack, unpack->to);
	}
	if (ret < ARCHIVE_WARN)
		return fault(unpack, unpack->from);
	return archive_write_finish_entry(unpack->to) < ARCHIVE_WARN ? fault(unpack, unpack->to)
								     : 0;
}

/*
 * Beside the file that is there, and in its place once it is whole. The library's own safe writes
 * put half a file there, too: it fills up with zeroes what it was not given before the end.
 */
static int write_beside(struct unpack *unpack, struct archive_entry *entry)
{
	g_autofree char *path = g_strdup(archive_entry_pathname(entry));
	g_autofree char *folder = g_path_get_dirname(path);
	g_autofree char *id = g_uuid_string_random();
	g_autofree char *temporary = g_strdup_printf("%s/.lodge-cp.%s", folder, id);
	int ret;

	archive_entry_set_pathname(entry, temporary);
	ret = write_whole(unpack, entry);
	if (!ret && rename(temporary, path)) {
		ret = -errno;
		copy_blame(unpack->copy, unpack->final, true);
	}
	if (ret)
		(void)g_unlink(temporary);
	return ret;
}

static int write_entry(struct unpack *unpack, struct archive_entry *entry)
{
	bool beside = unpack->merge && archive_entry_filetype(entry) == AE_IFREG &&
		      !archive_entry_hardlink(entry);

	return beside ? write_beside(unpack, entry) : write_whole(unpack, entry);
}

/* Behind the archive's end there is padding, and the stream's own end. */
static int drain(struct unpack *unpack)
{
	const void *bytes;
	la_ssize_t got;
	size_t total = 0;

	while ((got = read_stream(unpack->from, unpack, &bytes)) > 0) {
		total += (size_t)got;
		if (total > PADDING_MAX)
			return -EBADMSG;
	}
	return unpack->error;
}

static int unpack_all(struct unpack *unpack)
{
	struct archive_entry *entry;
	int ret = 0;

	while (!ret) {
		ret = archive_read_next_header(unpack->from, &entry);
		if (ret == ARCHIVE_EOF)
			return unpack->error ? unpack->error : drain(unpack);
		if (ret < ARCHIVE_WARN)
			return fault(unpack, unpack->from);
		ret = unpack->top ? 0 : take_top(unpack, entry);
		if (!ret)
			ret = prepare(unpack, entry);
		if (ret > 0)
			fprintf(stderr, "lodge: %s: neither file, folder nor link; left out\n",
				unpack->copy->what);
		else if (!ret)
			ret = write_entry(unpack, entry);
		ret = MIN(ret, 0);
	}
	return ret;
}

static int open_archives(struct unpack *unpack)
{
	int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
		    ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;

	unpack->from = archive_read_new();
	unpack->to = archive_write_disk_new();
	if (!unpack->from || !unpack->to)
		return -ENOMEM;
	if (unpack->copy->archive)
		flags |= ARCHIVE_EXTRACT_XATTR;
	/* Only root may give files away. */
	if (unpack->copy->archive && !geteuid())
		flags |= ARCHIVE_EXTRACT_OWNER;
	/* Tar and nothing else: no decoder that a guest could choose. */
	if (archive_read_support_format_tar(unpack->from) ||
	    archive_write_disk_set_options(unpack->to, flags) ||
	    archive_read_open(unpack->from, unpack, NULL, read_stream, NULL))
		return fault(unpack, unpack->from);
	return 0;
}

static int close_archives(struct unpack *unpack, int ret)
{
	/* Modes and times of folders are set at the end. */
	if (unpack->to && archive_write_close(unpack->to) < ARCHIVE_WARN && !ret)
		ret = fault(unpack, unpack->to);
	archive_write_free(unpack->to);
	archive_read_free(unpack->from);
	return ret;
}

/* ---- where it goes ---- */

/* Folders may come without the right to look into them, or to remove what is in them. */
static void remove_tree(char *path)
{
	char *const roots[] = { path, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL, NULL);
	FTSENT *found;

	while (walk && (found = fts_read(walk))) {
		if (found->fts_info == FTS_D)
			(void)chmod(found->fts_accpath, 0700);
		else
			(void)remove(found->fts_accpath);
	}
	if (walk)
		fts_close(walk);
}

/* Names may be so long that there is no room for more. */
static char *temporary_of(const char *final)
{
	bool fits = strlen(final) + strlen("." RANDOM) <= NAME_MAX;

	return g_strdup_printf(".%s" RANDOM, fits ? final : "lodge-cp");
}

/* Into a folder of its own, and then by one rename to where it belongs. */
static int get_anew(struct unpack *unpack, const char *final)
{
	g_autofree char *temporary = temporary_of(final);
	mode_t mode = 0;
	struct stat st = { 0 };
	int ret;

	if (!g_mkdtemp(temporary)) {
		ret = -errno;
		copy_blame(unpack->copy, final, true);
		return copy_finish(unpack->copy, ret);
	}
	unpack->goal = g_build_filename(temporary, "new", NULL);
	ret = open_archives(unpack);
	if (!ret)
		ret = unpack_all(unpack);
	ret = close_archives(unpack, ret);
	/* The guest's last word comes behind its last byte: nothing is in place before it. */
	ret = finish(unpack, ret);
	if (!ret && !unpack->link && lstat(unpack->goal, &st))
		ret = fail(EX_DATAERR, "%s:%s: the guest sent nothing", unpack->copy->name,
			   unpack->copy->what);
	/* Moving a folder writes to it, to its "..". */
	if (!ret && S_ISDIR(st.st_mode) && !(st.st_mode & S_IWUSR)) {
		mode = st.st_mode & PERMISSIONS;
		(void)chmod(unpack->goal, mode | S_IWUSR);
	}
	if (!ret && !unpack->link && rename(unpack->goal, final))
		ret = fail(EX_CANTCREAT, "%s: cannot be put in place: %s", final,
			   g_strerror(errno));
	if (!ret && mode)
		(void)chmod(final, mode);
	remove_tree(temporary);
	return ret;
}

/* Into a folder that is there: what is new or changed takes its place, file by file. */
static int get_into(struct unpack *unpack, const char *final)
{
	int ret;

	unpack->goal = g_strdup(final);
	ret = open_archives(unpack);
	if (!ret)
		ret = unpack_all(unpack);
	return finish(unpack, close_archives(unpack, ret));
}

/* One try; *ret_link is set where @path turns out to be a link. */
static int get_once(struct copy *copy, const char *path, const char *final, char **ret_link)
{
	static const char *const fields[] = { "form", "tar", NULL };
	struct unpack unpack = { .copy = copy, .final = final };
	struct stat st;
	int ret = copy_begin(copy, "lodge.file-get ", path, fields, true);

	if (ret)
		return copy_finish(copy, ret);
	unpack.merge = !lstat(final, &st) && S_ISDIR(st.st_mode);
	ret = unpack.merge ? get_into(&unpack, final) : get_anew(&unpack, final);
	*ret_link = unpack.link;
	g_free(unpack.top);
	g_free(unpack.goal);
	return ret;
}

int copy_get(struct copy *copy, const char *path, const char *parent, const char *final)
{
	g_autofree char *at = g_strdup(path);

	if (chdir(parent))
		return fail(EX_CANTCREAT, "%s: %s", parent, g_strerror(errno));
	/* A link that is named is followed, as by cp and scp; links below it are copied as links.
	 */
	for (int i = 0; i < LINKS_MAX; i++) {
		char *link = NULL, *folder;
		int status = get_once(copy, at, final, &link);

		if (!link)
			return status;
		folder = g_path_get_dirname(at);
		g_free(at);
		at = *link == '/' ? g_strdup(link) : g_build_filename(folder, link, NULL);
		g_free(folder);
		g_free(link);
	}
	return fail(EX_NOINPUT, "%s:%s: too many links", copy->name, path);
}

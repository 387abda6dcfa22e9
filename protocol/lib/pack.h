/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files as entries of a pax archive, with what a plain read of them loses: holes, and attributes of
 * the user's. For both ends of `lodge cp`; protocol/spec/guest-ops.md has the format.
 *
 * Only attributes named user.* go along, either way: the others belong to one machine's policy.
 */
#ifndef LODGE_PROTOCOL_PACK_H
#define LODGE_PROTOCOL_PACK_H

struct archive;
struct archive_entry;

/* Adds the attributes of @path, which is not followed. One that cannot be read is left out. */
void pack_attributes(struct archive_entry *entry, const char *path);
/* Takes all attributes off @entry but those of user.*. */
void pack_user_attributes(struct archive_entry *entry);
/* Sets those of @entry at @fd, as far as its file system has such. */
void pack_set_attributes(struct archive_entry *entry, int fd);
/* Says in @entry, whose size is set, where @fd has holes, if it has any. */
void pack_holes(struct archive_entry *entry, int fd);
/* The bytes of @fd as the body of @entry, whose header is written. A file that shrinks meanwhile is
 * filled up by the library. -EPIPE: @archive says what went wrong; other errnos are @fd's. */
int pack_body(struct archive *archive, struct archive_entry *entry, int fd);

#endif

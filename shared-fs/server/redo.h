/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that are run a second time because their server died over them: was the first time done?
 *
 * The guest holds its own locks of the names and the file in question while it waits for the
 * answer, so between the two only another program of the host can have changed them. What such a
 * program does to the same name within the same moment cannot be told apart from what we did;
 * everything else can: times of files and folders against the time at which the request began, the
 * notes of the journal. All of this is false for a request that is run for the first time.
 */
#ifndef LODGE_FSD_REDO_H
#define LODGE_FSD_REDO_H

#include "shared-fs/server/request.h"

/* Making @name failed with EEXIST: is it what the request made? @type: S_IFMT bits. */
bool redo_made(const struct request *req, const char *name, uint32_t type);
/* The same, for a file: if so, it is away again. */
bool redo_unmade(const struct request *req, const char *name);
/* LINK of @inode failed with EEXIST. */
bool redo_linked(const struct request *req, const char *name, const struct inode *inode);
/* A name of req->inode is not there (ENOENT): is it the request that took it away? */
bool redo_removed(const struct request *req);
/* RENAME failed with ENOENT: @name is in @to already. */
bool redo_moved(const struct request *req, const struct inode *to, const char *name);
/* Before an exchange, which looks the same twice: notes what @name is; true: it was done. */
bool redo_exchanged(const struct request *req, const char *name);
/* An attribute of req->inode is not there (ENODATA): has the inode changed since the request began?
 */
bool redo_changed(const struct request *req);
/* Before bytes are appended to @fd: notes its size. How many of @len bytes are there already. */
size_t redo_appended(const struct request *req, int fd, size_t len);

#endif

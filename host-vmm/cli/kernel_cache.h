/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacked kernels, kept in the user's cache: $XDG_CACHE_HOME/lodge/kernels, which is the user's
 * alone. A file belongs to one state of one bzImage (device, inode, size and times of change) and
 * is there whole or not at all. KERNEL_CACHE_MAX of them are kept, those that were used last.
 */
#ifndef LODGE_VMM_CLI_KERNEL_CACHE_H
#define LODGE_VMM_CLI_KERNEL_CACHE_H

#define KERNEL_CACHE_MAX 4

/*
 * The unpacked kernel of the bzImage at @image, below the cache folder @base (NULL: the user's);
 * made if it is not there. NULL where it cannot be had for whatever reason, among them that @image
 * is no bzImage or may not be read: then @image itself boots, or says what is wrong. g_free().
 */
char *kernel_cache_find(const char *base, const char *image);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers of requests that lie in the DAX window.
 *
 * A program in the guest may write(2) from a mapped file of a share into another, or read(2) into
 * one with O_DIRECT: then the guest's driver names addresses in the window, which is not in our
 * memory table. What is there is known, though: a piece of a file. So such a buffer is a private
 * copy, read from that file before the request is run, or written to it afterwards. Where the file
 * has ended, zeroes are read and what is written is dropped, as with any access to a mapping of a
 * file that was cut off.
 */
#ifndef LODGE_FSD_DAX_BUFFER_H
#define LODGE_FSD_DAX_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dax;
struct dax_buffer;

/* Bytes in all the copies of one request: the data of the largest WRITE, and a page at its end. */
#define DAX_BUFFERS_MAX ((1u << 20) + 8192)

/*
 * A copy of @len bytes at guest address @addr, put into *@list, which is NULL at first; @written:
 * the request will write there. NULL, with the list as it was, where not all of that is in the
 * window, the list would hold more than DAX_BUFFERS_MAX, or there is no memory.
 */
void *dax_buffer_add(struct dax *dax, uint64_t addr, uint32_t len, bool written,
		     struct dax_buffer **list);
/* Writes back what is to be written, unless @dax is NULL, and frees. */
void dax_buffers_finish(struct dax *dax, struct dax_buffer *list);

#endif

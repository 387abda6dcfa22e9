// SPDX-License-Identifier: GPL-2.0-or-later
/* Cuts a stream of bytes into FUSE messages. */
#include "protocol/lib/fs_stream.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <lodge/fs_stream.h>

long fs_stream_message(const void *bytes, size_t have, size_t header)
{
	/* Both headers begin with it; FUSE's numbers are of the machine's own byte order. */
	uint32_t len;

	if (have < sizeof(len))
		return 0;
	memcpy(&len, bytes, sizeof(len));
	if (len < header || len > LODGE_FS_STREAM_MESSAGE_MAX)
		return -EPROTO;
	return have < len ? 0 : (long)len;
}

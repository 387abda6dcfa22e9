/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's UUID: that by which its guest, and what runs there, know the machine again.
 */
#ifndef LODGE_VMM_CONF_UUID_H
#define LODGE_VMM_CONF_UUID_H

#include <stdint.h>

/*
 * The UUID (RFC 9562 version 8, in the order in which it is written) of the VM in the folder @dir
 * of the host with @host_id, machine-id(5): the same for ever, and another one on every host and
 * for every folder.
 */
void vm_uuid_make(const char *host_id, const char *dir, uint8_t ret_uuid[16]);

/* The same with this host's id, or without one where it cannot be read. Opens a file. */
void vm_uuid_of(const char *dir, uint8_t ret_uuid[16]);

/* Thirty-two hexadecimal digits in groups of 8, 4, 4, 4 and 12. -EINVAL for anything else, and for
 * those of which SMBIOS (7.2.1) says that they mean none: all zeros, all ones. */
int vm_uuid_parse(const char *text, uint8_t ret_uuid[16]);

#define VM_UUID_TEXT 37 /* bytes, the NUL among them */

void vm_uuid_format(const uint8_t uuid[16], char ret_text[VM_UUID_TEXT]);

#endif

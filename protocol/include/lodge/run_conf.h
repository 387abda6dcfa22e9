/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * What `lodge run` tells lodge-init: a file of records in the initramfs that it builds.
 *
 * A record is "key=value" and a NUL. protocol/spec/run-conf.md says what each key means.
 */
#ifndef LODGE_RUN_CONF_H
#define LODGE_RUN_CONF_H

#define LODGE_RUN_CONF_PATH    "/lodge/run.conf"
#define LODGE_RUN_CONF_MODULES "/lodge/modules" /* the folder that holds what module= names */
#define LODGE_RUN_CONF_MAX     (4 << 20) /* bytes: twice what execve(2) takes at its default */

#define LODGE_RUN_CONF_MODE	   "mode" /* first record: run or hello */
#define LODGE_RUN_CONF_MODULE	   "module" /* FILE: loaded in order, before anything is mounted */
#define LODGE_RUN_CONF_LATE_MODULE "late-module" /* FILE: loaded once the command is prepared */
#define LODGE_RUN_CONF_ROOT	   "root" /* TAG of the virtio-fs device that is the root */
#define LODGE_RUN_CONF_SHARE	   "share" /* NAME, at /mnt/lodge/NAME */
#define LODGE_RUN_CONF_SHARE_RO	   "share-ro" /* the same, read-only */
#define LODGE_RUN_CONF_HOSTNAME	   "hostname"
#define LODGE_RUN_CONF_TERMINAL	   "terminal" /* ROWSxCOLUMNS: the command runs on hvc0 */
#define LODGE_RUN_CONF_USER	   "user" /* name or number; missing: root */
#define LODGE_RUN_CONF_CWD	   "cwd"
#define LODGE_RUN_CONF_TOOLS	   "tools" /* PATH of lodged, started beside the command */
#define LODGE_RUN_CONF_ENV	   "env" /* NAME=VALUE */
#define LODGE_RUN_CONF_ARG	   "arg" /* a word of the command, in order */

/* virtio-fs tags of an instant VM. */
#define LODGE_RUN_TAG_ROOT   "root"
#define LODGE_RUN_TAG_SHARES "lodge" /* its root lists the shares by their names */

/* What hello mode prints on the console before it powers off. */
#define LODGE_RUN_HELLO "lodge-init: hello"
/* What every message of lodge-init that ends the guest begins with. */
#define LODGE_RUN_ERROR "lodge-init: error: "

#endif

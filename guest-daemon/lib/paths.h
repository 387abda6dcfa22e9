/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest side keeps what is its own.
 */
#ifndef LODGE_GUEST_PATHS_H
#define LODGE_GUEST_PATHS_H

#define LODGE_CONF    "/etc/lodge/tools.conf" /* tools.conf(5) */
#define LODGE_SCRIPTS "/etc/lodge/scripts" /* of power operations */
#define LODGE_DEV     "/dev/lodge" /* the module lodge_backdoor */
#define LODGED_RUN    "/run/lodge" /* 0755 root */
#define LODGED_SOCKET LODGED_RUN "/lodged.sock" /* 0666: lodged asks the kernel who it is */
#define LODGED_LOCK   LODGED_RUN "/lodged.lock"
/* In that folder: a link to the tools.conf that the lodged that runs has. */
#define LODGED_CONF_LINK "lodged.conf"

/* Below the user's run-time folder. */
#define PATH_SESSION_STATE "lodge-session.display"

#endif

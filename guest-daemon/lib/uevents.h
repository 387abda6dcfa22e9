/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's word that a card, one of its connectors or a frame buffer changed. */
#ifndef LODGE_GUEST_UEVENTS_H
#define LODGE_GUEST_UEVENTS_H

#include <stdbool.h>

/* A descriptor to poll for reading, for any user, or a negative errno. The caller closes it. */
int uevents_open(void);
/* Takes all events that wait; whether one was of a display. Events that were lost count as such. */
bool uevents_take(int fd);

#endif

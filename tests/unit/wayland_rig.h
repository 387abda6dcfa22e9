/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Wayland compositor of a test's that has its heads set by others, in a thread of its own, and a
 * system with their connectors. It obeys, rounds, or refuses.
 *
 * The test asks for what it sees of the compositor where that waits for it: while nothing is under
 * way.
 */
#ifndef LODGE_TESTS_WAYLAND_RIG_H
#define LODGE_TESTS_WAYLAND_RIG_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wayland-server-core.h>

#include "guest-daemon/session/desktop.h"

#define FAKE_HEADS 2
#define FAKE_MODES 64

/* What it does with a configuration. */
enum manner {
	OBEYS = 0,
	ROUNDS, /* custom widths become multiples of 8 */
	REFUSES,
	CANCELS_ONCE,
	KEEPS_SILENT,
	TAKES_ANOTHER,
	GOES_AWAY,
};

struct fake_head {
	const char *name;
	struct wl_resource *resource, *modes[FAKE_MODES];
	struct follow_size sizes[FAKE_MODES];
	size_t n_modes, current;
	bool off;
	int x, y;
	struct follow_size asked; /* by the configuration that is made */
	bool asked_custom;
};

struct fake {
	struct wl_display *display;
	struct wl_client *client;
	struct wl_resource *manager;
	pthread_t thread;
	int calls[2];
	struct wl_event_source *source;
	sem_t done;
	enum manner manner;
	bool no_manager;
	uint32_t serial;
	size_t n_heads, applied;
	struct fake_head heads[FAKE_HEADS];
	/* the test's side */
	char *folder, *sys;
	struct desktop *desktop;
};

struct fake *fake(void);
/* One head, "Virtual-1", that shows 1024x768 as it should; nothing runs. */
void fake_setup(void);
void fake_teardown(void);
/* Starts the compositor, and opens fake()->desktop on it. */
int fake_open(void);
/* The system's connector: modes in lines, "" where it is not connected; made by Lodge or by
 * another. */
void fake_put_connector(const char *name, const char *modes, bool ours);
/* Runs it in the compositor's thread, and waits for its end. */
void fake_call(void (*call)(void));

/* ---- in the compositor's thread ---- */

void fake_tell_head(struct fake_head *head);
void fake_tell_done(void);
/* The head shows the size, in a mode of its own if none has it. */
void fake_show(struct fake_head *head, struct follow_size size);

#endif

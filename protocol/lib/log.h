/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One way for every Lodge program to say something: a line on stderr, "PROGRAM: level: text"; where
 * journald reads stderr, the level goes by its prefix, and the program's name is journald's to add.
 *
 * Programs log, libraries return errors: a function that returns a negative errno to a caller that
 * can decide does not log it too. What a guest or a peer can provoke must go through
 * log_ratelimited(), so that a hostile one cannot fill a disk.
 */
#ifndef LODGE_LIB_LOG_H
#define LODGE_LIB_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 1,
	LOG_LEVEL_WARN = 2,
	LOG_LEVEL_INFO = 3,
	LOG_LEVEL_DEBUG = 4,
};

/*
 * Allows @burst lines each @interval_ms, counts what it drops, and says the count when it next
 * allows one. Zero-initialised fields mean 10 lines in 5 s. Safe for several threads.
 */
struct log_ratelimit {
	uint32_t interval_ms;
	uint32_t burst;
	uint64_t window_start_ms;
	uint32_t in_window;
	uint32_t dropped;
};

/* Call once, first in main(): @program must outlive the process. The level comes from
 * $LODGE_LOG (error, warn, info, debug), else it is @level. */
void log_init(const char *program, enum log_level level);
void log_set_level(enum log_level level);
/* "error", "warning" (or "warn"), "info", "debug"; false: none of these, and nothing changed. */
bool log_set_level_name(const char *name);
bool log_enabled(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts '?' in the place of control characters, those that UTF-8 writes in two bytes among them: a
 * peer's text must not steer a terminal. */
void log_make_printable(char *text, size_t len);
/* True if the caller may log now. */
bool log_ratelimit_ok(struct log_ratelimit *limit);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                          \
	do {                                                    \
		if (log_enabled(LOG_LEVEL_DEBUG))               \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

#define log_ratelimited(limit, level, ...)            \
	do {                                          \
		if (log_ratelimit_ok(limit))          \
			log_line(level, __VA_ARGS__); \
	} while (0)

#endif

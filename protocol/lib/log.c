// SPDX-License-Identifier: GPL-2.0-or-later
/* Log lines on stderr: one write(2) a line, so that lines of several processes do not mix. */
#include "protocol/lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES	 1024
#define DEFAULT_BURST	 10
#define DEFAULT_INTERVAL 5000

/* What the process is called and how much it says: set once by main(), before any thread. */
static const char *program_name = "lodge";
static enum log_level max_level = LOG_LEVEL_INFO;
static bool to_journal;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* syslog(3)'s numbers, which journald takes from a "<N>" before a line: sd-daemon(3). */
static const char journal_priorities[] = {
	[LOG_LEVEL_ERROR] = '3',
	[LOG_LEVEL_WARN] = '4',
	[LOG_LEVEL_INFO] = '6',
	[LOG_LEVEL_DEBUG] = '7',
};

/* $JOURNAL_STREAM is "device:inode" of the stderr that journald reads; a child of its service may
 * have another one. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

void log_init(const char *program, enum log_level level)
{
	const char *wanted = getenv("LODGE_LOG");

	program_name = program;
	max_level = level;
	to_journal = stderr_is_journal();
	if (wanted)
		(void)log_set_level_name(wanted);
}

bool log_set_level_name(const char *name)
{
	if (!strcmp(name, "warn"))
		name = "warning";
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		if (!strcmp(name, level_names[i])) {
			max_level = i;
			return true;
		}
	}
	return false;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= max_level;
}

void log_make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;

		if (c < ' ' || c == 0x7f)
			text[i] = '?';
		/* C1 in UTF-8 */
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			text[i] = text[i + 1] = '?';
	}
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	int saved = errno;
	va_list args;
	int head, body;
	size_t len;

	if (!log_enabled(level))
		return;
	if (to_journal)
		head = snprintf(line, sizeof(line), "<%c>", journal_priorities[level]);
	else
		head = snprintf(line, sizeof(line), "%s: %s: ", program_name, level_names[level]);
	if (head < 0 || head >= (int)sizeof(line) - 2)
		return;
	va_start(args, format);
	body = vsnprintf(line + head, sizeof(line) - head - 1, format, args);
	va_end(args);
	if (body < 0)
		return;
	len = strlen(line);
	log_make_printable(line + head, len - head);
	line[len++] = '\n';
	/* Nobody is left to tell when stderr is gone. */
	if (write(STDERR_FILENO, line, len) < 0)
		errno = saved;
	errno = saved;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool log_ratelimit_ok(struct log_ratelimit *limit)
{
	uint32_t interval = limit->interval_ms ? limit->interval_ms : DEFAULT_INTERVAL;
	uint32_t burst = limit->burst ? limit->burst : DEFAULT_BURST;
	uint64_t start = __atomic_load_n(&limit->window_start_ms, __ATOMIC_RELAXED);
	uint64_t now = now_ms();
	uint32_t dropped;

	if (!start || now - start >= interval) {
		/* Whoever wins the exchange opens the new window. */
		if (__atomic_compare_exchange_n(&limit->window_start_ms, &start, now, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			__atomic_store_n(&limit->in_window, 0, __ATOMIC_RELAXED);
			dropped = __atomic_exchange_n(&limit->dropped, 0, __ATOMIC_RELAXED);
			if (dropped)
				log_line(LOG_LEVEL_WARN, "%u similar lines were left out", dropped);
		}
	}
	if (__atomic_fetch_add(&limit->in_window, 1, __ATOMIC_RELAXED) < burst)
		return true;
	__atomic_fetch_add(&limit->dropped, 1, __ATOMIC_RELAXED);
	return false;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// One transfer at a time between host and guest: its command, its stream, its progress, its end.
#include "host-vmm/cli/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/outlet.h"
#include "protocol/lib/fd.h"

#define RESULT_MS  30000 /* for a result, once the bytes are through */
#define SHOW_EVERY (G_USEC_PER_SEC / 4)
#define READ_CHUNK (64 << 10)

int copy_begin(struct copy *copy, const char *word, const char *path, const char *const *fields,
	       bool from_guest)
{
	struct fields_builder text = FIELDS_BUILDER(LODGE_RPC_DATA_MAX);
	int ret = guest_stream_open(copy->link, from_guest, &copy->stream);

	copy->what = path;
	copy->here = NULL;
	copy->bytes = 0;
	copy->started = copy->shown = g_get_monotonic_time();
	copy->command.done = false;
	if (ret)
		return ret;
	fields_raw(&text, word);
	fields_add(&text, "path", path);
	if (copy->user)
		fields_add(&text, "user", copy->user);
	for (; fields && *fields; fields += 2)
		fields_add(&text, fields[0], fields[1]);
	fields_addf(&text, from_guest ? "stdout" : "stdin", "%u", copy->stream.number);
	ret = guest_command_send(copy->link, &text, &copy->command);
	fields_free(&text);
	return ret;
}

int copy_wait(struct copy *copy)
{
	struct pollfd pfds[] = {
		guest_link_pollfd(copy->link),
		{ copy->signals, POLLIN, 0 },
	};

	if (poll(pfds, G_N_ELEMENTS(pfds), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (pfds[1].revents)
		return -EINTR;
	return guest_link_turn(copy->link);
}

void copy_count(struct copy *copy, size_t bytes)
{
	gint64 now = g_get_monotonic_time();
	g_autofree char *done = NULL;
	g_autofree char *rate = NULL;

	copy->bytes += bytes;
	if (!copy->progress || now - copy->shown < SHOW_EVERY)
		return;
	copy->shown = now;
	done = g_format_size_full(copy->bytes, G_FORMAT_SIZE_IEC_UNITS);
	rate = g_format_size_full(copy->bytes * G_USEC_PER_SEC / (guint64)(now - copy->started + 1),
				  G_FORMAT_SIZE_IEC_UNITS);
	/* Back to the line's start, and clear what was longer. */
	fprintf(stderr, "\r%s, %s/s\033[K", done, rate);
}

int copy_send(struct copy *copy, const void *bytes, size_t len, bool end)
{
	const char *at = bytes;
	int ret = 0;

	while (!ret && (len || end)) {
		size_t room = guest_stream_room(copy->link, &copy->stream);
		size_t count = MIN(room, len);

		if (copy->stream.reset || copy->command.done)
			return -EPIPE;
		if (!room && len) {
			ret = copy_wait(copy);
			continue;
		}
		ret = guest_stream_send(copy->link, &copy->stream, at, count, end && count == len);
		copy_count(copy, count);
		at += count;
		len -= count;
		end = end && len;
	}
	return ret;
}

static int last_signal(const struct copy *copy)
{
	struct signalfd_siginfo info;

	if (read(copy->signals, &info, sizeof(info)) != sizeof(info))
		return SIGINT;
	return (int)info.ssi_signo;
}

void copy_blame(struct copy *copy, const char *here, bool written)
{
	copy->here = here;
	copy->written = written;
}

static int explain(const struct copy *copy, int error)
{
	if (error == -EINTR)
		return 128 + last_signal(copy);
	if (error == -ECONNRESET)
		return fail(EX_UNAVAILABLE, "%s: the VM ended before the copy did", copy->name);
	if (copy->here)
		return fail(status_of(error), "%s: cannot be %s: %s%s", copy->here,
			    copy->written ? "written" : "read", g_strerror(-error),
			    copy->written ? "; make room there, or choose another place" : "");
	return fail(status_of(error), "%s:%s: %s", copy->name, copy->what,
		    error == -EBADMSG
			    ? "the guest sent an archive that is malformed, or leads out of "
			      "the target"
			    : g_strerror(-error));
}

static int explain_result(const struct copy *copy)
{
	g_autofree char *text = NULL;
	const char *fields;
	size_t len;
	int number = guest_command_outcome(&copy->command, &fields, &len, &text);

	if (!number)
		return 0;
	if (number == GUEST_NO_TOOLS)
		return fail(EX_UNAVAILABLE, "%s: %s", copy->name, text);
	return fail(status_of(-number), "%s:%s: %s", copy->name, copy->what,
		    *text ? text : g_strerror(number));
}

int copy_finish(struct copy *copy, int error)
{
	gint64 end = g_get_monotonic_time() + RESULT_MS * (gint64)1000;
	/* It may be the guest's word that ended our sending; that one is the better reason. */
	bool theirs = !error || error == -EPIPE;
	int ret = 0;

	if (copy->progress && copy->shown != copy->started)
		fprintf(stderr, "\r\033[K");
	guest_stream_close(copy->link, &copy->stream, "the copy has ended");
	while (theirs && !ret && !copy->command.done)
		ret = g_get_monotonic_time() > end ? -ETIMEDOUT
						   : guest_link_wait(copy->link, RESULT_MS);
	if (theirs && copy->command.done) {
		ret = explain_result(copy);
		if (ret || !error)
			return ret;
	}
	return explain(copy, ret ? ret : error);
}

int copy_cancel(struct copy *copy)
{
	int ret = 0;

	/* Its bytes are not wanted, nor is what comes of giving them up. */
	guest_stream_close(copy->link, &copy->stream, "not wanted");
	while (!ret && !copy->command.done)
		ret = copy_wait(copy);
	return ret ? explain(copy, ret) : 0;
}

int copy_probe(struct copy *copy, const char *path, enum copy_kind *ret_kind)
{
	static const char *const fields[] = { "form", "file", NULL };
	g_autofree char *text = NULL;
	const char *result;
	size_t len;
	int number, ret;

	ret = copy_begin(copy, "lodge.file-get ", path, fields, true);
	/* Where there is nothing to read the guest may end the stream before it says why. */
	while (!ret && !copy->command.done && !copy->stream.len)
		ret = copy_wait(copy);
	if (ret)
		return explain(copy, ret);
	*ret_kind = COPY_FILE;
	number = copy->command.done ? guest_command_outcome(&copy->command, &result, &len, &text)
				    : 0;
	if (copy->command.done)
		guest_stream_close(copy->link, &copy->stream, "only asked what it is");
	else
		ret = copy_cancel(copy);
	if (ret)
		return ret;
	if (number == EISDIR)
		*ret_kind = COPY_FOLDER;
	else if (number == ENOENT)
		*ret_kind = COPY_MISSING;
	else if (number)
		return explain_result(copy);
	return 0;
}

int copy_get_stream(struct copy *copy, const char *path, int fd, const char *here)
{
	static const char *const fields[] = { "form", "file", NULL };
	int ret = copy_begin(copy, "lodge.file-get ", path, fields, true);
	struct outlet outlet;

	outlet_open(fd, &outlet);
	while (!ret && !guest_stream_over(&copy->stream) &&
	       (copy->stream.len || !copy->command.done)) {
		const unsigned char *bytes;
		size_t len = guest_stream_peek(&copy->stream, &bytes);
		struct pollfd pfds[] = {
			guest_link_pollfd(copy->link),
			{ copy->signals, POLLIN, 0 },
			{ len ? outlet.fd : -1, POLLOUT, 0 },
		};
		ssize_t done;

		if (poll(pfds, G_N_ELEMENTS(pfds), -1) < 0)
			continue;
		if (pfds[1].revents)
			ret = -EINTR;
		else if (pfds[0].revents)
			ret = guest_link_turn(copy->link);
		if (ret || !pfds[2].revents)
			continue;
		done = outlet_write(&outlet, bytes, len);
		if (done < 0)
			copy_blame(copy, here, true);
		ret = done < 0 ? (int)done
			       : guest_stream_take(copy->link, &copy->stream, (size_t)done);
		copy_count(copy, done > 0 ? (size_t)done : 0);
	}
	outlet_close(&outlet);
	return copy_finish(copy, ret);
}

static int send_all(struct copy *copy, int fd, const char *here)
{
	g_autofree char *bytes = g_malloc(READ_CHUNK);
	int ret = 0;

	for (;;) {
		struct pollfd pfds[] = {
			{ fd, POLLIN, 0 },
			{ copy->signals, POLLIN, 0 },
		};
		ssize_t got;

		if (poll(pfds, G_N_ELEMENTS(pfds), -1) < 0)
			continue;
		if (pfds[1].revents)
			return -EINTR;
		got = read(fd, bytes, READ_CHUNK);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0) {
			ret = -errno;
			copy_blame(copy, here, false);
			return ret;
		}
		ret = copy_send(copy, bytes, (size_t)got, !got);
		if (ret || !got)
			return ret;
	}
}

int copy_put_stream(struct copy *copy, int fd, const char *here, const char *path)
{
	char mode[16], mtime[48];
	const char *fields[] = { "form", "file", "mode", mode, "mtime", mtime, NULL };
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return fail(EX_NOINPUT, "%s: %s", here, g_strerror(errno));
	snprintf(mode, sizeof(mode), "%o", st.st_mode & 0777);
	snprintf(mtime, sizeof(mtime), "%lld.%09ld", (long long)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec);
	if (!S_ISREG(st.st_mode) || st.st_mtim.tv_sec < 0)
		fields[S_ISREG(st.st_mode) ? 4 : 2] = NULL;
	ret = copy_begin(copy, "lodge.file-put ", path, fields, false);
	if (!ret)
		ret = send_all(copy, fd, here);
	return copy_finish(copy, ret);
}

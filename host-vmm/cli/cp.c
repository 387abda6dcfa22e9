// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge cp`: files and folders between this host and a running VM's guest.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/copy.h"
#include "host-vmm/cli/guest_open.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/vm.h"
#include "protocol/lib/fd.h"

static const char summary[] = "Copies files and folders into a running VM's guest, or out of it.";
static const char description[] =
	"NAME:PATH is in the guest, and PATH absolute there; what has a / before its first : is\n"
	"here. - is standard input or output, for one file. Folders are copied with all that is in\n"
	"them; modes, times, hard links and holes are kept, owners are not. Links in folders stay\n"
	"links. With --archive owners are kept by number where root receives them, set-user-ID only\n"
	"into the guest, and extended attributes of user.*.";

/* One side of a copy, as it is written. */
struct side {
	char *vm; /* NULL: this host */
	const char *path;
};

static void side_clear(struct side *side)
{
	g_free(side->vm);
}

static struct side parse_side(const char *word)
{
	const char *colon = strchr(word, ':'), *slash = strchr(word, '/');

	if (!colon || colon == word || (slash && slash < colon))
		return (struct side){ NULL, word };
	return (struct side){ g_strndup(word, (gsize)(colon - word)), colon + 1 };
}

static bool is_stream(const struct side *side)
{
	return !side->vm && !strcmp(side->path, "-");
}

/* "a/b/" is "b", "." is the working folder's name. */
static char *base_of(const char *path)
{
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *real = NULL;

	if (strcmp(base, ".") != 0 && strcmp(base, "..") != 0)
		return g_steal_pointer(&base);
	real = g_canonicalize_filename(path, NULL);
	return g_path_get_basename(real);
}

static bool ends_in_slash(const char *path)
{
	size_t len = strlen(path);

	return len && path[len - 1] == '/';
}

/* ---- out of the guest ---- */

static int get_into_special(struct copy *copy, const char *from, const char *path)
{
	autofd fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return fail(EX_CANTCREAT, "%s: %s%s", path, g_strerror(errno),
			    errno == ENXIO ? "; start what reads there first" : "");
	return copy_get_stream(copy, from, fd, path);
}

static int get(struct copy *copy, const char *from, const struct side *to, bool into)
{
	g_autofree char *base = base_of(from);
	g_autofree char *whole = NULL;
	g_autofree char *parent = NULL;
	g_autofree char *final = NULL;

	if (is_stream(to))
		return copy_get_stream(copy, from, STDOUT_FILENO, "standard output");
	if (paths_is_special(to->path))
		return get_into_special(copy, from, to->path);
	into = into || g_file_test(to->path, G_FILE_TEST_IS_DIR);
	if (into && !strcmp(base, "/"))
		return fail(EX_USAGE, "cp: %s:/ has no name of its own; say what to call it here",
			    copy->name);
	/* Absolute, for the working folder changes. */
	whole = g_canonicalize_filename(to->path, NULL);
	parent = into ? g_strdup(whole) : g_path_get_dirname(whole);
	final = into ? g_strdup(base) : g_path_get_basename(whole);
	return copy_get(copy, from, parent, final);
}

/* ---- into the guest ---- */

static int put_file(struct copy *copy, const struct side *from, const char *path)
{
	/* A pipe that nobody writes to would keep us in here, deaf to signals. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	autofd fd = is_stream(from) ? dup(STDIN_FILENO) : open(from->path, flags);

	if (fd < 0)
		return fail(EX_NOINPUT, "%s: %s", from->path, g_strerror(errno));
	return copy_put_stream(copy, fd, is_stream(from) ? "standard input" : from->path, path);
}

static int put(struct copy *copy, const struct side *from, const char *to, bool into)
{
	enum copy_kind kind;
	g_autofree char *base = base_of(from->path);
	g_autofree char *whole = NULL;
	g_autofree char *parent = NULL;
	struct stat st = { 0 };
	bool tree;
	int status;

	if (!is_stream(from) && stat(from->path, &st))
		return fail(EX_NOINPUT, "%s: %s", from->path, g_strerror(errno));
	status = copy_probe(copy, to, &kind);
	if (status)
		return status;
	if (into && kind != COPY_FOLDER)
		return fail(EX_CANTCREAT, "%s:%s is no folder", copy->name, to);
	if (kind == COPY_FOLDER && is_stream(from))
		return fail(EX_CANTCREAT, "%s:%s is a folder; name the file", copy->name, to);
	if (S_ISDIR(st.st_mode) && kind == COPY_FILE)
		return fail(EX_CANTCREAT, "%s:%s is a file, and %s a folder", copy->name, to,
			    from->path);
	tree = S_ISDIR(st.st_mode) || (copy->archive && S_ISREG(st.st_mode));
	if (kind == COPY_FOLDER && tree)
		return copy_put_tree(copy, from->path, to, base);
	if (kind == COPY_FOLDER) {
		whole = g_build_filename(to, base, NULL);
		return put_file(copy, from, whole);
	}
	if (!tree)
		return put_file(copy, from, to);
	g_free(base);
	base = g_path_get_basename(to);
	parent = g_path_get_dirname(to);
	return copy_put_tree(copy, from->path, parent, base);
}

/* ---- all of them ---- */

static int check(const struct side *from, size_t n_from, const struct side *to)
{
	for (size_t i = 0; i < n_from; i++) {
		const struct side *remote = from[i].vm ? &from[i] : to;

		if (!from[i].vm == !to->vm)
			return fail(EX_USAGE, "cp: one side is NAME:PATH, the other is here");
		if (from[i].vm && strcmp(from[i].vm, from[0].vm) != 0)
			return fail(EX_USAGE,
				    "cp: '%s' and '%s' are two VMs; copy from one at a time",
				    from[0].vm, from[i].vm);
		if (*remote->path != '/')
			return fail(EX_USAGE, "cp: '%s:%s' is not absolute; write %s:/...",
				    remote->vm, remote->path, remote->vm);
		if (is_stream(&from[i]) && n_from > 1)
			return fail(EX_USAGE, "cp: - goes alone");
	}
	if (n_from > 1 && !to->vm && !g_file_test(to->path, G_FILE_TEST_IS_DIR))
		return fail(EX_CANTCREAT, "%s is no folder", to->path);
	return 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int copy_all(struct copy *copy, const struct side *from, size_t n_from,
		    const struct side *to)
{
	g_autofree char *here = g_get_current_dir();
	bool into = n_from > 1 || ends_in_slash(to->path);
	int worst = 0;

	for (size_t i = 0; i < n_from; i++) {
		int status = to->vm ? put(copy, &from[i], to->path, into)
				    : get(copy, from[i].path, to, into);

		if (status)
			worst = status;
		/* A signal ends all of it. */
		if (status > 128 || chdir(here))
			break;
	}
	return worst;
}

static int cp(const struct side *from, size_t n_from, const struct side *to, const char *user,
	      bool quiet, bool archive)
{
	struct copy copy = { .user = user, .signals = -1, .archive = archive };
	struct vm vm = { 0 };
	int status = check(from, n_from, to);

	if (!status)
		status = guest_open(to->vm ? to->vm : from[0].vm, &vm, &copy.link);
	if (!status) {
		copy.name = vm.name;
		copy.progress = !quiet && isatty(STDERR_FILENO);
		copy.signals = open_signals();
		status = copy_all(&copy, from, n_from, to);
		guest_link_close(copy.link);
		fd_close(&copy.signals);
	}
	vm_clear(&vm);
	return status;
}

int verb_cp(int argc, char **argv)
{
	char *user = NULL;
	gboolean quiet = FALSE, archive = FALSE;
	const GOptionEntry entries[] = {
		{ "archive", 'a', 0, G_OPTION_ARG_NONE, &archive, "keep owners and attributes, too",
		  NULL },
		{ "user", 'u', 0, G_OPTION_ARG_STRING, &user, "the guest's user", "NAME" },
		{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "show no progress", NULL },
		{ 0 },
	};
	g_autofree struct side *sides = NULL;
	int status;

	status = parse_options(&argc, &argv, "SOURCE... TARGET", summary, description, entries);
	if (!status && argc < 3)
		status = fail(EX_USAGE, "cp: what, and where to? say SOURCE and TARGET, as in: "
					"lodge cp notes.txt box:/root/");
	if (!status) {
		size_t n = (size_t)argc - 1;

		sides = g_new0(struct side, n);
		for (size_t i = 0; i < n; i++)
			sides[i] = parse_side(argv[i + 1]);
		status = cp(sides, n - 1, &sides[n - 1], user, quiet, archive);
		for (size_t i = 0; i < n; i++)
			side_clear(&sides[i]);
	}
	g_free(user);
	return status;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// Loads and changes the vm.conf of a folder; changes are checked before the file is replaced.
#include "host-vmm/conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "host-vmm/conf/locate.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/conf/words.h"
#include "protocol/lib/fd.h"

/* Of the folder: the file itself is another one after each change. */
int conf_file_lock(const char *dir, char **ret_message)
{
	autofd fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	while (!ret && flock(fd, LOCK_EX))
		ret = errno == EINTR ? 0 : -errno;
	if (!ret)
		return fd_steal(&fd);
	*ret_message = g_strdup_printf("%s: %s", dir, g_strerror(-ret));
	return ret;
}

int conf_file_read(const char *path, char **ret_text, size_t *ret_len, char **ret_message)
{
	g_autofree char *text = g_malloc(VM_CONF_BYTES_MAX + 2);
	autofd fd = -1;
	struct stat st = { 0 };
	ssize_t got;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	got = fd < 0 || fstat(fd, &st) ? -errno : 0;
	if (!got && !S_ISREG(st.st_mode))
		got = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (!got)
		got = fd_read_all(fd, text, VM_CONF_BYTES_MAX + 1);
	if (got < 0) {
		*ret_message = g_strdup_printf("%s: %s%s", path, g_strerror((int)-got),
					       got == -ENOENT
						       ? "; lodge create makes one"
						       : "; it must be a file that you may read");
		return (int)got;
	}
	text[got] = '\0';
	*ret_len = (size_t)got;
	*ret_text = g_steal_pointer(&text);
	return 0;
}

int conf_file_write(const char *path, const char *text, size_t len, char **ret_message)
{
	/* A symbolic link stays one: people keep their VMs' files elsewhere by it. */
	g_autofree char *resolved = realpath(path, NULL);
	const char *target = resolved ? resolved : path;
	g_autoptr(GError) error = NULL;
	struct stat st;
	int mode = 0644;

	if (!stat(target, &st))
		mode = (int)(st.st_mode & 0777);
	/* Over a temporary file and rename(2): a full disk leaves the old file as it was. */
	if (!g_file_set_contents_full(target, text, (gssize)len,
				      G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
				      mode, &error)) {
		*ret_message = g_strdup_printf("%s: %s; nothing was changed", path, error->message);
		return -EIO;
	}
	/* What the umask took of an old file's mode; the text is written all the same. */
	if (!stat(target, &st) && resolved && (int)(st.st_mode & 0777) != mode)
		(void)chmod(target, (mode_t)mode);
	return 0;
}

int vm_config_load(const char *dir, struct vm_config **ret_config, char **ret_message)
{
	g_autofree char *path = g_build_filename(dir, "vm.conf", NULL);
	g_autofree char *text = NULL;
	size_t len;
	int ret;

	*ret_config = NULL;
	*ret_message = NULL;
	ret = conf_file_read(path, &text, &len, ret_message);
	if (ret)
		return ret;
	return vm_config_parse(dir, path, text, len, ret_config, ret_message);
}

static bool has_control(const char *word)
{
	while (*word && !g_ascii_iscntrl(*word))
		word++;
	return *word;
}

/* "memory.size" is [memory] size; "disk.data.file" is [disk data] file. */
static int split_key(const char *word, char **ret_group, char **ret_key)
{
	const char *first = strchr(word, '.');
	const char *last = strrchr(word, '.');

	if (!first || first == word || !last[1])
		return -EINVAL;
	if (first == last) {
		*ret_group = g_strndup(word, (size_t)(first - word));
	} else {
		*ret_group = g_strdup_printf("%.*s %.*s", (int)(first - word), word,
					     (int)(last - first - 1), first + 1);
		g_strchomp(*ret_group);
	}
	*ret_key = g_strdup(last + 1);
	return 0;
}

/* "disk.data" without a key is the whole of [disk data]. */
static bool remove_whole_group(GKeyFile *file, const char *word)
{
	g_autofree char *group = g_strdup(word);

	*strchr(group, '.') = ' ';
	return g_key_file_remove_group(file, group, NULL);
}

static void apply(GKeyFile *file, const char *group, const char *key, const char *value)
{
	g_auto(GStrv) left = NULL;

	if (value) {
		vm_set_text(file, group, key, value);
		return;
	}
	g_key_file_remove_key(file, group, key, NULL);
	left = g_key_file_get_keys(file, group, NULL, NULL);
	if (left && !left[0])
		g_key_file_remove_group(file, group, NULL);
}

int vm_config_change(const char *dir, const char *path, const char *text, size_t len,
		     const char *word, const char *value, char **ret_text, size_t *ret_len,
		     char **ret_message)
{
	g_autoptr(GKeyFile) file = g_key_file_new();
	g_autofree char *group = NULL;
	g_autofree char *key = NULL;
	g_autofree char *made = NULL;
	struct vm_config *config;
	gsize made_len;
	int ret;

	*ret_message = NULL;
	if (has_control(word) || split_key(word, &group, &key) || strpbrk(group, "[]") ||
	    strpbrk(key, "=[]# ")) {
		g_autofree char *shown = conf_quote(word);

		*ret_message = g_strdup_printf("'%s' names no setting; say GROUP.KEY, such as "
					       "memory.size or disk.NAME.file",
					       shown);
		return -EINVAL;
	}
	/* The file must be sound before, too: what does not parse would be lost in writing. */
	ret = vm_config_parse(dir, path, text, len, &config, ret_message);
	vm_config_free(config);
	if (ret && len)
		return ret;
	g_clear_pointer(ret_message, g_free);
	g_key_file_load_from_data(file, text, len, G_KEY_FILE_KEEP_COMMENTS, NULL);
	if (value || !remove_whole_group(file, word))
		apply(file, group, key, value);
	made = g_key_file_to_data(file, &made_len, NULL);
	ret = vm_config_parse(dir, path, made, made_len, &config, ret_message);
	vm_config_free(config);
	if (ret)
		return ret;
	*ret_len = made_len;
	*ret_text = g_steal_pointer(&made);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
// vm.conf: values, defaults, faults with their lines, changes that keep comments.
#include <check.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/conf/file.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/conf/words.h"
#include "tests/unit/unit.h"

#define BOOT "[boot]\nkernel=/k\n"

static struct vm_config *parse(const char *text)
{
	struct vm_config *config;
	char *message;
	int ret = vm_config_parse("/vms/box", "vm.conf", text, strlen(text), &config, &message);

	ck_assert_msg(ret == 0, "%s", message);
	ck_assert_ptr_null(message);
	return config;
}

START_TEST(what_is_not_said_has_defaults)
{
	struct vm_config *config = parse(BOOT);

	ck_assert_str_eq(config->dir, "/vms/box");
	ck_assert_str_eq(config->name, "box");
	ck_assert_uint_eq(config->cpus, 1);
	ck_assert_uint_eq(config->memory, 1ull << 30);
	ck_assert_int_eq(config->hypervisor, VM_HYPERVISOR_LODGE);
	ck_assert_str_eq(config->append, "");
	ck_assert(!config->uuid.given);
	ck_assert_ptr_null(config->initrds[0]);
	ck_assert_str_eq(config->serial, "none");
	ck_assert_uint_eq(config->heads, 0);
	ck_assert_uint_eq(config->display_memory, 64ull << 20);
	ck_assert(config->balloon && config->rng && config->i8042 && config->legacy &&
		  !config->stop_on_reset);
	ck_assert(!config->dax_all && !config->shares_strict && !config->shares_host_locks);
	ck_assert(config->backdoor_ports);
	ck_assert_ptr_null(config->root);
	ck_assert_uint_eq(config->n_disks + config->n_shares + config->n_fs, 0);
	ck_assert_uint_eq(config->n_ports, 1); /* the tools' */
	vm_config_free(config);
	vm_config_free(NULL);
}
END_TEST

START_TEST(every_key_is_read)
{
	struct vm_config *config = parse(
		"# a comment\n"
		"[machine]\nuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8\n"
		"[cpu]\ncount = 4\nhypervisor=kvm\n"
		"[memory]\nsize=1.5G\n"
		"[boot]\nkernel=vmlinuz\ninitrd=a.img,/b.img\nappend=console=ttyS0 x=\"a b\"\n"
		"on-reset=stop\n"
		"[disk data]\nfile=../d.img\nread-only=yes\ndirect=on\nserial=0123456789abcdefghij\n"
		"[disk b]\nfile=/dev/sdb\n"
		"[share home dir]\npath=/home\nread-only=true\nowner=exact\n"
		"[root]\npath=/\n"
		"[fs mytag]\nsocket=fs.sock\n"
		"[display]\nheads=2\nmemory=128M\n"
		"[serial]\nbackend=file:logs/s.log\n"
		"[port org.x]\nbackend=fd:3,-1\n"
		"[port console]\nbackend=socket:c.sock\n"
		"[device]\nballoon=no\nrng=0\ni8042=off\nlegacy=no\n"
		"dax-files=all\nshares-cache=never\nshares-locks=host\n"
		"[backdoor]\nports=off\n");

	ck_assert_uint_eq(config->cpus, 4);
	ck_assert_int_eq(config->hypervisor, VM_HYPERVISOR_KVM);
	ck_assert_uint_eq(config->memory, 1536ull << 20);
	ck_assert_str_eq(config->kernel, "/vms/box/vmlinuz");
	ck_assert_str_eq(config->initrds[0], "/vms/box/a.img");
	ck_assert_str_eq(config->initrds[1], "/b.img");
	ck_assert_ptr_null(config->initrds[2]);
	ck_assert_str_eq(config->append, "console=ttyS0 x=\"a b\"");
	ck_assert(config->stop_on_reset);
	ck_assert_uint_eq(config->n_disks, 2);
	ck_assert_str_eq(config->disks[0].name, "data");
	ck_assert_str_eq(config->disks[0].file, "/vms/d.img");
	ck_assert_str_eq(config->disks[0].serial, "0123456789abcdefghij");
	ck_assert(config->disks[0].read_only && config->disks[0].direct);
	ck_assert(!config->disks[1].read_only && !config->disks[1].direct);
	ck_assert_uint_eq(config->n_shares, 1);
	ck_assert_str_eq(config->shares[0].name, "home dir");
	ck_assert(config->shares[0].rules.read_only);
	ck_assert_int_eq(config->shares[0].rules.owner.kind, VM_OWNER_EXACT);
	ck_assert_str_eq(config->root, "/");
	ck_assert_str_eq(config->fs[0].tag, "mytag");
	ck_assert_str_eq(config->fs[0].socket, "/vms/box/fs.sock");
	ck_assert_uint_eq(config->heads, 2);
	ck_assert_uint_eq(config->display_memory, 128ull << 20);
	ck_assert_str_eq(config->serial, "file:/vms/box/logs/s.log");
	ck_assert_uint_eq(config->n_ports, 3);
	ck_assert_str_eq(config->ports[2].name, "org.lodge.tools.0");
	ck_assert_str_eq(config->ports[2].backend, "tools");
	ck_assert_str_eq(config->ports[0].backend, "fd:3,-1");
	ck_assert_str_eq(config->ports[1].backend, "socket:/vms/box/c.sock");
	ck_assert(config->uuid.given);
	ck_assert_uint_eq(config->uuid.bytes[0], 0x6b);
	ck_assert_uint_eq(config->uuid.bytes[15], 0xc8);
	ck_assert(!config->balloon && !config->rng && !config->i8042 && !config->legacy);
	ck_assert(config->dax_all && config->shares_strict && config->shares_host_locks);
	ck_assert(!config->backdoor_ports);
	vm_config_free(config);
}
END_TEST

static const struct {
	const char *text;
	const char *message; /* what it begins with: file, line, group and key */
} faults[] = {
	{ "", "vm.conf: [boot] kernel is missing;" },
	{ "[cpu]\ncount=1\n", "vm.conf: [boot] kernel is missing;" },
	{ "[boot]\nappend=x\n", "vm.conf:1: [boot]: the key 'kernel' is missing;" },
	{ BOOT "[machine]\nuuid=\n", "vm.conf:4: [machine] uuid: '' will not do; give a UUID" },
	{ BOOT "[machine]\nuuid=00000000-0000-0000-0000-000000000000\n",
	  "vm.conf:4: [machine] uuid: '00000000-" },
	{ BOOT "[machine]\nuuid=6ba7b810-9dad-11d1-80b4-00c04fd430cg\n",
	  "vm.conf:4: [machine] uuid: '6ba7b810-" },
	{ BOOT "[cpu]\ncount=0\n", "vm.conf:4: [cpu] count: '0' will not do;" },
	{ BOOT "[display]\nheads=17\n", "vm.conf:4: [display] heads: '17' will not do;" },
	{ BOOT "[display]\nmemory=8M\n", "vm.conf:4: [display] memory: '8M' will not do;" },
	{ BOOT "[display]\nmemory=48M\n", "vm.conf:4: [display] memory: '48M' will not do;" },
	{ BOOT "[display]\nmemory=512M\n", "vm.conf:4: [display] memory: '512M' will not do;" },
	{ BOOT "[cpu]\ncount=65\n", "vm.conf:4: [cpu] count: '65' will not do;" },
	{ BOOT "[cpu]\ncount=-1\n", "vm.conf:4: [cpu] count: '-1' will not do;" },
	{ BOOT "[cpu]\n# x\n\ncount=\n", "vm.conf:6: [cpu] count: '' will not do;" },
	{ BOOT "[cpu]\nhypervisor=xen\n",
	  "vm.conf:4: [cpu] hypervisor: 'xen' will not do; say lodge, kvm or vmware" },
	{ BOOT "[device]\nshares-cache=always\n",
	  "vm.conf:4: [device] shares-cache: 'always' will not do; say auto or never" },
	{ BOOT "[device]\nshares-locks=\n",
	  "vm.conf:4: [device] shares-locks: '' will not do; say guest or host" },
	{ BOOT "[memory]\nsize=0\n", "vm.conf:4: [memory] size: '0' is too little" },
	{ BOOT "[memory]\nsize=1G5\n", "vm.conf:4: [memory] size: '1G5' is not a size;" },
	{ BOOT "[memory]\nsize=33554433\n",
	  "vm.conf:4: [memory] size: '33554433' is not a whole number of MiB; give 32M" },
	{ BOOT "[memory]\nsize=9999999T\n", "vm.conf:4: [memory] size: '9999999T' is more" },
	{ BOOT "on-reset=maybe\n", "vm.conf:3: [boot] on-reset: 'maybe' will not do;" },
	{ BOOT "initrd=a,,b\n", "vm.conf:3: [boot] initrd: 'a,,b' will not do;" },
	{ "[boot]\nkernel=\n", "vm.conf:2: [boot] kernel: '' will not do;" },
	{ BOOT "kernle=x\n", "vm.conf:3: [boot] kernle: there is no such key;" },
	{ BOOT "[bot]\nx=1\n", "vm.conf:3: [bot]: there is no such group;" },
	{ BOOT "[cpu 1]\ncount=1\n", "vm.conf:3: [cpu 1]: there is no such group;" },
	{ BOOT "[disk]\nfile=x\n", "vm.conf:3: [disk]: there is no such group;" },
	{ BOOT "[disk ]\nfile=x\n", "vm.conf:3: [disk ]: a disk's name is" },
	{ BOOT "[disk a/b]\nfile=x\n", "vm.conf:3: [disk a/b]: a disk's name is" },
	{ BOOT "[disk a]\ndirect=yes\n", "vm.conf:3: [disk a]: the key 'file' is missing;" },
	{ BOOT "[disk a]\nfile=x\nserial=012345678901234567890\n", "vm.conf:5: [disk a] serial:" },
	{ BOOT "[disk a]\nfile=x\nread-only=perhaps\n", "vm.conf:5: [disk a] read-only:" },
	{ BOOT "[share ..]\npath=/\n", "vm.conf:3: [share ..]: a share's name is" },
	{ BOOT "[share a/b]\npath=/\n", "vm.conf:3: [share a/b]: a share's name is" },
	{ BOOT "[share a]\npath=/\nowner=me\n", "vm.conf:5: [share a] owner: 'me' will not do;" },
	{ BOOT "[fs 0123456789012345678901234567890123456]\nsocket=s\n", "vm.conf:3: [fs 0123" },
	{ BOOT "[serial]\nbackend=com1\n", "vm.conf:4: [serial] backend: 'com1' will not do;" },
	{ BOOT "[serial]\nbackend=fd:\n", "vm.conf:4: [serial] backend: 'fd:' will not do;" },
	{ BOOT "[serial]\nbackend=fd:1,2,3\n", "vm.conf:4: [serial] backend:" },
	{ BOOT "[serial]\nbackend=fd:-12\n", "vm.conf:4: [serial] backend:" },
	{ BOOT "[serial]\nbackend=file:\n", "vm.conf:4: [serial] backend:" },
	{ BOOT "[port ]\nbackend=pty\n", "vm.conf:3: [port ]: a port's name is" },
	{ BOOT "hello\n", "vm.conf:3: 'hello' is neither [group] nor key=value;" },
	{ "x=1\n" BOOT, "vm.conf:1: 'x=1' stands before the first group;" },
	{ BOOT "[cpu]\ncount=1\ncount=2\n", "vm.conf:5: key 'count' is given twice in [cpu];" },
	{ BOOT "[boot]\nkernel=/k\n", "vm.conf:3: group [boot] is given twice;" },
	{ BOOT "[cpu\ncount=1\n", "vm.conf:3: '[cpu' is neither" },
	{ BOOT "[a[b]]\n", "vm.conf:3: '[a[b]]': a group's name cannot hold brackets;" },
	{ BOOT "append=\xff\n", "vm.conf:3: the line is not UTF-8" },
	{ BOOT "append=\\q\n", "vm.conf:3: [boot] append: a \\ stands before" },
	{ BOOT "a\x1b[31m\n", "vm.conf:3: 'a?[31m' is neither" },
};

START_TEST(faults_name_file_line_and_key)
{
	const char *text = faults[_i].text, *expected = faults[_i].message;
	struct vm_config *config;
	char *message;

	ck_assert_int_eq(vm_config_parse("/v", "vm.conf", text, strlen(text), &config, &message),
			 -EINVAL);
	ck_assert_ptr_null(config);
	ck_assert_msg(g_str_has_prefix(message, expected), "'%s' is not '%s'", message, expected);
	ck_assert_ptr_null(strchr(message, '\n'));
	g_free(message);
}
END_TEST

START_TEST(nul_bytes_and_huge_files_are_refused)
{
	g_autofree char *huge = g_strnfill(VM_CONF_BYTES_MAX + 1, '\n');
	struct vm_config *config;
	char *message;

	ck_assert_int_eq(
		vm_config_parse("/v", "c", "[boot]\nkernel=/k\0x\n", 19, &config, &message),
		-EINVAL);
	g_free(message);
	ck_assert_int_eq(vm_config_parse("/v", "c", huge, VM_CONF_BYTES_MAX + 1, &config, &message),
			 -EFBIG);
	g_free(message);
}
END_TEST

START_TEST(lists_are_bounded)
{
	GString *text = g_string_new(BOOT);
	struct vm_config *config;
	char *message;

	for (int i = 0; i < VM_DISKS_MAX; i++)
		g_string_append_printf(text, "[disk d%d]\nfile=x\n", i);
	vm_config_free(parse(text->str));
	g_string_append(text, "[disk more]\nfile=x\n");
	ck_assert_int_eq(vm_config_parse("/v", "c", text->str, text->len, &config, &message),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(message, "more than 16 disks"));
	g_free(message);
	g_string_free(text, TRUE);
}
END_TEST

static const struct {
	const char *text;
	int ret;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0, 0 },
	{ "4096", 0, 4096 },
	{ "4096K", 0, 4096 << 10 },
	{ "512M", 0, 512ull << 20 },
	{ "512m", 0, 512ull << 20 },
	{ "512MiB", 0, 512ull << 20 },
	{ "512MB", 0, 512ull << 20 },
	{ "1.5G", 0, 3ull << 29 },
	{ "0.5T", 0, 1ull << 39 },
	{ "9223372036854775807", 0, INT64_MAX },
	{ "9223372036854775808", -ERANGE, 0 },
	{ "8388608T", -ERANGE, 0 },
	{ "99999999999999999999999999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "M", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "+1", -EINVAL, 0 },
	{ " 1", -EINVAL, 0 },
	{ "1 G", -EINVAL, 0 },
	{ "1.", -EINVAL, 0 },
	{ ".5G", -EINVAL, 0 },
	{ "1.5", -EINVAL, 0 },
	{ "1.5.5G", -EINVAL, 0 },
	{ "1.G", -EINVAL, 0 },
	{ "1E", -EINVAL, 0 },
	{ "1GG", -EINVAL, 0 },
	{ "0x10", -EINVAL, 0 },
	{ "1.0000000001G", -EINVAL, 0 },
};

START_TEST(sizes_parse)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(vm_parse_size(sizes[_i].text, &bytes), sizes[_i].ret);
	ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

START_TEST(sizes_come_back_from_text)
{
	static const uint64_t values[] = { 0, 1, 1023, 1024, 3ull << 29, 1ull << 40, INT64_MAX };

	for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
		g_autofree char *text = vm_format_size(values[i]);
		uint64_t bytes;

		ck_assert_int_eq(vm_parse_size(text, &bytes), 0);
		ck_assert_uint_eq(bytes, values[i]);
	}
}
END_TEST

START_TEST(names)
{
	g_autofree char *longest = g_strnfill(255, 'x');
	g_autofree char *longer = g_strnfill(256, 'x');
	g_autofree char *vm_longer = g_strnfill(VM_NAME_MAX + 1, 'x');

	ck_assert_int_eq(vm_check_name("box-1_a.b"), 0);
	ck_assert_int_eq(vm_check_name(""), -EINVAL);
	ck_assert_int_eq(vm_check_name(".x"), -EINVAL);
	ck_assert_int_eq(vm_check_name("-x"), -EINVAL);
	ck_assert_int_eq(vm_check_name("a/b"), -EINVAL);
	ck_assert_int_eq(vm_check_name("a b"), -EINVAL);
	ck_assert_int_eq(vm_check_name("\xc3\xa9"), -EINVAL);
	ck_assert_int_eq(vm_check_name(vm_longer), -EINVAL);
	ck_assert_int_eq(vm_check_share_name("a b"), 0);
	ck_assert_int_eq(vm_check_share_name("\xc3\xa9t\xc3\xa9"), 0);
	ck_assert_int_eq(vm_check_share_name(longest), 0);
	ck_assert_int_eq(vm_check_share_name(longer), -EINVAL);
	ck_assert_int_eq(vm_check_share_name(""), -EINVAL);
	ck_assert_int_eq(vm_check_share_name("."), -EINVAL);
	ck_assert_int_eq(vm_check_share_name(".."), -EINVAL);
	ck_assert_int_eq(vm_check_share_name("..."), 0);
	ck_assert_int_eq(vm_check_share_name("a/b"), -EINVAL);
	ck_assert_int_eq(vm_check_share_name("a\nb"), -EINVAL);
	ck_assert_int_eq(vm_check_share_name("\xff"), -EINVAL);
}
END_TEST

static char *change(const char *text, const char *word, const char *value, char **ret_message)
{
	char *made = NULL;
	size_t len;
	int ret = vm_config_change("/v", "c", text, strlen(text), word, value, &made, &len,
				   ret_message);

	ck_assert_int_eq(ret == 0, made != NULL);
	ck_assert_int_eq(ret == 0, *ret_message == NULL);
	return made;
}

START_TEST(changes_keep_comments)
{
	static const char text[] = "# mine\n\n[memory]\n# enough\nsize=1G\n\n" BOOT;
	g_autofree char *message = NULL;
	g_autofree char *made = change(text, "memory.size", "2G", &message);

	ck_assert_ptr_nonnull(made);
	ck_assert_ptr_nonnull(strstr(made, "# mine\n"));
	ck_assert_ptr_nonnull(strstr(made, "# enough\nsize=2G\n"));
}
END_TEST

START_TEST(changes_make_and_remove_groups)
{
	g_autofree char *message = NULL;
	g_autofree char *made = change(BOOT, "disk.my.data.file", "a b.img", &message);
	g_autofree char *read_only = NULL;
	g_autofree char *gone = NULL;
	struct vm_config *config;

	config = parse(made);
	ck_assert_str_eq(config->disks[0].name, "my.data");
	ck_assert_str_eq(config->disks[0].file, "/vms/box/a b.img");
	vm_config_free(config);
	read_only = change(made, "disk.my.data.read-only", "yes", &message);
	/* The file is what a disk cannot be without: the group goes as a whole. */
	gone = change(read_only, "disk.my.data", NULL, &message);
	config = parse(gone);
	ck_assert_uint_eq(config->n_disks, 0);
	vm_config_free(config);
}
END_TEST

START_TEST(bad_changes_change_nothing)
{
	static const char *const changes[][2] = {
		{ "memory.size", "0" },	     { "memory", "1G" },       { "memory.", "1G" },
		{ ".size", "1G" },	     { "nothing.size", "1G" }, { "memory.colour", "red" },
		{ "disk.a.direct", "yes" },  { "boot.kernel", NULL },  { "a]b.c", "1" },
		{ "a.b\nc", "1" },	     { "memory.s=x", "1G" },   { "disk.a\tb.file", "/x" },
		{ "memory.size\x1f", "1G" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
		g_autofree char *message = NULL;
		g_autofree char *made = change(BOOT, changes[i][0], changes[i][1], &message);

		ck_assert_msg(!made, "%s was taken", changes[i][0]);
	}
}
END_TEST

/* People write "key = value " and mean no blank, but a folder's name may end with one. */
START_TEST(blanks_at_the_end)
{
	static const char text[] = BOOT "append=quiet \t\n[root]\npath=/r\\s \n";
	struct vm_config *config = parse(text);
	g_autofree char *message = NULL;
	static const char *const values[] = { "/a ", "/ b \t ", " ", "/c\\ ", "/d" };

	ck_assert_str_eq(config->append, "quiet");
	ck_assert_str_eq(config->root, "/r ");
	vm_config_free(config);
	for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
		g_autofree char *changed = change(BOOT, "boot.append", values[i], &message);

		config = parse(changed);
		ck_assert_str_eq(config->append, values[i]);
		vm_config_free(config);
	}
}
END_TEST

/* Of @path, which has @text then. */
static unsigned int write_conf(const char *path, const char *text)
{
	g_autofree char *message = NULL;
	g_autofree char *back = NULL;
	struct stat st;
	size_t len;

	ck_assert_int_eq(conf_file_write(path, text, strlen(text), &message), 0);
	ck_assert_int_eq(conf_file_read(path, &back, &len, &message), 0);
	ck_assert_str_eq(back, text);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

START_TEST(modes_and_links_are_kept)
{
	char dir[] = "/tmp/vmconf-XXXXXX";
	g_autofree char *path = NULL;
	g_autofree char *link = NULL;
	g_autofree char *at = NULL;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	path = g_build_filename(dir, "kept.conf", NULL);
	link = g_build_filename(dir, "vm.conf", NULL);
	umask(022);
	ck_assert_uint_eq(write_conf(path, BOOT), 0644);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_uint_eq(write_conf(path, "private"), 0600);
	ck_assert_int_eq(chmod(path, 0660), 0);
	ck_assert_uint_eq(write_conf(path, "the group's"), 0660);
	ck_assert_int_eq(symlink("kept.conf", link), 0);
	ck_assert_uint_eq(write_conf(link, "by the link"), 0660);
	at = g_file_read_link(link, NULL);
	ck_assert_str_eq(at, "kept.conf");
	g_unlink(link);
	g_unlink(path);
	ck_assert_int_eq(g_rmdir(dir), 0);
}
END_TEST

START_TEST(files_are_loaded_and_replaced)
{
	char dir[] = "/tmp/vmconf-XXXXXX";
	g_autofree char *path = NULL;
	g_autofree char *made = NULL;
	g_autofree char *message = NULL;
	struct vm_config *config;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(vm_config_load(dir, &config, &message), -ENOENT);
	g_clear_pointer(&message, g_free);
	path = g_build_filename(dir, "vm.conf", NULL);
	ck_assert(g_file_set_contents(path, BOOT, -1, NULL));
	made = change(BOOT, "cpu.count", "3", &message);
	ck_assert_int_eq(conf_file_write(path, made, strlen(made), &message), 0);
	ck_assert_int_eq(vm_config_load(dir, &config, &message), 0);
	ck_assert_uint_eq(config->cpus, 3);
	vm_config_free(config);
	g_unlink(path);
	/* A folder in the file's place is an error and not a wait. */
	ck_assert_int_eq(g_mkdir(path, 0700), 0);
	ck_assert_int_eq(vm_config_load(dir, &config, &message), -EISDIR);
	g_rmdir(path);
	g_rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmconf");
	TCase *tcase = tcase_create("vmconf");

	tcase_add_test(tcase, what_is_not_said_has_defaults);
	tcase_add_test(tcase, every_key_is_read);
	tcase_add_loop_test(tcase, faults_name_file_line_and_key, 0, G_N_ELEMENTS(faults));
	tcase_add_test(tcase, nul_bytes_and_huge_files_are_refused);
	tcase_add_test(tcase, lists_are_bounded);
	tcase_add_loop_test(tcase, sizes_parse, 0, G_N_ELEMENTS(sizes));
	tcase_add_test(tcase, sizes_come_back_from_text);
	tcase_add_test(tcase, names);
	tcase_add_test(tcase, changes_keep_comments);
	tcase_add_test(tcase, changes_make_and_remove_groups);
	tcase_add_test(tcase, bad_changes_change_nothing);
	tcase_add_test(tcase, blanks_at_the_end);
	tcase_add_test(tcase, modes_and_links_are_kept);
	tcase_add_test(tcase, files_are_loaded_and_replaced);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

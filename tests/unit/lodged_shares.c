// SPDX-License-Identifier: GPL-2.0-or-later
// The host's shares in a guest: what is mounted where, when lodged mounts, and the links that it
// keeps.
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/lodged/shares.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

/* A system in a folder; its "mounts" are lines of a file. */
struct fake {
	char *folder, *virtio, *filesystems, *mountinfo, *node, *mnt, *media, *place;
	struct shares_system system;
};

/* What the callbacks see of it, which have no argument for it. */
struct ways {
	struct fake *fake;
	int mount_error, mounts, loads, seals, places;
	bool no_virtiofs;
};

static struct ways *ways(void)
{
	static struct ways ways;

	return &ways;
}

static void write_text(const char *path, const char *text)
{
	ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static int fake_mount(const char *path)
{
	g_autofree char *line =
		g_strdup_printf("1 0 0:1 / %s rw shared:1 - virtiofs lodge rw\n", path);

	ways()->mounts++;
	if (!ways()->mount_error)
		write_text(ways()->fake->mountinfo, line);
	return ways()->mount_error;
}

static bool fake_is_read_only(const char *path)
{
	return strstr(path, "sealed") != NULL;
}

static void fake_seal(const char *path)
{
	g_autofree char *line = g_strdup_printf("2 1 0:1 /s %s ro - virtiofs lodge rw\n", path);
	g_autofree char *text = NULL;
	g_autofree char *both = NULL;

	ways()->seals++;
	ck_assert(g_file_get_contents(ways()->fake->mountinfo, &text, NULL, NULL));
	both = g_strconcat(text, line, NULL);
	write_text(ways()->fake->mountinfo, both);
}

static void fake_load(void)
{
	ways()->loads++;
	if (!ways()->no_virtiofs)
		write_text(ways()->fake->filesystems, "nodev\tvirtiofs\n");
}

static void fake_make_place(const char *path)
{
	(void)path;
	ways()->places++;
}

static void add_device(struct fake *fake, const char *id)
{
	g_autofree char *device = g_build_filename(fake->virtio, "virtio3", NULL);
	g_autofree char *path = g_build_filename(device, "device", NULL);

	ck_assert_int_eq(g_mkdir_with_parents(device, 0755), 0);
	write_text(path, id);
}

static void setup(struct fake *fake)
{
	fake->folder = g_dir_make_tmp("shares-XXXXXX", NULL);
	ck_assert_ptr_nonnull(fake->folder);
	fake->virtio = g_build_filename(fake->folder, "virtio", NULL);
	fake->filesystems = g_build_filename(fake->folder, "filesystems", NULL);
	fake->mountinfo = g_build_filename(fake->folder, "mountinfo", NULL);
	fake->node = g_build_filename(fake->folder, "node", NULL);
	fake->mnt = g_build_filename(fake->folder, "mnt", NULL);
	fake->media = g_build_filename(fake->folder, "media", NULL);
	fake->place = g_build_filename(fake->folder, "place", NULL);
	ck_assert_int_eq(mkdir(fake->mnt, 0755), 0);
	ck_assert_int_eq(mkdir(fake->place, 0755), 0);
	write_text(fake->filesystems, "nodev\tproc\n");
	write_text(fake->mountinfo, "1 0 0:1 / / rw - ext4 /dev/vda rw\n");
	fake->system = (struct shares_system){
		.virtio = fake->virtio,
		.filesystems = fake->filesystems,
		.mountinfo = fake->mountinfo,
		.node = fake->node,
		.events = fake->node,
		.mnt = fake->mnt,
		.media = fake->media,
		.mount = fake_mount,
		.load = fake_load,
		.make_place = fake_make_place,
		.is_read_only = fake_is_read_only,
		.seal = fake_seal,
	};
	*ways() = (struct ways){ .fake = fake };
}

static void teardown(struct fake *fake)
{
	g_autofree char *command = g_strdup_printf("rm -r '%s'", fake->folder);
	char **texts[] = { &fake->folder, &fake->virtio, &fake->filesystems, &fake->mountinfo,
			   &fake->node,	  &fake->mnt,	 &fake->media,	     &fake->place };

	ck_assert_int_eq(system(command), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(*texts[i]);
}

/* The field of the answer, g_free(); NULL: it has none. */
static char *look(struct fake *fake, const struct shares_wish *wish, const char *field)
{
	struct fields_builder fields = FIELDS_BUILDER(8192);
	char *value;

	shares_look(&fake->system, wish, &fields);
	ck_assert_int_eq(fields_done(&fields), 0);
	ck_assert_int_eq(fields_check(fields.bytes, fields.len), 0);
	ck_assert_str_eq(fields_get(fields.bytes, fields.len, "part"), "shares");
	value = g_strdup(fields_get(fields.bytes, fields.len, field));
	fields_free(&fields);
	return value;
}

static void assert_why(struct fake *fake, const char *part)
{
	const struct shares_wish wish = { .place = fake->place };
	g_autofree char *why = look(fake, &wish, "why");

	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, part) != NULL, "%s", why);
}

START_TEST(nothing_is_mounted_without_a_device)
{
	struct fake fake;

	setup(&fake);
	assert_why(&fake, "no device");
	add_device(&fake, "0x0001\n");
	assert_why(&fake, "no device");
	ck_assert_int_eq(ways()->mounts + ways()->loads, 0);
	teardown(&fake);
}
END_TEST

START_TEST(the_module_is_loaded_and_the_device_mounted_once)
{
	struct fake fake;

	setup(&fake);
	add_device(&fake, "0x001a\n");
	for (int i = 0; i < 2; i++) {
		const struct shares_wish wish = { .place = fake.place };
		g_autofree char *mount = look(&fake, &wish, "mount");
		g_autofree char *by = look(&fake, &wish, "by");

		ck_assert_str_eq(mount, fake.place);
		ck_assert_str_eq(by, "virtiofs");
	}
	ck_assert_int_eq(ways()->mounts, 1);
	ck_assert_int_eq(ways()->loads, 1);
	teardown(&fake);
}
END_TEST

static enum shares_next look_next(struct fake *fake)
{
	const struct shares_wish wish = { .place = fake->place };
	struct fields_builder fields = FIELDS_BUILDER(8192);
	enum shares_next next = shares_look(&fake->system, &wish, &fields);

	fields_free(&fields);
	return next;
}

START_TEST(without_virtiofs_it_is_for_mount_lodge)
{
	g_autofree char *line = NULL;
	struct fake fake;

	setup(&fake);
	ways()->no_virtiofs = true;
	ck_assert_int_eq(look_next(&fake), SHARES_NOTHING);
	add_device(&fake, "0x001a\n");
	ck_assert_int_eq(look_next(&fake), SHARES_BY_RPC);
	ck_assert_int_eq(ways()->loads, 1);
	write_text(fake.node, "");
	ck_assert_int_eq(look_next(&fake), SHARES_BY_LODGE_FS);
	ck_assert_int_eq(ways()->places, 2);
	ck_assert_int_eq(ways()->mounts, 0);
	/* What mount.lodge has for itself is no place for people. */
	write_text(fake.mountinfo, "1 0 0:9 / /run/lodge-fs/lodge rw - fuse.lodge lodge rw\n");
	ck_assert_int_eq(look_next(&fake), SHARES_BY_LODGE_FS);
	line = g_strdup_printf("1 0 0:9 / %s rw - fuse.lodge-rpc lodge rw\n", fake.place);
	write_text(fake.mountinfo, line);
	ck_assert_int_eq(look_next(&fake), SHARES_NOTHING);
	teardown(&fake);
}
END_TEST

START_TEST(what_is_in_the_way_is_said)
{
	g_autofree char *taken = NULL;
	struct fake fake;

	setup(&fake);
	add_device(&fake, "0x001a\n");
	ways()->mount_error = -ENODEV;
	assert_why(&fake, "no virtiofs");
	ways()->mount_error = -EACCES;
	assert_why(&fake, "Permission denied");
	ways()->mount_error = -EXDEV;
	assert_why(&fake, "mounts of its own");
	taken = g_strdup_printf("1 0 0:1 / %s rw - ext4 /dev/vdb rw\n", fake.place);
	write_text(fake.mountinfo, taken);
	assert_why(&fake, "is taken: ext4");
	ck_assert_int_eq(ways()->mounts, 3);
	teardown(&fake);
}
END_TEST

START_TEST(a_mount_by_somebody_else_is_used)
{
	struct shares_wish wish = { .place = NULL };
	g_autofree char *line = NULL;
	g_autofree char *why = NULL;
	g_autofree char *mount = NULL;
	struct fake fake;

	setup(&fake);
	add_device(&fake, "0x001a\n");
	why = look(&fake, &wish, "why");
	ck_assert_str_eq(why, "tools.conf says so: shares.mount");
	line = g_strdup_printf("1 0 0:1 / %s rw - virtiofs lodge rw\n", fake.mnt);
	write_text(fake.mountinfo, line);
	wish.place = fake.place;
	mount = look(&fake, &wish, "mount");
	ck_assert_str_eq(mount, fake.mnt);
	ck_assert_int_eq(ways()->mounts, 0);
	teardown(&fake);
}
END_TEST

static bool link_leads(const char *folder, const char *name, const char *place, const char *share)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autofree char *target = g_file_read_link(path, NULL);
	g_autofree char *wanted = share ? g_build_filename(place, share, NULL) : g_strdup(place);

	return target && !strcmp(target, wanted);
}

START_TEST(links_follow_the_shares)
{
	struct shares_wish wish = { .link_hgfs = true, .link_sf = true };
	struct fake fake;
	g_autofree char *docs = NULL, *taken = NULL, *shared = NULL;

	setup(&fake);
	add_device(&fake, "0x001a\n");
	wish.place = fake.place;
	docs = g_build_filename(fake.place, "my docs", NULL);
	shared = g_build_filename(fake.place, "taken", NULL);
	taken = g_build_filename(fake.media, "sf_taken", NULL);
	ck_assert_int_eq(mkdir(docs, 0755) | mkdir(shared, 0755) | mkdir(fake.media, 0755), 0);
	ck_assert_int_eq(mkdir(taken, 0755), 0);
	g_free(look(&fake, &wish, "mount"));
	ck_assert(link_leads(fake.mnt, "hgfs", fake.place, NULL));
	ck_assert(link_leads(fake.media, "sf_my docs", fake.place, "my docs"));
	ck_assert(g_file_test(taken, G_FILE_TEST_IS_DIR));
	/* A share goes. */
	ck_assert_int_eq(rmdir(docs), 0);
	g_free(look(&fake, &wish, "mount"));
	ck_assert(!link_leads(fake.media, "sf_my docs", fake.place, "my docs"));
	/* They are not wanted any more; what is not ours stays. */
	wish.link_hgfs = wish.link_sf = false;
	g_free(look(&fake, &wish, "mount"));
	ck_assert(!link_leads(fake.mnt, "hgfs", fake.place, NULL));
	ck_assert(g_file_test(taken, G_FILE_TEST_IS_DIR));
	teardown(&fake);
}
END_TEST

START_TEST(a_read_only_share_is_sealed_once)
{
	const char *const names[] = { "sealed", "open", "sealed-too" };
	struct fake fake;

	setup(&fake);
	add_device(&fake, "0x001a\n");
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(fake.place, names[i], NULL);

		ck_assert_int_eq(mkdir(path, 0755), 0);
	}
	for (int i = 0; i < 2; i++) {
		const struct shares_wish wish = { .place = fake.place };
		g_autofree char *mount = look(&fake, &wish, "mount");

		ck_assert_str_eq(mount, fake.place);
	}
	ck_assert_int_eq(ways()->mounts, 1);
	ck_assert_int_eq(ways()->seals, 2);
	teardown(&fake);
}
END_TEST

/* In a child: 0, or what went wrong. */
static int leave(void)
{
	struct stat own, first;
	int ret;

	if (unshare(CLONE_NEWNS))
		return 0; /* not for this user */
	ret = shares_leave_namespace();
	if (ret)
		return ret == -EXDEV ? 0 : 1;
	if (stat("/proc/self/ns/mnt", &own) || stat("/proc/1/ns/mnt", &first))
		return 0; /* then there was nothing to compare before, either */
	return own.st_ino == first.st_ino ? 0 : 2;
}

START_TEST(a_namespace_of_its_own_is_left)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(leave());
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(lines_of_mountinfo)
{
	static const char text[] =
		"cut off\n"
		"22 1 0:20 / /proc rw,nosuid shared:12 - proc proc rw\n"
		"36 35 0:30 /sub /a rw - virtiofs lodge rw\n"
		"37 35 0:30 / /b\\040c rw master:1 propagate_from:2 - virtiofs lodge rw\n"
		"38 35 0:31 / /d rw - virtiofs root rw\n"
		"39 35 0:32 / /e rw - ext4 lodge rw\n"
		"40 35 0:33 / /f";
	g_autofree struct mount_line *line = g_new0(struct mount_line, 1);

	ck_assert(mounts_find_shares(text, line));
	ck_assert_str_eq(line->point, "/b c");
	ck_assert(mounts_find_point(text, "/e", line));
	ck_assert_str_eq(line->type, "ext4");
	ck_assert(!mounts_find_point(text, "/f", line));
	ck_assert(!mounts_find_shares("", line));
	ck_assert_ptr_null(mounts_transport("ext4"));
}
END_TEST

START_TEST(the_host_nudges_and_is_told)
{
	g_autofree char *said = NULL;
	const char *told;
	struct rig rig;

	/* Nothing is to be mounted: tests run on real systems. */
	rig_up(&rig, "[shares]\nmount=\n");
	said = rig_ask(&rig, "lodge.shares");
	ck_assert_str_eq(said, "OK ");
	g_free(rig_ask(&rig, "reset"));
	told = rig_request(&rig, "lodge.facts part=shares");
	ck_assert_str_eq(told, "lodge.facts part=shares");
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_shares");
	TCase *tcase = tcase_create("shares");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nothing_is_mounted_without_a_device);
	tcase_add_test(tcase, the_module_is_loaded_and_the_device_mounted_once);
	tcase_add_test(tcase, without_virtiofs_it_is_for_mount_lodge);
	tcase_add_test(tcase, what_is_in_the_way_is_said);
	tcase_add_test(tcase, a_mount_by_somebody_else_is_used);
	tcase_add_test(tcase, links_follow_the_shares);
	tcase_add_test(tcase, a_read_only_share_is_sealed_once);
	tcase_add_test(tcase, a_namespace_of_its_own_is_left);
	tcase_add_test(tcase, lines_of_mountinfo);
	tcase_add_test(tcase, the_host_nudges_and_is_told);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

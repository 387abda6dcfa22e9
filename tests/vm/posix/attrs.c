// SPDX-License-Identifier: GPL-2.0-or-later
// Attributes: modes, owners, times, privilege bits, extended attributes, space of the file system.
#include "tests/vm/posix/conform.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static mode_t mode_of(struct conform *c, const char *name)
{
	struct stat st;

	good(lstat(name, &st));
	return st.st_mode & 07777;
}

static void modes(struct conform *c)
{
	put_file(c, "f", "x");
	check(mode_of(c, "f") == 0644);
	for (unsigned int mode = 0; mode < 01000; mode += 0111) {
		good(chmod("f", mode));
		check(mode_of(c, "f") == mode);
	}
	good(mkdir("d", 01777));
	check(mode_of(c, "d") == 01755);
	good(chmod("d", 01777));
	check(mode_of(c, "d") == 01777);
	fails(ENOENT, chmod("none", 0600));
	good(chmod("f", 0755));
	good(access("f", R_OK | W_OK | X_OK));
	good(chmod("f", 0644));
	fails(EACCES, access("f", X_OK));
}

static void owners(struct conform *c)
{
	struct stat st;

	put_file(c, "f", "x");
	good(chown("f", (uid_t)-1, (gid_t)-1));
	if (geteuid())
		skip("only root gives files away");
	if (chown("f", 1234, 4321) && errno == EPERM)
		skip("the server may not give files away");
	good(stat("f", &st));
	check(st.st_uid == 1234 && st.st_gid == 4321);
	good(symlink("f", "s"));
	good(lchown("s", 77, 78));
	good(lstat("s", &st));
	check(st.st_uid == 77 && st.st_gid == 78);
	good(stat("s", &st));
	check(st.st_uid == 1234);
	fails(ENOENT, chown("none", 0, 0));
}

static int write_byte(void)
{
	int fd = open("p", O_WRONLY | O_CLOEXEC);

	return fd < 0 || pwrite(fd, "y", 1, 0) != 1 ? -1 : close(fd);
}

static int create_in_group_dir(void)
{
	int fd = open("g/new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 02755);

	return fd < 0 ? -1 : close(fd);
}

static void privilege_bits(struct conform *c)
{
	struct stat st;

	if (geteuid())
		skip("needs root to become another user");
	put_file(c, "p", "x");
	if (chown("p", 1000, 1000))
		skip("the server may not give files away");
	good(chmod(".", 0777));
	good(chmod("p", 06755));
	check(mode_of(c, "p") == 06755);
	check(user_error(1000, 1000, write_byte()) == 0);
	check(mode_of(c, "p") == 0755);
	good(chmod("p", 06755));
	check(user_error(1000, 1000, truncate("p", 0)) == 0);
	check(mode_of(c, "p") == 0755);
	good(chmod("p", 06755));
	good(chown("p", 1001, 1001));
	check(mode_of(c, "p") == 0755);

	good(mkdir("g", 0777));
	good(chown("g", 0, 555));
	good(chmod("g", 02777));
	check(user_error(1000, 1000, create_in_group_dir()) == 0);
	good(stat("g/new", &st));
	check(st.st_uid == 1000 && st.st_gid == 555);
	check(!(st.st_mode & S_ISGID)); /* not a member of the group */
	good(mkdir("g/sub", 0755));
	good(stat("g/sub", &st));
	check(st.st_gid == 555 && st.st_mode & S_ISGID);
}

static int allocate_it(void)
{
	int fd = open("p", O_WRONLY | O_CLOEXEC);

	return fd < 0 || fallocate(fd, 0, 0, 8192) ? -1 : close(fd);
}

/* struct vfs_cap_data of linux/capability.h: revision 2, CAP_NET_RAW permitted and effective. */
static const uint32_t some_capability[5] = { 0x02000001, 1 << 13 };

static void give_capability(struct conform *c)
{
	char back[64];

	if (setxattr("p", "security.capability", some_capability, sizeof(some_capability), 0))
		skip("the server may not give capabilities to files");
	check(getxattr("p", "security.capability", back, sizeof(back)) == sizeof(some_capability));
}

static void has_no_capability(struct conform *c)
{
	char back[64];

	fails(ENODATA, getxattr("p", "security.capability", back, sizeof(back)));
}

/* They fall with what changes the file's bytes or owner, whoever does it. */
static void capabilities_of_files(struct conform *c)
{
	if (geteuid())
		skip("needs root");
	put_file(c, "p", "x");
	if (chown("p", 1000, 1000))
		skip("the server may not give files away");
	good(chmod(".", 0777));
	give_capability(c);
	check(user_error(1000, 1000, write_byte()) == 0);
	has_no_capability(c);
	give_capability(c);
	check(user_error(1000, 1000, truncate("p", 0)) == 0);
	has_no_capability(c);
	give_capability(c);
	good(chown("p", 1001, 1001));
	has_no_capability(c);
	/* Names that a server which renames attributes would take for its own; tmpfs has none
	 * before Linux 6.6. */
	if (setxattr("p", "user.virtiofs.security.capability", some_capability,
		     sizeof(some_capability), 0))
		check(errno == EOPNOTSUPP);
	has_no_capability(c);
}

static void privileges_and_space(struct conform *c)
{
	int ret;

	if (geteuid())
		skip("needs root to become another user");
	put_file(c, "p", "x");
	if (chown("p", 1000, 1000))
		skip("the server may not give files away");
	good(chmod(".", 0777));
	good(chmod("p", 06755));
	ret = user_error(1000, 1000, allocate_it());
	if (ret == EOPNOTSUPP)
		skip("no fallocate(2) here");
	check(ret == 0);
	check(mode_of(c, "p") == 0755);
}

static void permissions(struct conform *c)
{
	if (geteuid())
		skip("needs root to become another user");
	put_file(c, "p", "secret");
	good(chmod("p", 0600));
	check(user_error(1000, 1000, open("p", O_RDONLY) < 0) == EACCES);
	good(mkdir("closed", 0755));
	check(user_error(1000, 1000, mkdir("closed/x", 0755)) == EACCES);
	good(mkdir("sticky", 0777));
	good(chmod("sticky", 01777));
	put_file(c, "sticky/f", "");
	check(user_error(1000, 1000, unlink("sticky/f")) == EPERM);
}

static void times(struct conform *c)
{
	struct timespec set[2] = { { 1000000000, 123456789 }, { 1234567890, 987654321 } };
	struct stat before;
	struct stat st;

	put_file(c, "f", "x");
	good(utimensat(AT_FDCWD, "f", set, 0));
	good(stat("f", &st));
	check(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 1234567890);
	check(st.st_mtim.tv_nsec == 987654321 || st.st_mtim.tv_nsec == 0);
	set[0].tv_nsec = UTIME_OMIT;
	set[1].tv_nsec = UTIME_NOW;
	good(utimensat(AT_FDCWD, "f", set, 0));
	before = st;
	good(stat("f", &st));
	check(st.st_atim.tv_sec == before.st_atim.tv_sec && st.st_mtim.tv_sec > 1234567890);
	set[1] = (struct timespec){ -100, 0 }; /* 1969 */
	if (!utimensat(AT_FDCWD, "f", set, 0)) {
		good(stat("f", &st));
		check(st.st_mtim.tv_sec == -100 || st.st_mtim.tv_sec == 0);
	}
	good(symlink("f", "s"));
	set[0] = set[1] = (struct timespec){ 1111111111, 0 };
	good(utimensat(AT_FDCWD, "s", set, AT_SYMLINK_NOFOLLOW));
	good(lstat("s", &st));
	check(st.st_mtim.tv_sec == 1111111111);
}

static void xattrs(struct conform *c)
{
	const char *name = "user.lodge";
	char big[4000];
	char got[4096];
	ssize_t len;

	put_file(c, "f", "x");
	if (setxattr("f", name, "value", 5, 0)) {
		if (errno == EOPNOTSUPP && !geteuid())
			name = "security.lodge"; /* tmpfs before Linux 6.6 */
		if (setxattr("f", name, "value", 5, 0))
			skip("no extended attributes here");
	}
	check(getxattr("f", name, NULL, 0) == 5);
	check(getxattr("f", name, got, sizeof(got)) == 5 && !memcmp(got, "value", 5));
	fails(ERANGE, getxattr("f", name, got, 2));
	fails(ENODATA, getxattr("f", "security.none", got, sizeof(got)));
	fails(EEXIST, setxattr("f", name, "x", 1, XATTR_CREATE));
	good(setxattr("f", name, "", 0, XATTR_REPLACE));
	check(getxattr("f", name, got, sizeof(got)) == 0);
	len = listxattr("f", got, sizeof(got));
	check(len > 0 && memmem(got, (size_t)len, name, strlen(name) + 1));
	check(listxattr("f", NULL, 0) == len);
	memset(big, 'b', sizeof(big));
	if (!setxattr("f", name, big, sizeof(big), 0))
		check(getxattr("f", name, got, sizeof(got)) == sizeof(big));
	good(removexattr("f", name));
	fails(ENODATA, removexattr("f", name));
	fails(ENODATA, setxattr("f", name, "x", 1, XATTR_REPLACE));
	good(mkdir("d", 0755));
	good(setxattr("d", name, "dir", 3, 0));
	check(getxattr("d", name, got, sizeof(got)) == 3);
}

static void space(struct conform *c)
{
	struct statvfs st;

	good(statvfs(".", &st));
	check(st.f_bsize && st.f_frsize && st.f_blocks >= st.f_bfree && st.f_namemax == 255);
}

static void flags(struct conform *c)
{
	int flags_now = 0;
	int fd;

	put_file(c, "f", "x");
	fd = open("f", O_RDONLY | O_CLOEXEC);
	fails(ENOTTY, ioctl(fd, 0x5401 /* TCGETS */, &flags_now));
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags_now))
		skip("no file flags here");
	flags_now |= FS_NODUMP_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags_now))
		skip("file flags cannot be set here");
	good(ioctl(fd, FS_IOC_GETFLAGS, &flags_now));
	check(flags_now & FS_NODUMP_FL);
	close(fd);
}

const struct conform_case conform_attrs[] = {
	{ "modes", modes },
	{ "owners", owners },
	{ "privilege-bits", privilege_bits },
	{ "file-capabilities", capabilities_of_files },
	{ "privileges-and-space", privileges_and_space },
	{ "permissions", permissions },
	{ "times", times },
	{ "xattrs", xattrs },
	{ "statvfs", space },
	{ "file-flags", flags },
	{ NULL, NULL },
};

// SPDX-License-Identifier: GPL-2.0-or-later
// Who may: sticky folders, owners and groups, privilege bits that go, umask and default access
// lists.
#include "tests/vm/posix/conform.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define ANN  1000
#define BOB  1001
#define TEAM 2000

static void need_users(struct conform *c)
{
	if (geteuid())
		skip("needs root to become another user");
	put_file(c, "probe", "");
	if (chown("probe", ANN, ANN))
		skip("the server may not give files away");
	good(unlink("probe"));
	good(chmod(".", 0777));
}

static void give_file(struct conform *c, const char *name, uid_t owner, mode_t mode)
{
	put_file(c, name, "text");
	good(chown(name, owner, owner));
	good(chmod(name, mode));
}

static void give_dir(struct conform *c, const char *name, uid_t owner, mode_t mode)
{
	good(mkdir(name, 0755));
	good(chown(name, owner, owner));
	good(chmod(name, mode));
}

/* In a sticky folder names go by the hand of the file's owner, the folder's owner, and root. */
static void sticky(struct conform *c)
{
	need_users(c);
	give_dir(c, "public", 0, 01777);
	give_dir(c, "anns", ANN, 01777);
	give_file(c, "public/file", ANN, 0666);
	give_dir(c, "public/dir", ANN, 0777);
	give_file(c, "anns/file", BOB, 0666);
	give_file(c, "bobs", BOB, 0666);
	check(user_error(BOB, BOB, unlink("public/file")) == EPERM);
	check(user_error(BOB, BOB, rmdir("public/dir")) == EPERM);
	check(user_error(BOB, BOB, rename("public/file", "public/other")) == EPERM);
	check(user_error(BOB, BOB, rename("public/dir", "public/other")) == EPERM);
	check(user_error(BOB, BOB, rename("bobs", "public/file")) == EPERM);
	check(user_error(ANN, ANN, rename("public/dir", "public/dir2")) == 0);
	check(user_error(ANN, ANN, rename("public/file", "public/file2")) == 0);
	check(user_error(ANN, ANN, unlink("public/file2")) == 0);
	check(user_error(ANN, ANN, rmdir("public/dir2")) == 0);
	check(user_error(ANN, ANN, unlink("anns/file")) == 0); /* the folder is hers */
	/* A folder that moves to another parent changes itself: its "..". */
	give_dir(c, "roots", 0, 0755);
	check(user_error(ANN, ANN, rename("roots", "public/roots")) == EACCES);
	check(user_error(ANN, ANN, rename("roots", "roots2")) == 0);
}

static mode_t mode_of(struct conform *c, const char *name)
{
	struct stat st;

	good(lstat(name, &st));
	return st.st_mode & 07777;
}

static int with_groups(int (*run)(void))
{
	static const gid_t groups[] = { TEAM };
	pid_t child = fork();

	if (!child) {
		if (setgroups(1, groups) || setgid(ANN) || setuid(ANN))
			_exit(255);
		_exit(run() ? errno : 0);
	}
	return user_end(child);
}

static int to_team(void)
{
	return chown("f", ANN, TEAM);
}

static int to_team_kept(void)
{
	return chown("f", -1, TEAM);
}

static int set_gid_bit(void)
{
	return chmod("f", 02755);
}

static void owners_may(struct conform *c)
{
	struct stat st;

	need_users(c);
	give_file(c, "f", ANN, 0644);
	check(user_error(ANN, ANN, chown("f", BOB, -1)) == EPERM);
	check(user_error(ANN, ANN, chown("f", -1, TEAM)) == EPERM);
	check(user_error(ANN, ANN, chown("f", ANN, ANN)) == 0);
	check(user_error(BOB, BOB, chown("f", ANN, ANN)) == EPERM);
	good(chmod("f", 06755));
	check(with_groups(to_team) == 0);
	good(stat("f", &st));
	check(st.st_gid == TEAM && (st.st_mode & 07777) == 0755);
	good(chmod("f", 06755));
	check(with_groups(to_team_kept) == 0);
	check(mode_of(c, "f") == 0755);
	/* The bit of a group that one is not in. */
	good(chown("f", ANN, BOB));
	check(user_error(ANN, ANN, chmod("f", 02755)) == 0);
	check(mode_of(c, "f") == 0755);
	good(chown("f", ANN, TEAM));
	check(with_groups(set_gid_bit) == 0);
	check(mode_of(c, "f") == 02755);
	/* Of a fifo, too, and by root's hand. */
	good(mkfifo("p", 0600));
	good(chmod("p", 06755));
	good(chown("p", ANN, TEAM));
	check(mode_of(c, "p") == 0755);
	give_dir(c, "d", ANN, 0755);
	check(user_error(ANN, ANN, chmod("d", 01777)) == 0);
	check(mode_of(c, "d") == 01777);
	/* A link's own owner. */
	good(symlink("f", "s"));
	good(lchown("s", ANN, ANN));
	check(user_error(BOB, BOB, lchown("s", BOB, BOB)) == EPERM);
}

static int write_it(void)
{
	int fd = open("f", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "x", 1) != 1 ? -1 : close(fd);
}

static int write_nothing(void)
{
	int fd = open("f", O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "", 0) != 0 ? -1 : close(fd);
}

static int cut_open(void)
{
	int fd = open("f", O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd < 0 ? -1 : close(fd);
}

/* By whoever changes the bytes, its owner included; the group's bit stays where it means no right
 * to run. */
static void bits_go(struct conform *c)
{
	static int (*const how[])(void) = { write_it, cut_open };

	need_users(c);
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		static const mode_t before[] = { 04777, 02777, 06777, 02767 };
		static const mode_t after[] = { 0777, 0777, 0777, 02767 };

		for (size_t j = 0; j < 4; j++) {
			give_file(c, "f", ANN, before[j]);
			check(user_error(BOB, BOB, how[i]()) == 0);
			check(mode_of(c, "f") == after[j] ||
			      (j == 3 && mode_of(c, "f") == 0767)); /* Linux from 6.2 on */
			good(unlink("f"));
		}
		give_file(c, "f", ANN, 06777);
		check(user_error(ANN, ANN, how[i]()) == 0);
		check(mode_of(c, "f") == 0777);
		good(unlink("f"));
	}
	give_file(c, "f", ANN, 06777);
	check(user_error(BOB, BOB, write_nothing()) == 0);
	check(mode_of(c, "f") == 06777);
	check(user_error(BOB, BOB, utimensat(AT_FDCWD, "f", NULL, 0)) == 0);
	check(mode_of(c, "f") == 06777);
}

/* New files have their maker's ids, but for the group of a folder with its set-group-id bit. */
static void new_owners(struct conform *c)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct stat st;

	need_users(c);
	give_dir(c, "team", 0, 0777);
	good(chown("team", 0, TEAM));
	for (int set_gid = 0; set_gid < 2; set_gid++) {
		good(chmod("team", set_gid ? 02777 : 0777));
		good(chdir("team"));
		check(user_error(ANN, ANN, close(open("a", O_CREAT | O_WRONLY, 0666))) == 0);
		check(user_error(ANN, ANN, mkdir("b", 0777)) == 0);
		check(user_error(ANN, ANN, mkfifo("c", 0666)) == 0);
		check(user_error(ANN, ANN, symlink("x", "d")) == 0);
		check(user_error(ANN, ANN, mknod("e", S_IFSOCK | 0666, 0)) == 0);
		for (size_t i = 0; i < 5; i++) {
			good(lstat(names[i], &st));
			check(st.st_uid == ANN);
			check(st.st_gid == (set_gid ? TEAM : ANN));
			if (!S_ISLNK(st.st_mode))
				check((st.st_mode & 07777) ==
				      (mode_t)(S_ISDIR(st.st_mode) ? 0755 | (set_gid ? 02000 : 0)
								   : 0644));
			good(S_ISDIR(st.st_mode) ? rmdir(names[i]) : unlink(names[i]));
		}
		good(chdir(".."));
	}
}

struct acl {
	struct posix_acl_xattr_header head;
	struct posix_acl_xattr_entry entries[5];
};

static const struct acl team_writes = {
	{ POSIX_ACL_XATTR_VERSION },
	{ { ACL_USER_OBJ, 7, (uint32_t)-1 },
	  { ACL_GROUP_OBJ, 5, (uint32_t)-1 },
	  { ACL_GROUP, 7, TEAM },
	  { ACL_MASK, 7, (uint32_t)-1 },
	  { ACL_OTHER, 0, (uint32_t)-1 } },
};

/* A folder's default list takes the umask's place. */
static void access_lists(struct conform *c)
{
	char list[256];

	need_users(c);
	good(mkdir("d", 0755));
	if (setxattr("d", "system.posix_acl_default", &team_writes, sizeof(team_writes), 0)) {
		check(errno == EOPNOTSUPP);
		skip("no access control lists here");
	}
	check(getxattr("d", "system.posix_acl_default", list, sizeof(list)) == sizeof(team_writes));
	umask(077);
	put_file(c, "d/f", "");
	umask(022);
	check(mode_of(c, "d/f") == 0660 || mode_of(c, "d/f") == 0640);
	check(getxattr("d/f", "system.posix_acl_access", list, sizeof(list)) ==
	      sizeof(team_writes));
	good(chmod("d/f", 0600));
	check(mode_of(c, "d/f") == 0600);
	good(mkdir("d/sub", 0777));
	check(getxattr("d/sub", "system.posix_acl_default", list, sizeof(list)) ==
	      sizeof(team_writes));
	put_file(c, "g", "text");
	good(chmod("g", 0600));
	check(user_error(ANN, TEAM, open("g", O_RDONLY) < 0) == EACCES);
	good(setxattr("g", "system.posix_acl_access", &team_writes, sizeof(team_writes), 0));
	check(user_error(ANN, TEAM, open("g", O_RDONLY) < 0) == 0);
	check(user_error(BOB, BOB, open("g", O_RDONLY) < 0) == EACCES);
	check(mode_of(c, "g") == 0770);
	good(removexattr("g", "system.posix_acl_access"));
}

const struct conform_case conform_users[] = {
	{ "sticky", sticky },	      { "owners-may", owners_may },	{ "bits-go", bits_go },
	{ "new-owners", new_owners }, { "access-lists", access_lists }, { NULL, NULL },
};

// SPDX-License-Identifier: GPL-2.0-or-later
// Data: reading, writing, mapping, holes, space, copies, files without a name, locks.
#include "tests/vm/posix/conform.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1 << 20)

static int make(struct conform *c, const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(fd >= 0);
	return fd;
}

static void read_write(struct conform *c)
{
	uint8_t *out = malloc(3 * MIB);
	uint8_t *in = malloc(3 * MIB);
	int fd = make(c, "f");

	check(out && in);
	for (size_t i = 0; i < 3 * MIB; i++)
		out[i] = (uint8_t)(i * 7 + i / 4096);
	check(pwrite(fd, out, 3 * MIB, 12345) == 3 * MIB);
	check(pread(fd, in, 3 * MIB, 12345) == 3 * MIB && !memcmp(in, out, 3 * MIB));
	check(pread(fd, in, 12345, 0) == 12345 && !in[0] && !in[12344]);
	check(pread(fd, in, 10, 12345 + 3 * MIB) == 0);
	check(pread(fd, in, 10, 12345 + 3 * MIB - 3) == 3);
	fails(EINVAL, pread(fd, in, 1, -1));
	fails(EINVAL, pwrite(fd, in, 1, -1));
	good(fsync(fd));
	good(fdatasync(fd));
	good(close(fd));
	fd = open("f", O_RDONLY | O_CLOEXEC);
	fails(EBADF, write(fd, out, 1));
	check(pread(fd, in, 3 * MIB, 12345) == 3 * MIB && !memcmp(in, out, 3 * MIB));
	good(close(fd));
	fd = open("f", O_WRONLY | O_CLOEXEC);
	fails(EBADF, read(fd, in, 1));
	good(close(fd));
	free(out);
	free(in);
}

static void vectors(struct conform *c)
{
	char a[3];
	char b[5];
	struct iovec out[] = { { (char *)"abc", 3 }, { (char *)"", 0 }, { (char *)"defgh", 5 } };
	struct iovec in[] = { { a, 3 }, { b, 5 } };
	int fd = make(c, "f");

	check(pwritev(fd, out, 3, 100) == 8);
	check(preadv(fd, in, 2, 100) == 8 && !memcmp(a, "abc", 3) && !memcmp(b, "defgh", 5));
	close(fd);
}

static void append(struct conform *c)
{
	int one = open("f", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int two = open("f", O_WRONLY | O_APPEND | O_CLOEXEC);

	check(one >= 0 && two >= 0);
	for (int i = 0; i < 3; i++) {
		check(write(one, "1", 1) == 1);
		check(write(two, "2", 1) == 1);
	}
	close(one);
	close(two);
	is_file(c, "f", "121212");
}

static void truncates(struct conform *c)
{
	struct stat st;
	char buffer[8] = "";
	int fd;

	put_file(c, "f", "0123456789");
	good(truncate("f", 4));
	is_file(c, "f", "0123");
	good(truncate("f", 8));
	fd = open("f", O_RDWR | O_CLOEXEC);
	check(read(fd, buffer, 8) == 8 && !memcmp(buffer, "0123\0\0\0\0", 8));
	good(ftruncate(fd, 2));
	good(fstat(fd, &st));
	check(st.st_size == 2);
	fails(EINVAL, ftruncate(fd, -1));
	close(fd);
	fd = open("f", O_WRONLY | O_TRUNC | O_CLOEXEC);
	good(fstat(fd, &st));
	check(st.st_size == 0);
	close(fd);
	fails(EISDIR, truncate(".", 0));
	fails(ENOENT, truncate("none", 0));
}

static void unlinked_open(struct conform *c)
{
	struct stat st;
	char buffer[8];
	int fd = make(c, "f");

	check(write(fd, "still", 5) == 5);
	good(unlink("f"));
	fails(ENOENT, stat("f", &st));
	good(fstat(fd, &st));
	check(st.st_nlink == 0 && st.st_size == 5);
	check(pread(fd, buffer, 8, 0) == 5 && !memcmp(buffer, "still", 5));
	check(pwrite(fd, "here", 4, 5) == 4);
	good(ftruncate(fd, 3));
	good(fchmod(fd, 0600));
	put_file(c, "f", "new");
	check(pread(fd, buffer, 8, 0) == 3);
	close(fd);
	is_file(c, "f", "new");
}

static void mode_while_open(struct conform *c)
{
	char buffer[8];
	int fd = open("f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0);

	check(fd >= 0); /* the mode is for later opens */
	check(write(fd, "x", 1) == 1);
	good(fchmod(fd, 0444));
	check(write(fd, "y", 1) == 1);
	check(pread(fd, buffer, 8, 0) == 2);
	close(fd);
}

static void mapped(struct conform *c)
{
	char buffer[8];
	char *map;
	int fd = make(c, "f");

	good(ftruncate(fd, 10000));
	map = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED);
	memcpy(map + 5000, "mapped", 6);
	good(msync(map, 10000, MS_SYNC));
	check(pread(fd, buffer, 6, 5000) == 6 && !memcmp(buffer, "mapped", 6));
	check(pwrite(fd, "written", 7, 100) == 7);
	check(!memcmp(map + 100, "written", 7));
	good(munmap(map, 10000));
	close(fd);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, 10000, PROT_READ, MAP_PRIVATE, fd, 0);
	check(map != MAP_FAILED && !memcmp(map + 5000, "mapped", 6));
	munmap(map, 10000);
	close(fd);
	fd = open("f", O_RDWR | O_APPEND | O_CLOEXEC); /* pages know their place all the same */
	map = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(map != MAP_FAILED);
	map[1] = 'm';
	good(msync(map, 10000, MS_SYNC));
	check(lseek(fd, 0, SEEK_END) == 10000);
	munmap(map, 10000);
	close(fd);
}

static void sparse(struct conform *c)
{
	const off_t tib = (off_t)1 << 40;
	struct stat st;
	char buffer[4];
	int fd = make(c, "f");

	if (ftruncate(fd, tib) && errno == EFBIG)
		skip("the file system has no files of 1 TiB");
	good(fstat(fd, &st));
	check(st.st_size == tib && st.st_blocks < 1000);
	check(pwrite(fd, "end", 3, tib - 3) == 3);
	check(pread(fd, buffer, 4, tib - 3) == 3 && !memcmp(buffer, "end", 3));
	check(pread(fd, buffer, 4, tib / 2) == 4 && !buffer[0]);
	good(fstat(fd, &st));
	check(st.st_blocks <= 8192); /* what a mapping of 2 MiB may take */
	close(fd);
}

static void holes(struct conform *c)
{
	int fd = make(c, "f");

	good(ftruncate(fd, 4 * MIB));
	check(pwrite(fd, "x", 1, 2 * MIB) == 1);
	good(fsync(fd));
	if (lseek(fd, 0, SEEK_DATA) == 0)
		skip("holes are not told from data here");
	check(lseek(fd, 0, SEEK_DATA) == 2 * MIB);
	check(lseek(fd, 0, SEEK_HOLE) == 0);
	check(lseek(fd, 2 * MIB, SEEK_HOLE) > 2 * MIB);
	fails(ENXIO, lseek(fd, 4 * MIB, SEEK_DATA));
	fails(ENXIO, lseek(fd, 3 * MIB, SEEK_DATA));
	fails(EINVAL, lseek(fd, 0, 99));
	check(lseek(fd, 0, SEEK_END) == 4 * MIB);
	close(fd);
}

static void space(struct conform *c)
{
	char buffer[4];
	struct stat st;
	int fd = make(c, "f");

	if (fallocate(fd, 0, 0, MIB) && errno == EOPNOTSUPP)
		skip("fallocate(2) is not supported");
	good(fstat(fd, &st));
	check(st.st_size == MIB && st.st_blocks >= MIB / 512);
	good(fallocate(fd, FALLOC_FL_KEEP_SIZE, MIB, MIB));
	good(fstat(fd, &st));
	check(st.st_size == MIB);
	check(pwrite(fd, "data", 4, 8192) == 4);
	good(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096));
	check(pread(fd, buffer, 4, 8192) == 4 && !buffer[0] && !buffer[3]);
	fails(EINVAL, fallocate(fd, 0, 0, 0));
	fails(EINVAL, fallocate(fd, 0, -1, 1));
	fails(EOPNOTSUPP, fallocate(fd, 0x4000, 0, 4096));
	close(fd);
	fd = open("f", O_RDONLY | O_CLOEXEC);
	fails(EBADF, fallocate(fd, 0, 0, 4096));
	close(fd);
}

static void copies(struct conform *c)
{
	off_t from = 2;
	off_t to = 1;
	int in;
	int out = make(c, "out");

	put_file(c, "in", "0123456789");
	in = open("in", O_RDONLY | O_CLOEXEC);
	check(write(out, "abcdefgh", 8) == 8);
	check(copy_file_range(in, &from, out, &to, 4, 0) == 4);
	check(from == 6 && to == 5);
	is_file(c, "out", "a2345fgh");
	fails(EINVAL, copy_file_range(in, &from, out, &to, 4, 1));
	fails(EBADF, copy_file_range(out, &from, in, &to, 4, 0));
	from = 100;
	check(copy_file_range(in, &from, out, &to, 4, 0) == 0);
	close(in);
	close(out);
}

static void nameless(struct conform *c)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	struct stat st;

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		skip("no O_TMPFILE here");
	check(fd >= 0);
	check(write(fd, "tmp", 3) == 3);
	good(fstat(fd, &st));
	check(st.st_nlink == 0 && (st.st_mode & 0777) == 0640);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	good(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	close(fd);
	is_file(c, "named", "tmp");
}

static int locked_in_child(const char *name, short type)
{
	int status;
	pid_t child = fork();

	if (!child) {
		struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 10 };
		int fd = open(name, O_RDWR | O_CLOEXEC);

		_exit(fcntl(fd, F_SETLK, &lock) == -1 ? errno : 0);
	}
	return child > 0 && waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1;
}

static int flocked_in_child(const char *name, int how)
{
	int status;
	pid_t child = fork();

	if (!child) {
		int fd = open(name, O_RDWR | O_CLOEXEC);

		_exit(flock(fd, how | LOCK_NB) == -1 ? errno : 0);
	}
	return child > 0 && waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1;
}

static void locks(struct conform *c)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100 };
	int fd = make(c, "f");

	good(fcntl(fd, F_SETLK, &lock));
	check(locked_in_child("f", F_RDLCK) == EAGAIN || locked_in_child("f", F_RDLCK) == EACCES);
	lock.l_type = F_RDLCK;
	good(fcntl(fd, F_SETLKW, &lock));
	check(locked_in_child("f", F_RDLCK) == 0);
	check(locked_in_child("f", F_WRLCK) != 0);
	lock.l_type = F_UNLCK;
	good(fcntl(fd, F_SETLK, &lock));
	check(locked_in_child("f", F_WRLCK) == 0);
	lock.l_type = F_WRLCK;
	good(fcntl(fd, F_GETLK, &lock));
	check(lock.l_type == F_UNLCK);
	lock.l_type = F_WRLCK;
	good(fcntl(fd, F_SETLK, &lock));
	close(fd); /* releases */
	check(locked_in_child("f", F_WRLCK) == 0);

	fd = open("f", O_RDWR | O_CLOEXEC);
	good(flock(fd, LOCK_EX));
	check(flocked_in_child("f", LOCK_SH) == EWOULDBLOCK);
	good(flock(fd, LOCK_SH));
	check(flocked_in_child("f", LOCK_SH) == 0);
	good(flock(fd, LOCK_UN));
	check(flocked_in_child("f", LOCK_EX) == 0);
	close(fd);
}

const struct conform_case conform_data[] = {
	{ "read-write", read_write },
	{ "vectors", vectors },
	{ "append", append },
	{ "truncate", truncates },
	{ "unlinked-open", unlinked_open },
	{ "mode-while-open", mode_while_open },
	{ "mapped", mapped },
	{ "sparse-1-tib", sparse },
	{ "holes", holes },
	{ "fallocate", space },
	{ "copy-file-range", copies },
	{ "tmpfile", nameless },
	{ "locks", locks },
	{ NULL, NULL },
};

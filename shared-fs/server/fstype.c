// SPDX-License-Identifier: GPL-2.0-or-later
/* File systems by the numbers that statfs(2) gives, asked in a thread that may be left waiting. */
#include "shared-fs/server/fstype.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include "protocol/lib/thread.h"
#include "shared-fs/server/workers.h"

/* Not in linux/magic.h of all supported systems; fs/ceph/super.h, fs/9p/v9fs.h and friends. */
#define CEPH_MAGIC     0x00c36400
#define CONFIGFS_MAGIC 0x62656570
#define FUSE_MAGIC     0x65735546
#define SMB2_MAGIC     0xfe534d42u
#define CIFS_MAGIC     0xff534d42u

#define PATIENCE_S 1

static bool is_one_of(uint32_t type, const uint32_t *types, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (type == types[i])
			return true;
	}
	return false;
}

static enum fs_kind kind_of(uint32_t type)
{
	static const uint32_t pseudo[] = {
		PROC_SUPER_MAGIC,    SYSFS_MAGIC,    DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC,    EFIVARFS_MAGIC, BPF_FS_MAGIC,  CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, CONFIGFS_MAGIC, PSTOREFS_MAGIC
	};
	static const uint32_t remote[] = { NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, AFS_SUPER_MAGIC,
					   AFS_FS_MAGIC,    V9FS_MAGIC,	     CODA_SUPER_MAGIC,
					   CEPH_MAGIC,	    FUSE_MAGIC,	     SMB2_MAGIC,
					   CIFS_MAGIC };

	if (is_one_of(type, pseudo, sizeof(pseudo) / sizeof(pseudo[0])))
		return FS_PSEUDO;
	return is_one_of(type, remote, sizeof(remote) / sizeof(remote[0])) ? FS_REMOTE : FS_LOCAL;
}

enum fs_kind fd_kind(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) ? FS_LOCAL : kind_of((uint32_t)st.f_type);
}

static void ask_here(int fd, struct folder_facts *ret_facts)
{
	struct folder_facts facts = { .local = true };
	struct statfs st;
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) ||
	    faccessat(fd, ".", R_OK | X_OK, AT_EACCESS))
		facts.error = -errno;
	if (!fstatfs(fd, &st)) {
		facts.local = kind_of((uint32_t)st.f_type) != FS_REMOTE;
		facts.large_pages = (uint32_t)st.f_type == TMPFS_MAGIC;
	}
	*ret_facts = facts;
}

struct question {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	int fd;
	bool done, nobody_waits;
	struct folder_facts facts;
};

static void question_free(struct question *question)
{
	pthread_cond_destroy(&question->answered);
	pthread_mutex_destroy(&question->lock);
	free(question);
}

static void *ask(void *arg)
{
	struct question *question = arg;
	struct folder_facts facts;
	bool nobody_waits;

	ask_here(question->fd, &facts);
	pthread_mutex_lock(&question->lock);
	question->facts = facts;
	question->done = true;
	nobody_waits = question->nobody_waits;
	pthread_cond_signal(&question->answered);
	pthread_mutex_unlock(&question->lock);
	if (nobody_waits)
		question_free(question);
	return NULL;
}

static struct question *question_new(int fd)
{
	struct question *question = calloc(1, sizeof(*question));
	pthread_condattr_t attr;

	if (!question)
		return NULL;
	question->fd = fd;
	pthread_mutex_init(&question->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&question->answered, &attr);
	pthread_condattr_destroy(&attr);
	return question;
}

/* False where no answer comes in time, and the thread has the question. */
static bool wait_for(struct question *question)
{
	struct timespec end;
	bool done;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&question->lock);
	while (!question->done &&
	       pthread_cond_timedwait(&question->answered, &question->lock, &end) != ETIMEDOUT)
		;
	done = question->done;
	question->nobody_waits = !done;
	pthread_mutex_unlock(&question->lock);
	return done;
}

void folder_ask(int fd, struct folder_facts *ret_facts)
{
	struct question *question = question_new(fd);
	pthread_t thread;

	if (!question || thread_start(&thread, SERVER_STACK_SIZE, 0, ask, question)) {
		if (question)
			question_free(question);
		ask_here(fd, ret_facts);
		return;
	}
	if (!wait_for(question)) {
		pthread_detach(thread);
		*ret_facts = (struct folder_facts){ .silent = true };
		return;
	}
	pthread_join(thread, NULL);
	*ret_facts = question->facts;
	question_free(question);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake front end and driver. */
#include "tests/unit/fsd_harness.h"

#include <check.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

#define RING_STRIDE 0x10000
#define AVAIL_AT    0x4000
#define USED_AT	    0x8000
#define WAIT_MS	    20000

static uint8_t *ring_at(struct fsd_rig *rig, unsigned int queue, size_t offset)
{
	return rig->memory + RIG_RINGS + queue * RING_STRIDE + offset;
}

/* As lodge-fsd's loop does: time is limited for a message that has begun, not between two. */
static void *back_end(void *arg)
{
	struct fsd_rig *rig = arg;
	struct pollfd polled = { .fd = rig->server_socket, .events = POLLIN };
	int ret;

	do {
		poll(&polled, 1, -1);
		ret = backend_message(rig->backend);
	} while (ret >= 0);
	rig->end_status = ret;
	backend_disconnect(rig->backend);
	return NULL;
}

int fsd_rig_message(struct fsd_rig *rig, uint32_t request, const void *payload, uint32_t size,
		    const int *fds, size_t n_fds, void *reply, uint32_t reply_size)
{
	struct vhost_user_header header = { request, VHOST_USER_VERSION, size };
	uint8_t bytes[sizeof(header) + sizeof(union vhost_user_payload)];

	memcpy(bytes, &header, sizeof(header));
	if (size)
		memcpy(bytes + sizeof(header), payload, size);
	if (fd_send(rig->socket, bytes, sizeof(header) + size, fds, n_fds))
		return -1;
	if (!reply)
		return 0;
	if (fd_read_all(rig->socket, &header, sizeof(header)) != (ssize_t)sizeof(header))
		return -1;
	ck_assert_uint_eq(header.request, request);
	ck_assert_uint_eq(header.size, reply_size);
	return fd_read_all(rig->socket, reply, reply_size) == (ssize_t)reply_size ? 0 : -1;
}

static void say_u64(struct fsd_rig *rig, uint32_t request, uint64_t value, int fd)
{
	ck_assert_int_eq(
		fsd_rig_message(rig, request, &value, sizeof(value), &fd, fd >= 0, NULL, 0), 0);
}

static void say_state(struct fsd_rig *rig, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_vring_state state = { index, num };

	ck_assert_int_eq(fsd_rig_message(rig, request, &state, sizeof(state), NULL, 0, NULL, 0), 0);
}

static void send_memory(struct fsd_rig *rig)
{
	struct vhost_user_mem_table table = { .n_regions = 1 };

	table.regions[0] =
		(struct vhost_user_mem_region){ RIG_GUEST_BASE, RIG_MEMORY, RIG_USER_BASE, 0 };
	ck_assert_int_eq(fsd_rig_message(rig, VHOST_USER_SET_MEM_TABLE, &table,
					 8 + sizeof(table.regions[0]), &rig->memory_fd, 1, NULL, 0),
			 0);
}

static void start_queue(struct fsd_rig *rig, uint32_t i)
{
	uint64_t base = RIG_USER_BASE + RIG_RINGS + i * RING_STRIDE;
	struct vhost_user_vring_addr addr = {
		.index = i, .descriptor = base, .available = base + AVAIL_AT, .used = base + USED_AT
	};

	memset(ring_at(rig, i, 0), 0, RING_STRIDE);
	rig->avail[i] = 0;
	rig->used[i] = 0;
	say_state(rig, VHOST_USER_SET_VRING_NUM, i, RIG_QUEUE_SIZE);
	say_state(rig, VHOST_USER_SET_VRING_BASE, i, 0);
	ck_assert_int_eq(fsd_rig_message(rig, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL,
					 0, NULL, 0),
			 0);
	say_u64(rig, VHOST_USER_SET_VRING_CALL, i, rig->call[i]);
	say_u64(rig, VHOST_USER_SET_VRING_ERR, i, rig->err[i]);
	say_u64(rig, VHOST_USER_SET_VRING_KICK, i, rig->kick[i]);
	say_state(rig, VHOST_USER_SET_VRING_ENABLE, i, 1);
}

void fsd_rig_start_queues(struct fsd_rig *rig)
{
	uint64_t features;

	ck_assert_int_eq(fsd_rig_message(rig, VHOST_USER_GET_FEATURES, NULL, 0, NULL, 0, &features,
					 sizeof(features)),
			 0);
	ck_assert(features >> VIRTIO_F_VERSION_1 & 1);
	say_u64(rig, VHOST_USER_SET_FEATURES, features, -1);
	send_memory(rig);
	for (uint32_t i = 0; i < RIG_QUEUES; i++)
		start_queue(rig, i);
}

void fsd_rig_stop_queues(struct fsd_rig *rig)
{
	for (uint32_t i = 0; i < RIG_QUEUES; i++) {
		struct vhost_user_vring_state state = { i, 0 };

		ck_assert_int_eq(fsd_rig_message(rig, VHOST_USER_GET_VRING_BASE, &state,
						 sizeof(state), NULL, 0, &state, sizeof(state)),
				 0);
	}
}

static void begin_session(struct fsd_rig *rig, bool classic)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
				   .minor = FUSE_KERNEL_MINOR_VERSION,
				   .max_readahead = 131072,
				   .flags = INT32_MAX };
	struct fuse_init_out out;

	if (classic)
		in.flags &= ~(uint32_t)(FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT);
	ck_assert_int_eq(fsd_call(rig, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.major, FUSE_KERNEL_VERSION);
}

static void make_back_end(struct fsd_rig *rig, const struct fsd_rig_options *options, int socket)
{
	struct fs_config config = options->config;
	int fd;

	if (!config.fd_limit)
		config.fd_limit = 1000;
	ck_assert_int_eq(fs_create(&config, &rig->fs), 0);
	rig->fs->switch_ids = options->switch_ids;
	fd = open(rig->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(fs_share_add(rig->fs, "share", fd, options->read_only, &options->owner,
				      !options->synthetic_root),
			 0);
	ck_assert_int_eq(backend_create(rig->fs, "tag", &rig->backend), 0);
	rig->server_socket = socket;
	backend_connect(rig->backend, socket);
}

/* BUILD/bin/lodge-fsd, this being BUILD/unit/NAME. */
static void start_program(struct fsd_rig *rig, const struct fsd_rig_options *options, int socket)
{
	char path[PATH_MAX];
	char export[128];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 32);

	ck_assert_int_gt(len, 0);
	path[len] = 0;
	strcpy(strrchr(path, '/'), "/../bin/lodge-fsd");
	snprintf(export, sizeof(export), "--export=%s", rig->folder);
	rig->program = fork();
	if (!rig->program) {
		char session[32];
		char fd[16];

		snprintf(fd, sizeof(fd), "--fd=%d", fcntl(socket, F_DUPFD, 3));
		snprintf(session, sizeof(session), "--session-fd=%d",
			 fcntl(rig->session_fd, F_DUPFD, 3));
		execl(path, "lodge-fsd", fd, session, export, "--sandbox=none",
		      options->host_locks ? "--locks=host" : "--locks=guest", (char *)NULL);
		_exit(127);
	}
	ck_assert_int_gt(rig->program, 0);
	close(socket);
}

static pid_t child_of(pid_t parent)
{
	char path[64];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	file = parent ? fopen(path, "re") : NULL;
	/* None, between two of them or after the last. */
	if (file && fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

pid_t fsd_keeper(const struct fsd_rig *rig)
{
	return child_of(rig->program);
}

pid_t fsd_server(const struct fsd_rig *rig)
{
	return child_of(fsd_keeper(rig));
}

void fsd_rig_start(struct fsd_rig *rig, const struct fsd_rig_options *options)
{
	int pair[2];

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->folder, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->folder));
	umask(0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig->socket = pair[0];
	rig->session_fd = memfd_create("session", MFD_CLOEXEC);
	if (options->program)
		start_program(rig, options, pair[1]);
	else
		make_back_end(rig, options, pair[1]);
	rig->memory_fd = memfd_create("rig", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(rig->memory_fd, RIG_MEMORY), 0);
	rig->memory = mmap(NULL, RIG_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, rig->memory_fd, 0);
	ck_assert_ptr_ne(rig->memory, MAP_FAILED);
	for (size_t i = 0; i < RIG_QUEUES; i++) {
		rig->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rig->err[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	if (!options->program)
		ck_assert_int_eq(pthread_create(&rig->thread, NULL, back_end, rig), 0);
	fsd_rig_start_queues(rig);
	if (!options->no_init)
		begin_session(rig, options->classic);
}

void fsd_rig_replace(struct fsd_rig *rig, const struct fsd_rig_options *options)
{
	pid_t server = fsd_server(rig);
	pid_t keeper = fsd_keeper(rig);
	int pair[2];
	char byte;

	ck_assert(server && keeper);
	/* From the top, so that none is left to start another. */
	kill(rig->program, SIGKILL);
	kill(keeper, SIGKILL);
	kill(server, SIGKILL);
	ck_assert_int_eq(waitpid(rig->program, NULL, 0), rig->program);
	ck_assert_int_eq(read(rig->socket, &byte, 1), 0);
	close(rig->socket);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	rig->socket = pair[0];
	start_program(rig, options, pair[1]);
	fsd_rig_start_queues(rig);
}

void fsd_rig_stop(struct fsd_rig *rig)
{
	char command[192];
	int status;

	shutdown(rig->socket, rig->orphan ? SHUT_WR : SHUT_RDWR);
	if (rig->orphan) {
		/* End of file, when it has closed its end: it is gone. */
		ck_assert_int_eq(read(rig->socket, &status, 1), 0);
	} else if (rig->program) {
		ck_assert_int_eq(waitpid(rig->program, &status, 0), rig->program);
		ck_assert_int_eq(status, 0);
	} else {
		pthread_join(rig->thread, NULL);
		backend_destroy(rig->backend);
		fs_destroy(rig->fs);
	}
	close(rig->socket);
	munmap(rig->memory, RIG_MEMORY);
	close(rig->memory_fd);
	close(rig->session_fd);
	for (size_t i = 0; i < RIG_QUEUES; i++) {
		close(rig->kick[i]);
		close(rig->call[i]);
		close(rig->err[i]);
	}
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", rig->folder,
		 rig->folder);
	ck_assert_int_eq(system(command), 0);
}

void fsd_ring_put(struct fsd_rig *rig, unsigned int queue, const struct raw_desc *desc, size_t n)
{
	memcpy(ring_at(rig, queue, 0), desc, n * sizeof(*desc));
	fsd_ring_set_avail(rig, queue, 0, ++rig->avail[queue]);
}

void fsd_ring_set_avail(struct fsd_rig *rig, unsigned int queue, uint16_t head, uint16_t idx)
{
	uint16_t *avail = (uint16_t *)ring_at(rig, queue, AVAIL_AT);

	avail[2 + (uint16_t)(idx - 1) % RIG_QUEUE_SIZE] = head;
	__atomic_store_n(&avail[1], idx, __ATOMIC_SEQ_CST);
}

void fsd_ring_kick(struct fsd_rig *rig, unsigned int queue)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(rig->kick[queue], &one, sizeof(one)), sizeof(one));
}

static bool readable(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	uint64_t count;

	return poll(&polled, 1, WAIT_MS) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

bool fsd_ring_broke(struct fsd_rig *rig, unsigned int queue)
{
	return readable(rig->err[queue]);
}

/* Asks for a signal at the next used entry, waits for it: the entry's length. */
static uint32_t wait_used(struct fsd_rig *rig, unsigned int queue)
{
	struct vring_used *used = (struct vring_used *)ring_at(rig, queue, USED_AT);
	uint16_t at = rig->used[queue]++;

	while (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == at)
		ck_assert_msg(readable(rig->call[queue]), "no reply");
	return used->ring[at % RIG_QUEUE_SIZE].len;
}

void fsd_ring_wait(struct fsd_rig *rig, unsigned int queue, unsigned int n)
{
	uint16_t *used_event = (uint16_t *)ring_at(rig, queue, AVAIL_AT) + 2 + RIG_QUEUE_SIZE;

	while (n--) {
		__atomic_store_n(used_event, rig->used[queue], __ATOMIC_SEQ_CST);
		wait_used(rig, queue);
	}
}

uint32_t fsd_ring_run(struct fsd_rig *rig, unsigned int queue, const struct raw_desc *desc,
		      size_t n)
{
	uint16_t *used_event = (uint16_t *)ring_at(rig, queue, AVAIL_AT) + 2 + RIG_QUEUE_SIZE;

	*used_event = rig->used[queue];
	fsd_ring_put(rig, queue, desc, n);
	fsd_ring_kick(rig, queue);
	return wait_used(rig, queue);
}

uint32_t fsd_raw(struct fsd_rig *rig, unsigned int queue, const void *out, size_t out_len,
		 size_t in_len)
{
	uint16_t *used_event = (uint16_t *)ring_at(rig, queue, AVAIL_AT) + 2 + RIG_QUEUE_SIZE;
	struct raw_desc desc[4];
	size_t head = out_len < sizeof(struct fuse_in_header) ? out_len
							      : sizeof(struct fuse_in_header);
	size_t n = 0;

	*used_event = rig->used[queue];
	memcpy(rig->memory + RIG_OUT, out, out_len);
	if (head)
		desc[n++] = (struct raw_desc){ RIG_GUEST_BASE + RIG_OUT, (uint32_t)head, 0, 0 };
	if (out_len > head)
		desc[n++] = (struct raw_desc){ RIG_GUEST_BASE + RIG_OUT + head,
					       (uint32_t)(out_len - head), 0, 0 };
	if (in_len)
		desc[n++] = (struct raw_desc){ RIG_GUEST_BASE + RIG_IN, (uint32_t)in_len,
					       VRING_DESC_F_WRITE, 0 };
	for (size_t i = 0; i + 1 < n; i++) {
		desc[i].flags |= VRING_DESC_F_NEXT;
		desc[i].next = (uint16_t)(i + 1);
	}
	/* The server may look at the ring before it is kicked. */
	if (rig->before_put)
		rig->before_put(rig);
	fsd_ring_put(rig, queue, desc, n);
	fsd_ring_kick(rig, queue);
	if (rig->after_kick)
		rig->after_kick(rig);
	rig->before_put = NULL;
	rig->after_kick = NULL;
	return wait_used(rig, queue);
}

int64_t fsd_call(struct fsd_rig *rig, uint32_t opcode, uint64_t nodeid, const void *body,
		 size_t body_len, const void *more, size_t more_len, void *reply, size_t reply_size)
{
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + body_len + more_len),
				     .opcode = opcode,
				     .unique = ++rig->unique,
				     .nodeid = nodeid,
				     .uid = geteuid(),
				     .gid = getegid(),
				     .pid = 1 };
	struct fuse_out_header head;
	uint8_t *out = malloc(in.len);
	uint32_t used;

	ck_assert_ptr_nonnull(out);
	memcpy(out, &in, sizeof(in));
	if (body_len)
		memcpy(out + sizeof(in), body, body_len);
	if (more_len)
		memcpy(out + sizeof(in) + body_len, more, more_len);
	used = fsd_raw(rig, 1, out, in.len, sizeof(head) + reply_size);
	free(out);
	ck_assert_uint_ge(used, sizeof(head));
	memcpy(&head, rig->memory + RIG_IN, sizeof(head));
	ck_assert_uint_eq(head.unique, in.unique);
	ck_assert_uint_eq(head.len, used);
	ck_assert_int_le(head.error, 0);
	if (head.error)
		return head.error;
	if (reply)
		memcpy(reply, rig->memory + RIG_IN + sizeof(head), head.len - sizeof(head));
	return head.len - (int64_t)sizeof(head);
}

void fsd_forget(struct fsd_rig *rig, unsigned int queue, uint64_t nodeid, uint64_t nlookup)
{
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in body;
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_FORGET, .nodeid = nodeid },
		 .body = { .nlookup = nlookup } };

	fsd_raw(rig, queue, &in, sizeof(in), 0);
}

uint64_t fsd_lookup(struct fsd_rig *rig, uint64_t dir, const char *name, int *ret_error)
{
	struct fuse_entry_out entry;
	int64_t ret = fsd_call(rig, FUSE_LOOKUP, dir, NULL, 0, name, strlen(name) + 1, &entry,
			       sizeof(entry));

	*ret_error = ret < 0 ? (int)ret : 0;
	return ret < 0 ? 0 : entry.nodeid;
}

struct fuse_open_out fsd_opendir(struct fsd_rig *rig, uint64_t dir)
{
	const struct fuse_open_in in = { 0 };
	struct fuse_open_out out;
	int64_t ret = fsd_call(rig, FUSE_OPENDIR, dir, &in, sizeof(in), NULL, 0, &out, sizeof(out));

	ck_assert_int_eq(ret, sizeof(out));
	return out;
}

const char *fsd_path(struct fsd_rig *rig, const char *name, char buffer[256])
{
	snprintf(buffer, 256, "%s/%s", rig->folder, name);
	return buffer;
}

void fsd_write_file(struct fsd_rig *rig, const char *name, const char *text)
{
	char path[256];
	int fd = open(fsd_path(rig, name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

int64_t fsd_direct(struct fs *fs, struct scratch *scratch, uint32_t opcode, uint64_t nodeid,
		   const void *body, size_t len, void *reply, size_t room)
{
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len),
				     .opcode = opcode,
				     .nodeid = nodeid };
	struct fuse_out_header head;
	uint8_t thrown_away[256];
	struct iovec iov[] = { { &in, sizeof(in) },
			       { (void *)(uintptr_t)body, len },
			       { &head, sizeof(head) },
			       { reply ? reply : thrown_away,
				 reply ? room : sizeof(thrown_away) } };
	struct request req;
	uint32_t written;

	fs_request(&req, fs, scratch, iov, 2, in.len, 2, sizeof(head) + iov[3].iov_len, true,
		   &written);
	if (!written)
		return 0;
	return head.error ? head.error : (int64_t)(head.len - sizeof(head));
}

long harness_shared_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		(void)!sscanf(line, "RssShmem: %ld", &kib);
	fclose(file);
	return kib;
}

void fsd_direct_end(struct fs *fs, struct scratch *scratch, const char *folder)
{
	char command[80];

	fs_destroy(fs);
	free(scratch);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

void *fsd_flip(void *arg)
{
	struct fsd_flipper *flipper = arg;
	uint32_t was = __atomic_load_n(flipper->word, __ATOMIC_RELAXED);

	while (!__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(flipper->word, flipper->value, __ATOMIC_RELAXED);
		__atomic_store_n(flipper->word, was, __ATOMIC_RELAXED);
	}
	return NULL;
}

void fsd_slot_put(struct fsd_rig *rig, int slot, uint32_t opcode, uint64_t nodeid, const void *body,
		  size_t len, const void *more, size_t more_len)
{
	struct raw_desc *ring = (struct raw_desc *)(rig->memory + RIG_RINGS + 0x10000);
	uint16_t head = (uint16_t)(2 * slot);
	uint64_t at = RIG_GUEST_BASE + (uint64_t)slot * RIG_SLOT;
	uint8_t *out = rig->memory + RIG_OUT + slot * RIG_SLOT;
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len + more_len),
				     .opcode = opcode,
				     .unique = ++rig->unique,
				     .nodeid = nodeid,
				     .uid = geteuid(),
				     .gid = getegid() };

	ck_assert_uint_le(in.len, RIG_SLOT);
	memcpy(out, &in, sizeof(in));
	memcpy(out + sizeof(in), body, len);
	memcpy(out + sizeof(in) + len, more, more_len);
	memset(rig->memory + RIG_IN + slot * RIG_SLOT, 0, RIG_SLOT);
	ring[head] = (struct raw_desc){ at + RIG_OUT, in.len, VRING_DESC_F_NEXT, head + 1 };
	ring[head + 1] = (struct raw_desc){ at + RIG_IN, RIG_SLOT, VRING_DESC_F_WRITE, 0 };
}

double fsd_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

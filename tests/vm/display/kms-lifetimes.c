// SPDX-License-Identifier: GPL-2.0-or-later
// In the guest: what must outlive what in a mode setting driver (T49), over the first card; a check
// a line. Two masters, answers that have no place, fences, descriptors of buffers that threads hand
// to one another and close. `kms-lifetimes busy` draws, flips and tells of it on head 1 for ever,
// whatever becomes of the card: "ready" when that is seen.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/vm/display/kms.h"

#define CARD	"/dev/dri/card0"
#define THREADS 4u
#define ROUNDS	200u
#define SIDE	64

static void say(const char *what, bool good)
{
	printf("%s - %s\n", good ? "ok" : "not ok", what);
	fflush(stdout);
}

static void give_up(const char *what, int error)
{
	printf("not ok - %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static void check_masters(int card, const struct kms_head *head, const struct kms_picture *picture)
{
	const int other = open(CARD, O_RDWR | O_CLOEXEC);
	bool good;

	good = ioctl(other, DRM_IOCTL_SET_MASTER, 0) && errno == EBUSY &&
	       kms_show(other, head, picture) == -EACCES && kms_show(card, head, picture) == 0;
	say("who comes second is no master", good);
	good = !ioctl(card, DRM_IOCTL_DROP_MASTER, 0) && !ioctl(other, DRM_IOCTL_SET_MASTER, 0) &&
	       kms_show(card, head, picture) == -EACCES && ioctl(card, DRM_IOCTL_SET_MASTER, 0);
	close(other);
	say("and is it when the first one lets go",
	    good && !ioctl(card, DRM_IOCTL_SET_MASTER, 0) && kms_show(card, head, picture) == 0);
}

/* True: it comes to where it answers, and cannot. */
static bool has_no_answer(int card, unsigned long request, void *page, const void *ask, size_t len)
{
	int ret;

	memcpy(page, ask, len);
	if (mprotect(page, 4096, PROT_READ))
		return false;
	ret = ioctl(card, request, page) ? -errno : 0;
	return !mprotect(page, 4096, PROT_READ | PROT_WRITE) && ret == -EFAULT;
}

static void check_answers(int card, const struct kms_picture *picture)
{
	const struct drm_mode_create_dumb dumb = { .width = SIDE, .height = SIDE, .bpp = 32 };
	const struct drm_prime_handle prime = { .handle = picture->handle, .flags = DRM_CLOEXEC };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct drm_mode_fb_dirty_cmd dirty = { .fb_id = picture->fb,
					       .num_clips = 3,
					       .clips_ptr = 16 };
	bool good = page != MAP_FAILED;

	for (unsigned int i = 0; i < 50 && good; i++)
		good = has_no_answer(card, DRM_IOCTL_MODE_CREATE_DUMB, page, &dumb, sizeof(dumb)) &&
		       has_no_answer(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, page, &prime,
				     sizeof(prime));
	say("answers that have no place",
	    good && ioctl(card, DRM_IOCTL_MODE_DIRTYFB, &dirty) && errno == EFAULT);
}

static uint32_t find_property(int card, uint32_t object, const char *name)
{
	uint32_t ids[64] = { 0 };
	uint64_t values[64];
	struct drm_mode_obj_get_properties all = { .props_ptr = (uintptr_t)ids,
						   .prop_values_ptr = (uintptr_t)values,
						   .count_props = 64,
						   .obj_id = object,
						   .obj_type = DRM_MODE_OBJECT_CRTC };

	if (ioctl(card, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &all))
		give_up("the CRTC's properties", errno);
	for (uint32_t i = 0; i < all.count_props && i < 64; i++) {
		struct drm_mode_get_property one = { .prop_id = ids[i] };

		if (!ioctl(card, DRM_IOCTL_MODE_GETPROPERTY, &one) && !strcmp(one.name, name))
			return ids[i];
	}
	give_up(name, ENOENT);
	return 0;
}

/* A commit that changes nothing, and whose end is a fence's descriptor at @ret_fence. */
static int commit_fence(int card, uint32_t crtc, uint32_t flags, int32_t *ret_fence)
{
	uint32_t count = 2, properties[2] = { find_property(card, crtc, "ACTIVE"),
					      find_property(card, crtc, "OUT_FENCE_PTR") };
	uint64_t values[2] = { 1, (uintptr_t)ret_fence };
	struct drm_mode_atomic commit = { .flags = flags,
					  .count_objs = 1,
					  .objs_ptr = (uintptr_t)&crtc,
					  .count_props_ptr = (uintptr_t)&count,
					  .props_ptr = (uintptr_t)properties,
					  .prop_values_ptr = (uintptr_t)values };

	return ioctl(card, DRM_IOCTL_MODE_ATOMIC, &commit) ? -errno : 0;
}

/* Fences with no place for their descriptor, closed at once, and waited for. */
static void check_fences(int card, uint32_t crtc)
{
	struct drm_set_client_cap atomic = { DRM_CLIENT_CAP_ATOMIC, 1 };
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int before = dup(card), after;
	bool good = page != MAP_FAILED && !ioctl(card, DRM_IOCTL_SET_CLIENT_CAP, &atomic);

	close(before);
	for (unsigned int i = 0; i < 20 && good; i++) {
		struct pollfd fence = { .events = POLLIN };

		good = commit_fence(card, crtc, 0, page) == -EFAULT;
		good &= !commit_fence(card, crtc, DRM_MODE_ATOMIC_NONBLOCK, &fence.fd) &&
			!close(fence.fd);
		good &= !commit_fence(card, crtc, 0, &fence.fd) && poll(&fence, 1, 3000) == 1;
		close(fence.fd);
	}
	after = dup(card);
	close(after);
	say("fences with no place, closed at once, and waited for", good && after == before);
}

/* Descriptors of buffers, which all threads hand to one another and close. */
struct exchange {
	int card, importer; /* two who have the card open */
	int fds[THREADS];
	uint32_t handles[THREADS];
	unsigned int failures;
};

static void must(struct exchange *exchange, int fd, unsigned long request, void *argument)
{
	if (ioctl(fd, request, argument))
		__atomic_fetch_add(&exchange->failures, 1, __ATOMIC_RELAXED);
}

/* A new one, of which nothing is left but the descriptor, and a part that is mapped. */
static int make_buffer(struct exchange *exchange, unsigned int number)
{
	struct drm_mode_create_dumb dumb = { .width = 32 + number % 7, .height = 32, .bpp = 32 };
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR, .fd = -1 };
	struct drm_mode_map_dumb map = { 0 };
	void *pixels;

	must(exchange, exchange->card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb);
	map.handle = prime.handle = dumb.handle;
	must(exchange, exchange->card, DRM_IOCTL_MODE_MAP_DUMB, &map);
	pixels = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, exchange->card,
		      (off_t)map.offset);
	must(exchange, exchange->card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
	must(exchange, exchange->card, DRM_IOCTL_MODE_DESTROY_DUMB, &dumb.handle);
	if (pixels != MAP_FAILED) {
		memset(pixels, (int)number, dumb.size);
		munmap(pixels, dumb.size);
	}
	return prime.fd;
}

static void *trade(void *opaque)
{
	struct exchange *exchange = opaque;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t *place = &exchange->handles[i % THREADS];
		struct drm_prime_handle prime = { 0 };
		struct drm_gem_close gone = { 0 };

		prime.fd = __atomic_exchange_n(&exchange->fds[i % THREADS],
					       make_buffer(exchange, i), __ATOMIC_ACQ_REL);
		if (prime.fd >= 0) {
			must(exchange, exchange->importer, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);
			close(prime.fd);
		}
		/* One that another thread may be closing, too. */
		gone.handle = __atomic_load_n(place, __ATOMIC_ACQUIRE);
		__atomic_store_n(place, prime.handle, __ATOMIC_RELEASE);
		if (gone.handle)
			(void)ioctl(exchange->importer, DRM_IOCTL_GEM_CLOSE, &gone);
	}
	return NULL;
}

static void check_trade(int card)
{
	struct exchange exchange = { .card = card, .importer = open(CARD, O_RDWR | O_CLOEXEC) };
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < THREADS; i++)
		exchange.fds[i] = -1;
	for (unsigned int i = 0; i < THREADS; i++) {
		int error = pthread_create(&threads[i], NULL, trade, &exchange);

		if (error)
			give_up("threads", error);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < THREADS; i++)
		close(exchange.fds[i]);
	close(exchange.importer);
	say("buffers that go from thread to thread and are closed by all", !exchange.failures);
}

static void be_busy(int card, const struct kms_head *head)
{
	struct drm_event_vblank events[16];
	struct kms_picture pictures[2];

	for (unsigned int i = 0; i < 2; i++)
		if (kms_make(card, &head->mode, &pictures[i]))
			give_up("a picture", ENOMEM);
	if (kms_show(card, head, &pictures[0]))
		give_up("it is not shown", EIO);
	(void)fcntl(card, F_SETFL, O_NONBLOCK);
	puts("ready");
	fflush(stdout);
	for (unsigned int i = 0;; i = !i) {
		struct drm_mode_crtc_page_flip flip = { .crtc_id = head->crtc,
							.fb_id = pictures[i].fb,
							.flags = DRM_MODE_PAGE_FLIP_EVENT };

		memset(pictures[i].pixels, (int)i, pictures[i].size);
		(void)kms_dirty(card, &pictures[i], NULL);
		(void)ioctl(card, DRM_IOCTL_MODE_PAGE_FLIP, &flip);
		(void)!read(card, events, sizeof(events));
	}
}

int main(int argc, char **argv)
{
	struct kms_head heads[KMS_HEADS];
	struct kms_picture picture;
	const int card = kms_open(CARD);
	unsigned int n = 0;

	if (card < 0)
		give_up(CARD, -card);
	if (kms_heads(card, heads, &n) || !n || !heads[0].mode.hdisplay)
		give_up("no head is on", ENXIO);
	if (argc > 1 && !strcmp(argv[1], "busy"))
		be_busy(card, &heads[0]);
	if (kms_make(card, &heads[0].mode, &picture))
		give_up("a picture", ENOMEM);
	check_masters(card, &heads[0], &picture);
	check_answers(card, &picture);
	check_fences(card, heads[0].crtc);
	check_trade(card);
	say("and the card goes on", kms_show(card, &heads[0], &picture) == 0);
	return 0;
}

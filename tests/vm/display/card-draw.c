// SPDX-License-Identifier: GPL-2.0-or-later
// In the guest: sets every head's preferred mode, draws the test card, and does so again at every
// hot-plug event. Says "HEAD WIDTHxHEIGHT" when a card is there; "ready" when all are.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vm/display/card.h"
#include "tests/vm/display/kms.h"

static struct kms_picture cards[KMS_HEADS];

static int complain(const char *what, int error)
{
	fprintf(stderr, "card-draw: %s: %s\n", what, strerror(-error));
	return error;
}

static void paint(const struct kms_picture *picture, unsigned int index)
{
	for (uint32_t y = 0; y < picture->height; y++) {
		uint32_t *line = picture->pixels + (size_t)y * (picture->pitch / 4);

		for (uint32_t x = 0; x < picture->width; x++)
			line[x] = card_pixel(index, x, y);
	}
}

/* A new frame buffer with the card, of the mode's size. */
static int show(int fd, const struct kms_head *head, unsigned int index)
{
	struct kms_picture *card = &cards[index], next;
	int ret;

	if (card->fb && card->width == head->mode.hdisplay && card->height == head->mode.vdisplay)
		return 0;
	ret = kms_make(fd, &head->mode, &next);
	if (ret < 0)
		return complain("a picture", ret);
	paint(&next, index);
	ret = kms_show(fd, head, &next);
	if (ret < 0)
		return complain("SETCRTC", ret);
	(void)kms_dirty(fd, &next, NULL);
	kms_forget(fd, card);
	*card = next;
	printf("%u %ux%u\n", index + 1, card->width, card->height);
	return 0;
}

static int hide(int fd, const struct kms_head *head, unsigned int index)
{
	int ret;

	if (!cards[index].fb)
		return 0;
	ret = kms_hide(fd, head);
	if (ret < 0)
		return complain("SETCRTC", ret);
	kms_forget(fd, &cards[index]);
	printf("%u off\n", index + 1);
	return 0;
}

static int show_all(int fd)
{
	struct kms_head heads[KMS_HEADS];
	unsigned int n = 0;
	int ret = kms_heads(fd, heads, &n);

	if (ret < 0)
		return complain("heads", ret);
	for (unsigned int i = 0; ret == 0 && i < n; i++)
		ret = heads[i].mode.hdisplay ? show(fd, &heads[i], i) : hide(fd, &heads[i], i);
	puts("ready");
	fflush(stdout);
	return ret;
}

int main(int argc, char **argv)
{
	int fd = kms_open(argc > 1 ? argv[1] : "/dev/dri/card0");
	int events = kms_open_events();

	if (fd < 0 || events < 0) {
		complain("card0", fd < 0 ? fd : events);
		return EXIT_FAILURE;
	}
	while (show_all(fd) == 0 && kms_wait_hotplug(events) == 0)
		;
	return EXIT_FAILURE;
}

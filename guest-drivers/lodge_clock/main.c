// SPDX-License-Identifier: GPL-2.0-only
/*
 * lodge_clock: a PTP clock that is the host's, read from the clock page (protocol/spec/vmclock.md)
 * without leaving the guest.
 *
 * The page lies in the shared memory region of the backdoor's PCI function. That function belongs
 * to virtio_pci; all that is wanted of it is where its BAR is, so that the clock works whether or
 * not lodge_backdoor is there, and while the device is reset.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/virtio_pci.h>

#include <lodge/backdoor.h>

#include "compat/clock.h"
#include "lodge_clock/lodge_clock.h"

/* virtio 1.2 sections 4.1.2 and 4.1.4 */
#define VENDOR		 0x1af4
#define DEVICE		 (0x1040 + LODGE_BACKDOOR_VIRTIO_ID)
#define CAP_TYPE	 3
#define CAP_BAR		 4
#define CAP_ID		 5
#define CAP_OFFSET	 8
#define CAP_LENGTH	 12
#define TYPE_SHM	 8 /* VIRTIO_PCI_CAP_SHARED_MEMORY_CFG */
#define REGION_CLOCK	 0
#define CAPABILITIES_MAX 48 /* no more fit into configuration space */

struct lodge_clock {
	struct ptp_clock_info info;
	struct ptp_clock *ptp;
	struct pci_dev *pdev;
	struct lodge_vmclock *page;
};

static struct lodge_clock *clock_of(struct ptp_clock_info *info)
{
	return container_of(info, struct lodge_clock, info);
}

/* ---- the clock ---- */

static int take_counter(void *context, u64 *ret_counter)
{
	*ret_counter = lodge_counter();
	return 0;
}

#ifdef LODGE_HAVE_PTP_GETTIMEX
static int take_between(void *context, u64 *ret_counter)
{
	struct ptp_system_timestamp *around = context;

	ptp_read_system_prets(around);
	*ret_counter = lodge_counter();
	ptp_read_system_postts(around);
	return 0;
}

static int get_time(struct ptp_clock_info *info, struct timespec64 *ret_time,
		    struct ptp_system_timestamp *around)
{
	s64 ns;
	int err = lodge_page_time(clock_of(info)->page, around ? take_between : take_counter,
				  around, &ns);

	if (!err)
		*ret_time = ns_to_timespec64(ns);
	return err;
}
#else
static int get_time(struct ptp_clock_info *info, struct lodge_timespec *ret_time)
{
	s64 ns;
	int err = lodge_page_time(clock_of(info)->page, take_counter, NULL, &ns);

	if (!err)
		*ret_time = lodge_to_timespec(ns);
	return err;
}
#endif

#if defined(LODGE_HAVE_PTP_CROSSTSTAMP) && defined(LODGE_SNAPSHOT)
struct cross {
	clockid_t clock_id;
	struct lodge_pair pair;
};

static int take_pair(void *context, u64 *ret_counter)
{
	struct cross *cross = context;
	int err = lodge_pair_take(cross->clock_id, &cross->pair);

	*ret_counter = cross->pair.counter;
	return err;
}

static int get_cross(struct ptp_clock_info *info, struct system_device_crosststamp *ret_stamp)
{
	struct cross cross = { .clock_id = lodge_cross_clock(ret_stamp) };
	s64 ns;
	int err = lodge_page_time(clock_of(info)->page, take_pair, &cross, &ns);

	if (err)
		return err;
	ret_stamp->device = ns_to_ktime(ns);
	lodge_cross_system(ret_stamp, ns_to_ktime(cross.pair.system));
	ret_stamp->sys_monoraw = ns_to_ktime(cross.pair.raw);
	return 0;
}
#endif

/* The host's clock is set on the host. */
static int no_adjust(struct ptp_clock_info *info, lodge_ptp_rate rate)
{
	return -EOPNOTSUPP;
}

static int no_adjtime(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int no_settime(struct ptp_clock_info *info, const struct lodge_timespec *time)
{
	return -EOPNOTSUPP;
}

static int no_enable(struct ptp_clock_info *info, struct ptp_clock_request *request, int on)
{
	return -EOPNOTSUPP;
}

static const struct ptp_clock_info clock_info = {
	.owner = THIS_MODULE,
	.name = "lodge",
	.LODGE_PTP_ADJUST = no_adjust,
	.adjtime = no_adjtime,
	.LODGE_PTP_SETTIME = no_settime,
	.enable = no_enable,
#if defined(LODGE_HAVE_PTP_GETTIMEX)
	.gettimex64 = get_time,
#elif defined(LODGE_HAVE_PTP_TIME64)
	.gettime64 = get_time,
#else
	.gettime = get_time,
#endif
#if defined(LODGE_HAVE_PTP_CROSSTSTAMP) && defined(LODGE_SNAPSHOT)
	.getcrosststamp = get_cross,
#endif
};

/* ---- the page ---- */

/* Where the region is. -ENODEV: the function has none that would do. */
static int find_region(struct pci_dev *pdev, phys_addr_t *ret_start)
{
	unsigned int at, n = 0;
	u32 offset, length;
	u8 type, bar, id;

	for (at = pci_find_capability(pdev, PCI_CAP_ID_VNDR); at && n++ < CAPABILITIES_MAX;
	     at = pci_find_next_capability(pdev, at, PCI_CAP_ID_VNDR)) {
		pci_read_config_byte(pdev, at + CAP_TYPE, &type);
		pci_read_config_byte(pdev, at + CAP_BAR, &bar);
		pci_read_config_byte(pdev, at + CAP_ID, &id);
		if (type != TYPE_SHM || id != REGION_CLOCK || bar > PCI_STD_RESOURCE_END)
			continue;
		pci_read_config_dword(pdev, at + CAP_OFFSET, &offset);
		pci_read_config_dword(pdev, at + CAP_LENGTH, &length);
		if (length < sizeof(struct lodge_vmclock) || offset % PAGE_SIZE ||
		    !(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) ||
		    pci_resource_len(pdev, bar) < (u64)offset + length)
			return -ENODEV;
		*ret_start = pci_resource_start(pdev, bar) + offset;
		return 0;
	}
	return -ENODEV;
}

static int map_page(struct lodge_clock *clock)
{
	phys_addr_t start;
	int err = find_region(clock->pdev, &start);

	if (err)
		return err;
	/* virtio_pci does so, too; each of us counts. */
	err = pci_enable_device_mem(clock->pdev);
	if (err)
		return err;
	clock->page = lodge_map_page(start, PAGE_SIZE);
	if (!clock->page) {
		err = -ENOMEM;
		goto disable_device;
	}
	err = lodge_page_check(clock->page);
	if (!err)
		return 0;
	dev_err(&clock->pdev->dev, "the host's clock page makes no sense\n");
	lodge_unmap_page(clock->page);
disable_device:
	pci_disable_device(clock->pdev);
	return err;
}

static struct lodge_clock *the_clock;

static int __init lodge_clock_init(void)
{
	struct lodge_clock *clock = kzalloc(sizeof(*clock), GFP_KERNEL);
	int err = -ENODEV;

	if (!clock)
		return -ENOMEM;
	clock->pdev = pci_get_device(VENDOR, DEVICE, NULL);
	if (!clock->pdev)
		goto free_clock;
	err = map_page(clock);
	if (err)
		goto put_device;
	clock->info = clock_info;
	clock->ptp = ptp_clock_register(&clock->info, &clock->pdev->dev);
	if (IS_ERR_OR_NULL(clock->ptp)) {
		err = clock->ptp ? PTR_ERR(clock->ptp) : -ENODEV;
		goto unmap_page;
	}
	the_clock = clock;
	return 0;
unmap_page:
	lodge_unmap_page(clock->page);
	pci_disable_device(clock->pdev);
put_device:
	pci_dev_put(clock->pdev);
free_clock:
	kfree(clock);
	return err;
}
module_init(lodge_clock_init);

static void __exit lodge_clock_exit(void)
{
	struct lodge_clock *clock = the_clock;

	ptp_clock_unregister(clock->ptp);
	lodge_unmap_page(clock->page);
	pci_disable_device(clock->pdev);
	pci_dev_put(clock->pdev);
	kfree(clock);
}
module_exit(lodge_clock_exit);

/* So that udev loads it with the function; it registers no driver for it. */
static const struct pci_device_id ids[] __used = {
	{ PCI_DEVICE(VENDOR, DEVICE) },
	{ 0 },
};
MODULE_DEVICE_TABLE(pci, ids);

MODULE_DESCRIPTION("Lodge's clock: the host's time as a PTP clock");
MODULE_AUTHOR("The Lodge maintainers");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(LODGE_VERSION);

// SPDX-License-Identifier: GPL-2.0-only
/*
 * One virtio-fs device while it is bound: its tag, and the file that is called by it.
 */
#include <linux/kernel.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/virtio_config.h>

#include "compat/compat.h"
#include "lodge_fs/lodge_fs.h"

/* The one place that knows of all devices: two with one tag would be one file. */
static DEFINE_MUTEX(devices_lock);
static LIST_HEAD(devices);

static void fs_free(struct kref *ref)
{
	kfree(container_of(ref, struct lodge_fs, ref));
}

void lodge_fs_put(struct lodge_fs *fs)
{
	kref_put(&fs->ref, fs_free);
}

/*
 * The session would be lost, and with it every open file of the mount. It is said before any task
 * is frozen: those that wait for a reply cannot be, once mount.lodge is, and the kernel tries for
 * 20 s.
 */
static int suspend_begins(struct notifier_block *block, unsigned long event, void *unused)
{
	struct lodge_fs *fs;
	int err = 0;

	if (event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	mutex_lock(&devices_lock);
	list_for_each_entry(fs, &devices, link) {
		mutex_lock(&fs->lock);
		if (fs->session && fs->session->open) {
			dev_warn(&fs->vdev->dev, "mounted: this system cannot be suspended\n");
			err = -EBUSY;
		}
		mutex_unlock(&fs->lock);
	}
	mutex_unlock(&devices_lock);
	return notifier_from_errno(err);
}

static struct notifier_block suspend_notifier = { .notifier_call = suspend_begins };

int lodge_fs_suspend_begin(void)
{
	return register_pm_notifier(&suspend_notifier);
}

void lodge_fs_suspend_end(void)
{
	unregister_pm_notifier(&suspend_notifier);
}

static bool is_plain(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || (!first && (c == '-' || c == '.'));
}

static void name_node(struct lodge_fs *fs)
{
	char *at = fs->node + sprintf(fs->node, "lodge-fs/");
	const char *c;

	for (c = fs->tag; *c; c++) {
		if (is_plain(*c, c == fs->tag))
			*at++ = *c;
		else
			at += sprintf(at, "%%%02X", (unsigned char)*c);
	}
	*at = 0;
}

static int configure(struct lodge_fs *fs)
{
	struct virtio_device *vdev = fs->vdev;
	__le32 queues = 0;
	unsigned int i;

	/* The transport reads what a register can be: a byte, here. */
	for (i = 0; i < LODGE_FS_TAG_SIZE; i++)
		vdev->config->get(vdev, i, &fs->tag[i], 1);
	vdev->config->get(vdev, LODGE_FS_CONFIG_QUEUES, &queues, sizeof(queues));
	fs->request_queues = min_t(u32, le32_to_cpu(queues), LODGE_FS_REQUEST_QUEUES_MAX);
	if (!fs->tag[0] || !fs->request_queues) {
		dev_err(&vdev->dev, "no tag, or no request queue\n");
		return -EINVAL;
	}
	snprintf(fs->name, sizeof(fs->name), "lodge-fs-%s", dev_name(&vdev->dev));
	name_node(fs);
	return 0;
}

static bool tag_is_taken(const struct lodge_fs *fs)
{
	const struct lodge_fs *other;

	list_for_each_entry(other, &devices, link) {
		if (!strcmp(other->tag, fs->tag))
			return true;
	}
	return false;
}

static int offer(struct lodge_fs *fs)
{
	int err;

	fs->misc.minor = MISC_DYNAMIC_MINOR;
	fs->misc.name = fs->name;
	fs->misc.nodename = fs->node;
	fs->misc.mode = 0600;
	fs->misc.parent = &fs->vdev->dev;
	fs->misc.fops = &lodge_fs_file_operations;
	mutex_lock(&devices_lock);
	if (tag_is_taken(fs)) {
		dev_err(&fs->vdev->dev, "another device has the tag %s, too\n", fs->node);
		err = -EEXIST;
	} else {
		err = misc_register(&fs->misc);
	}
	if (!err)
		list_add_tail(&fs->link, &devices);
	mutex_unlock(&devices_lock);
	return err;
}

int lodge_fs_create(struct virtio_device *vdev, struct lodge_fs **ret_fs)
{
	struct lodge_fs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);
	int err;

	if (!fs)
		return -ENOMEM;
	kref_init(&fs->ref);
	mutex_init(&fs->lock);
	spin_lock_init(&fs->session_lock);
	INIT_LIST_HEAD(&fs->link);
	fs->vdev = vdev;
	/* The file may be opened before offer() returns. */
	vdev->priv = fs;
	err = configure(fs);
	if (err)
		goto put_fs;
	/* The virtio core makes a device ready that has no queues, which is of no use to it. */
	err = lodge_fs_session_make(fs);
	if (err)
		goto put_fs;
	err = offer(fs);
	if (err)
		goto close_session;
	*ret_fs = fs;
	return 0;
close_session:
	lodge_fs_session_close(fs, -ENODEV);
put_fs:
	vdev->priv = NULL;
	lodge_fs_put(fs);
	return err;
}

void lodge_fs_destroy(struct lodge_fs *fs)
{
	struct virtio_device *vdev = fs->vdev;

	mutex_lock(&devices_lock);
	list_del(&fs->link);
	misc_deregister(&fs->misc);
	mutex_unlock(&devices_lock);

	mutex_lock(&fs->lock);
	lodge_fs_session_close(fs, -ENODEV);
	fs->vdev = NULL;
	vdev->priv = NULL;
	mutex_unlock(&fs->lock);
	lodge_fs_put(fs);
}

void lodge_fs_broken(struct lodge_fs *fs)
{
	unsigned long flags;

	spin_lock_irqsave(&fs->session_lock, flags);
	if (fs->session)
		lodge_fs_session_fail(fs->session, -ECONNRESET);
	spin_unlock_irqrestore(&fs->session_lock, flags);
}

int lodge_fs_suspend(struct lodge_fs *fs)
{
	int err = 0;

	mutex_lock(&fs->lock);
	if (fs->session && fs->session->open)
		err = -EBUSY;
	else
		lodge_fs_session_close(fs, -ENODEV);
	mutex_unlock(&fs->lock);
	return err;
}

int lodge_fs_resume(struct lodge_fs *fs)
{
	int err;

	mutex_lock(&fs->lock);
	err = lodge_fs_session_make(fs);
	mutex_unlock(&fs->lock);
	return err;
}

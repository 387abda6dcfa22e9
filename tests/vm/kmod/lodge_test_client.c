// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that uses lodge_backdoor, for tests: it says what it sees as lines of the kernel's log.
 * As the daemon's app it is commanded by the host. With break_ring=1 it breaks the device's ring
 * instead, so that the host asks for a reset. With linger=N it takes N milliseconds to let a
 * session go, and is commanded no more meanwhile.
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_ring.h>

#include "include/lodge_backdoor.h"
#include "lodge_backdoor/door.h"

static unsigned int linger;
module_param(linger, uint, 0644);

static struct lodge_session *ending; /* in detach() */

static void say(bool good, const char *what)
{
	pr_info("lodge_test: %s - a module: %s\n", good ? "ok" : "not ok", what);
}

static void attach(struct lodge_client *client, struct lodge_session *session)
{
	static const char set[] = "info-set guestinfo.module 42",
			  get[] = "info-get guestinfo.module";
	char reply[16] = "";
	size_t size = 0;
	int err;

	err = lodge_session_request(session, set, strlen(set), reply, sizeof(reply), &size, 5000);
	say(!err && size == 0, "sets a variable");
	err = lodge_session_request(session, get, strlen(get), reply, sizeof(reply), &size, 5000);
	say(!err && size == 2 && !memcmp(reply, "42", 2), "gets it");
	err = lodge_session_request(session, "x", 1, reply, sizeof(reply), &size, 5000);
	say(err == -EREMOTEIO && size == 15, "is refused an unknown word");
	err = lodge_session_request(session, get, strlen(get), reply, SIZE_MAX, &size, 5000);
	say(err == -EINVAL, "asks for too much");
}

static void detach(struct lodge_client *client, struct lodge_session *session)
{
	char reply[16];
	size_t size;

	WRITE_ONCE(ending, session);
	msleep(linger);
	say(lodge_session_request(session, "x", 1, reply, sizeof(reply), &size, 5000) == -ENODEV,
	    "is told of the end");
	WRITE_ONCE(ending, NULL);
}

static void command(struct lodge_client *client, struct lodge_session *session, u32 tag,
		    const char *text, size_t size)
{
	static const char answer[] = "ATR toolbox";

	if (READ_ONCE(ending) == session)
		say(false, "is commanded behind its end");
	say(size && !lodge_session_result(session, tag, true, answer, strlen(answer)),
	    "is commanded, and answers");
}

static struct lodge_client test_client = {
	.app = "toolbox",
	.attach = attach,
	.detach = detach,
	.command = command,
};

static int break_ring(const char *value, const struct kernel_param *param)
{
	struct file *file = filp_open("/dev/lodge", O_RDWR, 0);
	struct lodge_session *session;
	struct vring *vring;

	if (IS_ERR(file))
		return PTR_ERR(file);
	session = file->private_data;
	spin_lock_irq(&session->door->lock);
	vring = (struct vring *)virtqueue_get_vring(session->door->request_vq);
	vring->avail->idx = cpu_to_le16(le16_to_cpu((__force __le16)vring->avail->idx) + 30000);
	virtqueue_notify(session->door->request_vq);
	spin_unlock_irq(&session->door->lock);
	filp_close(file, NULL);
	return 0;
}

static const struct kernel_param_ops break_ring_ops = { .set = break_ring };
module_param_cb(break_ring, &break_ring_ops, NULL, 0200);

static int __init test_init(void)
{
	return lodge_client_register(&test_client);
}

static void __exit test_exit(void)
{
	lodge_client_unregister(&test_client);
}

module_init(test_init);
module_exit(test_exit);
MODULE_DESCRIPTION("tests of lodge_backdoor");
MODULE_LICENSE("GPL v2");

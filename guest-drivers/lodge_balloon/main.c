// SPDX-License-Identifier: GPL-2.0-only
/*
 * lodge_balloon: gives memory to the host on its word, by the backdoor's queue, and takes it back.
 * protocol/spec/balloon.md has the messages, lodge_balloon.h the parts of this module.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "lodge_balloon/lodge_balloon.h"

static void set_target(struct lodge_balloon *balloon, struct lodge_session *session)
{
	WRITE_ONCE(balloon->target, lodge_session_balloon_target(session));
	lodge_balloon_wake(balloon);
}

static void set_session(struct lodge_balloon *balloon, struct lodge_session *session)
{
	mutex_lock(&balloon->talk);
	balloon->session = session;
	mutex_unlock(&balloon->talk);
}

static void set_stopping(struct lodge_balloon *balloon, bool stopping)
{
	spin_lock(&balloon->lock);
	balloon->stopping = stopping;
	balloon->held = false;
	spin_unlock(&balloon->lock);
}

static void attach(struct lodge_client *client, struct lodge_session *session)
{
	struct lodge_balloon *balloon = client->context;

	/* There is one balloon, whatever number of hosts pretends to be there. */
	if (balloon->session)
		return;
	set_session(balloon, session);
	set_stopping(balloon, false);
	lodge_balloon_stats_send(balloon);
	lodge_balloon_report_begin(balloon);
	set_target(balloon, session);
}

/* Everything is given back to this system. A device that is gone has forgotten it anyway. */
static void detach(struct lodge_client *client, struct lodge_session *session)
{
	struct lodge_balloon *balloon = client->context;

	if (balloon->session != session)
		return;
	set_stopping(balloon, true);
	lodge_balloon_report_end(balloon);
	cancel_delayed_work_sync(&balloon->work);
	lodge_balloon_empty(balloon);
	lodge_balloon_stats_end(balloon);
	set_session(balloon, NULL);
}

static void changed(struct lodge_client *client, struct lodge_session *session)
{
	struct lodge_balloon *balloon = client->context;

	if (balloon->session == session)
		set_target(balloon, session);
}

static void destroy(struct lodge_balloon *balloon)
{
	if (balloon->queue)
		destroy_workqueue(balloon->queue);
	lodge_balloon_stats_destroy(balloon);
	lodge_balloon_talk_destroy(balloon);
	kfree(balloon);
}

static int create(struct lodge_balloon **ret_balloon)
{
	struct lodge_balloon *balloon = kzalloc(sizeof(*balloon), GFP_KERNEL);
	int err;

	if (!balloon)
		return -ENOMEM;
	spin_lock_init(&balloon->lock);
	INIT_LIST_HEAD(&balloon->blocks);
	lodge_movable_init(&balloon->small, lodge_balloon_move);
	INIT_DELAYED_WORK(&balloon->work, lodge_balloon_work);
	balloon->stopping = true;
	balloon->client.app = "balloon";
	balloon->client.context = balloon;
	balloon->client.attach = attach;
	balloon->client.detach = detach;
	balloon->client.changed = changed;
	err = lodge_balloon_talk_create(balloon);
	if (!err)
		err = lodge_balloon_stats_create(balloon);
	/* Two at a time: statistics go on while pages do. */
	balloon->queue = alloc_workqueue("lodge_balloon", WQ_UNBOUND | WQ_FREEZABLE, 2);
	if (!err && !balloon->queue)
		err = -ENOMEM;
	if (err) {
		destroy(balloon);
		return err;
	}
	*ret_balloon = balloon;
	return 0;
}

/* A module has one. */
static struct lodge_balloon *the_balloon;

static int __init lodge_balloon_init(void)
{
	int err = create(&the_balloon);

	if (err)
		return err;
	err = lodge_balloon_relief_begin(the_balloon);
	if (err)
		goto destroy_it;
	err = lodge_client_register(&the_balloon->client);
	if (err)
		goto end_relief;
	return 0;
end_relief:
	lodge_balloon_relief_end(the_balloon);
destroy_it:
	destroy(the_balloon);
	return err;
}

static void __exit lodge_balloon_exit(void)
{
	lodge_client_unregister(&the_balloon->client);
	lodge_balloon_relief_end(the_balloon);
	destroy(the_balloon);
}

module_init(lodge_balloon_init);
module_exit(lodge_balloon_exit);

MODULE_DESCRIPTION("Lodge's balloon: memory that the host needs more");
MODULE_AUTHOR("The Lodge maintainers");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(LODGE_VERSION);

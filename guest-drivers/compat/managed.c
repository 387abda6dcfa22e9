// SPDX-License-Identifier: GPL-2.0-only
/*
 * Managed devices for kernels whose DRM has none: what a device has is given back, last come first
 * served, when its last user is gone.
 */
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/slab.h>

#include "compat/display.h"

#ifndef LODGE_HAVE_DRM_MANAGED

/* The device comes first: a kernel without release() frees it by its own address. */
struct managed_drm {
	struct drm_device drm;
	struct list_head actions;
#ifndef LODGE_HAVE_DRM_DAMAGE
	struct lodge_early early;
#endif
};

struct action {
	struct list_head link;
	drmres_release_t release;
	void *data;
};

static struct managed_drm *managed_of(struct drm_device *drm)
{
	return container_of(drm, struct managed_drm, drm);
}

static void run_actions(struct drm_device *drm)
{
	struct list_head *actions = &managed_of(drm)->actions;
	struct action *action;

	while (!list_empty(actions)) {
		action = list_first_entry(actions, struct action, link);
		list_del(&action->link);
		action->release(drm, action->data);
		kfree(action);
	}
}

int lodge_drmm_add_action(struct drm_device *drm, drmres_release_t release, void *data)
{
	struct action *action = kmalloc(sizeof(*action), GFP_KERNEL);

	if (!action) {
		release(drm, data);
		return -ENOMEM;
	}
	action->release = release;
	action->data = data;
	list_add(&action->link, &managed_of(drm)->actions);
	return 0;
}

static void free_memory(struct drm_device *drm, void *memory)
{
	kfree(memory);
}

void *drmm_kzalloc(struct drm_device *drm, size_t size, gfp_t flags)
{
	void *memory = kzalloc(size, flags);

	return memory && !lodge_drmm_add_action(drm, free_memory, memory) ? memory : NULL;
}

static void cleanup_modes(struct drm_device *drm, void *data)
{
	drm_mode_config_cleanup(drm);
}

int drmm_mode_config_init(struct drm_device *drm)
{
	drm_mode_config_init(drm);
	return lodge_drmm_add_action(drm, cleanup_modes, NULL);
}

#ifdef LODGE_HAVE_DRM_DAMAGE

void lodge_drm_release(struct drm_device *drm)
{
	run_actions(drm);
	drm_dev_fini(drm);
	kfree(managed_of(drm));
}

static int name_device(struct drm_device *drm, struct device *parent)
{
	return 0;
}

#else

struct lodge_early *lodge_early_of(struct drm_device *drm)
{
	return &managed_of(drm)->early;
}

/* Whoever unregisters a device calls it: drm_unplug_dev(), and again who closes it as the last. */
int lodge_drm_unload(struct drm_device *drm)
{
	if (drm_device_is_unplugged(drm))
		run_actions(drm);
	return 0;
}

void drm_dev_put(struct drm_device *drm)
{
	if (drm->registered) {
		drm_unplug_dev(drm);
		return;
	}
	run_actions(drm);
	drm_vblank_cleanup(drm);
	drm_dev_unref(drm);
}

/* As programs know cards of the PCI bus. */
static int name_device(struct drm_device *drm, struct device *parent)
{
	char *name;
	int err;

	if (!dev_is_pci(parent))
		return 0;
	drm->pdev = to_pci_dev(parent);
	name = kasprintf(GFP_KERNEL, "pci:%s", dev_name(parent));
	if (!name)
		return -ENOMEM;
	err = drm_dev_set_unique(drm, name);
	kfree(name);
	return err;
}

#endif

struct drm_device *lodge_drm_alloc(const struct drm_driver *driver, struct device *parent)
{
	struct managed_drm *managed = kzalloc(sizeof(*managed), GFP_KERNEL);
	int err;

	if (!managed)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&managed->actions);
	err = drm_dev_init(&managed->drm, (struct drm_driver *)driver, parent);
	if (err) {
		kfree(managed);
		return ERR_PTR(err);
	}
	err = name_device(&managed->drm, parent);
	if (err) {
		drm_dev_put(&managed->drm);
		return ERR_PTR(err);
	}
	return &managed->drm;
}

#endif

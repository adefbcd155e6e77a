// SPDX-License-Identifier: GPL-2.0
/*
 * Where patches and modules come in.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/string.h>
#include "exiting.h"
#include "patch.h"
#include "state.h"
#include "symbol.h"
#include "sysfs.h"
#include "transition.h"

static int klp_check_patch(const struct klp_patch *patch)
{
	const struct klp_object *obj;

	if (!patch || !patch->mod || !patch->objs) {
		pr_err("a patch has no %s\n",
		       patch && patch->mod ? "objects" : "module");
		return -EINVAL;
	}

	klp_for_each_object_static(patch, obj) {
		if (!obj->funcs) {
			pr_err("object '%s' of patch '%s' has no functions\n",
			       obj->name, patch->mod->name);
			return -EINVAL;
		}
	}

	if (!is_livepatch_module(patch->mod)) {
		pr_err("module %s is not marked as a livepatch module\n",
		       patch->mod->name);
		return -EINVAL;
	}

	return klp_sysfs_ready() && klp_exiting_ready() ? 0 : -ENODEV;
}

static bool klp_is_listed(const struct klp_patch *patch)
{
	const struct klp_patch *other;

	klp_for_each_patch(other) {
		if (other == patch)
			return true;
	}

	return false;
}

/**
 * klp_enable_patch() - switch to a patch
 * @patch:	the patch
 *
 * To be called from the init function of the patch module. When it returns 0
 * every task runs the new functions. When it returns an error nothing has
 * changed, and the log says why.
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 * Return: 0, or
 *	   -EINVAL if the patch is malformed or enabled already, its module is
 *	   not marked as a livepatch, a function is not found, found more than
 *	   once or is not kernel text, or the patch does not fit the states of
 *	   the system,
 *	   -EEXIST if an object or a function is in the patch twice,
 *	   -ENOENT if the size of a function is not known,
 *	   -ENXIO, -EPERM, -ENOSPC or -EADDRINUSE if a function cannot be
 *	   patched, see klp_guard_site(), or somebody else changed its text,
 *	   -ERANGE if a new function is out of reach,
 *	   -EBUSY if tasks or kprobes were in the way,
 *	   -ENODEV if the module is going, or livepatch is not up,
 *	   -ENOMEM, or the error of a pre_patch callback.
 */
int klp_enable_patch(struct klp_patch *patch)
{
	int ret;

	ret = klp_check_patch(patch);
	if (ret)
		return ret;

	mutex_lock(&klp_mutex);

	if (klp_is_listed(patch)) {
		pr_err("patch '%s' is enabled already\n", patch->mod->name);
		ret = -EINVAL;
		goto unlock;
	}

	if (!klp_state_compatible(patch)) {
		pr_err("Livepatch patch (%s) is not compatible with the already installed livepatches.\n",
		       patch->mod->name);
		ret = -EINVAL;
		goto unlock;
	}

	if (!try_module_get(patch->mod)) {
		ret = -ENODEV;
		goto unlock;
	}

	ret = klp_patch_init(patch);
	if (!ret)
		ret = klp_transition_enable(patch);
	if (!ret)
		goto unlock;

	klp_symbol_forget();
	klp_patch_free_start(patch);
	mutex_unlock(&klp_mutex);
	klp_patch_free_finish(patch);
	return ret;
unlock:
	mutex_unlock(&klp_mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(klp_enable_patch);

/* Modules that come and go */

static struct klp_object *klp_find_object(struct klp_patch *patch,
					  const struct module *mod)
{
	struct klp_object *obj;

	klp_for_each_object(patch, obj) {
		if (obj->name && !strcmp(obj->name, mod->name))
			return obj;
	}

	return NULL;
}

static int klp_object_coming(struct klp_patch *patch, struct klp_object *obj,
			     struct module *mod)
{
	int ret;

	obj->mod = mod;
	ret = klp_object_init_loaded(patch, obj);
	if (ret) {
		pr_warn("failed to initialize patch '%s' for module '%s' (%d)\n",
			patch->mod->name, mod->name, ret);
		return ret;
	}

	pr_notice("applying patch '%s' to loading module '%s'\n",
		  patch->mod->name, mod->name);
	ret = klp_transition_coming(patch, obj);
	if (ret)
		klp_object_free_loaded(patch, obj);

	return ret;
}

static void klp_patches_going(struct module *mod)
{
	struct klp_patch *patch;
	struct klp_object *obj;

	klp_for_each_patch(patch) {
		obj = klp_find_object(patch, mod);
		if (obj && obj->mod) {
			klp_transition_going(patch, obj);
			klp_object_free_loaded(patch, obj);
		}
	}
}

/**
 * klp_module_coming() - patch a module that is being loaded
 * @mod:	the module, of which nothing has run yet
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 * Return: 0, -EINVAL if the module calls itself vmlinux, or the error that
 *	   klp_enable_patch() would have returned had the module been loaded
 *	   then; it must not be loaded after an error.
 */
int klp_module_coming(struct module *mod)
{
	struct klp_patch *patch;
	struct klp_object *obj;
	int ret = 0;

	if (WARN_ON(mod->state != MODULE_STATE_COMING))
		return -EINVAL;

	if (!strcmp(mod->name, "vmlinux")) {
		pr_err("vmlinux.ko: invalid module name\n");
		return -EINVAL;
	}

	mutex_lock(&klp_mutex);
	mod->klp_alive = true;

	klp_for_each_patch(patch) {
		obj = klp_find_object(patch, mod);
		if (!obj)
			continue;

		ret = klp_object_coming(patch, obj, mod);
		if (ret) {
			pr_warn("patch '%s' failed for module '%s', refusing to load module '%s'\n",
				patch->mod->name, mod->name, mod->name);
			mod->klp_alive = false;
			klp_patches_going(mod);
			break;
		}
	}

	klp_symbol_forget();
	mutex_unlock(&klp_mutex);
	return ret;
}

/**
 * klp_module_going() - forget a module
 * @mod:	the module, of which nothing runs any more
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 */
void klp_module_going(struct module *mod)
{
	if (WARN_ON(mod->state != MODULE_STATE_GOING &&
		    mod->state != MODULE_STATE_COMING))
		return;

	mutex_lock(&klp_mutex);
	mod->klp_alive = false;
	klp_patches_going(mod);
	mutex_unlock(&klp_mutex);
}

static int __init klp_init(void)
{
	return klp_sysfs_init();
}
module_init(klp_init);

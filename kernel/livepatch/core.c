// SPDX-License-Identifier: GPL-2.0
/*
 * The entry points: klp_enable_patch() for patch modules, klp_module_coming() and
 * klp_module_going() for the module loader.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/livepatch.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/string.h>
#include "check.h"
#include "fault.h"
#include "look.h"
#include "patch.h"
#include "state.h"
#include "symbol.h"
#include "sysfs.h"
#include "transition.h"

static struct klp_patch *klp_find_patch(const struct module *mod)
{
	struct klp_patch *patch;

	klp_for_each_patch(patch) {
		if (patch->mod == mod)
			return patch;
	}

	return NULL;
}

/**
 * klp_enable_patch() - switch to a patch
 * @patch:	the patch
 *
 * To be called from the init function of the patch module, as the last call there that
 * can fail. When it returns 0 all tasks run the new functions, or, with
 * livepatch.wait=1, will do so when no task blocks the switch any more. When it returns
 * an error nothing has changed, and the log says why.
 *
 * Context: Process context, may sleep. Takes klp_mutex, and drops it between
 *	    attempts.
 * Return: 0, or
 *	   -EINVAL if the patch is malformed or enabled already, its module is
 *	   not marked as a livepatch, a function is not found, found more than
 *	   once or is not kernel text, or the patch does not fit the states of
 *	   the system,
 *	   -ENOENT if there is no symbol for a function or its replacement,
 *	   -ENXIO, -EPERM, -ENOSPC or -EADDRINUSE if a function cannot be
 *	   patched, see klp_guard_site(), or other code changed its text,
 *	   -ERANGE if a new function is out of reach,
 *	   -EFAULT if a function cannot be made writable,
 *	   -ENOEXEC if a livepatch relocation cannot be written,
 *	   -EBUSY if tasks or kprobes blocked it, or another patch waits,
 *	   -ECANCELED if the patch was disabled before it was enabled,
 *	   -EINTR if the caller was killed before that,
 *	   -ENODEV if the module is going, or livepatch is not up,
 *	   -ENOMEM, or the error of a pre_patch callback.
 */
int klp_enable_patch(struct klp_patch *patch)
{
	int ret;

	ret = klp_check_patch(patch);
	if (ret)
		return ret;

	if (!klp_sysfs_ready() || !klp_look_ready()) {
		pr_err("live patching is not available\n");
		return -ENODEV;
	}

	mutex_lock(&klp_mutex);

	if (klp_patch_is_listed(patch)) {
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

	if (klp_fault(-ENODEV) || !try_module_get(patch->mod)) {
		ret = -ENODEV;
		goto unlock;
	}

	klp_patch_init(patch);
	ret = klp_sysfs_add(patch) ?: klp_patch_load(patch);
	if (!ret) {
		ret = klp_transition_enable(patch);
		/*
		 * If the transition was reversed the patch is being freed already, or
		 * another task is disabling it.
		 */
		if (!ret || !klp_find_patch(patch->mod) ||
		    patch == klp_transition_patch)
			goto unlock;
	}

	klp_symbol_forget();
	klp_patch_unload(patch);
	klp_patch_free_start(patch);
	mutex_unlock(&klp_mutex);
	klp_patch_free_finish(patch);
	return ret;
unlock:
	mutex_unlock(&klp_mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(klp_enable_patch);

/**
 * klp_find_section_by_name() - find a section of a patch module
 * @mod:	the module, which must be marked as a livepatch
 * @name:	name of the section
 * @sec_size:	set to its size in bytes, 0 if there is no such section
 *
 * For the init function of the module, which finds the tables of the patch there. Init
 * sections are freed after that.
 *
 * Context: Process context.
 * Return: its address, or NULL if there is none.
 */
void *klp_find_section_by_name(const struct module *mod, const char *name,
			       size_t *sec_size)
{
	const struct klp_modinfo *info = mod->klp_info;
	const Elf_Shdr *shdr;
	unsigned int i;

	*sec_size = 0;
	if (!info)
		return NULL;

	/* The first section header is none. */
	for (i = 1; i < info->hdr.e_shnum; i++) {
		shdr = &info->sechdrs[i];
		if (strcmp(info->secstrings + shdr->sh_name, name))
			continue;
		*sec_size = shdr->sh_size;
		return (void *)shdr->sh_addr;
	}

	return NULL;
}
EXPORT_SYMBOL_GPL(klp_find_section_by_name);

/* Modules that are loaded and unloaded */

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
		klp_object_free_loaded(obj);

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
			klp_object_free_loaded(obj);
		}
	}
}

static int klp_patches_coming(struct module *mod)
{
	struct klp_patch *patch;
	struct klp_object *obj;
	int ret;

	klp_for_each_patch(patch) {
		obj = klp_find_object(patch, mod);
		if (!obj)
			continue;

		ret = klp_object_coming(patch, obj, mod);
		if (ret) {
			pr_warn("patch '%s' failed for module '%s', refusing to load module '%s'\n",
				patch->mod->name, mod->name, mod->name);
			klp_patches_going(mod);
			return ret;
		}
	}

	return 0;
}

/**
 * klp_module_coming() - patch a module that is being loaded
 * @mod:	the module, of which nothing has run yet
 *
 * What would have kept klp_enable_patch() from patching the module, had it been loaded
 * then, keeps the module from being loaded.
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 * Return: 0, -EINVAL if the name of the module is vmlinux, or an error of
 *	   klp_object_init_loaded() or klp_transition_coming().
 */
int klp_module_coming(struct module *mod)
{
	int ret;

	if (WARN_ON(mod->state != MODULE_STATE_COMING))
		return -EINVAL;

	if (!strcmp(mod->name, "vmlinux")) {
		pr_err("vmlinux.ko: invalid module name\n");
		return -EINVAL;
	}

	mutex_lock(&klp_mutex);

	WRITE_ONCE(mod->klp_alive, true);
	ret = klp_patches_coming(mod);
	if (ret)
		WRITE_ONCE(mod->klp_alive, false);

	klp_symbol_forget();
	mutex_unlock(&klp_mutex);
	return ret;
}

static void klp_undo(struct klp_patch *patch)
{
	int ret = 0;

	if (patch != klp_transition_patch)
		ret = klp_transition_disable(patch);
	else if (patch->enabled)
		klp_transition_reverse();

	if (ret)
		pr_err("module '%s' is freed when that has succeeded\n",
		       patch->mod->name);
}

/*
 * A patch module is being unloaded though its patch is enabled. That only happens if its
 * init function fails after klp_enable_patch() has succeeded. The module will be freed in
 * any case, so wait for as long as it takes all tasks to leave it.
 */
static void klp_abandon(const struct module *mod)
{
	struct klp_patch *patch;
	unsigned int delay = 10;
	bool said = false;

	for (;;) {
		mutex_lock(&klp_mutex);
		patch = klp_find_patch(mod);
		if (patch && !said)
			pr_err("module '%s' is unloaded, and its patch is enabled\n",
			       mod->name);
		if (patch)
			klp_undo(patch);
		mutex_unlock(&klp_mutex);
		if (!patch)
			break;

		said = true;
		msleep(delay);
		delay = min(2 * delay, 10000);
	}

	/* Another task can have disabled it before. */
	klp_patch_free_wait(mod);
}

/**
 * klp_module_going() - forget a module that is being unloaded
 * @mod:	the module, of which nothing runs any more but readers and writers of its
 *		parameters
 *
 * Its functions and static calls are restored.
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 */
void klp_module_going(struct module *mod)
{
	if (WARN_ON(mod->state != MODULE_STATE_GOING &&
		    mod->state != MODULE_STATE_COMING))
		return;

	klp_abandon(mod);

	mutex_lock(&klp_mutex);
	klp_patches_going(mod);
	klp_transition_restore_calls(mod);
	WRITE_ONCE(mod->klp_alive, false);
	klp_symbol_forget();
	mutex_unlock(&klp_mutex);
}

static int __init klp_init(void)
{
	return klp_sysfs_init();
}
module_init(klp_init);

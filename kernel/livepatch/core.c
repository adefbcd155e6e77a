// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a patch: it is checked, shown in sysfs, enabled, disabled and
 * freed; and the modules that it patches come and go meanwhile.
 *
 * Everything that redirects functions is one operation with one shape, see
 * klp_switch_patch(): mark the functions that enter or leave, collect the edits
 * that follow from the marks, make them all or none, and turn the marks into
 * fact or take them back.
 *
 * A patch module is referenced from the time that the patch is accepted until
 * it has been disabled and its last trace in sysfs is gone. A switch that takes
 * a patch out proves that no task is in any text of its module, and nobody can
 * get there any more, so that it may be unloaded then.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include "core.h"
#include "exiting.h"
#include "state.h"
#include "switch.h"
#include "symbol.h"
#include "sysfs.h"
#include "target.h"

/* See core.h. */
DEFINE_MUTEX(klp_mutex);
LIST_HEAD(klp_patches);
struct klp_patch *klp_transition_patch;

static const char *klp_object_name(const struct klp_object *obj)
{
	return obj->name ?: "vmlinux";
}

static bool klp_object_loaded(const struct klp_object *obj)
{
	return !obj->name || obj->mod;
}

static const char *klp_direction(bool enable)
{
	return enable ? "patching" : "unpatching";
}

/* Callbacks */

static int klp_pre_patch(struct klp_object *obj)
{
	int ret = 0;

	if (obj->callbacks.pre_patch)
		ret = obj->callbacks.pre_patch(obj);
	obj->callbacks.post_unpatch_enabled = !ret;

	if (ret)
		pr_warn("pre-patch callback failed for object '%s'\n",
			klp_object_name(obj));
	return ret;
}

static void klp_post_patch(struct klp_object *obj)
{
	if (obj->callbacks.post_patch)
		obj->callbacks.post_patch(obj);
}

static void klp_pre_unpatch(struct klp_object *obj)
{
	if (obj->callbacks.pre_unpatch)
		obj->callbacks.pre_unpatch(obj);
}

static void klp_post_unpatch(struct klp_object *obj)
{
	if (obj->callbacks.post_unpatch_enabled && obj->callbacks.post_unpatch)
		obj->callbacks.post_unpatch(obj);
	obj->callbacks.post_unpatch_enabled = false;
}

/* Switching */

static int klp_object_enter(struct klp_object *obj)
{
	struct klp_func *func;
	int ret;

	klp_for_each_func(obj, func) {
		ret = klp_target_enter(func);
		if (ret)
			return ret;
	}

	return 0;
}

static void klp_object_leave(struct klp_object *obj)
{
	struct klp_func *func;

	klp_for_each_func(obj, func)
		klp_target_leave(func);
}

static int klp_patch_enter(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	klp_for_each_object(patch, obj) {
		if (!klp_object_loaded(obj))
			continue;
		ret = klp_object_enter(obj);
		if (ret)
			return ret;
	}

	return 0;
}

/*
 * The whole text of the module must be idle too, and not only the functions
 * that other functions are redirected to: it may be unloaded afterwards.
 */
static int klp_patch_leave(struct klp_patch *patch, struct klp_switch *sw)
{
	const struct module_memory *text = &patch->mod->mem[MOD_TEXT];
	struct klp_object *obj;

	klp_for_each_object(patch, obj) {
		if (obj->patched)
			klp_object_leave(obj);
	}

	if (!text->size)
		return 0;

	return klp_ranges_add(&sw->busy, (unsigned long)text->base, text->size);
}

/* The patches that a patch takes over from. */
static bool klp_replaces(const struct klp_patch *patch,
			 const struct klp_patch *other)
{
	return patch->replace && other != patch;
}

static int klp_mark_patches(struct klp_patch *patch, bool enable,
			    struct klp_switch *sw)
{
	struct klp_patch *other;
	int ret;

	if (!enable)
		return klp_patch_leave(patch, sw);

	klp_for_each_patch(other) {
		if (!klp_replaces(patch, other))
			continue;
		ret = klp_patch_leave(other, sw);
		if (ret)
			return ret;
	}

	return klp_patch_enter(patch);
}

static void klp_set_patched(struct klp_patch *patch, bool patched)
{
	struct klp_object *obj;

	klp_for_each_object(patch, obj)
		obj->patched = patched && klp_object_loaded(obj);
	patch->enabled = patched;
}

/* Switch a patch for all objects that are loaded. All or nothing. */
static int klp_switch_patch(struct klp_patch *patch, bool enable)
{
	struct klp_patch *other;
	struct klp_switch *sw;
	int ret;

	sw = klp_switch_alloc(patch->mod->name);
	if (!sw)
		return -ENOMEM;

	ret = klp_mark_patches(patch, enable, sw);
	if (!ret)
		ret = klp_targets_prepare(sw);
	if (!ret)
		ret = klp_switch_run(sw);
	klp_targets_finish(!ret);
	klp_switch_free(sw);
	klp_symbol_forget();
	if (ret)
		return ret;

	klp_set_patched(patch, enable);
	if (!enable)
		return 0;

	klp_for_each_patch(other) {
		if (klp_replaces(patch, other))
			klp_set_patched(other, false);
	}

	return 0;
}

/* Freeing */

static void klp_free_objects(struct klp_patch *patch)
{
	struct klp_object *obj, *tmp_obj;
	struct klp_func *func, *tmp_func;

	klp_for_each_object_safe(patch, obj, tmp_obj) {
		klp_for_each_func_safe(obj, func, tmp_func) {
			klp_target_put(func);
			list_del(&func->node);
			kobject_put(&func->kobj);
		}
		list_del(&obj->node);
		kobject_put(&obj->kobj);
	}
}

/* The part that needs klp_mutex. */
static void klp_free_patch_start(struct klp_patch *patch)
{
	list_del_init(&patch->list);
	klp_free_objects(patch);
}

/*
 * The part that must not hold it: the last users of the kobject can be readers
 * and writers of sysfs files, who take it. After this the patch may be gone.
 */
static void klp_free_patch_finish(struct klp_patch *patch)
{
	kobject_put(&patch->kobj);
	wait_for_completion(&patch->finish);
	module_put(patch->mod);
}

static void klp_free_patch_work(struct work_struct *work)
{
	klp_free_patch_finish(container_of(work, struct klp_patch, free_work));
}

/* A patch can be freed from its own sysfs file, which is not waited for here. */
static void klp_free_patch_async(struct klp_patch *patch)
{
	klp_free_patch_start(patch);
	schedule_work(&patch->free_work);
}

static void klp_free_replaced(struct klp_patch *patch)
{
	struct klp_patch *other, *tmp;

	list_for_each_entry_safe(other, tmp, &klp_patches, list) {
		if (klp_replaces(patch, other))
			klp_free_patch_async(other);
	}
}

/* Accepting a patch */

static bool klp_same_symbol(const struct klp_func *a, const struct klp_func *b)
{
	/* Position 0 means that there is one, and that is the first. */
	return !strcmp(a->old_name, b->old_name) &&
	       (a->old_sympos ?: 1) == (b->old_sympos ?: 1);
}

static int klp_init_func(struct klp_object *obj, struct klp_func *func)
{
	struct klp_func *other;

	if (!func->old_name || !func->new_func) {
		pr_err("a function of object '%s' has no %s\n",
		       klp_object_name(obj),
		       func->old_name ? "replacement" : "name");
		return -EINVAL;
	}

	if (strlen(func->old_name) >= KSYM_NAME_LEN) {
		pr_err("a function name of object '%s' is too long\n",
		       klp_object_name(obj));
		return -EINVAL;
	}

	klp_for_each_func(obj, other) {
		if (other == func)
			break;
		if (klp_same_symbol(other, func)) {
			pr_err("function '%s,%lu' of object '%s' is there twice\n",
			       func->old_name, func->old_sympos ?: 1,
			       klp_object_name(obj));
			return -EEXIST;
		}
	}

	return klp_sysfs_add_func(obj, func);
}

static int klp_func_size(const char *what, const struct klp_func *func,
			 void *addr, unsigned long *size)
{
	if (kallsyms_lookup_size_offset((unsigned long)addr, size, NULL))
		return 0;

	pr_err("kallsyms size lookup failed for '%s'%s\n", func->old_name, what);
	return -ENOENT;
}

static int klp_init_func_loaded(struct klp_object *obj, struct klp_func *func)
{
	unsigned long addr;
	int ret;

	ret = klp_symbol_find(obj->name, func->old_name, func->old_sympos,
			      &addr);
	if (ret)
		return ret;
	func->old_func = (void *)addr;

	ret = klp_func_size("", func, func->old_func, &func->old_size);
	if (ret)
		return ret;
	ret = klp_func_size(" replacement", func, func->new_func,
			    &func->new_size);
	if (ret)
		return ret;

	return klp_target_get(func);
}

/* What can only be done while the object is loaded. */
static int klp_init_object_loaded(struct klp_object *obj)
{
	struct klp_func *func;
	int ret;

	klp_for_each_func(obj, func) {
		ret = klp_init_func_loaded(obj, func);
		if (ret)
			return ret;
	}

	return 0;
}

static void klp_free_object_loaded(struct klp_object *obj)
{
	struct klp_func *func;

	klp_for_each_func(obj, func) {
		klp_target_put(func);
		func->old_func = NULL;
	}
	obj->mod = NULL;
	obj->patched = false;
}

/*
 * No reference is taken to the module: it may go at any time, which
 * klp_module_going() hears of. From then on, or before klp_module_coming(), it
 * does not count as loaded.
 */
static void klp_find_module(struct klp_object *obj)
{
	struct module *mod;

	if (!obj->name)
		return;

	rcu_read_lock_sched();
	mod = find_module(obj->name);
	if (mod && mod->klp_alive)
		obj->mod = mod;
	rcu_read_unlock_sched();
}

static int klp_init_object(struct klp_patch *patch, struct klp_object *obj)
{
	struct klp_object *other;
	struct klp_func *func;
	int ret;

	if (obj->name && strlen(obj->name) >= MODULE_NAME_LEN) {
		pr_err("an object name of patch '%s' is too long\n",
		       patch->mod->name);
		return -EINVAL;
	}

	klp_for_each_object(patch, other) {
		if (other == obj)
			break;
		if (!strcmp(klp_object_name(other), klp_object_name(obj))) {
			pr_err("object '%s' is there twice\n",
			       klp_object_name(obj));
			return -EEXIST;
		}
	}

	klp_find_module(obj);

	ret = klp_sysfs_add_object(patch, obj);
	if (ret)
		return ret;

	klp_for_each_func(obj, func) {
		ret = klp_init_func(obj, func);
		if (ret)
			return ret;
	}

	return klp_object_loaded(obj) ? klp_init_object_loaded(obj) : 0;
}

static void klp_init_func_early(struct klp_object *obj, struct klp_func *func)
{
	klp_sysfs_init_func(func);
	list_add_tail(&func->node, &obj->func_list);
	INIT_LIST_HEAD(&func->stack_node);
	func->target = NULL;
	func->old_func = NULL;
	func->patched = false;
	func->transition = false;
}

static void klp_init_object_early(struct klp_patch *patch,
				  struct klp_object *obj)
{
	struct klp_func *func;

	klp_sysfs_init_object(obj);
	list_add_tail(&obj->node, &patch->obj_list);
	INIT_LIST_HEAD(&obj->func_list);
	obj->mod = NULL;
	obj->patched = false;

	klp_for_each_func_static(obj, func)
		klp_init_func_early(obj, func);
}

/* After this klp_free_patch_start() and klp_free_patch_finish() undo it all. */
static void klp_init_patch_early(struct klp_patch *patch)
{
	struct klp_object *obj;

	klp_sysfs_init_patch(patch);
	INIT_LIST_HEAD(&patch->list);
	INIT_LIST_HEAD(&patch->obj_list);
	INIT_WORK(&patch->free_work, klp_free_patch_work);
	patch->enabled = false;
	patch->forced = false;

	klp_for_each_object_static(patch, obj)
		klp_init_object_early(patch, obj);
}

static int klp_init_patch(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	ret = klp_sysfs_add_patch(patch);
	if (ret)
		return ret;

	klp_for_each_object(patch, obj) {
		ret = klp_init_object(patch, obj);
		if (ret)
			return ret;
	}

	list_add_tail(&patch->list, &klp_patches);
	return 0;
}

/* Enabling and disabling */

static void klp_begin(struct klp_patch *patch, bool enable)
{
	WRITE_ONCE(klp_transition_patch, patch);
	pr_debug("'%s': initializing %s transition\n", patch->mod->name,
		 klp_direction(enable));
}

/* The switch is over, in whichever direction it ended. */
static void klp_complete(struct klp_patch *patch, bool patched)
{
	struct klp_object *obj;

	pr_debug("'%s': completing %s transition\n", patch->mod->name,
		 klp_direction(patched));

	klp_for_each_object(patch, obj) {
		if (!klp_object_loaded(obj))
			continue;
		if (patched)
			klp_post_patch(obj);
		else
			klp_post_unpatch(obj);
	}

	pr_notice("'%s': %s complete\n", patch->mod->name,
		  klp_direction(patched));
	WRITE_ONCE(klp_transition_patch, NULL);
}

static int klp_pre_patch_objects(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	klp_for_each_object(patch, obj) {
		if (!klp_object_loaded(obj))
			continue;
		ret = klp_pre_patch(obj);
		if (ret)
			return ret;
	}

	return 0;
}

static int __klp_enable_patch(struct klp_patch *patch)
{
	int ret;

	lockdep_assert_held(&klp_mutex);

	pr_notice("enabling patch '%s'\n", patch->mod->name);
	klp_begin(patch, true);

	ret = klp_pre_patch_objects(patch);
	if (ret)
		goto err;

	pr_notice("'%s': starting patching transition\n", patch->mod->name);
	ret = klp_switch_patch(patch, true);
	if (ret)
		goto err;

	klp_complete(patch, true);
	if (patch->replace)
		klp_free_replaced(patch);
	return 0;
err:
	pr_warn("failed to enable patch '%s'\n", patch->mod->name);
	pr_debug("'%s': canceling patching transition, going to unpatch\n",
		 patch->mod->name);
	klp_complete(patch, false);
	return ret;
}

/**
 * klp_disable_patch() - undo a patch and let its module go
 * @patch:	an enabled patch
 *
 * Its functions fall back to the next older patch that replaces them, or to
 * the originals.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or the error of klp_switch_run(), after which it is still enabled.
 */
int klp_disable_patch(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	lockdep_assert_held(&klp_mutex);

	klp_begin(patch, false);
	klp_for_each_object(patch, obj) {
		if (obj->patched)
			klp_pre_unpatch(obj);
	}

	pr_notice("'%s': starting unpatching transition\n", patch->mod->name);
	ret = klp_switch_patch(patch, false);
	if (ret) {
		pr_warn("failed to disable patch '%s'\n", patch->mod->name);
		klp_complete(patch, true);
		return ret;
	}

	klp_complete(patch, false);
	klp_free_patch_async(patch);
	return 0;
}

static int klp_check_patch(const struct klp_patch *patch)
{
	const struct klp_object *obj;

	if (!patch || !patch->mod || !patch->objs)
		return -EINVAL;

	klp_for_each_object_static(patch, obj) {
		if (!obj->funcs)
			return -EINVAL;
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

	klp_init_patch_early(patch);
	ret = klp_init_patch(patch);
	if (!ret)
		ret = __klp_enable_patch(patch);
	if (!ret)
		goto unlock;

	klp_symbol_forget();
	klp_free_patch_start(patch);
	mutex_unlock(&klp_mutex);
	klp_free_patch_finish(patch);
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

/*
 * Nobody runs the module yet. But somebody can be about to set a kprobe in it,
 * who is only found by stopping all CPUs, so it is switched like any other.
 */
static int klp_switch_coming(struct klp_patch *patch, struct klp_object *obj)
{
	struct klp_switch *sw;
	int ret;

	sw = klp_switch_alloc(patch->mod->name);
	if (!sw)
		return -ENOMEM;

	ret = klp_object_enter(obj);
	if (!ret)
		ret = klp_targets_prepare(sw);
	if (!ret)
		ret = klp_switch_run(sw);
	klp_targets_finish(!ret);
	klp_switch_free(sw);

	obj->patched = !ret;
	return ret;
}

static int klp_object_coming(struct klp_patch *patch, struct klp_object *obj,
			     struct module *mod)
{
	int ret;

	obj->mod = mod;
	ret = klp_init_object_loaded(obj);
	if (ret) {
		pr_warn("failed to initialize patch '%s' for module '%s' (%d)\n",
			patch->mod->name, mod->name, ret);
		return ret;
	}

	pr_notice("applying patch '%s' to loading module '%s'\n",
		  patch->mod->name, mod->name);
	ret = klp_pre_patch(obj);
	if (ret)
		return ret;

	ret = klp_switch_coming(patch, obj);
	if (ret) {
		pr_warn("failed to apply patch '%s' to module '%s' (%d)\n",
			patch->mod->name, mod->name, ret);
		klp_post_unpatch(obj);
		return ret;
	}

	klp_post_patch(obj);
	return 0;
}

/*
 * The module's text goes as it is: nobody runs it any more, and nobody will.
 * So nothing is written, and nothing can fail.
 */
static void klp_object_going(struct klp_patch *patch, struct klp_object *obj)
{
	klp_pre_unpatch(obj);

	pr_notice("reverting patch '%s' on unloading module '%s'\n",
		  patch->mod->name, obj->mod->name);
	klp_object_leave(obj);
	klp_targets_finish(true);

	klp_post_unpatch(obj);
	klp_free_object_loaded(obj);
}

static void klp_patches_going(struct module *mod)
{
	struct klp_patch *patch;
	struct klp_object *obj;

	klp_for_each_patch(patch) {
		obj = klp_find_object(patch, mod);
		if (obj && obj->patched)
			klp_object_going(patch, obj);
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
			klp_free_object_loaded(obj);
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

/**
 * klp_apply_section_relocs() - resolve the livepatch relocations of a section
 * @pmod:	the patch module
 * @sechdrs:	its section headers
 * @shstrtab:	its section names
 * @strtab:	its symbol names
 * @symndx:	index of its symbol table
 * @secndx:	index of the relocation section
 * @objname:	object to resolve for, NULL for vmlinux
 *
 * Context: Process context.
 * Return: -EOPNOTSUPP, as these are not implemented yet.
 */
int klp_apply_section_relocs(struct module *pmod, Elf_Shdr *sechdrs,
			     const char *shstrtab, const char *strtab,
			     unsigned int symndx, unsigned int secndx,
			     const char *objname)
{
	pr_err("module %s: section %s: livepatch relocations are not supported\n",
	       pmod->name, shstrtab + sechdrs[secndx].sh_name);
	return -EOPNOTSUPP;
}

static int __init klp_init(void)
{
	return klp_sysfs_init();
}
module_init(klp_init);

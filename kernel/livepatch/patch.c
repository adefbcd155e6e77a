// SPDX-License-Identifier: GPL-2.0
/*
 * What a patch consists of: it is checked and shown when it is accepted, taken
 * apart when it is given back, and knows which of its objects are loaded.
 *
 * A patch module is referenced from the time that the patch is accepted until
 * it has been disabled and its last trace in sysfs is gone. A switch that takes
 * a patch out proves that no task is in any text of its module, and nobody can
 * get there any more, so that it may be unloaded then. A switch that was forced
 * proves no such thing, so the module stays for good.
 *
 * A module that goes is forgotten as it is, with its functions and static calls
 * redirected, as nobody runs them any more but who still has one of its files in
 * sysfs. So what these reach is left as it is: the relocations for the module are
 * cleared when it comes back, and no patch is let go of before the module's files
 * are gone.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include "../module/internal.h"
#include "patch.h"
#include "reloc.h"
#include "symbol.h"
#include "sysfs.h"
#include "target.h"

/* See patch.h. */
DEFINE_MUTEX(klp_mutex);
LIST_HEAD(klp_patches);

/**
 * klp_object_name() - what an object is called
 * @obj:	the object
 *
 * Context: Any.
 * Return: the name of the module, or "vmlinux".
 */
const char *klp_object_name(const struct klp_object *obj)
{
	return obj->name ?: "vmlinux";
}

/**
 * klp_object_loaded() - is an object there, so that it can be patched?
 * @obj:	the object
 *
 * Context: Caller holds klp_mutex.
 * Return: true if it is.
 */
bool klp_object_loaded(const struct klp_object *obj)
{
	return !obj->name || obj->mod;
}

/* Freeing */

static void klp_put_targets(struct klp_object *obj)
{
	struct klp_func *func;

	klp_for_each_func(obj, func) {
		klp_target_put(func);
		func->old_func = NULL;
	}
}

static void klp_free_objects(struct klp_patch *patch)
{
	struct klp_object *obj, *tmp_obj;
	struct klp_func *func, *tmp_func;

	klp_for_each_object_safe(patch, obj, tmp_obj) {
		klp_put_targets(obj);
		klp_for_each_func_safe(obj, func, tmp_func) {
			list_del(&func->node);
			kobject_put(&func->kobj);
		}
		list_del(&obj->node);
		kobject_put(&obj->kobj);
	}
}

/**
 * klp_patch_unload() - forget what objects are there, nobody runs the patch
 * @patch:	a patch that could not be enabled
 *
 * What it has written to itself is taken back, so that it can be tried again.
 * Of a patch that was enabled it stays: its module may still use it.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_patch_unload(struct klp_patch *patch)
{
	struct klp_object *obj;

	lockdep_assert_held(&klp_mutex);

	klp_for_each_object(patch, obj) {
		if (obj->mod) {
			klp_object_free_loaded(obj);
			klp_reloc_clear(patch, obj);
		}
	}
}

/**
 * klp_patch_free_start() - give a patch back, the part that needs klp_mutex
 * @patch:	the patch, which is not enabled
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_patch_free_start(struct klp_patch *patch)
{
	lockdep_assert_held(&klp_mutex);

	list_del_init(&patch->list);
	klp_free_objects(patch);
}

/*
 * Is there a module that klp_module_going() has forgotten, and that still has files
 * in sysfs? When these are gone it is unformed.
 */
static bool klp_some_module_goes(void)
{
	const struct module *mod;
	bool goes = false;

	mutex_lock(&module_mutex);
	list_for_each_entry(mod, &modules, list) {
		if (READ_ONCE(mod->state) == MODULE_STATE_GOING &&
		    !READ_ONCE(mod->klp_alive))
			goes = true;
	}
	mutex_unlock(&module_mutex);

	return goes;
}

/*
 * The last users of the kobject can be readers and writers of sysfs files, who
 * take klp_mutex.
 */
static void klp_patch_free_kobj(struct klp_patch *patch)
{
	kobject_put(&patch->kobj);
	wait_for_completion(&patch->finish);
}

static void klp_patch_put_module(struct klp_patch *patch)
{
	/* Where tasks may still be in its text, the module must stay. */
	if (!patch->forced)
		module_put(patch->mod);
}

/**
 * klp_patch_free_finish() - give a patch back, the part that must not hold it
 * @patch:	the patch, which was never enabled, and may be gone afterwards
 *
 * Context: Process context, may sleep.
 */
void klp_patch_free_finish(struct klp_patch *patch)
{
	klp_patch_free_kobj(patch);
	klp_patch_put_module(patch);
}

/* Those that are no longer in use and are being given back, under klp_mutex. */
static LIST_HEAD(klp_patches_freed);

/* Others can still lead to a patch that was in use. */
static void klp_patch_free_work(struct work_struct *work)
{
	struct klp_patch *patch = container_of(work, struct klp_patch, free_work);

	klp_patch_free_kobj(patch);
	while (klp_some_module_goes())
		schedule_timeout_uninterruptible(1);

	/* Who finds it in the list no more may free it. */
	mutex_lock(&klp_mutex);
	list_del_init(&patch->list);
	klp_patch_put_module(patch);
	mutex_unlock(&klp_mutex);
}

/**
 * klp_patch_free_async() - give a patch back, also from its own sysfs file
 * @patch:	the patch, which is not enabled
 *
 * Who uses the patch's sysfs files is waited for elsewhere.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_patch_free_async(struct klp_patch *patch)
{
	klp_patch_free_start(patch);
	list_add(&patch->list, &klp_patches_freed);
	schedule_work(&patch->free_work);
}

static bool klp_patch_goes(const struct module *mod)
{
	const struct klp_patch *patch;
	bool goes = false;

	mutex_lock(&klp_mutex);
	list_for_each_entry(patch, &klp_patches_freed, list) {
		if (patch->mod == mod)
			goes = true;
	}
	mutex_unlock(&klp_mutex);

	return goes;
}

/**
 * klp_patch_free_wait() - wait until the patches of a module have been given back
 * @mod:	the module, which must not be freed before; or one that has none
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 */
void klp_patch_free_wait(const struct module *mod)
{
	while (klp_patch_goes(mod))
		schedule_timeout_uninterruptible(1);
}

/**
 * klp_patch_is_listed() - is a patch in use?
 * @patch:	what may be one
 *
 * Context: Caller holds klp_mutex.
 * Return: true if it is enabled, or has been and is not given back yet.
 */
bool klp_patch_is_listed(const struct klp_patch *patch)
{
	const struct klp_patch *other;

	lockdep_assert_held(&klp_mutex);

	klp_for_each_patch(other) {
		if (other == patch)
			return true;
	}
	list_for_each_entry(other, &klp_patches_freed, list) {
		if (other == patch)
			return true;
	}

	return false;
}

static bool klp_same_symbol(const struct klp_func *a, const struct klp_func *b)
{
	/* Position 0 means that there is one, and that is the first. */
	return !strcmp(a->old_name, b->old_name) &&
	       (a->old_sympos ?: 1) == (b->old_sympos ?: 1);
}

static int klp_check_func(const struct klp_object *obj,
			  const struct klp_func *func)
{
	const char *objname = klp_object_name(obj);
	const struct klp_func *other;

	if (!func->old_name || !*func->old_name) {
		pr_err("a function of object '%s' has no name\n", objname);
		return -EINVAL;
	}

	if (strlen(func->old_name) >= KSYM_NAME_LEN) {
		pr_err("a function name of object '%s' is too long\n", objname);
		return -EINVAL;
	}

	if (!func->new_func) {
		pr_err("function '%s' of object '%s' has no replacement\n",
		       func->old_name, objname);
		return -EINVAL;
	}

	for (other = obj->funcs; other != func; other++) {
		if (klp_same_symbol(other, func)) {
			pr_err("function '%s,%lu' of object '%s' is there twice\n",
			       func->old_name, func->old_sympos ?: 1, objname);
			return -EINVAL;
		}
	}

	return 0;
}

/* Without any functions, objects may share the end of a table. */
static bool klp_share_funcs(const struct klp_object *a,
			    const struct klp_object *b)
{
	const struct klp_func *end_a, *end_b;

	klp_for_each_func_static(a, end_a)
		;
	klp_for_each_func_static(b, end_b)
		;

	return a->funcs < end_b && b->funcs < end_a;
}

static int klp_check_object(const struct klp_patch *patch,
			    const struct klp_object *obj)
{
	const struct klp_object *other;
	const struct klp_func *func;
	int ret;

	if (obj->name && (!*obj->name || !strcmp(obj->name, "vmlinux"))) {
		pr_err("'%s' is not the name of a module\n", obj->name);
		return -EINVAL;
	}

	if (obj->name && strlen(obj->name) >= MODULE_NAME_LEN) {
		pr_err("an object name of patch '%s' is too long\n",
		       patch->mod->name);
		return -EINVAL;
	}

	if (!obj->funcs) {
		pr_err("object '%s' of patch '%s' has no functions\n",
		       obj->name, patch->mod->name);
		return -EINVAL;
	}

	for (other = patch->objs; other != obj; other++) {
		if (!strcmp(klp_object_name(other), klp_object_name(obj))) {
			pr_err("object '%s' is there twice\n",
			       klp_object_name(obj));
			return -EINVAL;
		}
		if (klp_share_funcs(other, obj)) {
			pr_err("objects '%s' and '%s' share their functions\n",
			       klp_object_name(other), klp_object_name(obj));
			return -EINVAL;
		}
	}

	klp_for_each_func_static(obj, func) {
		ret = klp_check_func(obj, func);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * klp_patch_check() - is what somebody calls a patch well-formed?
 * @patch:	the patch, of which nothing is changed
 *
 * Context: Process context.
 * Return: 0, or -EINVAL with a line in the log that says why not.
 */
int klp_patch_check(const struct klp_patch *patch)
{
	const struct klp_object *obj;
	int ret;

	if (!patch || !patch->mod || !patch->objs) {
		pr_err("a patch has no %s\n",
		       patch && patch->mod ? "objects" : "module");
		return -EINVAL;
	}

	if (!is_livepatch_module(patch->mod)) {
		pr_err("module %s is not marked as a livepatch module\n",
		       patch->mod->name);
		return -EINVAL;
	}

	klp_for_each_object_static(patch, obj) {
		ret = klp_check_object(patch, obj);
		if (ret)
			return ret;
	}

	return 0;
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
	ret = klp_guard_replacement(func->old_name, func->old_func,
				    func->new_func);
	if (ret)
		return ret;

	return klp_target_get(func);
}

/**
 * klp_object_init_loaded() - do what can only be done while an object is there
 * @patch:	the patch
 * @obj:	one of its objects, which is loaded
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or an error of klp_reloc_apply(), klp_symbol_find(),
 *	   klp_guard_replacement() or klp_target_get(), or -ENOENT if the size of
 *	   a function is not known. After an error the object does not count as
 *	   loaded.
 */
int klp_object_init_loaded(struct klp_patch *patch, struct klp_object *obj)
{
	struct klp_func *func;
	int ret;

	lockdep_assert_held(&klp_mutex);

	ret = klp_reloc_apply(patch, obj);
	if (ret)
		goto err;

	klp_for_each_func(obj, func) {
		ret = klp_init_func_loaded(obj, func);
		if (ret)
			goto err_put;
	}

	return 0;
err_put:
	klp_put_targets(obj);
	klp_reloc_clear(patch, obj);
err:
	obj->mod = NULL;
	return ret;
}

/**
 * klp_object_free_loaded() - undo klp_object_init_loaded(), but the relocations
 * @obj:	one of its objects, a module that is not patched
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_object_free_loaded(struct klp_object *obj)
{
	lockdep_assert_held(&klp_mutex);

	klp_put_targets(obj);
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
	struct klp_func *func;
	int ret;

	ret = klp_sysfs_add_object(patch, obj);
	if (ret)
		return ret;

	klp_for_each_func(obj, func) {
		ret = klp_sysfs_add_func(obj, func);
		if (ret)
			return ret;
	}

	klp_find_module(obj);

	return klp_object_loaded(obj) ? klp_object_init_loaded(patch, obj) : 0;
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
	obj->relocated = false;

	klp_for_each_func_static(obj, func)
		klp_init_func_early(obj, func);
}

static void klp_init_patch_early(struct klp_patch *patch)
{
	struct klp_object *obj;

	klp_sysfs_init_patch(patch);
	INIT_LIST_HEAD(&patch->list);
	INIT_LIST_HEAD(&patch->obj_list);
	INIT_WORK(&patch->free_work, klp_patch_free_work);
	patch->enabled = false;
	patch->forced = false;

	klp_for_each_object_static(patch, obj)
		klp_init_object_early(patch, obj);
}

/**
 * klp_patch_init() - accept a patch
 * @patch:	the patch, which is well-formed, and whose module is referenced
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or an error of kobject_add() or klp_object_init_loaded(). Also
 *	   after an error klp_patch_free_start() and klp_patch_free_finish()
 *	   must follow.
 */
int klp_patch_init(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	lockdep_assert_held(&klp_mutex);

	klp_init_patch_early(patch);

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

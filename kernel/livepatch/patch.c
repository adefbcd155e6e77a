// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a patch, from the time that it is accepted until its module may be
 * unloaded.
 *
 *   load      klp_patch_load() finds out which of its objects are loaded, resolves their
 *             functions and relocations, and adds the patch to klp_patches
 *   enabled   objects are loaded and unloaded. klp_object_init_loaded() and
 *             klp_object_free_loaded() follow that
 *   free      the patch is removed from klp_patches and from sysfs. Then the reference
 *             to its module is dropped
 *
 * A switch that removes a patch proves that no task is inside the text of its module. Its
 * memory can be in use for longer, see referrers.c, so a work item waits for that. A
 * switch that was forced proves nothing. Then the module stays loaded for good.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include "blockers.h"
#include "guard.h"
#include "hold.h"
#include "patch.h"
#include "referrers.h"
#include "reloc.h"
#include "symbol.h"
#include "target.h"

/* See patch.h. */
DEFINE_MUTEX(klp_mutex);
LIST_HEAD(klp_patches);

/* Patches that are being freed after they were enabled. Protected by klp_mutex. */
static LIST_HEAD(klp_patches_freed);

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
 * klp_patch_unload() - undo klp_patch_load() for all objects
 * @patch:	a patch that could not be enabled
 *
 * Its relocations are cleared, so that it can be enabled later. This is not done for a
 * patch that was enabled, as its module may still use them.
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
 * klp_patch_free_start() - free a patch, the part that needs klp_mutex
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
 * Readers and writers of sysfs files can be the last users of the kobject, and take
 * klp_mutex.
 */
static void klp_patch_free_kobj(struct klp_patch *patch)
{
	kobject_put(&patch->kobj);
	wait_for_completion(&patch->finish);
}

static void klp_patch_put_module(struct klp_patch *patch)
{
	/* If the patch was forced out tasks can be inside its text, and stay there. */
	if (!patch->forced)
		module_put(patch->mod);
}

/**
 * klp_patch_free_finish() - free a patch, the part that must not hold klp_mutex
 * @patch:	the patch, which was never enabled, and can be gone afterwards
 *
 * Context: Process context, may sleep.
 */
void klp_patch_free_finish(struct klp_patch *patch)
{
	klp_patch_free_kobj(patch);
	klp_patch_put_module(patch);
}

/*
 * Tasks that refer to a module are looked for in intervals that grow. From so long an
 * interval on they are nudged as well.
 */
#define KLP_NUDGE_REFERRER_MS	1000
#define KLP_MAX_REFERRER_MS	16000

/* A task that is missed in one pass, as its PID changes, is not missed in the next one. */
#define KLP_CLEAN_PASSES	2

/* After so long the log names the tasks, and then less and less often. */
#define KLP_MIN_REFERRER_LOG	(15 * HZ)
#define KLP_MAX_REFERRER_LOG	(3600 * HZ)

/**
 * struct klp_release - what is done with tasks that refer to a module
 * @patch:	the patch of the module
 * @nudge:	make them leave their system calls
 * @log:	name them in the log
 * @nr_logged:	how many were named
 */
struct klp_release {
	const struct klp_patch *patch;
	bool nudge;
	bool log;
	unsigned int nr_logged;
};

static void klp_visit_referrer(struct task_struct *task, void *data)
{
	struct klp_release *release = data;

	if (release->nudge)
		klp_hold_nudge(task);
	/* klp_mutex is held, and there can be as many as a user wants. */
	if (release->log && release->nr_logged++ < KLP_MAX_BLOCKERS)
		pr_warn("'%s': the module stays loaded, as %s:%d may use its memory\n",
			release->patch->mod->name, task->comm, task->pid);
}

/* Wait until no task refers to the memory of the patch module. */
static void klp_patch_wait_unused(struct klp_patch *patch)
{
	struct klp_release release = { .patch = patch };
	unsigned long interval = KLP_MIN_REFERRER_LOG, log_at = jiffies + interval;
	unsigned int ms = 1, nr, clean = 0;

	if (patch->forced)
		return;

	for (;;) {
		mutex_lock(&klp_mutex);
		release.nr_logged = 0;
		nr = klp_referrers_visit(patch->mod, patch->waiter,
					 klp_visit_referrer, &release);
		mutex_unlock(&klp_mutex);
		clean = nr ? 0 : clean + 1;
		if (clean == KLP_CLEAN_PASSES)
			return;
		if (clean)
			continue;

		if (release.nr_logged > KLP_MAX_BLOCKERS)
			pr_warn("'%s':   and %u more tasks\n", patch->mod->name,
				release.nr_logged - KLP_MAX_BLOCKERS);
		msleep(ms);
		if (release.log) {
			interval = min(2 * interval, KLP_MAX_REFERRER_LOG);
			log_at = jiffies + interval;
		}
		ms = min(2 * ms, KLP_MAX_REFERRER_MS);
		release.nudge = ms >= KLP_NUDGE_REFERRER_MS;
		release.log = time_after_eq(jiffies, log_at);
	}
}

static void klp_patch_free_work(struct work_struct *work)
{
	struct klp_patch *patch = container_of(work, struct klp_patch, free_work);

	klp_patch_free_kobj(patch);
	klp_patch_wait_unused(patch);

	/* When the patch is on no list its module may be freed. */
	mutex_lock(&klp_mutex);
	list_del_init(&patch->list);
	klp_patch_put_module(patch);
	mutex_unlock(&klp_mutex);
}

/**
 * klp_patch_free_async() - free a patch that was enabled
 * @patch:	the patch, which is not enabled any more
 *
 * A work item does the rest, as the caller can be a writer of one of the patch's sysfs
 * files.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_patch_free_async(struct klp_patch *patch)
{
	klp_patch_free_start(patch);
	list_add(&patch->list, &klp_patches_freed);
	schedule_work(&patch->free_work);
}

/* The patch of a module that is being freed, or NULL. */
static struct klp_patch *klp_patch_find_freed(const struct module *mod)
{
	struct klp_patch *patch;

	lockdep_assert_held(&klp_mutex);

	list_for_each_entry(patch, &klp_patches_freed, list) {
		if (patch->mod == mod)
			return patch;
	}

	return NULL;
}

/**
 * klp_patch_free_wait() - wait until the patch of a module has been freed
 * @mod:	the module, which may have no patch
 *
 * The current task has the address of the module on its stack, and does not count as a
 * task that refers to it.
 *
 * Context: Process context, may sleep. Takes klp_mutex.
 */
void klp_patch_free_wait(const struct module *mod)
{
	struct klp_patch *patch;

	for (;;) {
		mutex_lock(&klp_mutex);
		patch = klp_patch_find_freed(mod);
		if (patch)
			patch->waiter = current;
		mutex_unlock(&klp_mutex);
		if (!patch)
			return;
		schedule_timeout_uninterruptible(1);
	}
}

/**
 * klp_patch_is_listed() - is a patch in use?
 * @patch:	an address that may be that of a patch
 *
 * Context: Caller holds klp_mutex.
 * Return: true if it is enabled, or was enabled and is not freed yet.
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

/**
 * klp_patches_freed_memory() - add the memory of the patch modules that are being freed
 * @memory:	set to which it is added
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or -ENOMEM.
 */
int klp_patches_freed_memory(struct klp_ranges *memory)
{
	const struct klp_patch *patch;
	int ret = 0;

	lockdep_assert_held(&klp_mutex);

	list_for_each_entry(patch, &klp_patches_freed, list)
		ret = ret ?: klp_referrers_add_memory(memory, patch->mod);

	return ret;
}

/* Loading */

static int klp_func_size(const char *what, const struct klp_func *func,
			 void *addr, unsigned long *size)
{
	int ret = klp_symbol_size((unsigned long)addr, size);

	if (ret == -ENOENT)
		pr_err("kallsyms size lookup failed for '%s'%s: no symbol begins there\n",
		       func->old_name, what);
	return ret;
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
 * klp_object_init_loaded() - resolve the functions and relocations of an object
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
 * klp_object_free_loaded() - undo klp_object_init_loaded(), except for the relocations
 * @obj:	a module that is not patched
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
 * No reference to the module is taken. It counts as loaded from klp_module_coming() to
 * klp_module_going().
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

static void klp_init_func(struct klp_object *obj, struct klp_func *func)
{
	list_add_tail(&func->node, &obj->func_list);
	INIT_LIST_HEAD(&func->stack_node);
	func->target = NULL;
	func->old_func = NULL;
	func->patched = false;
	func->transition = false;
}

static void klp_init_object(struct klp_patch *patch, struct klp_object *obj)
{
	struct klp_func *func;

	list_add_tail(&obj->node, &patch->obj_list);
	INIT_LIST_HEAD(&obj->func_list);
	obj->mod = NULL;
	obj->patched = false;
	obj->relocated = false;

	klp_for_each_func_static(obj, func)
		klp_init_func(obj, func);
}

/**
 * klp_patch_init() - set the fields of a patch that are not the author's
 * @patch:	the patch, after klp_check_patch()
 *
 * Nothing that an earlier attempt to enable it has left there matters.
 *
 * Context: Process context. Caller holds klp_mutex.
 */
void klp_patch_init(struct klp_patch *patch)
{
	struct klp_object *obj;

	lockdep_assert_held(&klp_mutex);

	INIT_LIST_HEAD(&patch->list);
	INIT_LIST_HEAD(&patch->obj_list);
	INIT_WORK(&patch->free_work, klp_patch_free_work);
	patch->waiter = NULL;
	patch->enabled = false;
	patch->forced = false;

	klp_for_each_object_static(patch, obj)
		klp_init_object(patch, obj);
}

/**
 * klp_patch_load() - find out which objects of a patch are loaded, and list the patch
 * @patch:	the patch, after klp_patch_init(); its module is referenced
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or an error of klp_object_init_loaded(). Also after an error
 *	   klp_patch_free_start() and klp_patch_free_finish() must follow.
 */
int klp_patch_load(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	lockdep_assert_held(&klp_mutex);

	klp_for_each_object(patch, obj) {
		klp_find_module(obj);
		if (!klp_object_loaded(obj))
			continue;
		ret = klp_object_init_loaded(patch, obj);
		if (ret)
			return ret;
	}

	list_add_tail(&patch->list, &klp_patches);
	return 0;
}

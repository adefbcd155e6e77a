// SPDX-License-Identifier: GPL-2.0
/*
 * Keep one record per patched function: the klp_funcs that replace it, and the version
 * that runs.
 *
 * The klp_funcs of all patches that replace a function are on a stack, newest first. An
 * operation marks each klp_func that it adds or removes. Two fields of a klp_func say
 * whether it is in effect now, and whether it will be after the switch:
 *
 *                    patched  transition   in effect now   in effect afterwards
 *   being added         0         1             no                 yes
 *   not affected        1         0             yes                yes
 *   being removed       1         1             yes                no
 *
 * The topmost klp_func that is in effect is the version that runs. If none is in effect,
 * the original function runs. If the version that runs changes, the entry of the function
 * has to be edited. When the switch is over the marks are committed or rolled back.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include "guard.h"
#include "kprobe.h"
#include "patch.h"
#include "site.h"
#include "symbol.h"
#include "switch.h"
#include "target.h"

/* All targets. Protected by klp_mutex. */
static LIST_HEAD(klp_targets);

/**
 * klp_target_find() - find the record of a function
 * @func:	address of the function
 *
 * Context: Caller holds klp_mutex.
 * Return: the record, or NULL.
 */
struct klp_target *klp_target_find(void *func)
{
	struct klp_target *target;

	lockdep_assert_held(&klp_mutex);

	list_for_each_entry(target, &klp_targets, node) {
		if (target->func == func)
			return target;
	}

	return NULL;
}

static void klp_target_free_rcu(struct rcu_head *rcu)
{
	struct klp_target *target = container_of(rcu, struct klp_target, rcu);

	klp_ranges_free(&target->claim.ranges);
	klp_ranges_free(&target->text);
	kfree(target);
}

static int klp_target_init(struct klp_target *target, struct klp_func *func)
{
	int ret;

	INIT_LIST_HEAD(&target->func_stack);
	target->func = func->old_func;

	ret = klp_symbol_text((unsigned long)func->old_func, &target->text);
	if (ret)
		return ret;

	return klp_guard_site(func->old_name, func->old_func, func->old_size,
			      &target->text, &target->site, &target->claim);
}

/**
 * klp_target_get() - find or create the record of the function that is replaced
 * @func:	the klp_func, whose old_func and old_size are known
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, -ENOMEM, or the errors of klp_guard_site().
 */
int klp_target_get(struct klp_func *func)
{
	struct klp_target *target;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(klp_target_get, func);

	target = klp_target_find(func->old_func);
	if (!target) {
		target = kzalloc(sizeof(*target), GFP_KERNEL);
		if (!target)
			return -ENOMEM;

		ret = klp_target_init(target, func);
		if (ret) {
			klp_target_free_rcu(&target->rcu);
			return ret;
		}
		list_add(&target->node, &klp_targets);
		klp_claim_add(&target->claim);
	}

	target->nr_funcs++;
	func->target = target;
	return 0;
}

/**
 * klp_target_put() - drop the reference to the record
 * @func:	as given to klp_target_get(), and not on the stack any more
 *
 * Context: Caller holds klp_mutex.
 */
void klp_target_put(struct klp_func *func)
{
	struct klp_target *target = func->target;

	lockdep_assert_held(&klp_mutex);

	if (!target)
		return;

	func->target = NULL;
	if (--target->nr_funcs)
		return;

	list_del(&target->node);
	klp_claim_remove(&target->claim);
	/* The claim can still have readers. */
	call_rcu(&target->rcu, klp_target_free_rcu);
}

static bool klp_is_in_effect(const struct klp_func *func)
{
	return func->patched;
}

static bool klp_will_be_in_effect(const struct klp_func *func)
{
	return func->patched != func->transition;
}

/* The topmost klp_func of which @is is true, NULL for the original function. */
static struct klp_func *klp_target_top(const struct klp_target *target,
				       bool (*is)(const struct klp_func *))
{
	struct klp_func *func;

	list_for_each_entry(func, &target->func_stack, stack_node) {
		if (is(func))
			return func;
	}

	return NULL;
}

/**
 * klp_target_enter() - mark a klp_func as being added
 * @func:	the klp_func, after klp_target_get()
 *
 * Context: Caller holds klp_mutex, and calls klp_targets_finish() later.
 * Return: 0, or -EINVAL, with a line in the log, if its patch replaces the function
 *	   already.
 */
int klp_target_enter(struct klp_func *func)
{
	struct klp_target *target = func->target;
	struct klp_func *other;

	list_for_each_entry(other, &target->func_stack, stack_node) {
		if (other->transition && !other->patched) {
			pr_err("'%s' and '%s' are the same function\n",
			       other->old_name, func->old_name);
			return -EINVAL;
		}
	}

	list_add(&func->stack_node, &target->func_stack);
	func->transition = true;
	return 0;
}

/**
 * klp_target_leave() - mark a klp_func as being removed
 * @func:	the klp_func
 *
 * Context: Caller holds klp_mutex, and calls klp_targets_finish() later.
 */
void klp_target_leave(struct klp_func *func)
{
	func->transition = true;
}

static int klp_add_func_text(struct klp_ranges *text, const struct klp_func *func)
{
	if (!func)
		return 0;

	return klp_symbol_text((unsigned long)func->new_func, text);
}

/* The original function and the two versions. */
static int klp_target_add_text(const struct klp_target *target,
			       const struct klp_func *now,
			       const struct klp_func *next,
			       struct klp_ranges *text)
{
	return klp_ranges_add_all(text, &target->text) ?:
	       klp_add_func_text(text, now) ?:
	       klp_add_func_text(text, next);
}

/*
 * If the switch is forced, a task may continue anywhere but in the middle of the bytes
 * that are written, now or later. At the first of these bytes, and behind the last, an
 * instruction begins before the switch and after it. Both ends of a range count as
 * inside, so the range ends at the last byte. If the original function runs and can
 * branch back to these bytes, no task may be inside it.
 */
static int klp_target_add_site(const struct klp_target *target,
			       const struct klp_func *now,
			       struct klp_ranges *text)
{
	const struct klp_site *site = &target->site;

	if (!now && klp_site_reentered(site, &target->text))
		return klp_ranges_add_all(text, &target->text);

	return klp_ranges_add(text, site->addr + 1, KLP_SITE_SIZE - 2);
}

static int klp_target_prepare(struct klp_target *target, struct klp_switch *sw)
{
	struct klp_func *now = klp_target_top(target, klp_is_in_effect);
	struct klp_func *next = klp_target_top(target, klp_will_be_in_effect);
	int ret;

	if (now == next)
		return 0;

	WRITE_ONCE(target->claim.patch, sw->name);

	ret = klp_switch_add(sw, target->func, &target->site,
			     now ? now->new_func : NULL,
			     next ? next->new_func : NULL);
	if (!ret && sw->mode == KLP_SWITCH_IDLE)
		ret = klp_target_add_text(target, now, next, &sw->look.text);
	if (!ret && sw->mode == KLP_SWITCH_FORCED)
		ret = klp_target_add_site(target, now, &sw->look.text);

	return ret ?: klp_ranges_add_all(&sw->unprobed, &target->claim.ranges);
}

/* register_kprobe() can be patched as well. Then all its versions set kprobes. */
static int klp_target_add_registrars(const struct klp_target *target,
				     struct klp_ranges *text)
{
	struct klp_func *func;
	int ret = 0;

	if (!klp_kprobe_registers(target->func))
		return 0;

	list_for_each_entry(func, &target->func_stack, stack_node)
		ret = ret ?: klp_add_func_text(text, func);

	return ret;
}

/**
 * klp_targets_prepare() - collect the edits that follow from the marks
 * @sw:		set to which the edits are added, and what has to be checked for them
 *
 * From here on the functions cannot be probed.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, and calls
 *	    klp_targets_finish() later, also after an error.
 * Return: 0, or an error of klp_switch_add() or klp_symbol_text().
 */
int klp_targets_prepare(struct klp_switch *sw)
{
	struct klp_target *target;
	int ret;

	lockdep_assert_held(&klp_mutex);

	list_for_each_entry(target, &klp_targets, node) {
		ret = klp_target_prepare(target, sw) ?:
		      klp_target_add_registrars(target, &sw->look.registrars);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * klp_targets_restore_calls() - collect the edits of a module's static calls
 * @sw:		set to which the edits are added
 * @mod:	the module, of which all static calls of functions that are patched are
 *		to call the original function
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or -ENOMEM.
 */
int klp_targets_restore_calls(struct klp_switch *sw, const struct module *mod)
{
	struct klp_target *target;
	struct klp_func *func;
	int ret;

	lockdep_assert_held(&klp_mutex);

	sw->moves.mod = mod;
	list_for_each_entry(target, &klp_targets, node) {
		func = klp_target_top(target, klp_is_in_effect);
		if (!func)
			continue;
		ret = klp_moves_add(&sw->moves, target->func, func->new_func, NULL);
		if (ret)
			return ret;
	}

	return 0;
}

/* The name of a klp_func's patch. Its kobject is the parent of the object's kobject. */
static const char *klp_func_patch(const struct klp_func *func)
{
	const struct kobject *kobj = func->kobj.parent->parent;

	return container_of_const(kobj, struct klp_patch, kobj)->mod->name;
}

static void klp_target_finish(struct klp_target *target, bool switched)
{
	struct klp_func *func, *tmp;

	list_for_each_entry_safe(func, tmp, &target->func_stack, stack_node) {
		if (switched)
			func->patched = klp_will_be_in_effect(func);
		func->transition = false;
		if (!func->patched)
			list_del_init(&func->stack_node);
	}

	func = klp_target_top(target, klp_is_in_effect);
	WRITE_ONCE(target->claim.patch, func ? klp_func_patch(func) : NULL);
}

/**
 * klp_targets_finish() - commit the marks, or roll them back
 * @switched:	the edits were made
 *
 * Context: Caller holds klp_mutex.
 */
void klp_targets_finish(bool switched)
{
	struct klp_target *target;

	lockdep_assert_held(&klp_mutex);

	list_for_each_entry(target, &klp_targets, node)
		klp_target_finish(target, switched);
}

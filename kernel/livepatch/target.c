// SPDX-License-Identifier: GPL-2.0
/*
 * One record per patched function: who is on its stack, where its entry goes
 * now, and where it must go next.
 *
 * The stack holds the klp_funcs of all patches that replace the function,
 * newest first. The topmost one runs. An operation marks the klp_funcs that
 * enter or leave; what is below the marks is what runs, and what is left
 * without those that leave is what must run next:
 *
 *                    patched  transition   runs now   runs next
 *   enters              0         1            no         yes
 *   stays               1         0            yes        yes
 *   leaves              1         1            yes        no
 *
 * Where the two differ there is an edit to make. When the switch is over the
 * marks become fact, or are taken back.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include "guard.h"
#include "patch.h"
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
 * klp_target_get() - find or make the record of the function that is patched
 * @func:	what patches it; its old_func and old_size are known
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
		klp_guard_add(&target->claim);
	}

	target->nr_funcs++;
	func->target = target;
	return 0;
}

/**
 * klp_target_put() - let go of the record
 * @func:	as given to klp_target_get(); not on the stack any more
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
	klp_guard_remove(&target->claim);
	/* Readers of the claim may be left. */
	call_rcu(&target->rcu, klp_target_free_rcu);
}

static bool klp_runs_now(const struct klp_func *func)
{
	return func->patched;
}

static bool klp_runs_next(const struct klp_func *func)
{
	return func->patched != func->transition;
}

/* The topmost func that counts, NULL for the function itself. */
static struct klp_func *klp_target_top(const struct klp_target *target,
				       bool (*counts)(const struct klp_func *))
{
	struct klp_func *func;

	list_for_each_entry(func, &target->func_stack, stack_node) {
		if (counts(func))
			return func;
	}

	return NULL;
}

/**
 * klp_target_enter() - a func is to replace its target
 * @func:	the func, with a record
 *
 * Context: Caller holds klp_mutex. To be completed by klp_targets_finish().
 * Return: 0, or -EINVAL if its patch replaces this function already, which is
 *	   logged.
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
 * klp_target_leave() - a func is to replace its target no more
 * @func:	the func
 *
 * Context: Caller holds klp_mutex. To be completed by klp_targets_finish().
 */
void klp_target_leave(struct klp_func *func)
{
	func->transition = true;
}

/*
 * Without what must be idle for a switch that is forced, the machine is lost:
 * nobody may go on, now or later, where the bytes of a site are written. Who goes
 * on at the first of them, or behind the last, goes on where an instruction
 * starts before and after. Both ends of a range count, so it ends at the last
 * byte and not behind it. If the original runs and can get back there from within,
 * nobody may be in it at all.
 */
static int klp_target_add_site(const struct klp_target *target,
			       const struct klp_func *now,
			       struct klp_ranges *busy)
{
	const struct klp_site *site = &target->site;

	if (!now && klp_guard_reentered(site, &target->text))
		return klp_ranges_add_all(busy, &target->text);

	return klp_ranges_add(busy, site->addr + 1, KLP_SITE_SIZE - 2);
}

static int klp_add_func_text(struct klp_ranges *busy,
			     const struct klp_func *func)
{
	if (!func)
		return 0;

	return klp_symbol_text((unsigned long)func->new_func, busy);
}

/* The text that must be idle for an edit, whatever it is that runs now or next. */
static int klp_target_add_text(struct klp_target *target,
			       const struct klp_func *now,
			       const struct klp_func *next,
			       struct klp_ranges *busy)
{
	int ret;

	ret = klp_ranges_add_all(busy, &target->text);
	if (ret)
		return ret;
	ret = klp_add_func_text(busy, now);
	if (ret)
		return ret;

	return klp_add_func_text(busy, next);
}

static int klp_target_prepare(struct klp_target *target, struct klp_switch *sw)
{
	struct klp_func *now = klp_target_top(target, klp_runs_now);
	struct klp_func *next = klp_target_top(target, klp_runs_next);
	int ret;

	if (now == next)
		return 0;

	WRITE_ONCE(target->claim.patch, sw->name);

	ret = klp_switch_add(sw, target->func, &target->site,
			     now ? now->new_func : NULL,
			     next ? next->new_func : NULL);
	if (ret)
		return ret;

	if (sw->mode == KLP_SWITCH_FORCED)
		ret = klp_target_add_site(target, now, &sw->look.text);
	else
		ret = klp_target_add_text(target, now, next, &sw->look.text);
	if (ret)
		return ret;

	/* Who is in the code of a probe is not seen to be in the function. */
	return klp_ranges_add_all(&sw->unprobed,
				  sw->mode == KLP_SWITCH_FORCED ?
				  &target->text : &target->claim.ranges);
}

/**
 * klp_targets_prepare() - collect what the marks ask for
 * @sw:		where the edits go, and the text that must be idle for them
 *
 * From here on the functions cannot be probed.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. To be completed
 *	    by klp_targets_finish(), also after an error.
 * Return: 0, or an error of klp_switch_add() or klp_symbol_text().
 */
int klp_targets_prepare(struct klp_switch *sw)
{
	struct klp_target *target;
	int ret;

	lockdep_assert_held(&klp_mutex);

	list_for_each_entry(target, &klp_targets, node) {
		ret = klp_target_prepare(target, sw);
		if (ret)
			return ret;
	}

	return 0;
}

/* The name of a func's patch, of which the kobject is the parent of its object's. */
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
			func->patched = klp_runs_next(func);
		func->transition = false;
		if (!func->patched)
			list_del_init(&func->stack_node);
	}

	func = klp_target_top(target, klp_runs_now);
	WRITE_ONCE(target->claim.patch, func ? klp_func_patch(func) : NULL);
}

/**
 * klp_targets_finish() - turn the marks into fact, or take them back
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

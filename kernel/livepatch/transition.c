// SPDX-License-Identifier: GPL-2.0
/*
 * Carry out the transition of a patch, from its first callback to its last.
 *
 *   begin      klp_transition_patch is set. Its @enabled is the state that the transition
 *              leads to
 *   prepare    pre_patch or pre_unpatch callbacks
 *   switch     all functions of the patch are switched, in one stop window
 *   complete   post_patch or post_unpatch callbacks. Patches that are not enabled any
 *              more are freed
 *
 * All operations that redirect functions have one shape, see klp_switch_try(): mark the
 * functions that are added or removed, collect the edits that follow from the marks, make
 * all edits or none, and commit the marks or roll them back.
 *
 * An attempt at the switch can be blocked. Then the next attempt follows, see ladder.c. The
 * caller makes the attempts, and drops klp_mutex in the pauses between them. With
 * livepatch.wait=1 it makes the plain attempts only, and a work item makes the others. In a
 * pause no function is marked, and only functions that are patched have their text claimed.
 * The state is the same as before the transition, except that no other transition can
 * start. Modules can be loaded and unloaded, and the transition can be reversed or forced.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <linux/workqueue.h>
#include "callback.h"
#include "ladder.h"
#include "look.h"
#include "patch.h"
#include "referrers.h"
#include "switch.h"
#include "symbol.h"
#include "target.h"
#include "telemetry.h"
#include "transition.h"

/* See transition.h. */
struct klp_patch *klp_transition_patch;
bool klp_wait;

module_param_named(wait, klp_wait, bool, 0644);
MODULE_PARM_DESC(wait, "Wait in the background for tasks that block a transition");

/* In the background the blockers are logged after so long, and then less and less often. */
#define KLP_MIN_REPORT	(15 * HZ)
#define KLP_MAX_REPORT	(3600 * HZ)

static void klp_retry_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(klp_retry, klp_retry_work);

/**
 * struct klp_climb - how far the transition has come on the ladder
 * @mode:	in which text no task may be
 * @nr:		how many attempts there were; in this mode, if it is forced
 * @pause_ms:	how long to wait before the next attempt, in milliseconds
 * @stats:	what the attempts cost
 * @background:	the attempts are made by klp_retry
 * @report:	how long to wait before the next report in the background, in jiffies
 * @report_at:	when that is due
 */
static struct klp_climb {
	enum klp_switch_mode mode;
	unsigned int nr;
	unsigned int pause_ms;
	struct klp_switch_stats stats;
	bool background;
	unsigned long report;
	unsigned long report_at;
} klp_climb;

/**
 * enum klp_report - what is logged if an attempt fails
 * @KLP_REPORT_NOTHING:	nothing
 * @KLP_REPORT_ERRORS:	errors that another attempt does not change
 * @KLP_REPORT_ALL:	these, and what blocks the attempt
 */
enum klp_report {
	KLP_REPORT_NOTHING,
	KLP_REPORT_ERRORS,
	KLP_REPORT_ALL,
};

static const char *klp_direction(const struct klp_patch *patch)
{
	return patch->enabled ? "patching" : "unpatching";
}

/* The name of a switch of the whole patch, for telemetry. */
static const char *klp_operation(enum klp_switch_mode mode)
{
	const struct klp_patch *patch = klp_transition_patch;

	if (mode == KLP_SWITCH_FORCED)
		return "force";
	if (!patch->enabled)
		return "disable";

	return patch->replace ? "replace" : "enable";
}

/* Marking */

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
 * The module may be unloaded after the switch. So no task may be inside any of its text, and
 * tasks that refer to its memory are looked for.
 */
static int klp_patch_leave(struct klp_patch *patch, struct klp_switch *sw)
{
	const struct module_memory *text = &patch->mod->mem[MOD_TEXT];
	struct klp_object *obj;
	int ret = 0;

	klp_for_each_object(patch, obj) {
		if (obj->patched)
			klp_object_leave(obj);
	}

	if (sw->mode == KLP_SWITCH_FORCED)
		return 0;

	if (text->size)
		ret = klp_ranges_add(&sw->look.text, (unsigned long)text->base,
				     text->size);
	if (!ret)
		ret = klp_referrers_add_memory(&sw->look.memory, patch->mod);

	return ret ?: klp_patches_freed_memory(&sw->look.memory);
}

/* Does a patch, when it is enabled, replace another? */
static bool klp_replaces(const struct klp_patch *patch,
			 const struct klp_patch *other)
{
	return patch->enabled && patch->replace && other != patch;
}

static int klp_mark_patches(struct klp_switch *sw, void *data)
{
	struct klp_patch *patch = data, *other;
	int ret;

	if (!patch->enabled)
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

static void klp_set_patched(struct klp_patch *patch)
{
	struct klp_object *obj;

	klp_for_each_object(patch, obj)
		obj->patched = patch->enabled && klp_object_loaded(obj);
}

/* Switching */

/* An attempt is over. Report it, and commit the marks or roll them back. */
static void klp_switch_done(const struct klp_switch *sw, int ret,
			    enum klp_report report)
{
	enum klp_report least = ret == -EBUSY ? KLP_REPORT_ALL : KLP_REPORT_ERRORS;
	/* Most modules that are unloaded have nothing to restore. */
	bool nothing = sw->mode == KLP_SWITCH_MODULE && !sw->nr_edits;

	if (ret == -EBUSY)
		klp_telemetry_blockers(sw);
	if (ret ? report >= least : !nothing)
		klp_telemetry_switch(sw, ret);
	if (ret && report >= least)
		klp_telemetry_log(sw, ret);
	klp_targets_finish(!ret);
}

/* The shape of all operations. */
static int klp_switch_try(struct klp_switch *sw,
			  int (*mark)(struct klp_switch *sw, void *data), void *data,
			  const struct klp_rung *rung, enum klp_report report)
{
	int ret;

	ret = mark(sw, data);
	if (!ret)
		ret = klp_targets_prepare(sw);
	if (!ret)
		ret = klp_switch_run(sw, rung);
	klp_switch_done(sw, ret, report);
	klp_symbol_forget();

	return ret;
}

static int klp_patch_switch(struct klp_switch *sw, const struct klp_rung *rung,
			    enum klp_report report)
{
	struct klp_patch *patch = klp_transition_patch, *other;
	int ret;

	ret = klp_switch_try(sw, klp_mark_patches, patch, rung, report);
	if (ret)
		return ret;

	klp_set_patched(patch);
	klp_for_each_patch(other) {
		if (!klp_replaces(patch, other))
			continue;
		other->enabled = false;
		klp_set_patched(other);
	}

	return 0;
}

/* Switch the patch for all objects that are loaded. All or nothing. */
static int klp_transition_try(const struct klp_rung *rung, enum klp_report report)
{
	struct klp_patch *patch = klp_transition_patch;
	struct klp_climb *climb = &klp_climb;
	struct klp_switch *sw;
	int ret;

	sw = klp_switch_alloc(patch->mod->name, klp_operation(climb->mode),
			      climb->mode);
	if (!sw)
		return -ENOMEM;

	sw->look.state = patch->enabled ? KLP_TRANSITION_UNPATCHED :
					  KLP_TRANSITION_PATCHED;
	sw->stats = climb->stats;
	ret = klp_patch_switch(sw, rung, report);
	climb->stats = sw->stats;
	klp_switch_free(sw);

	return ret;
}

/* From the first step to the last */

static void klp_begin(struct klp_patch *patch, bool enable)
{
	WRITE_ONCE(klp_transition_patch, patch);
	patch->enabled = enable;
	klp_climb = (struct klp_climb){ .report = KLP_MIN_REPORT };

	pr_debug("'%s': initializing %s transition\n", patch->mod->name,
		 klp_direction(patch));
}

/* The switch is over, in whichever direction it ended. */
static void klp_complete(void)
{
	struct klp_patch *patch = klp_transition_patch;
	struct klp_object *obj;

	pr_debug("'%s': completing %s transition\n", patch->mod->name,
		 klp_direction(patch));

	klp_for_each_object(patch, obj) {
		if (!klp_object_loaded(obj))
			continue;
		if (patch->enabled)
			klp_post_patch(obj);
		else
			klp_post_unpatch(obj);
	}

	klp_look_forget();
	pr_notice("'%s': %s complete\n", patch->mod->name,
		  klp_direction(patch));
	WRITE_ONCE(klp_transition_patch, NULL);
}

/* Complete, and free the patches that are not enabled any more. */
static void klp_end(void)
{
	struct klp_patch *patch = klp_transition_patch, *other, *tmp;

	cancel_delayed_work(&klp_retry);
	klp_complete();

	list_for_each_entry_safe(other, tmp, &klp_patches, list) {
		if (!other->enabled && (other == patch ||
					klp_replaces(patch, other)))
			klp_patch_free_async(other);
	}
}

/* Does the transition remove a patch? If it is forced, tasks can be inside its text. */
static bool klp_removes(const struct klp_patch *other)
{
	const struct klp_patch *patch = klp_transition_patch;

	return other == patch ? !patch->enabled : klp_replaces(patch, other);
}

static void klp_set_forced(void)
{
	struct klp_patch *patch;

	klp_for_each_patch(patch)
		patch->forced = klp_removes(patch);
}

static void klp_report_held(void)
{
	const struct klp_switch_stats *stats = &klp_climb.stats;

	if (stats->nr_held)
		pr_notice("'%s': tasks were held %u times, for %llu ms in all\n",
			  klp_transition_patch->mod->name, stats->nr_held,
			  div_u64(stats->held_ns, NSEC_PER_MSEC));
}

/*
 * Make the next attempt.
 * Return: 0 if the transition is over, -EBUSY if the attempt was blocked, or why it
 * failed.
 */
static int klp_transition_step(enum klp_report report)
{
	struct klp_rung rung;
	int ret;

	klp_ladder_rung(klp_climb.nr++, &rung);
	klp_climb.pause_ms = rung.pause_ms;

	ret = klp_transition_try(&rung, report);
	if (ret)
		return ret;

	klp_report_held();
	if (klp_climb.mode == KLP_SWITCH_FORCED)
		klp_set_forced();
	klp_end();
	return 0;
}

/*
 * Make attempts until one succeeds, fails, or is the last, or the caller is killed.
 * Drops klp_mutex in between. Another task can end the transition meanwhile.
 */
static int klp_transition_climb(unsigned int last, enum klp_report report)
{
	struct klp_patch *patch = klp_transition_patch;
	bool enable = patch->enabled;
	unsigned int pause_ms;
	int ret;

	for (;;) {
		ret = klp_transition_step(klp_climb.nr + 1 >= last ?
					  report : KLP_REPORT_ERRORS);
		if (ret == -EBUSY && klp_climb.nr >= last)
			klp_report_held();
		if (ret != -EBUSY || klp_climb.nr >= last)
			return ret;

		pause_ms = klp_climb.pause_ms;
		mutex_unlock(&klp_mutex);
		schedule_timeout_killable(msecs_to_jiffies(pause_ms));
		mutex_lock(&klp_mutex);

		/* It can have ended, and the opposite one begun. */
		if (klp_transition_patch != patch || patch->enabled != enable)
			return patch->enabled == enable ? 0 : -ECANCELED;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

static void klp_retry_later(void)
{
	/* Nothing is switched while the system goes to sleep or wakes up. */
	queue_delayed_work(system_freezable_wq, &klp_retry,
			   msecs_to_jiffies(klp_climb.pause_ms));
}

static void klp_retry_work(struct work_struct *work)
{
	bool report;
	int ret;

	mutex_lock(&klp_mutex);

	/* Reversed or forced since, and another transition may be under way. */
	if (!klp_transition_patch || !klp_climb.background)
		goto unlock;

	report = time_after_eq(jiffies, klp_climb.report_at);
	ret = klp_transition_step(report ? KLP_REPORT_ALL : KLP_REPORT_NOTHING);
	if (!ret)
		goto unlock;

	if (report) {
		pr_warn("'%s': the %s transition waits (%d)\n",
			klp_transition_patch->mod->name,
			klp_direction(klp_transition_patch), ret);
		klp_climb.report = min(2 * klp_climb.report, KLP_MAX_REPORT);
		klp_climb.report_at = jiffies + klp_climb.report;
	}
	klp_retry_later();
unlock:
	mutex_unlock(&klp_mutex);
}

/*
 * The attempts that the caller makes.
 * Return: 0, also if more attempts follow in the background; -ECANCELED if the
 * transition was reversed.
 */
static int klp_start(void)
{
	struct klp_patch *patch = klp_transition_patch;
	bool wait = READ_ONCE(klp_wait);
	int ret;

	pr_notice("'%s': starting %s transition\n", patch->mod->name,
		  klp_direction(patch));

	ret = klp_transition_climb(wait ? KLP_PLAIN_RUNGS : klp_ladder_length(),
				   wait ? KLP_REPORT_ERRORS : KLP_REPORT_ALL);
	if (ret == -EBUSY && wait) {
		klp_climb.report_at = jiffies + klp_climb.report;
		klp_climb.background = true;
		klp_retry_later();
		return 0;
	}

	return ret;
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

static int klp_refuse_second(const struct klp_patch *patch)
{
	pr_err("'%s' has to wait for the transition of '%s'\n",
	       patch->mod->name, klp_transition_patch->mod->name);
	return -EBUSY;
}

/**
 * klp_transition_enable() - switch to a patch
 * @patch:	an accepted patch that is not enabled
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, which is dropped
 *	    between attempts.
 * Return: 0 if the patch is enabled, or waits to be;
 *	   -ECANCELED if the transition was reversed, and the patch is being freed and
 *	   not listed any more;
 *	   else the patch is to be freed, and the error is
 *	   -EBUSY if another transition waits, or the switch was blocked,
 *	   -EINTR if the caller was killed,
 *	   that of a pre_patch callback, or that of klp_switch_run().
 */
int klp_transition_enable(struct klp_patch *patch)
{
	int ret;

	lockdep_assert_held(&klp_mutex);

	if (klp_transition_patch)
		return klp_refuse_second(patch);

	pr_notice("enabling patch '%s'\n", patch->mod->name);
	klp_begin(patch, true);

	ret = klp_pre_patch_objects(patch);
	if (!ret) {
		ret = klp_start();
		if (!ret || ret == -ECANCELED)
			return ret;
	}

	pr_warn("failed to enable patch '%s'\n", patch->mod->name);
	pr_debug("'%s': canceling patching transition, going to unpatch\n",
		 patch->mod->name);
	patch->enabled = false;
	klp_complete();
	return ret;
}

/**
 * klp_transition_disable() - disable a patch
 * @patch:	an enabled patch
 *
 * Its functions go back to the next older patch that replaces them, or to the originals.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, which is dropped
 *	    between attempts, and prevents that the patch is freed meanwhile.
 * Return: 0 if the patch is being freed, or waits to be disabled; else it is still
 *	   enabled, and the error is
 *	   -ECANCELED if the transition was reversed,
 *	   -EBUSY if another transition waits, or the switch was blocked,
 *	   or that of klp_switch_run().
 */
int klp_transition_disable(struct klp_patch *patch)
{
	struct klp_object *obj;
	int ret;

	lockdep_assert_held(&klp_mutex);

	if (klp_transition_patch)
		return klp_refuse_second(patch);

	klp_begin(patch, false);
	klp_for_each_object(patch, obj) {
		if (obj->patched)
			klp_pre_unpatch(obj);
	}

	ret = klp_start();
	if (!ret || ret == -ECANCELED)
		return ret;

	pr_warn("failed to disable patch '%s'\n", patch->mod->name);
	patch->enabled = true;
	klp_complete();
	return ret;
}

/**
 * klp_transition_reverse() - reverse a transition that waits
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, and has seen that
 *	    klp_transition_patch is not NULL.
 */
void klp_transition_reverse(void)
{
	struct klp_patch *patch = klp_transition_patch;

	lockdep_assert_held(&klp_mutex);

	pr_debug("'%s': reversing transition from %s\n", patch->mod->name,
		 patch->enabled ? "patching to unpatching" :
				  "unpatching to patching");
	patch->enabled = !patch->enabled;
	pr_notice("'%s': starting %s transition\n", patch->mod->name,
		  klp_direction(patch));

	/* Nothing has been switched, so there is nothing to switch back. */
	klp_end();
}

/*
 * A module stays loaded if its patch is forced out. One that is being unloaded cannot, and
 * one whose init function still runs may have to be unloaded.
 */
static bool klp_cannot_stay(void)
{
	struct klp_patch *patch;

	klp_for_each_patch(patch) {
		if (klp_removes(patch) &&
		    patch->mod->state != MODULE_STATE_LIVE) {
			pr_err("'%s' cannot be forced out, its module is not live\n",
			       patch->mod->name);
			return true;
		}
	}

	return false;
}

/**
 * klp_transition_force() - end a transition though tasks are inside
 *
 * A task that is inside a function goes on in the version that it is in. Only a task
 * that would run into half an instruction then blocks the switch.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, which is dropped
 *	    between attempts, and has seen that klp_transition_patch is not NULL.
 * Return: 0; -EBUSY if the module of a patch that would be forced out is not live, or
 *	   an error of klp_switch_run(), with the transition still waiting;
 *	   -ECANCELED if the transition was reversed.
 */
int klp_transition_force(void)
{
	int ret;

	lockdep_assert_held(&klp_mutex);

	if (klp_cannot_stay())
		return -EBUSY;

	pr_warn("forcing remaining tasks to the patched state\n");

	klp_climb.mode = KLP_SWITCH_FORCED;
	klp_climb.nr = 0;
	ret = klp_transition_climb(klp_ladder_length(), KLP_REPORT_ALL);
	if (ret && ret != -ECANCELED)
		klp_climb.mode = KLP_SWITCH_IDLE;

	return ret;
}

/* Modules that are loaded and unloaded */

/* No task is inside the module, or only in functions that are redirected. */
static int klp_module_try(const char *name, const char *op,
			  int (*mark)(struct klp_switch *sw, void *data), void *data,
			  const struct klp_rung *rung, enum klp_report report)
{
	struct klp_switch *sw;
	int ret;

	sw = klp_switch_alloc(name, op, KLP_SWITCH_MODULE);
	if (!sw)
		return -ENOMEM;

	ret = klp_switch_try(sw, mark, data, rung, report);
	klp_switch_free(sw);

	return ret;
}

static int klp_mark_coming(struct klp_switch *sw, void *obj)
{
	return klp_object_enter(obj);
}

static int klp_mark_going(struct klp_switch *sw, void *obj)
{
	klp_object_leave(obj);
	return 0;
}

/* Nothing is marked: the functions stay redirected, for all other calls. */
static int klp_mark_calls(struct klp_switch *sw, void *mod)
{
	return klp_targets_restore_calls(sw, mod);
}

/* Make plain attempts, with klp_mutex held. Only kprobes, and tasks that set some, block. */
static int klp_object_switch(struct klp_patch *patch, struct klp_object *obj)
{
	struct klp_rung rung;
	unsigned int nr = 0;
	int ret;

	for (;;) {
		klp_ladder_rung(nr++, &rung);
		ret = klp_module_try(patch->mod->name, "coming", klp_mark_coming,
				     obj, &rung, nr < KLP_PLAIN_RUNGS ?
				     KLP_REPORT_ERRORS : KLP_REPORT_ALL);
		if (ret != -EBUSY || nr == KLP_PLAIN_RUNGS)
			break;
		fsleep(rung.pause_ms * USEC_PER_MSEC);
	}

	obj->patched = !ret;
	return ret;
}

/*
 * The module is freed in any case. So make attempts until one succeeds: memory can be
 * short for a while, or a task sets a kprobe. If other code has changed the text it is
 * left as it is.
 */
static int klp_module_restore(const char *name,
			      int (*mark)(struct klp_switch *sw, void *data),
			      void *data)
{
	struct klp_rung rung;
	unsigned int nr = 0;
	int ret;

	for (;;) {
		klp_ladder_rung(min(nr++, KLP_PLAIN_RUNGS - 1), &rung);
		ret = klp_module_try(name, "going", mark, data, &rung,
				     KLP_REPORT_ERRORS);
		if (ret != -EBUSY && ret != -ENOMEM)
			break;
		fsleep(rung.pause_ms * USEC_PER_MSEC);
	}

	if (ret)
		pr_err("'%s': functions of a module that is unloaded stay redirected (%d)\n",
		       name, ret);
	return ret;
}

/**
 * klp_transition_coming() - patch an object that is being loaded
 * @patch:	a patch
 * @obj:	one of its objects, after klp_object_init_loaded()
 *
 * If the patch waits to be enabled, the object waits with it.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. No task runs the object.
 * Return: 0, or an error of klp_switch_run() or of the pre_patch callback, with
 *	   the object not patched.
 */
int klp_transition_coming(struct klp_patch *patch, struct klp_object *obj)
{
	int ret;

	lockdep_assert_held(&klp_mutex);

	ret = klp_pre_patch(obj);
	if (ret)
		return ret;

	if (patch == klp_transition_patch && patch->enabled)
		return 0;

	ret = klp_object_switch(patch, obj);
	if (ret) {
		pr_warn("failed to apply patch '%s' to module '%s' (%d)\n",
			patch->mod->name, obj->name, ret);
		klp_post_unpatch(obj);
		return ret;
	}

	if (patch != klp_transition_patch)
		klp_post_patch(obj);
	return 0;
}

/**
 * klp_transition_going() - restore an object that is being unloaded
 * @patch:	a patch
 * @obj:	one of its objects, which is loaded
 *
 * Readers and writers of the module's parameters can still call its functions, and get
 * the originals from here on.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_transition_going(struct klp_patch *patch, struct klp_object *obj)
{
	lockdep_assert_held(&klp_mutex);

	if (patch != klp_transition_patch)
		klp_pre_unpatch(obj);

	pr_notice("reverting patch '%s' on unloading module '%s'\n",
		  patch->mod->name, obj->name);
	if (obj->patched &&
	    klp_module_restore(patch->mod->name, klp_mark_going, obj)) {
		klp_object_leave(obj);
		klp_targets_finish(true);
	}

	klp_post_unpatch(obj);
}

/**
 * klp_transition_restore_calls() - restore static calls of a module that is being unloaded
 * @mod:	the module
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_transition_restore_calls(struct module *mod)
{
	lockdep_assert_held(&klp_mutex);

	klp_module_restore(mod->name, klp_mark_calls, mod);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The switch: make a set of edits for all tasks at once, or not at all.
 *
 *   prepare   running   find the static calls, sort everything
 *   look      running   look at each task that does not run, and from here on at each
 *                       task that leaves a CPU; wait until no task is inside
 *   check     running   map the pages that are written; check that the claimed text has no
 *                       kprobe, and that the bytes to be written have the expected values
 *   stop      stopped   every CPU is in klp_window() with interrupts off
 *   write     stopped   if no task is inside: in steps, after each of which all CPUs
 *                       serialise
 *   finish    running   unmap, report, free
 *
 * The CPUs are stopped only when no task is known to be inside. When they have stopped,
 * this is checked once more, and nothing is written before. So after a failure the text is
 * as it was. While the CPUs are stopped, nothing takes a lock, allocates, prints or edits a
 * page table. Each of these may wait for another CPU, which makes no progress then.
 *
 * Lock order, outermost first: klp_mutex, cpus_read_lock(), jump_label_lock(), text_mutex.
 * Other code that changes text takes the last three in the same order. CPUs must not come
 * or go between the look and the stop. The text must not change between the check and the
 * write. A jump label that a function's entry has must not be in the midst of a change
 * when the function is redirected or restored.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/math64.h>
#include <linux/memory.h>
#include <linux/minmax.h>
#include <linux/nmi.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/static_call.h>
#include <linux/stop_machine.h>
#include <linux/sync_core.h>
#include <asm/livepatch.h>
#include "calls.h"
#include "fault.h"
#include "grow.h"
#include "hold.h"
#include "kprobe.h"
#include "ladder.h"
#include "look.h"
#include "patch.h"
#include "referrers.h"
#include "registrar.h"
#include "switch.h"

/*
 * How long an attempt sleeps before it asks again whether a task is inside, and how
 * often it asks before it nudges the tasks that are: one can have gone to sleep inside
 * since.
 */
#define KLP_POLL_US		1000
#define KLP_POLLS		8

/*
 * After the CPUs were stopped in vain they run for at least ten times as long, so that
 * they are stopped for a tenth of the time at the most; or for 50 ms if it took longer
 * than 5 ms to stop them, as in a virtual machine of which the host runs one CPU after
 * the other.
 */
#define KLP_RUN_STOP_RATIO	10
#define KLP_MAX_RUN_NS		(50 * NSEC_PER_MSEC)

/* Until then no CPU is stopped, by ktime_get_ns(). Protected by klp_mutex. */
static u64 klp_run_until;

/**
 * klp_switch_alloc() - begin a set of edits
 * @name:	name of the patch
 * @op:		name of the operation
 * @mode:	in which text no task may be
 *
 * Context: Process context, may sleep.
 * Return: the empty set, or NULL if there is no memory.
 */
struct klp_switch *klp_switch_alloc(const char *name, const char *op,
				    enum klp_switch_mode mode)
{
	struct klp_switch *sw;

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_alloc, name, op, mode);

	sw = kzalloc(sizeof(*sw), GFP_KERNEL);
	if (sw) {
		sw->name = name;
		sw->op = op;
		sw->mode = mode;
	}

	return sw;
}

static void klp_switch_free_rcu(struct rcu_head *rcu)
{
	struct klp_switch *sw = container_of(rcu, struct klp_switch, rcu);

	klp_ranges_free(&sw->unprobed);
	klp_ranges_free(&sw->look.registrars);
	klp_ranges_free(&sw->look.memory);
	klp_ranges_free(&sw->look.text);
	klp_moves_free(&sw->moves);
	kvfree(sw->edits);
	kfree(sw);
}

/**
 * klp_switch_free() - free a set of edits
 * @sw:		the set, or NULL
 *
 * A CPU can still be in klp_sched_out() or in klp_int3(), both of which run with
 * interrupts off, and so end before a grace period does.
 *
 * Context: Any.
 */
void klp_switch_free(struct klp_switch *sw)
{
	if (sw)
		call_rcu(&sw->rcu, klp_switch_free_rcu);
}

static int klp_switch_add_edit(struct klp_switch *sw,
			       const struct klp_edit *edit)
{
	struct klp_edit *edits;

	edits = klp_grow(sw->edits, sw->nr_edits, &sw->max_edits, sizeof(*edits));
	if (!edits)
		return -ENOMEM;

	sw->edits = edits;
	sw->edits[sw->nr_edits++] = *edit;
	return 0;
}

/*
 * While a function is redirected its jump labels are no more in the text, and a change of
 * their keys must not write there.
 */
static int klp_switch_add_labels(struct klp_switch *sw, const struct klp_site *site,
				 bool take)
{
	struct klp_edit edit;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < site->nr_labels && !ret; i++) {
		klp_edit_label(&edit, site->label[i], take);
		ret = klp_switch_add_edit(sw, &edit);
	}

	return ret;
}

/**
 * klp_switch_add() - add the edit of a function's entry
 * @sw:		the set
 * @func:	the function
 * @site:	its site
 * @from:	the replacement that it goes to now, NULL for the function itself
 * @to:		the replacement that it has to go to, NULL for the function itself
 *
 * Edits of static calls follow from it, and of its jump labels. The caller adds the text in
 * which no task may be. @site must stay until the switch is freed.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ERANGE if the jump does not reach @to, or -ENOMEM.
 */
int klp_switch_add(struct klp_switch *sw, void *func,
		   const struct klp_site *site, void *from, void *to)
{
	struct klp_edit edit;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_add, sw, func, site, from, to);

	if (to && klp_site_reachable(site, to)) {
		pr_err("%pS cannot be reached from %pS\n", to,
		       (void *)site->addr);
		return -ERANGE;
	}

	klp_edit_site(&edit, site, from, to);
	ret = klp_fault(-ERANGE) ?: klp_switch_add_edit(sw, &edit);
	if (!ret && !(from && to))
		ret = klp_switch_add_labels(sw, site, to);
	if (!ret)
		ret = klp_moves_add(&sw->moves, func, from, to);
	if (!ret)
		sw->nr_funcs++;

	return ret;
}

static int klp_edit_cmp(const void *a, const void *b)
{
	const struct klp_edit *ea = a, *eb = b;

	return ea->addr < eb->addr ? -1 : 1;
}

/**
 * struct klp_window - what the CPUs share while they are stopped
 * @sw:		the set of edits
 * @arrived:	how often a CPU arrived at a step
 * @steps:	how many steps are done
 * @clear:	no task is inside
 * @polls:	idle CPUs have been told to poll, and not yet to stop polling
 * @ns:		the longest that a CPU was in the window, in nanoseconds
 */
struct klp_window {
	struct klp_switch *sw;
	atomic_t arrived;
	unsigned int steps;
	bool clear;
	bool polls;
	atomic64_t ns;
};

/* Done once for all CPUs, while the others wait. */
static void __kprobes klp_window_step(struct klp_window *window,
				      unsigned int step)
{
	struct klp_switch *sw = window->sw;

	if (step == KLP_STEP_TRAP) {
		window->clear = klp_look_clear();
		/* What leaves a CPU from here on is the stopper. */
		WRITE_ONCE(sw->look.switched, window->clear);
		/* All have woken up, and the caller may not run for long. */
		cpu_idle_poll_ctrl(false);
		window->polls = false;
	}
	if (window->clear)
		klp_edits_write(sw->edits, sw->nr_edits, step);
}

/*
 * Another CPU can be kept from getting here, as in a virtual machine of which the host
 * has stopped a CPU. That is no lockup of the CPU that waits.
 */
static void __kprobes klp_window_wait(const struct klp_window *window,
				      unsigned int step)
{
	/* Pairs with klp_window_steps(). */
	while (smp_load_acquire(&window->steps) <= step) {
		cpu_relax();
		touch_nmi_watchdog();
		rcu_momentary_eqs();
	}
}

static void __kprobes klp_window_steps(struct klp_window *window)
{
	unsigned int nr_cpus = num_online_cpus();
	unsigned int step;

	for (step = KLP_STEP_TRAP; step <= KLP_STEP_HEAD; step++) {
		/*
		 * The last CPU to arrive does the step. By the full barrier of the
		 * count it sees what all CPUs did before they arrived, which includes
		 * their last klp_sched_out(). They have serialised since the last
		 * step, and are not in an NMI that began before it.
		 */
		if (atomic_inc_return(&window->arrived) == nr_cpus * (step + 1)) {
			klp_window_step(window, step);
			/* Pairs with klp_window_wait(): what the step did is seen. */
			smp_store_release(&window->steps, step + 1);
		} else {
			klp_window_wait(window, step);
		}

		/* What was decoded before the step must not be executed after it. */
		sync_core();

		if (!window->clear)
			break;
	}
}

static void __kprobes klp_max(atomic64_t *max, s64 ns)
{
	s64 old = atomic64_read(max);

	while (ns > old && !atomic64_try_cmpxchg(max, &old, ns))
		;
}

static int __kprobes klp_window(void *data)
{
	struct klp_window *window = data;
	u64 start = ktime_get_mono_fast_ns();

	klp_window_steps(window);
	klp_max(&window->ns, ktime_get_mono_fast_ns() - start);

	return 0;
}

static int klp_switch_stop(struct klp_switch *sw)
{
	struct klp_switch_stats *stats = &sw->stats;
	struct klp_window window = { .sw = sw, .polls = true };
	u64 start;
	int ret;

	/*
	 * A CPU in a deep idle state takes its time to wake up, while the CPUs that
	 * are stopped already wait for it. So wake up all of them before.
	 */
	cpu_idle_poll_ctrl(true);
	wake_up_all_idle_cpus();
	start = ktime_get_ns();

	ret = stop_machine_cpuslocked(klp_window, &window, cpu_online_mask);

	/* The CPUs may not have been stopped at all. */
	if (window.polls)
		cpu_idle_poll_ctrl(false);
	stats->window_ns = ktime_get_ns() - start;
	stats->callback_ns = atomic64_read(&window.ns);
	stats->nr_cpus = num_online_cpus();
	stats->nr_stops++;
	if (ret)
		return ret;

	return window.clear ? 0 : -EBUSY;
}

/* Only static_call_update() may change bytes that are to be edited: a call. */
static bool klp_edit_is_changed(const struct klp_edit *edit)
{
	return !edit->key && !klp_edit_fits(edit);
}

/* static_call_update() has set the key of a call, and waits for text_mutex. */
static bool klp_edit_is_pending(const struct klp_edit *edit)
{
	return edit->key && klp_edit_fits(edit) &&
	       READ_ONCE(edit->key->func) != edit->func;
}

static void klp_switch_follow_labels(struct klp_switch *sw)
{
	struct klp_edit *edit;

	for (edit = sw->edits; edit < sw->edits + sw->nr_edits; edit++)
		klp_edit_follow_labels(edit);
}

/* Calls that were updated since they were found are correct. */
static void klp_switch_drop_updated(struct klp_switch *sw)
{
	unsigned int i, kept = 0;

	for (i = 0; i < sw->nr_edits; i++) {
		if (klp_edit_fits(&sw->edits[i]))
			sw->edits[kept++] = sw->edits[i];
	}
	sw->nr_edits = kept;
}

/* The address of the first edit of which @is is true, or 0. */
static unsigned long klp_switch_find(const struct klp_switch *sw,
				     bool (*is)(const struct klp_edit *edit))
{
	const struct klp_edit *edit;

	for (edit = sw->edits; edit < sw->edits + sw->nr_edits; edit++) {
		if (is(edit))
			return edit->addr;
	}

	return 0;
}

/*
 * A kprobe can be left over from a module that was unloaded, in text of another module by
 * now. kprobes take an INT3 there for their own, and klp_int3() is not called. So none
 * is written. In a module that is being loaded no CPU executes the bytes meanwhile. In
 * one that is being unloaded only an NMI could, and the module has unregistered its
 * handlers.
 */
static void klp_switch_no_traps(struct klp_switch *sw)
{
	struct klp_edit *edit;

	for (edit = sw->edits; edit < sw->edits + sw->nr_edits; edit++)
		edit->no_trap |= klp_edit_probed(edit);
}

/**
 * klp_switch_look() - may the text be written?
 * @sw:		the set
 *
 * Kprobes are searched first, as a kprobe changes the text as well. After the look none
 * can be added any more, see kprobe.c. Nothing else changes the text while text_mutex
 * is held.
 *
 * Context: Process context. Caller holds jump_label_lock() and text_mutex.
 * Return: 0, -EBUSY if there is a kprobe, or a static call that is being updated, or
 *	   -EADDRINUSE if other code has changed the text.
 */
int klp_switch_look(struct klp_switch *sw)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_switch_look, sw);

	sw->probe = klp_kprobe_find(&sw->unprobed);
	if (sw->mode == KLP_SWITCH_MODULE)
		klp_switch_no_traps(sw);
	else if (!sw->probe)
		sw->probe = klp_switch_find(sw, klp_edit_probed);
	if (sw->probe)
		return -EBUSY;

	klp_switch_follow_labels(sw);
	sw->changed = klp_switch_find(sw, klp_edit_is_changed);
	if (sw->changed)
		return -EADDRINUSE;

	sw->pending = klp_switch_find(sw, klp_edit_is_pending);
	if (sw->pending)
		return -EBUSY;

	klp_switch_drop_updated(sw);
	return 0;
}

/* Check, stop, and write. */
static int klp_switch_locked(struct klp_switch *sw)
{
	int ret;

	lockdep_assert_held(&text_mutex);

	ret = klp_switch_look(sw);
	if (ret)
		return ret;

	ret = klp_fault(-EADDRINUSE) ?: klp_switch_stop(sw);
	if (ret)
		return ret;

	klp_edits_disarm();
	klp_edits_tell(sw->edits, sw->nr_edits);
	klp_registrars_settled();
	return 0;
}

static int klp_switch_map(struct klp_switch *sw)
{
	int ret = klp_fault(-EFAULT);
	void *map;

	if (ret)
		return ret;

	map = klp_edits_map(sw->edits, sw->nr_edits);
	if (IS_ERR(map))
		return PTR_ERR(map);

	sw->map = map;
	return 0;
}

static void klp_switch_unmap(struct klp_switch *sw)
{
	klp_edits_unmap(sw->map);
	sw->map = NULL;
}

/*
 * No task is known to be inside. The text is writable elsewhere from here to the end
 * of the attempt at the latest.
 */
static int klp_switch_make(struct klp_switch *sw)
{
	int ret = 0;

	if (!sw->map)
		ret = klp_switch_map(sw);
	if (ret)
		return ret;

	jump_label_lock();
	mutex_lock(&text_mutex);
	ret = klp_switch_locked(sw);
	mutex_unlock(&text_mutex);
	jump_label_unlock();

	return ret;
}

/*
 * Wait until no task is inside, as far as is known, and the CPUs may be stopped again.
 * Return: false if that is not so in time.
 */
static bool klp_switch_wait(u64 end)
{
	unsigned int polls = 0;
	u64 now;

	for (;;) {
		now = ktime_get_ns();
		if (klp_look_clear() && now >= klp_run_until)
			return true;
		if (now >= end || polls++ == KLP_POLLS)
			return false;
		usleep_range(KLP_POLL_US / 2, KLP_POLL_US);
	}
}

/* The CPUs were stopped in vain. Let them run. */
static void klp_switch_rest(const struct klp_switch *sw)
{
	klp_run_until = ktime_get_ns() + min(KLP_RUN_STOP_RATIO * sw->stats.window_ns,
					     KLP_MAX_RUN_NS);
}

/* They were at the end of the last attempt. That takes no time of this one. */
static void klp_switch_rested(void)
{
	u64 now = ktime_get_ns();

	if (now < klp_run_until)
		fsleep(div_u64(klp_run_until - now, NSEC_PER_USEC) + 1);
}

/* Make threads that are inside leave, and have them and others wait at the edge. */
static void klp_switch_hold(void)
{
	klp_look_inside(klp_hold_inside);
	/* Threads that run and have to be held need a moment to get there. */
	fsleep(KLP_POLL_US);
}

/* Switch at an instant at which no task is inside, until the time is up. */
static int klp_switch_until(struct klp_switch *sw, const struct klp_rung *rung,
			    u64 end)
{
	int ret = -EBUSY;

	do {
		if (rung->hold != KLP_HOLD_NONE)
			klp_switch_hold();
		if (!klp_switch_wait(end))
			continue;

		ret = klp_switch_make(sw);
		/* A probe or an update of a static call does not pass that soon. */
		if (ret != -EBUSY || sw->probe || sw->pending)
			break;
		klp_switch_rest(sw);
	} while (ktime_get_ns() < end);

	return ret;
}

/*
 * One attempt.
 * Return: 0, -EBUSY if a task, a probe or an update blocks the switch, -EADDRINUSE if
 * the text is not what it must be, -ENOMEM, -EFAULT, or the error of stop_machine().
 */
static int klp_switch_attempt(struct klp_switch *sw, const struct klp_rung *rung)
{
	u64 start, end;
	int ret;

	klp_switch_rested();

	cpus_read_lock();
	klp_look_start(&sw->look);
	klp_look_all(&sw->look);
	sw->stats.nr_tasks = sw->look.nr_walked;
	if (sw->look.memory.nr)
		klp_referrers_begin();

	/* Only now, as it takes its time to look at many tasks. */
	start = ktime_get_ns();
	end = start + rung->ms * NSEC_PER_MSEC;
	klp_hold_start(rung->hold, rung->ms);
	if (rung->hold > KLP_HOLD_SEEN)
		klp_look_running(klp_hold_running);

	ret = klp_switch_until(sw, rung, end);

	klp_look_stop();
	sw->stats.nr_held += klp_hold_stop();
	if (rung->hold != KLP_HOLD_NONE) {
		sw->stats.nr_bursts++;
		sw->stats.held_ns += ktime_get_ns() - start;
	}
	cpus_read_unlock();

	klp_switch_unmap(sw);
	return ret;
}

static int klp_switch_add_call(void *data, unsigned long addr,
			       const struct static_call_key *key,
			       const struct klp_move *move)
{
	struct klp_edit edit;
	int ret;

	ret = klp_edit_call(&edit, addr, move->from, move->to, move->trap);
	/* A call that cannot reach the replacement goes through the entry. */
	if (ret)
		return move->from == move->func ? 0 : ret;

	edit.key = key;
	edit.func = move->func;
	return klp_switch_add_edit(data, &edit);
}

static int klp_switch_prepare(struct klp_switch *sw)
{
	int ret;

	ret = klp_kprobe_add_registrars(&sw->look.registrars);
	if (ret)
		return ret;

	klp_ranges_sort(&sw->look.text);
	klp_ranges_sort(&sw->look.registrars);
	klp_ranges_sort(&sw->look.memory);
	klp_ranges_sort(&sw->unprobed);

	ret = klp_calls_find(&sw->moves, &sw->look.memory, klp_switch_add_call, sw);
	sw->pending = sw->moves.pending;
	if (ret)
		return ret;

	sort(sw->edits, sw->nr_edits, sizeof(*sw->edits), klp_edit_cmp, NULL);
	klp_kprobe_settle(&sw->unprobed);

	return 0;
}

static bool klp_switch_is_empty(const struct klp_switch *sw)
{
	return !sw->nr_edits && !sw->look.text.nr && !sw->unprobed.nr;
}

/**
 * klp_switch_run() - make an attempt at a set of edits
 * @sw:		the set
 * @rung:	what kind of attempt it is
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, and must not
 *	    hold cpus_read_lock() or text_mutex.
 * Return: 0, -EBUSY if a task, a probe or an update of a static call blocks the
 *	   switch, -EADDRINUSE if other code changed the text, -ENOMEM, -EFAULT if a
 *	   site cannot be mapped, or the error of stop_machine(). After an error
 *	   everything is as before.
 */
int klp_switch_run(struct klp_switch *sw, const struct klp_rung *rung)
{
	u64 start = ktime_get_ns();
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_run, sw, rung);
	lockdep_assert_held(&klp_mutex);

	sw->probe = 0;
	sw->changed = 0;
	sw->pending = 0;
	sw->stats.nr_attempts++;

	if (klp_switch_is_empty(sw) && !sw->moves.nr)
		return 0;

	ret = klp_switch_prepare(sw);
	/* A module that is unloaded hardly ever has static calls to restore. */
	if (!ret && !klp_switch_is_empty(sw))
		ret = klp_switch_attempt(sw, rung);

	sw->stats.total_ns += ktime_get_ns() - start;
	return ret;
}

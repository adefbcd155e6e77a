// SPDX-License-Identifier: GPL-2.0
/*
 * The switch: a set of edits, made for all tasks at once, or not at all.
 *
 *   prepare   running   sort the edits and the text that must be idle, encode
 *                       what is to be written, map where it goes
 *   prescan   running   no task is in the text
 *   look      running   no kprobe is in it, and it is as it must be
 *   stop      stopped   every CPU is in klp_window() with interrupts off
 *   recheck   stopped   no task is in the text that has run since the prescan
 *   write     stopped   in steps, after each of which all CPUs serialise
 *   finish    running   report, free
 *
 * The machine is stopped when nothing was found in the way while it ran, and not
 * before. Whatever fails, the text is as it was: nothing is written before the
 * last check. In the window nothing takes a lock, allocates, prints or edits a
 * page table: the CPU that would have to give way to it does not run.
 *
 * Text that nobody can be in, that of a module which is being loaded, is written
 * without a window, see klp_switch_still().
 *
 * Locks, outermost first, as everybody who pokes text takes them: klp_mutex,
 * cpus_read_lock(), text_mutex. CPUs must not come and go while it is recorded
 * what runs on them; the text must not change between looking and writing.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/math.h>
#include <linux/memory.h>
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
#include "guard.h"
#include "patch.h"
#include "ran.h"
#include "switch.h"

/*
 * How long a switch waits before each new attempt: from 1 ms, doubled each time
 * up to 100 ms.
 */
#define KLP_MIN_DELAY_MS	1
#define KLP_MAX_DELAY_MS	100

/*
 * And by how much longer than the machine stood still for nothing the last time,
 * so that it stands still for less than a thousandth of the time at the worst.
 * That goes for up to a millisecond. If it takes longer it is a virtual machine
 * which somebody stopped as well, and klp_mutex is not to be held for so long.
 */
#define KLP_RUN_STOP_RATIO	1000
#define KLP_MAX_PAUSE_NS	NSEC_PER_SEC

/* When that is over, by ktime_get_ns(). Protected by klp_mutex. */
static u64 klp_may_stop_at;

/**
 * klp_switch_alloc() - begin a set of edits
 * @name:	name of the patch
 * @op:		name of the operation
 * @mode:	what has to be idle
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
		sw->state = KLP_TRANSITION_IDLE;
	}

	return sw;
}

/**
 * klp_switch_free() - free a set of edits
 * @sw:		the set, or NULL
 *
 * Context: Process context, may sleep.
 */
void klp_switch_free(struct klp_switch *sw)
{
	if (!sw)
		return;

	klp_ranges_free(&sw->unprobed);
	klp_ranges_free(&sw->busy);
	klp_moves_free(&sw->moves);
	kvfree(sw->edits);
	kfree(sw);
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

/**
 * klp_switch_add() - add the edit of a function's entry
 * @sw:		the set
 * @func:	the function
 * @site:	its site
 * @from:	where its entry goes now, NULL for the function itself
 * @to:		where it must go, NULL for the function itself
 *
 * Static calls of the function follow. The text that must be idle for it is the
 * caller's to add.
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
 * @clear:	nobody is in the way
 * @ns:		the longest that a CPU was in the window, in nanoseconds
 * @left:	when the last CPU left it, by ktime_get_ns()
 */
struct klp_window {
	struct klp_switch *sw;
	atomic_t arrived;
	unsigned int steps;
	bool clear;
	atomic64_t ns;
	atomic64_t left;
};

/* What is done once for all CPUs, while the others wait. */
static void __kprobes klp_window_step(struct klp_window *window,
				      unsigned int step)
{
	struct klp_switch *sw = window->sw;

	if (step == KLP_STEP_TRAP) {
		klp_idle_check_rest(&sw->idle);
		window->clear = klp_idle_clear(&sw->idle);
	}
	if (window->clear)
		klp_edits_write(sw->edits, sw->nr_edits, step);
}

static void __kprobes klp_window_steps(struct klp_window *window)
{
	unsigned int nr_cpus = num_online_cpus();
	unsigned int step;

	for (step = KLP_STEP_TRAP; step <= KLP_STEP_HEAD; step++) {
		/*
		 * The last CPU to arrive does the step. By the full barrier of
		 * the count it sees what the others found about themselves, and
		 * knows that they all have serialised since the last step, and
		 * are not in an NMI that began before.
		 */
		if (atomic_inc_return(&window->arrived) == nr_cpus * (step + 1)) {
			klp_window_step(window, step);
			/* Pairs below: what the step did comes first. */
			smp_store_release(&window->steps, step + 1);
		} else {
			/* Pairs above. */
			while (smp_load_acquire(&window->steps) <= step)
				cpu_relax();
		}

		/* What was decoded ahead of the step must not run behind it. */
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
	u64 now, start = ktime_get_mono_fast_ns();

	klp_idle_check_cpu(&window->sw->idle);
	klp_window_steps(window);

	now = ktime_get_mono_fast_ns();
	klp_max(&window->ns, now - start);
	klp_max(&window->left, now);

	return 0;
}

static int klp_switch_stop(struct klp_switch *sw)
{
	struct klp_switch_stats *stats = &sw->stats;
	struct klp_window window = { .sw = sw };
	unsigned int walked = atomic_read(&sw->idle.nr_walked);
	u64 start, end;
	int ret;

	/*
	 * A CPU that sleeps takes its time to wake up, and those that are stopped
	 * already wait for it. So wake them all up before.
	 */
	cpu_idle_poll_ctrl(true);
	wake_up_all_idle_cpus();
	start = ktime_get_ns();

	ret = stop_machine_cpuslocked(klp_window, &window, cpu_online_mask);
	cpu_idle_poll_ctrl(false);

	end = ktime_get_ns();
	stats->window_ns = end - start;
	stats->callback_ns = atomic64_read(&window.ns);
	stats->nr_cpus = num_online_cpus();
	stats->nr_tasks = walked;
	stats->nr_rechecked = atomic_read(&sw->idle.nr_walked) - walked;
	if (ret || window.clear)
		return ret;

	/* When who asked for it came to run again is not what counts. */
	end = atomic64_read(&window.left);
	klp_may_stop_at = end + min(KLP_RUN_STOP_RATIO * (end - start),
				    KLP_MAX_PAUSE_NS);
	return -EBUSY;
}

/*
 * Does key or text of a static call not say any more what it did when it was found?
 * Who has set the key and not yet written the text waits for text_mutex.
 */
static bool klp_switch_call_changed(const struct klp_edit *edit)
{
	return !klp_edit_fits(edit) || READ_ONCE(edit->key->func) != edit->func;
}

/* Nobody else may change the entry of a function. */
static bool klp_switch_entry_changed(const struct klp_edit *edit)
{
	return !edit->key && !klp_edit_fits(edit);
}

/*
 * Is a call about to be updated that leads to what goes? Its owner waits for
 * text_mutex; let him have it.
 */
static bool klp_switch_call_pending(const struct klp_edit *edit)
{
	return edit->gone && klp_edit_fits(edit) &&
	       READ_ONCE(edit->key->func) != edit->func;
}

/* What goes elsewhere now is no matter of ours any more. */
static void klp_switch_drop_changed(struct klp_switch *sw)
{
	unsigned int i, kept = 0;

	for (i = 0; i < sw->nr_edits; i++) {
		const struct klp_edit *edit = &sw->edits[i];

		if (!edit->key || !klp_switch_call_changed(edit))
			sw->edits[kept++] = *edit;
	}
	sw->nr_edits = kept;
}

/* Where the first edit is of which that is so, or 0. */
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

/**
 * klp_switch_look() - is the text as it must be?
 * @sw:		the set
 *
 * A probe is looked for first, as it changes the text as well. After a prescan
 * none can be added any more where probes are claimed, see guard.c, nor in text that
 * is still, see klp_guard_settle(); and nobody changes the text as long as text_mutex
 * is held.
 *
 * Context: Process context. Caller holds text_mutex.
 * Return: 0, -EBUSY if there is a probe, or a static call that somebody is about to
 *	   update, or -EADDRINUSE if somebody else has changed the text.
 */
int klp_switch_look(struct klp_switch *sw)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_switch_look, sw);

	sw->probe = klp_guard_find_probe(&sw->unprobed);
	/* No INT3 is written where nobody is. */
	if (!sw->probe && sw->mode != KLP_SWITCH_STILL)
		sw->probe = klp_switch_find(sw, klp_edit_probed);
	if (sw->probe)
		return -EBUSY;

	sw->changed = klp_switch_find(sw, klp_switch_entry_changed);
	if (sw->changed)
		return -EADDRINUSE;

	sw->pending = klp_switch_find(sw, klp_switch_call_pending);
	if (sw->pending)
		return -EBUSY;

	klp_switch_drop_changed(sw);
	return 0;
}

/* Look, stop, and write. */
static int klp_switch_make(struct klp_switch *sw)
{
	int ret;

	lockdep_assert_held(&text_mutex);

	ret = klp_switch_look(sw);
	if (ret)
		return ret;

	klp_idle_check_ran(&sw->idle);
	if (!klp_idle_clear(&sw->idle))
		return -EBUSY;

	ret = klp_fault(-EADDRINUSE) ?: klp_switch_stop(sw);
	if (ret)
		return ret;

	klp_edits_disarm();
	klp_edits_tell(sw->edits, sw->nr_edits);
	return 0;
}

/* All that is tried in one attempt, while it is recorded who runs. */
static int klp_switch_recorded(struct klp_switch *sw)
{
	int ret;

	klp_idle_check_all(&sw->idle);
	sw->stats.nr_tasks = atomic_read(&sw->idle.nr_walked);
	if (klp_idle_clear(&sw->idle))
		klp_idle_check_ran(&sw->idle);
	if (!klp_idle_clear(&sw->idle))
		return -EBUSY;

	mutex_lock(&text_mutex);
	ret = klp_switch_make(sw);
	mutex_unlock(&text_mutex);

	return ret;
}

/* Is somebody still in the way who was last time? That is quickly seen. */
static bool klp_switch_still_blocked(struct klp_switch *sw)
{
	klp_idle_check_known(&sw->idle);

	return !klp_idle_clear(&sw->idle);
}

/*
 * One attempt.
 * Return: 0, -EBUSY if a task, a probe or an update is in the way, -EADDRINUSE if
 * the text is not what it must be, -ENOMEM, or the error of stop_machine().
 */
static int klp_switch_attempt(struct klp_switch *sw, bool thorough)
{
	int ret;

	klp_idle_init(&sw->idle, &sw->busy, sw->mode == KLP_SWITCH_FORCED);
	sw->probe = 0;
	sw->changed = 0;
	sw->pending = 0;
	if (!thorough && klp_switch_still_blocked(sw))
		return -EBUSY;

	cpus_read_lock();
	ret = klp_ran_start();
	if (!ret) {
		ret = klp_switch_recorded(sw);
		klp_ran_stop();
	}
	cpus_read_unlock();

	klp_idle_remember(&sw->idle);
	return ret;
}

/*
 * The text is not run by anybody, so nobody has to be stopped for the edits.
 */
static int klp_switch_still(struct klp_switch *sw)
{
	int ret;

	cpus_read_lock();
	mutex_lock(&text_mutex);

	ret = klp_switch_look(sw);
	if (!ret) {
		klp_edits_write_still(sw->edits, sw->nr_edits);
		klp_edits_tell(sw->edits, sw->nr_edits);
	}

	mutex_unlock(&text_mutex);
	cpus_read_unlock();
	return ret;
}

/**
 * klp_switch_pause() - for how long is the machine not to be stopped again?
 *
 * Context: Caller holds klp_mutex.
 * Return: the time in milliseconds.
 */
unsigned int klp_switch_pause(void)
{
	u64 now = ktime_get_ns();

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_pause);
	lockdep_assert_held(&klp_mutex);

	if (now >= klp_may_stop_at)
		return 0;

	return DIV_ROUND_UP_ULL(klp_may_stop_at - now, NSEC_PER_MSEC);
}

/* Try until it is done, or has failed @attempts times. */
static int klp_switch_try(struct klp_switch *sw, unsigned int attempts)
{
	unsigned int pause, delay = KLP_MIN_DELAY_MS;
	int ret;

	for (;;) {
		pause = klp_switch_pause();
		if (pause)
			msleep(pause);

		ret = klp_switch_attempt(sw, attempts == 1 && !sw->brief);
		if (ret != -EBUSY || !--attempts)
			return ret;

		msleep(delay);
		delay = min(2 * delay, KLP_MAX_DELAY_MS);
	}
}

static int klp_switch_add_call(void *data, unsigned long addr,
			       const struct static_call_key *key,
			       const struct klp_move *move, bool gone)
{
	struct klp_edit edit;
	int ret;

	ret = klp_edit_call(&edit, addr, move->from, move->to, move->trap);
	/*
	 * Who is too far away gets there by the function's entry, if he calls
	 * that.
	 */
	if (ret)
		return gone || move->from != move->func ? ret : 0;

	edit.key = key;
	edit.func = move->func;
	edit.gone = gone;
	return klp_switch_add_edit(data, &edit);
}

static int klp_switch_prepare(struct klp_switch *sw)
{
	int ret;

	ret = klp_guard_add_registrars(&sw->busy);
	if (!ret && sw->mode == KLP_SWITCH_FORCED)
		ret = klp_guard_add_trampolines(&sw->busy);
	if (ret)
		return ret;

	/* Nobody calls what nobody runs. */
	if (sw->mode != KLP_SWITCH_STILL)
		ret = klp_calls_find(&sw->moves, klp_switch_add_call, sw);
	if (ret)
		return ret;

	klp_ranges_sort(&sw->busy);
	klp_ranges_sort(&sw->unprobed);
	sort(sw->edits, sw->nr_edits, sizeof(*sw->edits), klp_edit_cmp, NULL);

	ret = klp_fault(-EFAULT);
	if (ret)
		return ret;
	sw->map = klp_edits_map(sw->edits, sw->nr_edits);

	return PTR_ERR_OR_ZERO(sw->map);
}

/**
 * klp_switch_run() - make a set of edits
 * @sw:		the set
 * @attempts:	how often it is tried at the most
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, and must not
 *	    hold cpus_read_lock() or text_mutex.
 * Return: 0, -EBUSY if tasks or probes were in the way at every attempt,
 *	   -EADDRINUSE if somebody else changed the text, -ENOMEM, or -EFAULT
 *	   if a site cannot be mapped. After an error everything is as before.
 */
int klp_switch_run(struct klp_switch *sw, unsigned int attempts)
{
	u64 start = ktime_get_ns();
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_run, sw, attempts);
	lockdep_assert_held(&klp_mutex);

	ret = klp_switch_prepare(sw);
	if (ret)
		return ret;

	if (sw->mode == KLP_SWITCH_STILL)
		ret = klp_switch_still(sw);
	else
		ret = klp_switch_try(sw, attempts);

	klp_edits_unmap(sw->map);
	sw->stats.total_ns = ktime_get_ns() - start;
	return ret;
}

/**
 * klp_switch_report() - log who or what was in the way
 * @sw:		the set, for which klp_switch_run() has failed
 *
 * Context: Process context.
 */
void klp_switch_report(const struct klp_switch *sw)
{
	if (sw->changed)
		pr_err("'%s': somebody else changed the text at %pS\n",
		       sw->name, (void *)sw->changed);
	if (sw->probe)
		pr_warn("'%s': blocked by a kprobe at %pS\n", sw->name,
			(void *)sw->probe);
	if (sw->pending)
		pr_warn("'%s': blocked by a static call at %pS, which is being updated\n",
			sw->name, (void *)sw->pending);
	klp_idle_report(&sw->idle, sw->name);
}

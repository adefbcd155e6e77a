// SPDX-License-Identifier: GPL-2.0
/*
 * The switch: a set of edits, made for all tasks at once, or not at all.
 *
 *   prepare   running   sort the edits and the text that must be idle, encode
 *                       what is to be written, map where it goes
 *   stop      stopped   every CPU is in klp_window() with interrupts off
 *   check     stopped   no task is in the text, and no kprobe
 *   write     stopped   in steps, after each of which all CPUs serialise
 *   finish    running   report, free
 *
 * Whatever fails, the text is as it was: nothing is written before the check.
 * In the window nothing takes a lock, allocates, prints or edits a page table:
 * the CPU that would have to give way to it does not run.
 *
 * Text that nobody can be in, that of a module which is being loaded, is written
 * without a window, see klp_switch_still().
 *
 * Locks, outermost first, as everybody who pokes text takes them: klp_mutex,
 * cpus_read_lock(), text_mutex. CPUs must not come and go between counting them
 * and stopping them; the text must not change between looking and writing.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/memory.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sort.h>
#include <linux/stop_machine.h>
#include <linux/sync_core.h>
#include <asm/livepatch.h>
#include "guard.h"
#include "switch.h"

/*
 * How long a switch waits before each new attempt: from 1 ms, doubled each time
 * up to 100 ms.
 */
#define KLP_MIN_DELAY_MS	1
#define KLP_MAX_DELAY_MS	100

/**
 * klp_switch_alloc() - begin a set of edits
 * @name:	name of the patch, for the log
 * @mode:	what has to be idle
 *
 * Context: Process context, may sleep.
 * Return: the empty set, or NULL if there is no memory.
 */
struct klp_switch *klp_switch_alloc(const char *name, enum klp_switch_mode mode)
{
	struct klp_switch *sw;

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_alloc, name, mode);

	sw = kzalloc(sizeof(*sw), GFP_KERNEL);
	if (sw) {
		sw->name = name;
		sw->mode = mode;
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
	kvfree(sw->edits);
	kfree(sw);
}

/**
 * klp_switch_add() - add an edit
 * @sw:		the set
 * @site:	the site; must stay until the set is freed
 * @from:	where the function's entry goes now, NULL for the function itself
 * @to:		where it must go, NULL for the function itself
 *
 * The text that must be idle for it is the caller's to add.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ERANGE if the jump does not reach @to, or -ENOMEM.
 */
int klp_switch_add(struct klp_switch *sw, const struct klp_site *site,
		   void *from, void *to)
{
	struct klp_edit *edits;
	unsigned int max;

	KUNIT_STATIC_STUB_REDIRECT(klp_switch_add, sw, site, from, to);

	if (to && klp_site_reachable(site, to)) {
		pr_err("%pS cannot be reached from %pS\n", to,
		       (void *)site->addr);
		return -ERANGE;
	}

	if (sw->nr_edits == sw->max_edits) {
		max = sw->max_edits ? 2 * sw->max_edits : 16;
		edits = kvrealloc(sw->edits, array_size(max, sizeof(*edits)),
				  GFP_KERNEL);
		if (!edits)
			return -ENOMEM;
		sw->edits = edits;
		sw->max_edits = max;
	}

	sw->edits[sw->nr_edits++] = (struct klp_edit){
		.site	= site,
		.from	= from,
		.to	= to,
	};
	return 0;
}

static int klp_edit_cmp(const void *a, const void *b)
{
	const struct klp_edit *ea = a, *eb = b;

	return ea->site->addr < eb->site->addr ? -1 : 1;
}

/**
 * struct klp_window - what the CPUs share while they are stopped
 * @sw:		the set of edits
 * @arrived:	how often a CPU arrived at a step
 * @steps:	how many steps are done
 * @clear:	nobody is in the way
 */
struct klp_window {
	struct klp_switch *sw;
	atomic_t arrived;
	unsigned int steps;
	bool clear;
};

static bool __kprobes klp_window_clear(struct klp_switch *sw)
{
	sw->probe = klp_guard_find_probe(&sw->unprobed);

	return klp_idle_check_others(&sw->idle) && !sw->probe;
}

/* What is done once for all CPUs, while the others wait. */
static void __kprobes klp_window_step(struct klp_window *window,
				      unsigned int step)
{
	struct klp_switch *sw = window->sw;

	if (step == KLP_STEP_TRAP)
		window->clear = klp_window_clear(sw);
	if (window->clear)
		klp_edits_write(sw->edits, sw->nr_edits, step);
}

static int __kprobes klp_window(void *data)
{
	struct klp_window *window = data;
	unsigned int nr_cpus = num_online_cpus();
	unsigned int step;

	klp_idle_check_self(&window->sw->idle);

	for (step = KLP_STEP_TRAP; step <= KLP_STEP_DONE; step++) {
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

	return 0;
}

static int klp_switch_stopped(struct klp_switch *sw)
{
	struct klp_window window = { .sw = sw };
	int ret;

	ret = stop_machine_cpuslocked(klp_window, &window, cpu_online_mask);

	return ret ?: window.clear ? 0 : -EBUSY;
}

static void klp_serialise(void *unused)
{
	sync_core();
}

/*
 * The text is not run by anybody, so the edits need no trap, and nobody has to
 * be stopped for them. But there is no knowing what a CPU has decoded ahead.
 */
static void klp_switch_still(struct klp_switch *sw)
{
	klp_edits_write(sw->edits, sw->nr_edits, KLP_STEP_TAIL);
	klp_edits_write(sw->edits, sw->nr_edits, KLP_STEP_HEAD);
	on_each_cpu(klp_serialise, NULL, true);
}

/**
 * klp_switch_look() - look for what can be seen before anything is stopped
 * @sw:		the set
 *
 * A probe is looked for first, as it changes the text as well. One that is not
 * armed can still be added after this.
 *
 * Context: Process context. Caller holds text_mutex.
 * Return: 0, -EBUSY if there is a probe, or -EADDRINUSE if somebody else has
 *	   changed the text.
 */
int klp_switch_look(struct klp_switch *sw)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_switch_look, sw);

	sw->probe = klp_guard_find_probe_running(&sw->unprobed);
	if (sw->probe)
		return -EBUSY;

	sw->changed = klp_edits_check(sw->edits, sw->nr_edits);

	return sw->changed ? -EADDRINUSE : 0;
}

/*
 * One attempt. Return: 0, -EBUSY if a task or a probe is in the way, -EADDRINUSE
 * if the text is not what it must be, or the error of stop_machine().
 */
static int klp_switch_attempt(struct klp_switch *sw)
{
	int ret;

	klp_idle_init(&sw->idle, &sw->busy, sw->mode == KLP_SWITCH_FORCED);

	cpus_read_lock();
	mutex_lock(&text_mutex);

	ret = klp_switch_look(sw);
	if (ret)
		goto unlock;

	if (sw->mode == KLP_SWITCH_STILL)
		klp_switch_still(sw);
	else
		ret = klp_switch_stopped(sw);
	if (!ret)
		klp_edits_tell(sw->edits, sw->nr_edits);
unlock:
	mutex_unlock(&text_mutex);
	cpus_read_unlock();
	return ret;
}

static int klp_switch_prepare(struct klp_switch *sw)
{
	int ret;

	ret = klp_guard_add_registrars(&sw->busy);
	if (!ret && sw->mode == KLP_SWITCH_FORCED)
		ret = klp_guard_add_trampolines(&sw->busy);
	if (ret)
		return ret;

	klp_ranges_sort(&sw->busy);
	klp_ranges_sort(&sw->unprobed);
	sort(sw->edits, sw->nr_edits, sizeof(*sw->edits), klp_edit_cmp, NULL);
	klp_edits_encode(sw->edits, sw->nr_edits);

	return klp_edits_map(sw->edits, sw->nr_edits);
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
	unsigned int delay = KLP_MIN_DELAY_MS;
	int ret;

	ret = klp_switch_prepare(sw);
	if (ret)
		return ret;

	for (;;) {
		ret = klp_switch_attempt(sw);
		if (ret != -EBUSY || !--attempts)
			break;

		msleep(delay);
		delay = min(2 * delay, KLP_MAX_DELAY_MS);
	}

	klp_edits_unmap(sw->edits, sw->nr_edits);
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
	klp_idle_report(&sw->idle, sw->name);
}

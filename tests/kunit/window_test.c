// SPDX-License-Identifier: GPL-2.0
/* What happens while the machine stands still, and what does not. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/stacktrace.h>
#include "../idle.h"
#include "../patch.h"
#include "../ran.h"
#include "../switch.h"
#include "../symbol.h"
#include "helpers.h"

#define MANY	500

/* Switch once, at the first attempt, with lpt_sleeper() as what must be idle. */
static int switch_once(struct kunit *test, struct klp_switch *sw)
{
	int ret;

	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, klp_symbol_text((unsigned long)lpt_sleeper,
					      &sw->busy), 0);
	ret = klp_switch_run(sw, 1);
	mutex_unlock(&klp_mutex);
	return ret;
}

/*
 * The least that a switch walks in the window, and how much it walks before.
 * Return: the former; threads of the machine's own run now and then.
 */
static unsigned int walk_least(struct kunit *test, unsigned int *before)
{
	unsigned int i, least = UINT_MAX;
	struct klp_switch *sw;

	for (i = 0; i < 5; i++) {
		sw = lpt_switch_alloc("lpt_window");
		KUNIT_ASSERT_NOT_NULL(test, sw);
		KUNIT_EXPECT_EQ(test, switch_once(test, sw), 0);
		KUNIT_EXPECT_EQ(test, sw->stats.nr_cpus, num_online_cpus());
		least = min(least, sw->stats.nr_rechecked);
		*before = sw->stats.nr_tasks;
		klp_switch_free(sw);
	}
	return least;
}

static int never(void *data)
{
	return 0;
}

/* A thread that has been created, and sleeps until it is stopped. */
static struct task_struct *create_sleeper(struct kunit *test)
{
	struct task_struct *task;

	task = kthread_create(never, NULL, "lpt_sleeper");
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, task);
	return task;
}

/* Who sleeps is walked before the window, and not in it. */
static void window_sleepers(struct kunit *test)
{
	struct task_struct **tasks;
	unsigned int few, many, before_few, before_many, i;

	if (IS_ENABLED(CONFIG_LIVEPATCH_WALK_ALL))
		kunit_skip(test, "all are walked in the window");
	tasks = kunit_kcalloc(test, MANY, sizeof(*tasks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tasks);

	few = walk_least(test, &before_few);
	for (i = 0; i < MANY; i++)
		tasks[i] = create_sleeper(test);
	many = walk_least(test, &before_many);
	for (i = 0; i < MANY; i++) {
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
	}

	KUNIT_EXPECT_GE(test, before_many, before_few + MANY / 2);
	/* At least who stopped each CPU, and who called. */
	KUNIT_EXPECT_GT(test, few, num_online_cpus());
	KUNIT_EXPECT_LE(test, many, few + 2 * num_online_cpus());
}

static struct lpt_parked late;

static void check_all_and_park(struct klp_idle *idle)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, klp_idle_check_all);
	klp_idle_check_all(idle);
	KUNIT_EXPECT_TRUE(test, klp_idle_clear(idle));
	lpt_park_in(test, &late, lpt_sleeper);
}

static void park_late(struct kunit *test)
{
	lpt_park_in(test, &late, lpt_sleeper);
}

/* How often a switch will still check who has run, and what happens after that. */
static unsigned int checks_left;
static void (*after_checks)(struct kunit *test);

static void check_ran_and_then(struct klp_idle *idle)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, klp_idle_check_ran);
	klp_idle_check_ran(idle);
	KUNIT_EXPECT_TRUE(test, klp_idle_clear(idle));
	if (--checks_left)
		kunit_activate_static_stub(test, klp_idle_check_ran,
					   check_ran_and_then);
	else
		after_checks(test);
}

/* Between the last check and the window. */
static void before_window(struct kunit *test, void (*fn)(struct kunit *test))
{
	checks_left = 2;
	after_checks = fn;
	kunit_activate_static_stub(test, klp_idle_check_ran,
				   check_ran_and_then);
}

static void expect_late_found(struct kunit *test, unsigned int stops)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");

	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), -EBUSY);
	/* It may have run on several CPUs, which find it at the same time. */
	KUNIT_EXPECT_GE(test, atomic_read(&sw->idle.nr_blockers), 1);
	KUNIT_EXPECT_EQ(test, sw->idle.blockers[0].pid, late.task->pid);
	KUNIT_EXPECT_EQ(test, sw->stats.nr_cpus, stops);
	klp_switch_free(sw);
	lpt_unpark(&late);
}

/* Who goes to sleep in the text after the prescan is found before the window. */
static void window_late(struct kunit *test)
{
	kunit_activate_static_stub(test, klp_idle_check_all,
				   check_all_and_park);
	expect_late_found(test, 0);
}

/* Who does so after that is found in the window, and stays the only reason. */
static void window_last(struct kunit *test)
{
	unsigned int pause;

	before_window(test, park_late);
	expect_late_found(test, num_online_cpus());

	/* The machine stood still for nothing, and is left alone for a while. */
	mutex_lock(&klp_mutex);
	pause = klp_switch_pause();
	mutex_unlock(&klp_mutex);
	KUNIT_EXPECT_GT(test, pause, 0);
}

/* A thread runs, exits, and has no stack any more. */
static void bury(struct kunit *test)
{
	struct lpt_parked parked;
	struct task_struct *task;

	lpt_park_in(test, &parked, lpt_sleeper);
	task = get_task_struct(parked.task);
	lpt_unpark(&parked);
	while (READ_ONCE(task->stack))
		schedule_timeout_uninterruptible(1);
	put_task_struct(task);
}

/* It is on the record, and there is nothing to be walked. */
static void window_dead(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");

	KUNIT_ASSERT_NOT_NULL(test, sw);
	before_window(test, bury);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), 0);
	klp_switch_free(sw);
}

/* Who was seen in the way is seen again without a look at all others. */
static void window_known(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");
	struct lpt_parked parked;

	KUNIT_ASSERT_NOT_NULL(test, sw);
	sw->brief = true;
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), -EBUSY);
	KUNIT_EXPECT_GT(test, atomic_read(&sw->idle.nr_walked), 5);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), -EBUSY);
	KUNIT_EXPECT_EQ(test, atomic_read(&sw->idle.nr_walked), 1);
	KUNIT_EXPECT_EQ(test, sw->idle.blockers[0].pid, parked.task->pid);
	lpt_unpark(&parked);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), 0);
	klp_switch_free(sw);
}

/* A record of who runs. */

static bool visited;

static void visit_parked(void *data, struct task_struct *task)
{
	struct lpt_parked *parked = data;

	visited |= task == parked->task;
}

static bool has_run(struct lpt_parked *parked)
{
	unsigned int cpu;

	visited = false;
	for_each_online_cpu(cpu)
		klp_ran_visit(cpu, visit_parked, parked);
	return visited;
}

static int park_twice(struct lpt_park *park)
{
	lpt_park(park);
	wait_for_completion(&park->leave);
	return 0;
}

/* Who runs is on the record each time, and who sleeps is not. */
static void window_record(struct kunit *test)
{
	struct lpt_parked runs, sleeps;

	lpt_park_in(test, &runs, park_twice);
	lpt_park_in(test, &sleeps, lpt_sleeper);

	cpus_read_lock();
	KUNIT_EXPECT_EQ(test, klp_ran_start(), 0);
	KUNIT_EXPECT_FALSE(test, has_run(&runs));
	KUNIT_EXPECT_FALSE(test, has_run(&sleeps));
	complete(&runs.park.leave);
	while (!has_run(&runs))
		schedule_timeout_uninterruptible(1);
	lpt_wait_asleep(runs.task);
	has_run(&runs);
	KUNIT_EXPECT_FALSE(test, has_run(&runs));
	KUNIT_EXPECT_FALSE(test, has_run(&sleeps));
	klp_ran_stop();
	cpus_read_unlock();

	lpt_unpark(&runs);
	lpt_unpark(&sleeps);
}

/* On every CPU, for a record of the size that it has when not much runs. */
#define TOO_MANY	20000

static void check_ran_too_many(struct klp_idle *idle)
{
	struct kunit *test = kunit_get_current_test();
	struct task_struct *task;
	bool lost = false;
	unsigned int cpu, i;

	kunit_deactivate_static_stub(test, klp_idle_check_ran);
	for (i = 0; i < TOO_MANY && !lost; i++) {
		task = create_sleeper(test);
		if (IS_ERR(task))
			break;
		kthread_stop(task);
		for_each_online_cpu(cpu)
			lost |= klp_ran_lost(cpu);
	}
	klp_idle_check_ran(idle);
}

/* More tasks ran than a record has room for: then nothing is known. */
static void window_lost(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");

	KUNIT_ASSERT_NOT_NULL(test, sw);
	kunit_activate_static_stub(test, klp_idle_check_ran,
				   check_ran_too_many);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), -EBUSY);
	KUNIT_EXPECT_TRUE(test, sw->idle.lost);
	KUNIT_EXPECT_EQ(test, sw->stats.nr_cpus, 0);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), 0);
	klp_switch_free(sw);
}

/* What must not happen while the machine stands still. */

static const char * const forbidden[] = {
	/* Locks. */
	"_raw_spin_lock", "_raw_spin_lock_irq", "_raw_spin_lock_irqsave",
	"_raw_spin_lock_bh", "_raw_spin_trylock", "_raw_read_lock",
	"_raw_read_lock_irqsave", "_raw_write_lock", "_raw_write_lock_irq",
	"_raw_write_lock_irqsave", "mutex_lock", "mutex_trylock", "down",
	"down_trylock", "down_read", "down_read_trylock", "down_write",
	"rt_spin_lock", "rt_mutex_lock", "lock_acquire",
	/* Allocations. */
	"__kmalloc_noprof", "__kmalloc_node_noprof", "__kmalloc_cache_noprof",
	"kmem_cache_alloc_noprof", "kmem_cache_alloc_node_noprof",
	"__alloc_pages_noprof", "__vmalloc_node_range_noprof", "kfree",
	"kmem_cache_free", "__free_pages", "vfree",
	/* The log. */
	"vprintk", "vprintk_default", "vprintk_deferred", "vprintk_emit",
	"vprintk_store", "console_trylock",
	/* Page tables. */
	"change_page_attr_set_clr", "flush_tlb_kernel_range",
	"flush_tlb_mm_range", "vmap", "vunmap", "set_pte_vaddr",
};

/* And what does, so that it is known that it would be seen. */
static const char * const expected[] = {
	"arch_stack_walk_reliable",
};

static unsigned long window_start, window_end;

/* Is this in the window? Only who stops a CPU can be. */
static bool in_window(const struct kprobe *kp, const struct pt_regs *regs)
{
	struct pt_regs at = *regs;
	unsigned long frames[32];
	unsigned int i, nr;

	if (!irqs_disabled() || !strstarts(current->comm, "migration/"))
		return false;

	/* Behind the trap the stack is not as the unwinder thinks. */
	at.ip = (unsigned long)kp->addr;
	nr = stack_trace_save_regs(&at, frames, ARRAY_SIZE(frames), 0);
	for (i = 0; i < nr; i++) {
		if (frames[i] >= window_start && frames[i] < window_end)
			return true;
	}
	return false;
}

struct watch {
	struct kprobe kp;
	bool set;
	atomic_t hits;
};

/*
 * Lockdep is told of who reads under RCU as it is of locks, though there is none.
 * The unwinder does that to find the module of an address.
 */
static bool reads_under_rcu(struct pt_regs *regs)
{
#ifdef CONFIG_DEBUG_LOCK_ALLOC
	return regs_get_kernel_argument(regs, 0) == (unsigned long)&rcu_lock_map;
#else
	return false;
#endif
}

static int watch_hit(struct kprobe *kp, struct pt_regs *regs)
{
	struct watch *watch = container_of(kp, struct watch, kp);

	if (in_window(kp, regs) && !reads_under_rcu(regs))
		atomic_inc(&watch->hits);
	return 0;
}

/* That there is one keeps the probe a trap, from which the stack can be walked. */
static void watch_passed(struct kprobe *kp, struct pt_regs *regs,
			 unsigned long flags)
{
}

/* Return: how many can be watched. Not every kernel has them all. */
static unsigned int watch_start(struct watch *watch,
				const char * const *names, unsigned int nr)
{
	unsigned int i, set = 0;

	for (i = 0; i < nr; i++) {
		watch[i].kp.symbol_name = names[i];
		watch[i].kp.pre_handler = watch_hit;
		watch[i].kp.post_handler = watch_passed;
		watch[i].set = !register_kprobe(&watch[i].kp);
		set += watch[i].set;
	}
	return set;
}

static void watch_stop(struct watch *watch, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (watch[i].set)
			unregister_kprobe(&watch[i].kp);
	}
}

static struct watch watch_forbidden[ARRAY_SIZE(forbidden)];
static struct watch watch_expected[ARRAY_SIZE(expected)];

/* A whole patch, and one that is in the way at the last moment. */
static void watched_switches(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_window");

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", lpt_two_new);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	window_last(test);
}

static void window_watched(struct kunit *test)
{
	unsigned long size, offset;
	unsigned int i;

	window_start = kallsyms_lookup_name("klp_window");
	KUNIT_ASSERT_NE(test, window_start, 0);
	KUNIT_ASSERT_TRUE(test, kallsyms_lookup_size_offset(window_start, &size,
							    &offset));
	window_end = window_start + size;

	KUNIT_EXPECT_EQ(test, watch_start(watch_expected, expected,
					  ARRAY_SIZE(expected)),
			ARRAY_SIZE(expected));
	KUNIT_EXPECT_GT(test, watch_start(watch_forbidden, forbidden,
					  ARRAY_SIZE(forbidden)),
			ARRAY_SIZE(forbidden) / 2);
	watched_switches(test);
	watch_stop(watch_forbidden, ARRAY_SIZE(forbidden));
	watch_stop(watch_expected, ARRAY_SIZE(expected));

	for (i = 0; i < ARRAY_SIZE(forbidden); i++)
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&watch_forbidden[i].hits),
				    0, "%s", forbidden[i]);
	for (i = 0; i < ARRAY_SIZE(expected); i++)
		KUNIT_EXPECT_GT_MSG(test, atomic_read(&watch_expected[i].hits),
				    0, "%s", expected[i]);
}

static struct kunit_case window_cases[] = {
	KUNIT_CASE_SLOW(window_sleepers),
	KUNIT_CASE(window_late),
	KUNIT_CASE(window_last),
	KUNIT_CASE(window_dead),
	KUNIT_CASE(window_known),
	KUNIT_CASE(window_record),
	KUNIT_CASE_SLOW(window_lost),
	KUNIT_CASE_SLOW(window_watched),
	{}
};

static struct kunit_suite window_suite = {
	.name = "livepatch_window",
	.test_cases = window_cases,
};

kunit_test_suite(window_suite);

// SPDX-License-Identifier: GPL-2.0
/* The stop window: what is done while the CPUs are stopped. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/nmi.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/stacktrace.h>
#include "../blockers.h"
#include "../look.h"
#include "../patch.h"
#include "../switch.h"
#include "../symbol.h"
#include "helpers.h"

#define MANY	500

/* Switch once, at the first attempt, with lpt_sleeper() as what must be idle. */
static int switch_once(struct kunit *test, struct klp_switch *sw)
{
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, klp_symbol_text((unsigned long)lpt_sleeper,
					      &sw->look.text), 0);
	mutex_unlock(&klp_mutex);
	return lpt_switch_once(sw);
}

/* How many stacks does a switch walk before the CPUs are stopped? */
static unsigned int count_walked(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");
	unsigned int walked;

	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), 0);
	KUNIT_EXPECT_EQ(test, sw->stats.nr_cpus, num_online_cpus());
	KUNIT_EXPECT_EQ(test, sw->stats.nr_stops, 1);
	walked = sw->stats.nr_tasks;
	klp_switch_free(sw);
	return walked;
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

/* A task that sleeps is looked at before the window. */
static void window_sleepers(struct kunit *test)
{
	struct task_struct **tasks;
	unsigned int few, many, i;

	tasks = kunit_kcalloc(test, MANY, sizeof(*tasks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tasks);

	few = count_walked(test);
	for (i = 0; i < MANY; i++)
		tasks[i] = create_sleeper(test);
	many = count_walked(test);
	for (i = 0; i < MANY; i++) {
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
	}

	KUNIT_EXPECT_GE(test, many, few + MANY / 2);
}

static struct lpt_parked late;

static void look_and_park(struct klp_look *look)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, klp_look_all);
	klp_look_all(look);
	KUNIT_EXPECT_TRUE(test, klp_look_clear());
	lpt_park_in(test, &late, lpt_sleeper);
}

/* What happens between the last time that no task is known to be inside and the stop. */
static void (*before_stop)(struct kunit *test);

static int check_and_then(struct klp_switch *sw)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, klp_switch_look);
	KUNIT_EXPECT_TRUE(test, klp_look_clear());
	before_stop(test);
	return klp_switch_look(sw);
}

static void park_late(struct kunit *test)
{
	lpt_park_in(test, &late, lpt_sleeper);
}

static struct klp_blockers blockers;

static void expect_late_found(struct kunit *test, unsigned int stops)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");

	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), -EBUSY);
	klp_blockers_get(&blockers, klp_look_nr_inside());
	KUNIT_EXPECT_EQ(test, blockers.nr, 1);
	KUNIT_EXPECT_EQ(test, blockers.blocker[0].pid, late.task->pid);
	KUNIT_EXPECT_EQ(test, sw->stats.nr_stops, stops);
	klp_switch_free(sw);
	lpt_unpark(&late);
}

/* A task that goes to sleep inside after the prescan is found before the stop. */
static void window_late(struct kunit *test)
{
	kunit_activate_static_stub(test, klp_look_all, look_and_park);
	expect_late_found(test, 0);
}

/* One that does so after that is found in the window. */
static void window_last(struct kunit *test)
{
	before_stop = park_late;
	kunit_activate_static_stub(test, klp_switch_look, check_and_then);
	expect_late_found(test, 1);
}

/* A thread goes to sleep inside, exits, and has no stack any more. */
static void bury(struct kunit *test)
{
	struct lpt_parked parked;
	struct task_struct *task;

	lpt_park_in(test, &parked, lpt_sleeper);
	task = get_task_struct(parked.task);
	lpt_unpark(&parked);
	lpt_wait_dead(task);
}

/* Nothing is left of it. */
static void window_dead(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_window");

	KUNIT_ASSERT_NOT_NULL(test, sw);
	before_stop = bury;
	kunit_activate_static_stub(test, klp_switch_look, check_and_then);
	KUNIT_EXPECT_EQ_MSG(test, switch_once(test, sw), 0, "%u stops, %u tasks inside",
			    sw->stats.nr_stops, klp_look_nr_inside());
	klp_switch_free(sw);
}

/* What must not happen while the CPUs are stopped. */

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
	/* Stacks. */
	"arch_stack_walk_reliable",
};

/* And what must: a CPU that waits for another tells the watchdogs. */
static const char * const expected[] = {
#ifdef CONFIG_SOFTLOCKUP_DETECTOR
	"touch_softlockup_watchdog",
#endif
	"rcu_momentary_eqs",
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

static void find_window(struct kunit *test)
{
	unsigned long size, offset;

	window_start = kallsyms_lookup_name("klp_window");
	KUNIT_ASSERT_NE(test, window_start, 0);
	KUNIT_ASSERT_TRUE(test, kallsyms_lookup_size_offset(window_start, &size,
							    &offset));
	window_end = window_start + size;
}

static void window_watched(struct kunit *test)
{
	unsigned int i;

	if (num_online_cpus() == 1)
		kunit_skip(test, "needs a second CPU");

	find_window(test);
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

#ifdef CONFIG_SOFTLOCKUP_DETECTOR
/* A CPU that stalls for longer than this has locked up, in seconds. */
#define MAX_THRESH	2
#define STALL_SECONDS	(2 * MAX_THRESH + 2)

static atomic_t stalls;

/* The last CPU that arrives in the window calls what has this probe. */
static int stall(struct kprobe *kp, struct pt_regs *regs)
{
	if (!in_window(kp, regs))
		return 0;

	mdelay(STALL_SECONDS * MSEC_PER_SEC);
	/* What the CPU that stalls has to say of itself is no matter of the window. */
	touch_nmi_watchdog();
	rcu_momentary_eqs();
	atomic_inc(&stalls);
	return 0;
}

/*
 * A CPU stalls while the others wait for it. What the kernel says of these is found in
 * its log. Only if it would say something soon is there a point in it.
 */
static void window_stall(struct kunit *test)
{
	struct kprobe kp = {
		.symbol_name = "cpu_idle_poll_ctrl",
		.pre_handler = stall,
		.post_handler = watch_passed,
	};
	struct klp_switch *sw;

	if (num_online_cpus() == 1)
		kunit_skip(test, "needs a second CPU");
	if (watchdog_thresh > MAX_THRESH)
		kunit_skip(test, "needs watchdog_thresh=%d", MAX_THRESH);

	find_window(test);
	sw = lpt_switch_alloc("lpt_window");
	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, register_kprobe(&kp), 0);
	start_poll_synchronize_rcu();
	KUNIT_EXPECT_EQ(test, switch_once(test, sw), 0);
	unregister_kprobe(&kp);
	KUNIT_EXPECT_EQ(test, atomic_read(&stalls), 1);
	klp_switch_free(sw);

	/* The watchdogs look again. */
	ssleep(STALL_SECONDS);
}
#endif

static struct kunit_case window_cases[] = {
	KUNIT_CASE_SLOW(window_sleepers),
	KUNIT_CASE(window_late),
	KUNIT_CASE(window_last),
	KUNIT_CASE(window_dead),
	KUNIT_CASE_SLOW(window_watched),
#ifdef CONFIG_SOFTLOCKUP_DETECTOR
	KUNIT_CASE_SLOW(window_stall),
#endif
	{}
};

static struct kunit_suite window_suite = {
	.name = "livepatch_window",
	.test_cases = window_cases,
};

kunit_test_suite(window_suite);

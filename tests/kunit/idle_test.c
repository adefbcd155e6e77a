// SPDX-License-Identifier: GPL-2.0
/* Who is in the way, and who is not. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/kallsyms.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include "../patch.h"
#include "../idle.h"
#include "../switch.h"
#include "../symbol.h"
#include "helpers.h"

static void ranges_merge(struct kunit *test)
{
	struct klp_ranges ranges = {};

	KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, 0));

	KUNIT_ASSERT_EQ(test, klp_ranges_add(&ranges, 300, 10), 0);
	KUNIT_ASSERT_EQ(test, klp_ranges_add(&ranges, 100, 50), 0);
	KUNIT_ASSERT_EQ(test, klp_ranges_add(&ranges, 120, 100), 0);
	KUNIT_ASSERT_EQ(test, klp_ranges_add(&ranges, 130, 10), 0);
	klp_ranges_sort(&ranges);
	KUNIT_ASSERT_EQ(test, ranges.nr, 2);

	KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, 99));
	KUNIT_EXPECT_TRUE(test, klp_ranges_hit(&ranges, 100));
	KUNIT_EXPECT_TRUE(test, klp_ranges_hit(&ranges, 200));
	/* Behind a last call that does not return. */
	KUNIT_EXPECT_TRUE(test, klp_ranges_hit(&ranges, 220));
	KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, 221));
	KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, 299));
	KUNIT_EXPECT_TRUE(test, klp_ranges_hit(&ranges, 310));
	KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, ULONG_MAX));
	klp_ranges_free(&ranges);
}

static void ranges_grow(struct kunit *test)
{
	struct klp_ranges ranges = {};
	unsigned int i;

	for (i = 1000; i > 0; i--)
		KUNIT_ASSERT_EQ(test, klp_ranges_add(&ranges, 10 * i, 5), 0);
	klp_ranges_sort(&ranges);
	KUNIT_EXPECT_EQ(test, ranges.nr, 1000);
	for (i = 1; i <= 1000; i++) {
		KUNIT_EXPECT_TRUE(test, klp_ranges_hit(&ranges, 10 * i));
		KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, 10 * i - 1));
	}
	klp_ranges_free(&ranges);
}

static struct klp_idle idle;

static void add_text(struct kunit *test, void *func, struct klp_ranges *ranges)
{
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, klp_symbol_text((unsigned long)func, ranges), 0);
	mutex_unlock(&klp_mutex);
}

/*
 * Is a task in a function? Return: how many blockers there are, of which the
 * first is in idle.blockers[0].
 */
static int check_task(struct kunit *test, struct task_struct *task, void *func)
{
	struct klp_ranges ranges = {};

	add_text(test, func, &ranges);
	klp_ranges_sort(&ranges);
	klp_idle_init(&idle, &ranges, false);
	klp_idle_check_task(&idle, task);
	klp_ranges_free(&ranges);
	return atomic_read(&idle.nr_blockers);
}

static void expect_blocker(struct kunit *test, struct task_struct *task,
			   void *func, const char *symbol)
{
	const struct klp_blocker *blocker = &idle.blockers[0];
	char name[KSYM_NAME_LEN] = "";

	KUNIT_EXPECT_EQ(test, check_task(test, task, func), 1);
	KUNIT_EXPECT_STREQ(test, blocker->comm, "lpt_parked");
	KUNIT_EXPECT_EQ(test, blocker->pid, task->pid);
	lookup_symbol_name(blocker->addr, name);
	KUNIT_EXPECT_STREQ(test, name, symbol);
	KUNIT_EXPECT_GT(test, blocker->nr_frames, 3);
}

static void idle_inside(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	expect_blocker(test, parked.task, lpt_sleeper, "lpt_sleeper");
	expect_blocker(test, parked.task, lpt_park, "lpt_park");
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);
}

static void idle_outside(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, check_task(test, parked.task, lpt_one), 0);
	KUNIT_EXPECT_EQ(test, check_task(test, parked.task, lpt_sleeper_new), 0);
	lpt_unpark(&parked);
}

static void idle_inside_cold(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_has_cold);
	expect_blocker(test, parked.task, lpt_has_cold, "lpt_has_cold.cold");
	lpt_unpark(&parked);
}

static void idle_inside_part(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_has_part_caller);
	expect_blocker(test, parked.task, lpt_has_part,
		       "lpt_has_part.part.0");
	lpt_unpark(&parked);
}

static int lpt_spin(void *data)
{
	WRITE_ONCE(*(bool *)data, true);
	while (!kthread_should_stop())
		cond_resched();
	return 0;
}

/* A task that runs on another CPU has no stack that could be walked. */
static void idle_unreliable(struct kunit *test)
{
	struct task_struct *task;
	bool running = false;
	int nr;

	if (num_online_cpus() == 1)
		kunit_skip(test, "needs a second CPU");

	migrate_disable();
	task = kthread_create(lpt_spin, &running, "lpt_parked");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, cpumask_any_but(cpu_online_mask,
					   smp_processor_id()));
	wake_up_process(task);
	/* It is in nobody's way there, so it runs most of the time. */
	do {
		while (!READ_ONCE(running) || !READ_ONCE(task->on_cpu))
			cond_resched();
		nr = check_task(test, task, lpt_one);
	} while (!nr);
	migrate_enable();

	KUNIT_EXPECT_EQ(test, nr, 1);
	KUNIT_EXPECT_EQ(test, idle.blockers[0].pid, task->pid);
	KUNIT_EXPECT_EQ(test, idle.blockers[0].addr, 0);
	kthread_stop(task);
}

/* As do_exit() does for a thread that is about to leave the task list. */
static int exit_in_sleeper(struct lpt_park *park)
{
	int ret;

	exit_tasks_rcu_start();
	ret = lpt_sleeper(park);
	exit_tasks_rcu_finish();
	return ret;
}

/* As Tasks RCU does: a mark on its stack, in the list of those who exit. */
static int exit_with_mark(struct lpt_park *park)
{
	struct list_head mark;
	int ret;

	exit_tasks_rcu_start();
	list_add(&mark, &current->rcu_tasks_exit_list);
	ret = lpt_sleeper(park);
	list_del(&mark);
	exit_tasks_rcu_finish();
	return ret;
}

/*
 * Switch with a function's text as what must be idle.
 * Return: how many were in the way.
 */
static int count_blockers(struct kunit *test, void *func)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_idle");
	int ret, nr;

	KUNIT_EXPECT_NOT_NULL(test, sw);
	if (!sw)
		return 0;

	lpt_no_pause(test);
	add_text(test, func, &sw->busy);
	mutex_lock(&klp_mutex);
	ret = klp_switch_run(sw, KLP_ATTEMPTS);
	mutex_unlock(&klp_mutex);
	nr = atomic_read(&sw->idle.nr_blockers);
	KUNIT_EXPECT_EQ(test, ret, nr ? -EBUSY : 0);
	klp_switch_free(sw);
	return nr;
}

static void check_nobody(struct klp_idle *idle)
{
}

/*
 * A thread that is on its way out and has lost its number is only found by that.
 * These still have one, so nobody looks for it here.
 */
static void idle_exiting(struct kunit *test)
{
	struct lpt_parked parked;

	kunit_activate_static_stub(test, klp_idle_check_all, check_nobody);

	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper), 0);
	lpt_unpark(&parked);

	lpt_park_in(test, &parked, exit_in_sleeper);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper), 1);
	lpt_unpark(&parked);

	lpt_park_in(test, &parked, exit_with_mark);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper), 1);
	lpt_unpark(&parked);

	kunit_deactivate_static_stub(test, klp_idle_check_all);
}

/* Every idle thread is in its loop, so none may be patched that runs it. */
static void idle_threads(struct kunit *test)
{
	void *func = (void *)kallsyms_lookup_name("cpu_startup_entry");

	KUNIT_ASSERT_NOT_NULL(test, func);
	KUNIT_EXPECT_GE(test, count_blockers(test, func), 1);
}

static struct kunit_case idle_cases[] = {
	KUNIT_CASE(ranges_merge),
	KUNIT_CASE(ranges_grow),
	KUNIT_CASE(idle_inside),
	KUNIT_CASE(idle_outside),
	KUNIT_CASE(idle_inside_cold),
	KUNIT_CASE(idle_inside_part),
	KUNIT_CASE(idle_unreliable),
	KUNIT_CASE_SLOW(idle_exiting),
	KUNIT_CASE_SLOW(idle_threads),
	{}
};

static struct kunit_suite idle_suite = {
	.name = "livepatch_idle",
	.test_cases = idle_cases,
};

kunit_test_suite(idle_suite);

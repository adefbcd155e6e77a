// SPDX-License-Identifier: GPL-2.0
/*
 * Switching while the function is called on every CPU: each call gets one
 * version or the other, and after the switch has returned only the right one.
 */

#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include "../patch.h"
#include "helpers.h"

/* What callers may see. It counts up; the two low bits tell which phase it is. */
enum phase {
	ALL_OLD,
	TO_NEW,
	ALL_NEW,
	TO_OLD,
	NR_PHASES,
};

static unsigned long phase;

static void next_phase(void)
{
	/* Pairs with the callers' look: what was switched comes first. */
	smp_store_release(&phase, phase + 1);
}

/**
 * struct caller - a thread that calls the function all the time
 * @task:	the thread
 * @calls:	how often it called, by result
 * @wrong:	how often the result was none of the two, or came too late or early
 */
struct caller {
	struct task_struct *task;
	unsigned long calls[LPT_NEWER];
	unsigned long wrong;
};

static bool result_ok(int result, unsigned long before, unsigned long after)
{
	if (result != LPT_OLD && result != LPT_NEW)
		return false;
	if (before != after)
		return true;

	switch (before % NR_PHASES) {
	case ALL_OLD:
		return result == LPT_OLD;
	case ALL_NEW:
		return result == LPT_NEW;
	default:
		return true;
	}
}

static int call_all_the_time(void *data)
{
	struct caller *caller = data;
	unsigned long before, after;
	int result, i;

	while (!kthread_should_stop()) {
		/* Pairs with next_phase(). */
		before = smp_load_acquire(&phase);
		result = lpt_busy(3);
		/* The call comes before the second look. */
		smp_mb();
		after = READ_ONCE(phase);

		if (!result_ok(result, before, after))
			caller->wrong++;
		else
			WRITE_ONCE(caller->calls[result],
				   caller->calls[result] + 1);

		/*
		 * A switch needs a moment at which no CPU was stopped inside
		 * the function. Spend most of the time elsewhere, or on many
		 * CPUs there is none.
		 */
		for (i = 0; i < 500; i++)
			barrier();
		cond_resched();
	}
	return 0;
}

static struct caller *start_callers(struct kunit *test)
{
	struct caller *callers;
	unsigned int cpu;

	callers = kunit_kcalloc(test, nr_cpu_ids, sizeof(*callers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, callers);

	phase = ALL_OLD;
	for_each_online_cpu(cpu) {
		struct task_struct *task;

		task = kthread_create_on_cpu(call_all_the_time, &callers[cpu],
					     cpu, "lpt_caller/%u");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
		callers[cpu].task = task;
		wake_up_process(task);
	}
	return callers;
}

static void stop_callers(struct kunit *test, struct caller *callers)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		kthread_stop(callers[cpu].task);
		KUNIT_EXPECT_EQ_MSG(test, callers[cpu].wrong, 0, "CPU %u", cpu);
		KUNIT_EXPECT_GT_MSG(test, callers[cpu].calls[LPT_OLD], 0,
				    "CPU %u", cpu);
		KUNIT_EXPECT_GT_MSG(test, callers[cpu].calls[LPT_NEW], 0,
				    "CPU %u", cpu);
	}
}

/* Wait until every caller has made some calls since. */
static void let_callers_call(struct caller *callers, int result)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		unsigned long *calls = &callers[cpu].calls[result];
		unsigned long was = READ_ONCE(*calls);

		while (READ_ONCE(*calls) - was < 3)
			schedule_timeout_uninterruptible(1);
	}
}

static void switch_rounds(struct kunit *test, unsigned int rounds, bool settle)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_race");
	struct caller *callers;
	struct lpt_snapshot snap;
	unsigned int i;
	int ret = 0;

	lpt_snapshot(&snap, lpt_busy);
	callers = start_callers(test);
	let_callers_call(callers, LPT_OLD);
	for (i = 0; i < rounds; i++) {
		*p->funcs = (struct klp_func){
			.old_name = "lpt_busy",
			.new_func = lpt_busy_new,
		};
		p->nr_funcs = 1;

		next_phase();
		ret = lpt_enable(p);
		if (ret)
			break;
		next_phase();
		if (settle || !i)
			let_callers_call(callers, LPT_NEW);

		next_phase();
		ret = lpt_disable(p);
		if (ret)
			break;
		next_phase();
		if (settle)
			let_callers_call(callers, LPT_OLD);
	}
	KUNIT_EXPECT_EQ_MSG(test, ret, 0, "round %u", i);
	stop_callers(test, callers);
	if (p->patch.enabled)
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &snap);
}

static void race_on_every_cpu(struct kunit *test)
{
	switch_rounds(test, 20, true);
}

/* More CPUs take longer to stop, above all if they are emulated. */
static void race_many_rounds(struct kunit *test)
{
	switch_rounds(test, 2000 / max(2, num_online_cpus()), false);
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE(race_on_every_cpu),
	KUNIT_CASE_SLOW(race_many_rounds),
	{}
};

static struct kunit_suite race_suite = {
	.name = "livepatch_race",
	.test_cases = race_cases,
};

kunit_test_suite(race_suite);

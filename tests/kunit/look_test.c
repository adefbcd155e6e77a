// SPDX-License-Identifier: GPL-2.0
/* Tasks that are inside text are found, and no others. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include "../blockers.h"
#include "../look.h"
#include "../patch.h"
#include "../switch.h"
#include "../tasks.h"
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

/* Set up a look for the text of a function. Free its text afterwards. */
static void look_for(struct kunit *test, struct klp_look *look, void *func)
{
	*look = (struct klp_look){};
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, klp_symbol_text((unsigned long)func, &look->text), 0);
	mutex_unlock(&klp_mutex);
	klp_ranges_sort(&look->text);
}

/* Is a task inside a function? Return: where, or 0. */
static unsigned long find_in(struct kunit *test, struct task_struct *task,
			     void *func)
{
	struct klp_look look;
	unsigned long addr;

	look_for(test, &look, func);
	addr = klp_look_find(&look, task);
	klp_ranges_free(&look.text);
	return addr;
}

static void expect_inside(struct kunit *test, struct task_struct *task,
			  void *func, const char *symbol)
{
	unsigned long addr = find_in(test, task, func);
	char name[KSYM_NAME_LEN] = "";

	lookup_symbol_name(addr, name);
	KUNIT_EXPECT_STREQ(test, name, symbol);
}

static void look_inside(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	expect_inside(test, parked.task, lpt_sleeper, "lpt_sleeper");
	expect_inside(test, parked.task, lpt_park, "lpt_park");
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);
}

static void look_outside(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, find_in(test, parked.task, lpt_one), 0);
	KUNIT_EXPECT_EQ(test, find_in(test, parked.task, lpt_sleeper_new), 0);
	lpt_unpark(&parked);
}

static void look_inside_cold(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_has_cold);
	expect_inside(test, parked.task, lpt_has_cold, "lpt_has_cold.cold");
	lpt_unpark(&parked);
}

static void look_inside_part(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_has_part_caller);
	expect_inside(test, parked.task, lpt_has_part, "lpt_has_part.part.0");
	lpt_unpark(&parked);
}

/* A stack that cannot be unwound is looked at word by word. */
static void look_unreliable(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_unreliable);
	expect_inside(test, parked.task, lpt_park, "lpt_park");
	/* From here on the unwinder does not know its way. */
	expect_inside(test, parked.task, lpt_unreliable, "lpt_unreliable");
	expect_inside(test, parked.task, (void *)kallsyms_lookup_name("kthread"),
		      "kthread");
	KUNIT_EXPECT_EQ(test, find_in(test, parked.task, lpt_sleeper), 0);
	lpt_unpark(&parked);
}

#ifdef CONFIG_KRETPROBES
/* Nothing is known of it if a tracer of returns hides where the task continues. */
static void look_trampoline(struct kunit *test)
{
	struct kretprobe probe = { .kp.symbol_name = "lpt_park", .maxactive = 2 };
	struct lpt_parked parked;

	KUNIT_EXPECT_EQ(test, register_kretprobe(&probe), 0);
	lpt_park_in(test, &parked, lpt_unreliable);
	KUNIT_EXPECT_NE(test, find_in(test, parked.task, lpt_sleeper), 0);
	lpt_unpark(&parked);
	unregister_kretprobe(&probe);
	wait_for_kprobe_optimizer();
}
#endif

static struct klp_blockers blockers;

/*
 * Attempt a switch with a function's text as what must be idle.
 * Return: how many tasks blocked it, of which the first are in blockers.
 */
static unsigned int count_blockers(struct kunit *test, void *func)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_look");
	int ret;

	KUNIT_EXPECT_NOT_NULL(test, sw);
	if (!sw)
		return 0;

	look_for(test, &sw->look, func);
	ret = lpt_switch_run(sw);
	klp_blockers_get(&blockers, klp_look_nr_inside());
	KUNIT_EXPECT_EQ(test, ret, blockers.nr ? -EBUSY : 0);
	mutex_lock(&klp_mutex);
	klp_look_forget();
	mutex_unlock(&klp_mutex);
	klp_switch_free(sw);
	return blockers.nr;
}

/* Each blocker is counted once, and the first are known. */
static void look_blockers(struct kunit *test)
{
	struct lpt_parked parked[KLP_MAX_BLOCKERS + 2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parked); i++)
		lpt_park_in(test, &parked[i], lpt_sleeper);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper),
			ARRAY_SIZE(parked));
	KUNIT_EXPECT_EQ(test, blockers.nr_known, KLP_MAX_BLOCKERS);
	for (i = 0; i < KLP_MAX_BLOCKERS; i++) {
		KUNIT_EXPECT_STREQ(test, blockers.blocker[i].comm, "lpt_parked");
		KUNIT_EXPECT_TRUE(test, blockers.blocker[i].kthread);
		KUNIT_EXPECT_STREQ(test, blockers.blocker[i].does,
				   "sleeps uninterruptibly");
		KUNIT_EXPECT_GT(test, blockers.blocker[i].nr_frames, 3);
	}
	for (i = 0; i < ARRAY_SIZE(parked); i++)
		lpt_unpark(&parked[i]);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper), 0);
	KUNIT_EXPECT_EQ(test, blockers.nr_known, 0);
}

/*
 * As a thread that exits, which has left the task list and not yet its CPU. What
 * makes it one is taken back before it really exits.
 */
static int exit_in_sleeper(struct lpt_park *park)
{
	int ret;

	current->exit_state = EXIT_ZOMBIE;
	ret = lpt_sleeper(park);
	current->exit_state = 0;
	return ret;
}

/* Threads that exit are found though they have no PID. These have, and are not. */
static void look_exiting(struct kunit *test)
{
	struct lpt_parked parked[3];
	unsigned int i;

	kunit_activate_static_stub(test, klp_threads_visit, lpt_no_threads);

	lpt_park_in(test, &parked[0], lpt_sleeper);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper), 0);
	lpt_unpark(&parked[0]);

	for (i = 0; i < ARRAY_SIZE(parked); i++)
		lpt_park_in(test, &parked[i], exit_in_sleeper);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper),
			ARRAY_SIZE(parked));
	for (i = 0; i < ARRAY_SIZE(parked); i++)
		lpt_unpark(&parked[i]);
	KUNIT_EXPECT_EQ(test, count_blockers(test, lpt_sleeper), 0);

	kunit_deactivate_static_stub(test, klp_threads_visit);
}

/* Every idle thread is in its loop, so none may be patched that runs it. */
static void look_idle_threads(struct kunit *test)
{
	void *func = (void *)kallsyms_lookup_name("cpu_startup_entry");
	struct task_struct *idle;
	struct klp_look look;

	KUNIT_ASSERT_NOT_NULL(test, func);
	KUNIT_EXPECT_GE(test, count_blockers(test, func), 1);

	/* Also that of this CPU, which does not run, and may not for a long time. */
	look_for(test, &look, func);
	mutex_lock(&klp_mutex);
	cpus_read_lock();
	migrate_disable();
	idle = idle_task(raw_smp_processor_id());
	KUNIT_EXPECT_FALSE(test, klp_task_is_inside(idle));
	klp_look_start(&look);
	klp_look_all(&look);
	KUNIT_EXPECT_TRUE(test, klp_task_is_inside(idle));
	migrate_enable();
	cpus_read_unlock();
	klp_look_stop();
	klp_look_forget();
	mutex_unlock(&klp_mutex);
	synchronize_rcu();
	klp_ranges_free(&look.text);
}

static int park_twice(struct lpt_park *park)
{
	lpt_park(park);
	return lpt_sleeper(park);
}

static int state_of(struct lpt_parked *parked)
{
	return READ_ONCE(parked->task->patch_state);
}

/* A task is looked at each time that it leaves a CPU, and not when nobody looks. */
static void look_switches(struct kunit *test)
{
	struct lpt_parked watched, unwatched;
	struct klp_look look;

	look_for(test, &look, lpt_sleeper);
	look.state = KLP_TRANSITION_PATCHED;
	lpt_park_in(test, &unwatched, park_twice);
	lpt_park_in(test, &watched, park_twice);
	complete(&unwatched.park.leave);
	lpt_wait_inside(unwatched.task, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, state_of(&unwatched), KLP_TRANSITION_IDLE);

	mutex_lock(&klp_mutex);
	klp_look_start(&look);
	KUNIT_EXPECT_EQ(test, state_of(&watched), KLP_TRANSITION_IDLE);
	complete(&watched.park.leave);
	lpt_wait_inside(watched.task, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, state_of(&watched), KLP_TRANSITION_PATCHED);
	KUNIT_EXPECT_FALSE(test, klp_look_clear());
	get_task_struct(watched.task);
	lpt_unpark(&watched);
	/* It is looked at as well when it leaves its CPU for the last time. */
	lpt_wait_dead(watched.task);
	KUNIT_EXPECT_TRUE(test, klp_look_clear());
	klp_look_stop();
	mutex_unlock(&klp_mutex);

	lpt_unpark(&unwatched);
	synchronize_rcu();
	klp_ranges_free(&look.text);
}

static struct task_struct *child;

static int child_fn(void *unused)
{
	child = get_task_struct(current);
	do_exit(0);
}

static noinline int park_and_fork(struct lpt_park *park)
{
	pid_t pid;

	lpt_park(park);
	pid = kernel_thread(child_fn, NULL, "lpt_child",
			    CLONE_FS | CLONE_FILES | SIGCHLD);
	/* It must not be a tail call. */
	barrier();
	return pid;
}

/* A child is a copy of its parent, and not inside if the parent is. */
static void look_fork(struct kunit *test)
{
	struct lpt_parked parked;
	struct klp_look look;

	child = NULL;
	look_for(test, &look, park_and_fork);
	mutex_lock(&klp_mutex);
	klp_look_start(&look);
	lpt_park_in(test, &parked, park_and_fork);
	KUNIT_EXPECT_FALSE(test, klp_look_clear());
	get_task_struct(parked.task);
	KUNIT_EXPECT_GT(test, lpt_unpark(&parked), 0);
	while (!READ_ONCE(child))
		schedule_timeout_uninterruptible(1);
	lpt_wait_dead(child);
	lpt_wait_dead(parked.task);
	KUNIT_EXPECT_TRUE(test, klp_look_clear());
	klp_look_stop();
	mutex_unlock(&klp_mutex);
	synchronize_rcu();
	klp_ranges_free(&look.text);
}

#define COST_ROUNDS	1000

/**
 * struct cost - a thread that takes turns with another one
 * @turn:	completed by the other when it is this one's turn
 * @done:	completed when it had all its turns
 * @other:	the other one
 * @depth:	how many calls deep both are
 * @rounds:	how many turns it had
 */
struct cost {
	struct completion turn;
	struct completion done;
	struct cost *other;
	unsigned int depth;
	unsigned int rounds;
};

static noinline void take_turns(struct cost *cost, unsigned int depth)
{
	if (depth) {
		take_turns(cost, depth - 1);
		/* This is no last call. */
		barrier();
		return;
	}

	for (; cost->rounds < COST_ROUNDS; cost->rounds++) {
		wait_for_completion(&cost->turn);
		complete(&cost->other->turn);
	}
}

static int take_turns_fn(void *data)
{
	struct cost *cost = data;

	take_turns(cost, cost->depth);
	complete(&cost->done);
	return 0;
}

/* Return: how long a context switch takes, in ns. */
static u64 cost_of_switch(struct kunit *test, unsigned int depth)
{
	struct cost cost[2] = {
		{ .other = &cost[1], .depth = depth },
		{ .other = &cost[0], .depth = depth },
	};
	struct task_struct *task[2];
	unsigned int i;
	u64 start;

	for (i = 0; i < 2; i++) {
		init_completion(&cost[i].turn);
		init_completion(&cost[i].done);
		task[i] = kthread_create_on_cpu(take_turns_fn, &cost[i], 0, "lpt_cost");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task[i]);
		get_task_struct(task[i]);
		wake_up_process(task[i]);
	}

	start = ktime_get_ns();
	complete(&cost[0].turn);
	for (i = 0; i < 2; i++)
		wait_for_completion(&cost[i].done);
	start = ktime_get_ns() - start;

	for (i = 0; i < 2; i++) {
		kthread_stop(task[i]);
		put_task_struct(task[i]);
	}

	KUNIT_EXPECT_EQ(test, cost[0].rounds, COST_ROUNDS);
	KUNIT_EXPECT_EQ(test, cost[1].rounds, COST_ROUNDS);
	return div_u64(start, 2 * COST_ROUNDS);
}

/*
 * Threads go on while tasks are looked at. What that takes of a context switch is told,
 * for make bench: with or without a look, how many calls deep, nanoseconds.
 */
static void look_cost(struct kunit *test)
{
	static const unsigned int depths[] = { 0, 10, 20 };
	struct klp_look look;
	unsigned int i;

	look_for(test, &look, lpt_sleeper);
	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		kunit_info(test, "without %u %llu\n", depths[i],
			   cost_of_switch(test, depths[i]));

		mutex_lock(&klp_mutex);
		klp_look_start(&look);
		kunit_info(test, "with %u %llu\n", depths[i],
			   cost_of_switch(test, depths[i]));
		KUNIT_EXPECT_TRUE(test, klp_look_clear());
		klp_look_stop();
		mutex_unlock(&klp_mutex);
		synchronize_rcu();
	}
	klp_ranges_free(&look.text);
}

static struct kunit_case look_cases[] = {
	KUNIT_CASE(ranges_merge),
	KUNIT_CASE(ranges_grow),
	KUNIT_CASE(look_inside),
	KUNIT_CASE(look_outside),
	KUNIT_CASE(look_inside_cold),
	KUNIT_CASE(look_inside_part),
	KUNIT_CASE(look_unreliable),
#ifdef CONFIG_KRETPROBES
	KUNIT_CASE(look_trampoline),
#endif
	KUNIT_CASE_SLOW(look_blockers),
	KUNIT_CASE_SLOW(look_exiting),
	KUNIT_CASE_SLOW(look_idle_threads),
	KUNIT_CASE(look_switches),
	KUNIT_CASE(look_fork),
	KUNIT_CASE(look_cost),
	{}
};

static struct kunit_suite look_suite = {
	.name = "livepatch_look",
	.test_cases = look_cases,
};

kunit_test_suite(look_suite);

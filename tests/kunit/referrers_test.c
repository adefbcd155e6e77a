// SPDX-License-Identifier: GPL-2.0
/* Tasks that refer to the memory of a module. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <linux/string.h>
#include "../patch.h"
#include "../ranges.h"
#include "../referrers.h"
#include "../tasks.h"
#include "helpers.h"

static char memory[PAGE_SIZE] __aligned(PAGE_SIZE);
static struct module mod;
static const struct task_struct *found;
static char found_comm[TASK_COMM_LEN];

static int referrers_init(struct kunit *test)
{
	mod.mem[MOD_RODATA] = (struct module_memory){
		.base	= memory,
		.size	= sizeof(memory),
	};
	return 0;
}

static void visit(struct task_struct *task, void *data)
{
	found = task;
	strscpy(found_comm, task->comm);
}

static unsigned int count(const struct task_struct *except)
{
	unsigned int nr;

	found = NULL;
	found_comm[0] = '\0';
	mutex_lock(&klp_mutex);
	nr = klp_referrers_visit(&mod, except, visit, NULL);
	mutex_unlock(&klp_mutex);
	return nr;
}

static void expect_one(struct kunit *test)
{
	KUNIT_EXPECT_EQ_MSG(test, count(NULL), 1, "found: %s", found_comm);
}

/*
 * A thread that exits has the word on its stack for a moment longer. Of a task that moves to
 * another CPU just then it is not known whether it refers, so it counts.
 */
static void expect_none(struct kunit *test, const struct task_struct *except)
{
	unsigned long end = jiffies + 10 * HZ;
	unsigned int nr;

	while ((nr = count(except)) && time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ_MSG(test, nr, 0, "found: %s", found_comm);
}

static const void *pointer;

/* Nothing but a word on the stack tells of it. */
static noinline int sleep_with_pointer(struct lpt_park *park)
{
	const void *pointers[] = { pointer };

	barrier_data(pointers);
	lpt_park(park);
	return !pointers[0];
}

static void referrers_asleep(struct kunit *test)
{
	struct lpt_parked parked, other;

	expect_none(test, NULL);
	pointer = memory + 100;
	lpt_park_in(test, &parked, sleep_with_pointer);
	lpt_park_in(test, &other, lpt_sleeper);
	expect_one(test);
	KUNIT_EXPECT_PTR_EQ(test, found, parked.task);
	/* The task that waits for it knows where the module is. */
	expect_none(test, parked.task);
	lpt_unpark(&parked);
	lpt_unpark(&other);
	expect_none(test, NULL);
}

static DECLARE_COMPLETION(spinning);

static int spin(void *unused)
{
	complete(&spinning);
	while (!kthread_should_stop())
		cond_resched();
	return 0;
}

static int spin_with_pointer(void *unused)
{
	const void *pointers[] = { memory };

	barrier_data(pointers);
	spin(NULL);
	return *(const char *)pointers[0];
}

/* On one CPU, as it is not known of a task that moves to another just then. */
static void expect_spinning(struct kunit *test, int (*fn)(void *data), bool refers)
{
	struct task_struct *task;

	task = kthread_create_on_cpu(fn, NULL, cpumask_last(cpu_online_mask), "lpt_spin/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&spinning);
	if (refers) {
		/* A thread that exits can be visited twice. */
		KUNIT_EXPECT_NE(test, count(NULL), 0);
		KUNIT_EXPECT_PTR_EQ(test, found, task);
	} else {
		expect_none(test, NULL);
	}
	kthread_stop(task);
	lpt_wait_dead(task);
	expect_none(test, NULL);
}

enum spinner_does { SPIN, START, LEAVE, TAKE };

/**
 * struct spinner - a thread that runs
 * @task:	the thread
 * @cpu:	the CPU that it runs on
 * @memory:	the memory
 * @does:	what it is to do: start, act as if it left its CPU while a switch is
 *		prepared, or take a pointer to the memory; SPIN when that is done
 */
struct spinner {
	struct task_struct *task;
	unsigned int cpu;
	struct klp_ranges memory;
	enum spinner_does does;
};

static int obey(struct spinner *spinner);

static noinline int obey_with_pointer(struct spinner *spinner)
{
	const void *pointers[] = { memory };

	barrier_data(pointers);
	return obey(spinner) ?: *(const char *)pointers[0];
}

static int obey(struct spinner *spinner)
{
	/* It has started, or has the pointer. */
	WRITE_ONCE(spinner->does, SPIN);

	while (!kthread_should_stop()) {
		switch (READ_ONCE(spinner->does)) {
		case LEAVE:
			local_irq_disable();
			klp_referrer_leaves(&spinner->memory, current);
			local_irq_enable();
			WRITE_ONCE(spinner->does, SPIN);
			break;
		case TAKE:
			return obey_with_pointer(spinner);
		default:
			cond_resched();
		}
	}

	return 0;
}

static int obey_fn(void *data)
{
	return obey(data);
}

static void wait_done(struct spinner *spinner)
{
	while (READ_ONCE(spinner->does) != SPIN)
		schedule_timeout_uninterruptible(1);
}

static void tell(struct spinner *spinner, enum spinner_does what)
{
	WRITE_ONCE(spinner->does, what);
	wait_done(spinner);
}

static void start_spinner(struct kunit *test, struct spinner *spinner)
{
	*spinner = (struct spinner){
		.cpu	= cpumask_any_but(cpu_online_mask, raw_smp_processor_id()),
		.does	= START,
	};
	KUNIT_EXPECT_EQ(test, klp_referrers_add_memory(&spinner->memory, &mod), 0);
	klp_ranges_sort(&spinner->memory);
	spinner->task = kthread_create(obey_fn, spinner, "lpt_spin");
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, spinner->task);
	get_task_struct(spinner->task);
	set_cpus_allowed_ptr(spinner->task, cpumask_of(spinner->cpu));
	wake_up_process(spinner->task);
	wait_done(spinner);
	tell(spinner, LEAVE);
}

static void stop_spinner(struct spinner *spinner)
{
	kthread_stop(spinner->task);
	lpt_wait_dead(spinner->task);
	klp_ranges_free(&spinner->memory);
}

/*
 * A CPU knows whether the task that it runs referred to the memory when the CPU was
 * stopped. That is over with another switch, or when the task takes a pointer.
 */
static void expect_known(struct kunit *test)
{
	struct spinner spinner;

	start_spinner(test, &spinner);
	expect_none(test, NULL);
	tell(&spinner, TAKE);
	tell(&spinner, LEAVE);
	expect_one(test);
	stop_spinner(&spinner);

	start_spinner(test, &spinner);
	klp_referrers_begin();
	tell(&spinner, TAKE);
	expect_one(test);
	stop_spinner(&spinner);

	/* Also if it leaves another CPU with it. */
	start_spinner(test, &spinner);
	set_cpus_allowed_ptr(spinner.task, cpumask_of(raw_smp_processor_id()));
	tell(&spinner, TAKE);
	tell(&spinner, LEAVE);
	set_cpus_allowed_ptr(spinner.task, cpumask_of(spinner.cpu));
	expect_one(test);
	stop_spinner(&spinner);

	start_spinner(test, &spinner);
	spinner.task->restart_block.fn = (void *)(memory + 8);
	tell(&spinner, LEAVE);
	expect_none(test, NULL);
	KUNIT_EXPECT_PTR_EQ(test, (void *)spinner.task->restart_block.fn,
			    (void *)do_no_restart_syscall);
	stop_spinner(&spinner);
}

static void referrers_known(struct kunit *test)
{
	if (num_online_cpus() == 1)
		kunit_skip(test, "another CPU has to run it");

	migrate_disable();
	expect_known(test);
	migrate_enable();
}

/* As a thread that exits, and has not left its CPU since it lost its PID. */
static int spin_without_pid(void *unused)
{
	struct pid *pid = current->thread_pid;
	int ret;

	current->thread_pid = NULL;
	current->exit_state = EXIT_ZOMBIE;
	ret = spin_with_pointer(NULL);
	current->exit_state = 0;
	current->thread_pid = pid;
	return ret;
}

static void referrers_without_pid(struct kunit *test)
{
	/* No other thread is found by its PID either. */
	kunit_activate_static_stub(test, klp_threads_visit, lpt_no_threads);
	expect_spinning(test, spin_without_pid, true);
	kunit_deactivate_static_stub(test, klp_threads_visit);
}

/*
 * Whether a task that runs refers to it has to be found out, too. The task that finds it
 * out must not be found afterwards.
 */
static void referrers_running(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		expect_spinning(test, spin, false);
		expect_spinning(test, spin_with_pointer, true);
	}
}

/* A pointer to per-CPU data, to which a function adds the offset of a CPU. */
static void referrers_percpu(struct kunit *test)
{
	struct lpt_parked parked;

	mod.percpu = alloc_percpu(long);
	KUNIT_ASSERT_NOT_NULL(test, (void __force *)mod.percpu);
	mod.percpu_size = sizeof(long);
	pointer = (void __force *)mod.percpu;
	lpt_park_in(test, &parked, sleep_with_pointer);
	expect_one(test);
	KUNIT_EXPECT_PTR_EQ(test, found, parked.task);
	lpt_unpark(&parked);
	expect_none(test, NULL);
	free_percpu(mod.percpu);
	mod.percpu = NULL;
	mod.percpu_size = 0;
}

/* A system call is not restarted in a module that will be gone. */
static void referrers_restart(struct kunit *test)
{
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	parked.task->restart_block.fn = (void *)(memory + 8);
	expect_none(test, NULL);
	KUNIT_EXPECT_PTR_EQ(test, (void *)parked.task->restart_block.fn,
			    (void *)do_no_restart_syscall);

	/* Also not in a child that is created meanwhile. */
	parked.task->restart_block.fn = (void *)(memory + 8);
	klp_copy_process(parked.task);
	KUNIT_EXPECT_PTR_EQ(test, (void *)parked.task->restart_block.fn,
			    (void *)do_no_restart_syscall);
	lpt_unpark(&parked);
}

static struct kunit_case referrers_cases[] = {
	KUNIT_CASE(referrers_asleep),
	KUNIT_CASE(referrers_running),
	KUNIT_CASE(referrers_without_pid),
	KUNIT_CASE(referrers_known),
	KUNIT_CASE(referrers_percpu),
	KUNIT_CASE(referrers_restart),
	{}
};

static struct kunit_suite referrers_suite = {
	.name = "livepatch_referrers",
	.init = referrers_init,
	.test_cases = referrers_cases,
};

kunit_test_suite(referrers_suite);

// SPDX-License-Identifier: GPL-2.0
/*
 * What is patched to measure it, and what it is compared with. All in
 * /sys/module/bench_target/parameters:
 *
 *   threads	threads that sleep; write how many there shall be
 *   busy	threads that run all the time, likewise
 *   empty	read: stop_machine() for nothing, and how long it took, in ns
 *   counts	read: the same for a loop over all threads that only compares how
 *		often each was switched with a number, and how long the loop took
 *   call	read: how long 1,000 calls of a function take, the least of many
 *		times, in cycles of the time stamp counter; and through a static
 *		call; and of a function that no patch is for
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>
#include <asm/msr.h>
#include "bench.h"

#define DEFINE(i)				\
static noinline __used int bench_fn_##i(int x)	\
{						\
	BENCH_BODY(x);				\
	return x;				\
}

BENCH_ALL(DEFINE)

static noinline int bench_unpatched(int x)
{
	BENCH_BODY(x);
	return x;
}

DEFINE_STATIC_CALL(bench_call, bench_fn_000);

/* Threads */

struct bench_threads {
	int (*fn)(void *data);
	struct task_struct **tasks;
	unsigned int nr;
};

static int bench_sleep(void *data)
{
	set_current_state(TASK_IDLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_IDLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int bench_run(void *data)
{
	while (!kthread_should_stop())
		cond_resched();
	return 0;
}

static struct bench_threads sleepers = { .fn = bench_sleep };
static struct bench_threads runners = { .fn = bench_run };

static void bench_threads_stop(struct bench_threads *threads)
{
	while (threads->nr)
		kthread_stop(threads->tasks[--threads->nr]);
	kvfree(threads->tasks);
	threads->tasks = NULL;
}

static int bench_threads_set(const char *val, const struct kernel_param *kp)
{
	struct bench_threads *threads = kp->arg;
	struct task_struct *task;
	unsigned int nr;
	int ret;

	ret = kstrtouint(val, 0, &nr);
	if (ret)
		return ret;

	bench_threads_stop(threads);
	threads->tasks = kvcalloc(nr, sizeof(*threads->tasks), GFP_KERNEL);
	if (!threads->tasks)
		return -ENOMEM;

	while (threads->nr < nr) {
		task = kthread_run(threads->fn, NULL, "bench");
		if (IS_ERR(task)) {
			bench_threads_stop(threads);
			return PTR_ERR(task);
		}
		threads->tasks[threads->nr++] = task;
	}
	return 0;
}

static int bench_threads_get(char *buffer, const struct kernel_param *kp)
{
	const struct bench_threads *threads = kp->arg;

	return sysfs_emit(buffer, "%u\n", threads->nr);
}

static const struct kernel_param_ops bench_threads_ops = {
	.set = bench_threads_set,
	.get = bench_threads_get,
};
module_param_cb(threads, &bench_threads_ops, &sleepers, 0644);
module_param_cb(busy, &bench_threads_ops, &runners, 0644);

/* Standing still */

static int bench_nothing(void *data)
{
	return 0;
}

static int bench_counts(void *data)
{
	struct task_struct *g, *task;
	u64 *ns = data, start = local_clock();
	unsigned long odd = 0;

	for_each_process_thread(g, task)
		odd += task->nvcsw + task->nivcsw == ULONG_MAX;
	OPTIMIZER_HIDE_VAR(odd);
	*ns = local_clock() - start;
	return 0;
}

static int bench_stop_get(char *buffer, const struct kernel_param *kp)
{
	cpu_stop_fn_t fn = kp->arg;
	u64 start, ns, in = 0;

	start = ktime_get_ns();
	stop_machine(fn, &in, NULL);
	ns = ktime_get_ns() - start;
	return sysfs_emit(buffer, "%llu %llu\n", ns, in);
}

static const struct kernel_param_ops bench_stop_ops = { .get = bench_stop_get };
module_param_cb(empty, &bench_stop_ops, bench_nothing, 0444);
module_param_cb(counts, &bench_stop_ops, bench_counts, 0444);

/* Calling */

#define BENCH_ROUNDS	200
#define BENCH_CALLS	1000

/* The call is in the loop, and not a pointer: that is what a call is. */
#define BENCH_LEAST(call)						\
({									\
	u64 start, least = U64_MAX;					\
	unsigned int round, i;						\
	unsigned long flags;						\
	int x = 0;							\
									\
	for (round = 0; round < BENCH_ROUNDS; round++) {		\
		local_irq_save(flags);					\
		start = rdtsc_ordered();				\
		for (i = 0; i < BENCH_CALLS; i++)			\
			x = call(x);					\
		least = min(least, rdtsc_ordered() - start);		\
		local_irq_restore(flags);				\
	}								\
	OPTIMIZER_HIDE_VAR(x);						\
	least;								\
})

static int bench_call_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu %llu %llu\n",
			  BENCH_LEAST(bench_fn_000),
			  BENCH_LEAST(static_call(bench_call)),
			  BENCH_LEAST(bench_unpatched));
}

static const struct kernel_param_ops bench_call_ops = { .get = bench_call_get };
module_param_cb(call, &bench_call_ops, NULL, 0444);

static int __init bench_init(void)
{
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	bench_threads_stop(&sleepers);
	bench_threads_stop(&runners);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("What live patching is measured with");
MODULE_LICENSE("GPL");

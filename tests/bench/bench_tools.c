// SPDX-License-Identifier: GPL-2.0
/*
 * What live patching is measured with. In /sys/module/bench_tools/parameters:
 *
 *   threads	threads that sleep; write how many there shall be
 *   busy	threads that run all the time, likewise
 *   empty	read: stop_machine() for nothing, and how long it took, in ns
 *   counts	read: the same for a loop over all threads that only compares how
 *		often each was switched with a number, and how long the loop took
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>

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

// SPDX-License-Identifier: GPL-2.0
/*
 * Tools to measure live patching. In /sys/module/bench_tools/parameters:
 *
 *   threads	written: how many threads are to sleep
 */

#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

static struct task_struct **sleepers;
static unsigned int nr_sleepers;

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

static void bench_threads_stop(void)
{
	while (nr_sleepers)
		kthread_stop(sleepers[--nr_sleepers]);
	kvfree(sleepers);
	sleepers = NULL;
}

static int bench_threads_set(const char *val, const struct kernel_param *kp)
{
	struct task_struct *task;
	unsigned int nr;
	int ret;

	ret = kstrtouint(val, 0, &nr);
	if (ret)
		return ret;

	bench_threads_stop();
	sleepers = kvcalloc(nr, sizeof(*sleepers), GFP_KERNEL);
	if (!sleepers)
		return -ENOMEM;

	while (nr_sleepers < nr) {
		task = kthread_run(bench_sleep, NULL, "bench");
		if (IS_ERR(task)) {
			bench_threads_stop();
			return PTR_ERR(task);
		}
		sleepers[nr_sleepers++] = task;
	}
	return 0;
}

static int bench_threads_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%u\n", nr_sleepers);
}

static const struct kernel_param_ops bench_threads_ops = {
	.set = bench_threads_set,
	.get = bench_threads_get,
};
module_param_cb(threads, &bench_threads_ops, NULL, 0644);

static int __init bench_init(void)
{
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	bench_threads_stop();
}
module_exit(bench_exit);

MODULE_DESCRIPTION("What live patching is measured with");
MODULE_LICENSE("GPL");

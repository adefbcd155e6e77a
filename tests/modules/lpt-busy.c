// SPDX-License-Identifier: GPL-2.0
/*
 * A function that tasks are in nearly all the time, to be patched.
 *
 *   /proc/lpt_busy		a line with the version of the function that ran to read
 *				it, 0 for its own
 *   parameters/kthreads	written: how many kthreads call the function all the time;
 *				read: the version that ran last in each of them, in a call
 *				that began after the read did
 */

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include "lpt-busy.h"

/**
 * struct lpt_kthread - a kthread that calls the function
 * @task:	the kthread
 * @version:	what its last call returned
 * @calls:	how many calls have returned
 */
struct lpt_kthread {
	struct task_struct *task;
	char version;
	unsigned int calls;
};

#define LPT_MAX_KTHREADS	256

static u8 *data;
static struct lpt_kthread kthreads[LPT_MAX_KTHREADS];
static unsigned int nr_kthreads;

static noinline __noclone char lpt_busy_work(const u8 *bytes)
{
	return lpt_busy_go(bytes, '0');
}

static ssize_t lpt_busy_read(struct file *file, char __user *buf, size_t count,
			     loff_t *pos)
{
	char line[] = { '?', '\n' };

	if (!*pos)
		line[0] = lpt_busy_work(data);
	return simple_read_from_buffer(buf, count, pos, line, sizeof(line));
}

static const struct proc_ops lpt_busy_ops = {
	.proc_read	= lpt_busy_read,
};

static int lpt_kthread(void *arg)
{
	struct lpt_kthread *kthread = arg;

	while (!kthread_should_stop()) {
		WRITE_ONCE(kthread->version, lpt_busy_work(data));
		/* Pairs with lpt_kthread_version(). */
		smp_store_release(&kthread->calls, kthread->calls + 1);
		cond_resched();
	}
	return 0;
}

static void lpt_kthreads_stop(void)
{
	while (nr_kthreads)
		kthread_stop(kthreads[--nr_kthreads].task);
}

static int kthreads_set(const char *val, const struct kernel_param *kp)
{
	unsigned int i, nr;
	int ret = kstrtouint(val, 0, &nr);

	if (ret)
		return ret;
	if (nr > LPT_MAX_KTHREADS)
		return -EINVAL;

	lpt_kthreads_stop();
	for (i = 0; i < nr; i++) {
		struct task_struct *task;

		task = kthread_run(lpt_kthread, &kthreads[i], "lpt_busy/%u", i);
		if (IS_ERR(task)) {
			lpt_kthreads_stop();
			return PTR_ERR(task);
		}
		kthreads[nr_kthreads++].task = task;
	}
	return 0;
}

/* The second call that returns from now on begins from now on. */
static char lpt_kthread_version(const struct lpt_kthread *kthread)
{
	unsigned int calls = READ_ONCE(kthread->calls);

	/* Pairs with lpt_kthread(). */
	while (smp_load_acquire(&kthread->calls) - calls < 2)
		schedule_timeout_uninterruptible(1);
	return READ_ONCE(kthread->version);
}

static int kthreads_get(char *buffer, const struct kernel_param *kp)
{
	char versions[LPT_MAX_KTHREADS + 1];
	unsigned int i;

	for (i = 0; i < nr_kthreads; i++)
		versions[i] = lpt_kthread_version(&kthreads[i]);
	versions[i] = '\0';
	return sysfs_emit(buffer, "%s\n", versions);
}

static const struct kernel_param_ops kthreads_ops = {
	.set = kthreads_set,
	.get = kthreads_get,
};
module_param_cb(kthreads, &kthreads_ops, NULL, 0600);

static int __init lpt_busy_init(void)
{
	size_t i;

	data = kmalloc(LPT_BUSY_SIZE, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	for (i = 0; i < LPT_BUSY_SIZE; i++)
		data[i] = i;

	if (!proc_create("lpt_busy", 0444, NULL, &lpt_busy_ops)) {
		kfree(data);
		return -ENOMEM;
	}
	return 0;
}
module_init(lpt_busy_init);

static void __exit lpt_busy_exit(void)
{
	lpt_kthreads_stop();
	remove_proc_entry("lpt_busy", NULL);
	kfree(data);
}
module_exit(lpt_busy_exit);

MODULE_DESCRIPTION("A function that is busy, to be patched");
MODULE_LICENSE("GPL");

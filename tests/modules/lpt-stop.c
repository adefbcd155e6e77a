// SPDX-License-Identifier: GPL-2.0
/*
 * Each read of parameters/stop stops the CPUs once, for nothing, and says how long that
 * took, in ns.
 */

#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>

static int lpt_stopped(void *data)
{
	return 0;
}

static int stop_get(char *buffer, const struct kernel_param *kp)
{
	u64 start = ktime_get_ns();

	stop_machine(lpt_stopped, NULL, NULL);
	return sysfs_emit(buffer, "%llu\n", ktime_get_ns() - start);
}

static const struct kernel_param_ops stop_ops = { .get = stop_get };
module_param_cb(stop, &stop_ops, NULL, 0400);

static int __init lpt_stop_init(void)
{
	return 0;
}
module_init(lpt_stop_init);

static void __exit lpt_stop_exit(void)
{
}
module_exit(lpt_stop_exit);

MODULE_DESCRIPTION("Stop the CPUs for nothing");
MODULE_LICENSE("GPL");

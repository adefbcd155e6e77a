// SPDX-License-Identifier: GPL-2.0
/*
 * A module that does nothing when it is loaded, to see what loading a module takes.
 *
 *   parameters/stop	reading it stops the CPUs once, for nothing
 */

#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>

static int lpt_nothing_stopped(void *data)
{
	return 0;
}

static int stop_get(char *buffer, const struct kernel_param *kp)
{
	int ret = stop_machine(lpt_nothing_stopped, NULL, cpu_online_mask);

	return sysfs_emit(buffer, "%d\n", ret);
}

static const struct kernel_param_ops stop_ops = { .get = stop_get };
module_param_cb(stop, &stop_ops, NULL, 0400);

static int __init lpt_nothing_init(void)
{
	return 0;
}
module_init(lpt_nothing_init);

static void __exit lpt_nothing_exit(void)
{
}
module_exit(lpt_nothing_exit);

MODULE_DESCRIPTION("A module that does nothing");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/* Each read of parameters/stop stops the CPUs once, for nothing. */

#include <linux/init.h>
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
	int ret = stop_machine(lpt_stopped, NULL, cpu_online_mask);

	return sysfs_emit(buffer, "%d\n", ret);
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

// SPDX-License-Identifier: GPL-2.0
/*
 * A patch for a function of klp-demo-driver in which tasks sleep. It is refused
 * while one does.
 */

#include <linux/livepatch.h>
#include <linux/module.h>

static int klp_demo_wait_not(void)
{
	return -EAGAIN;
}

static struct klp_func funcs[] = {
	{
		.old_name = "klp_demo_wait",
		.new_func = klp_demo_wait_not,
	}, { }
};

static struct klp_object objs[] = {
	{
		.name = "klp_demo_driver",
		.funcs = funcs,
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init klp_demo_busy_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit klp_demo_busy_exit(void)
{
}

module_init(klp_demo_busy_init);
module_exit(klp_demo_busy_exit);
MODULE_DESCRIPTION("A patch for a function in which tasks sleep");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/* A patch for the function of lpt-entries that the parameter names. */

#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static char *function = "";
module_param(function, charp, 0444);

static int lpt_entries_new(void)
{
	return 4;
}

static struct klp_func funcs[] = {
	{ .new_func = lpt_entries_new },
	{}
};

static struct klp_object objs[] = {
	{ .name = "lpt_entries", .funcs = funcs },
	{}
};

static struct klp_patch patch = {
	.mod	= THIS_MODULE,
	.objs	= objs,
};

static int __init lpt_entries_new_init(void)
{
	funcs[0].old_name = function;
	return klp_enable_patch(&patch);
}
module_init(lpt_entries_new_init);

static void __exit lpt_entries_new_exit(void)
{
}
module_exit(lpt_entries_new_exit);

MODULE_DESCRIPTION("A patch that keeps lpt-entries from being loaded");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

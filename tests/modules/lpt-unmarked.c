// SPDX-License-Identifier: GPL-2.0
/* A patch whose module does not say that it is one. */

#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static struct klp_func funcs[] = { { } };
static struct klp_object objs[] = { { .funcs = funcs }, { } };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objs };

static int __init lpt_unmarked_init(void)
{
	return klp_enable_patch(&patch);
}
module_init(lpt_unmarked_init);

static void __exit lpt_unmarked_exit(void)
{
}
module_exit(lpt_unmarked_exit);

MODULE_DESCRIPTION("A patch that is not marked as one");
MODULE_LICENSE("GPL");

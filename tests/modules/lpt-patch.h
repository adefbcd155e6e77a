/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A patch for some functions of lpt-target. Whoever includes this defines
 *
 *   LPT_FUNCTIONS(do)	do(i) for each of them
 *   LPT_VERSION	what they return
 *   LPT_REPLACE	whether the patch replaces all others
 */
#ifndef _LPT_PATCH_H
#define _LPT_PATCH_H

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include "lpt-target.h"

#define DEFINE(i)				\
static noinline char lpt_new_##i(void)		\
{						\
	int x = LPT_VERSION;			\
						\
	OPTIMIZER_HIDE_VAR(x);			\
	return x;				\
}

#define ENTRY(i)				\
	{					\
		.old_name = "lpt_target_" #i,	\
		.new_func = lpt_new_##i,	\
	},

LPT_FUNCTIONS(DEFINE)

static struct klp_func funcs[] = {
	LPT_FUNCTIONS(ENTRY)
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpt_target",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
	.replace = LPT_REPLACE,
};

static int __init lpt_patch_init(void)
{
	return klp_enable_patch(&patch);
}
module_init(lpt_patch_init);

static void __exit lpt_patch_exit(void)
{
}
module_exit(lpt_patch_exit);

MODULE_DESCRIPTION("A patch for a test");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

#endif /* _LPT_PATCH_H */

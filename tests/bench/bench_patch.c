// SPDX-License-Identifier: GPL-2.0
/*
 * A patch for as many functions of bench_target as the parameter funcs says, 0
 * for a module that is loaded and does nothing.
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "bench.h"

#define DEFINE(i)				\
static noinline int bench_new_##i(int x)	\
{						\
	BENCH_BODY(x);				\
	return x;				\
}

#define ENTRY(i)				\
	{					\
		.old_name = "bench_fn_" #i,	\
		.new_func = bench_new_##i,	\
	},

BENCH_ALL(DEFINE)

static struct klp_func funcs[] = {
	BENCH_ALL(ENTRY)
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "bench_target",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static unsigned int nr_funcs = 1;
module_param_named(funcs, nr_funcs, uint, 0444);

static int __init bench_patch_init(void)
{
	if (nr_funcs > BENCH_NR)
		return -EINVAL;
	if (!nr_funcs)
		return 0;

	funcs[nr_funcs] = (struct klp_func){ };
	return klp_enable_patch(&patch);
}
module_init(bench_patch_init);

static void __exit bench_patch_exit(void)
{
}
module_exit(bench_patch_exit);

MODULE_DESCRIPTION("A patch to measure live patching with");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts that all patches for one module share. A file that includes this defines
 *
 *   funcs		the functions that are replaced, and an empty entry
 *   LPT_OBJECT		the module, if it is not lpt_target
 *   LPT_REPLACE	whether the patch replaces all others, if it does
 *
 * With enable=0 the module is loaded and does nothing.
 */
#ifndef _LPT_FRAME_H
#define _LPT_FRAME_H

#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#ifndef LPT_OBJECT
#define LPT_OBJECT	"lpt_target"
#endif

#ifndef LPT_REPLACE
#define LPT_REPLACE	false
#endif

static struct klp_object objs[] = {
	{
		.name = LPT_OBJECT,
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
	.replace = LPT_REPLACE,
};

static bool enable = true;
module_param(enable, bool, 0);

static int __init lpt_patch_init(void)
{
	return enable ? klp_enable_patch(&patch) : 0;
}
module_init(lpt_patch_init);

static void __exit lpt_patch_exit(void)
{
}
module_exit(lpt_patch_exit);

MODULE_DESCRIPTION("A patch for a test");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

#endif /* _LPT_FRAME_H */

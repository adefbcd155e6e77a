/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A patch for some functions of lpt-target. A file that includes this defines
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

#include "lpt-frame.h"

#endif /* _LPT_PATCH_H */

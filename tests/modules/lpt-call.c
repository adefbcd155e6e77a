// SPDX-License-Identifier: GPL-2.0
/* A patch of a function that is called by a static call. */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static noinline int lpt_call_new(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 5;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpt_target_first",
		.new_func = lpt_call_new,
	},
	{ }
};

#include "lpt-frame.h"

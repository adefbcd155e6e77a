// SPDX-License-Identifier: GPL-2.0
/* A patch for the function of lpt-busy. It does the same work. */

#include <linux/livepatch.h>
#include "lpt-busy.h"

static noinline char lpt_busy_work_new(const u8 *bytes)
{
	return lpt_busy_go(bytes, '1');
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpt_busy_work",
		.new_func = lpt_busy_work_new,
	}, { }
};

#define LPT_OBJECT	"lpt_busy"
#include "lpt-frame.h"

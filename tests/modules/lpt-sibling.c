// SPDX-License-Identifier: GPL-2.0
/*
 * A patch of functions whose replacements end with a call. The compiler makes a jump of
 * it, so they leave no frame, while the function that they call uses a string of this
 * module.
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include "lpt-target.h"

static noinline int lpt_sibling_note(char *buffer)
{
	return lpt_target_wait(buffer, "new, from a module that is still there");
}

static noinline int lpt_sibling_note_busy(char *buffer)
{
	return lpt_target_spin(buffer, "new, from a module that is still there");
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpt_target_note",
		.new_func = lpt_sibling_note,
	}, {
		.old_name = "lpt_target_note_busy",
		.new_func = lpt_sibling_note_busy,
	},
	{ }
};

#include "lpt-frame.h"

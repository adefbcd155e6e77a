// SPDX-License-Identifier: GPL-2.0
/* Functions of which other code writes to the entry. */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>

static DEFINE_STATIC_KEY_FALSE(lpt_entries_key);

static noinline int lpt_entries_one(void)
{
	return 1;
}

DEFINE_STATIC_CALL(lpt_entries_callee, lpt_entries_one);

static noinline __used int lpt_entries_label(void)
{
	return static_branch_unlikely(&lpt_entries_key) ? 2 : 3;
}

static noinline __used int lpt_entries_call(void)
{
	return static_call(lpt_entries_callee)();
}

static int __init lpt_entries_init(void)
{
	return 0;
}
module_init(lpt_entries_init);

static void __exit lpt_entries_exit(void)
{
}
module_exit(lpt_entries_exit);

MODULE_DESCRIPTION("Functions of which other code writes to the entry");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * A patch with static calls and jump labels, with keys of vmlinux that are not
 * exported, of its own, and of the module that it patches, which may come later.
 * klp-relocs makes livepatch relocations of what is undefined here.
 *
 *   parameters/call	0 or 1: what its own static call calls
 *   parameters/branch	0 or 1: its own static key
 *
 * What it replaces writes six digits, of calls and of branches, each of vmlinux,
 * of the patch, and of the module that is patched.
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/sysfs.h>
#include "lpt-bool.h"
#include "lpt-target.h"

/* In vmlinux. */
DECLARE_STATIC_CALL(lpt_call_two, lpt_two);
DECLARE_STATIC_KEY_FALSE(lpt_key);

/* In the module. */
DECLARE_STATIC_KEY_FALSE(lpt_key_of_target);

static noinline int lpt_keys_first(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x;
}

static noinline int lpt_keys_second(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 1;
}

DEFINE_STATIC_CALL(lpt_keys_call, lpt_keys_first);
static DEFINE_STATIC_KEY_FALSE(lpt_keys_key);

static void call_to(bool new)
{
	static_call_update(lpt_keys_call, new ? lpt_keys_second : lpt_keys_first);
}

static void branch_to(bool on)
{
	if (on)
		static_branch_enable(&lpt_keys_key);
	else
		static_branch_disable(&lpt_keys_key);
}

LPT_BOOL(call, NULL);
module_param_cb(call, &call_ops, NULL, 0600);
LPT_BOOL(branch, NULL);
module_param_cb(branch, &branch_ops, NULL, 0600);

/* The versions of lpt_two() return 1 and 2 for 0. */
static int lpt_keys_new(char *buffer)
{
	return sysfs_emit(buffer, "%d%d%d%d%d%d\n",
			  static_call(lpt_call_two)(0) - 1,
			  static_call(lpt_keys_call)(0), lpt_call_of_target(0),
			  static_branch_unlikely(&lpt_key) ? 1 : 0,
			  static_branch_unlikely(&lpt_keys_key) ? 1 : 0,
			  static_key_enabled(&lpt_key_of_target) ? 1 : 0);
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpt_target_keys",
		.new_func = lpt_keys_new,
	},
	{ }
};

#include "lpt-frame.h"

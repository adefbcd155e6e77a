// SPDX-License-Identifier: GPL-2.0
/*
 * A patch with static calls and jump labels, with keys of vmlinux that are not
 * exported, one of them in an array, with keys of its own (see lpt-own.h), of a module
 * that it needs, and of the module that it patches, which may be loaded later. klp-relocs
 * makes livepatch relocations for the undefined symbols.
 *
 * The replacement writes eight digits: four for calls and four for branches, each with
 * keys of vmlinux, of the patch, of the module that it needs, and of the patched module.
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/sysfs.h>
#include "lpt-target.h"

#define LPT_PREFIX	lpt_keys_
#include "lpt-own.h"

/* In vmlinux, as lpt_keys. */
DECLARE_STATIC_CALL(lpt_call_two, lpt_two);

/* In the module that it needs. */
DECLARE_STATIC_CALL(lpt_base_call, lpt_two);
DECLARE_STATIC_KEY_FALSE(lpt_base_key);

/* In the one that it patches. */
DECLARE_STATIC_KEY_FALSE(lpt_key_of_target);

/* The versions of lpt_two() return 1 and 2 for 0. */
static int lpt_keys_new(char *buffer)
{
	return sysfs_emit(buffer, "%d%d%d%d%d%d%d%d\n",
			  static_call(lpt_call_two)(0) - 1,
			  static_call(lpt_keys_call)(0),
			  static_call(lpt_base_call)(0), lpt_call_of_target(0),
			  static_branch_unlikely(&lpt_keys[1]) ? 1 : 0,
			  static_branch_unlikely(&lpt_keys_key) ? 1 : 0,
			  static_branch_unlikely(&lpt_base_key) ? 1 : 0,
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

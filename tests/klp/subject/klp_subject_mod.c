// SPDX-License-Identifier: GPL-2.0
/* The same in a module. */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include "klp_subject.h"

static noinline int subject_in_module(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 1;
}

SUBJECT_SHOW(in_module, subject_in_module(50));

static noinline int subject_inlines_in_module(int x)
{
	return subject_inline(x) + 2;
}

SUBJECT_SHOW(inlines, subject_inlines_in_module(25));

static DEFINE_STATIC_KEY_FALSE(subject_mod_key);

static noinline int subject_mod_first(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x;
}

static noinline int subject_mod_second(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 100;
}

DEFINE_STATIC_CALL(subject_mod_call, subject_mod_first);

static noinline int subject_keys_of_module(int x)
{
	int sum = static_call(subject_mod_call)(x);

	if (static_branch_unlikely(&subject_mod_key))
		sum += 1000;
	return sum;
}

SUBJECT_SHOW(keys, subject_keys_of_module(50));

/* Turns both over. */
static int key_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	if (ret)
		return ret;

	static_call_update(subject_mod_call,
			   on ? subject_mod_second : subject_mod_first);
	if (on)
		static_branch_enable(&subject_mod_key);
	else
		static_branch_disable(&subject_mod_key);
	return 0;
}

static const struct kernel_param_ops key_ops = { .set = key_set };
module_param_cb(key, &key_ops, NULL, 0200);

static int __init subject_mod_init(void)
{
	return 0;
}
module_init(subject_mod_init);

static void __exit subject_mod_exit(void)
{
}
module_exit(subject_mod_exit);

MODULE_DESCRIPTION("What patches of the tests are for");
MODULE_LICENSE("GPL");

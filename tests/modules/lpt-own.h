/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A static call and a static key, and two parameters for them:
 *
 *   call	0 or 1: which function the static call calls
 *   branch	0 or 1: the static key
 *
 * A file that includes this defines LPT_PREFIX, with which all names begin.
 */
#ifndef _LPT_OWN_H
#define _LPT_OWN_H

#include <linux/args.h>
#include <linux/compiler.h>
#include <linux/jump_label.h>
#include <linux/kstrtox.h>
#include <linux/moduleparam.h>
#include <linux/static_call.h>
#include <linux/sysfs.h>

#define LPT_OWN(name)	CONCATENATE(LPT_PREFIX, name)

static noinline int LPT_OWN(first)(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x;
}

static noinline int LPT_OWN(second)(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 1;
}

DECLARE_STATIC_KEY_FALSE(LPT_OWN(key));

DEFINE_STATIC_CALL(LPT_OWN(call), LPT_OWN(first));
DEFINE_STATIC_KEY_FALSE(LPT_OWN(key));

static int call_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", static_call(LPT_OWN(call))(0));
}

static int call_set(const char *val, const struct kernel_param *kp)
{
	bool second;
	int ret = kstrtobool(val, &second);

	if (!ret)
		static_call_update(LPT_OWN(call),
				   second ? LPT_OWN(second) : LPT_OWN(first));
	return ret;
}

static const struct kernel_param_ops call_ops = {
	.get = call_get,
	.set = call_set,
};
module_param_cb(call, &call_ops, NULL, 0600);

static int branch_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n",
			  static_branch_unlikely(&LPT_OWN(key)) ? 1 : 0);
}

static int branch_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	if (!ret && on)
		static_branch_enable(&LPT_OWN(key));
	else if (!ret)
		static_branch_disable(&LPT_OWN(key));
	return ret;
}

static const struct kernel_param_ops branch_ops = {
	.get = branch_get,
	.set = branch_set,
};
module_param_cb(branch, &branch_ops, NULL, 0600);

#endif /* _LPT_OWN_H */

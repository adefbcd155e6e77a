/* SPDX-License-Identifier: GPL-2.0 */
/* A module parameter that does something when it is set to 0 or 1. */
#ifndef _LPT_BOOL_H
#define _LPT_BOOL_H

#include <linux/kstrtox.h>
#include <linux/moduleparam.h>

/* @on and @off are statements; @read is a getter, or NULL. */
#define LPT_BOOL(name, on, off, read)					\
static int name##_set(const char *val, const struct kernel_param *kp)	\
{									\
	bool set;							\
	int ret = kstrtobool(val, &set);				\
									\
	if (ret)							\
		return ret;						\
	if (set)							\
		on;							\
	else								\
		off;							\
	return 0;							\
}									\
									\
static const struct kernel_param_ops name##_ops = {			\
	.set = name##_set,						\
	.get = read,							\
};									\
module_param_cb(name, &name##_ops, NULL, 0600)

#endif /* _LPT_BOOL_H */

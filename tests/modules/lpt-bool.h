/* SPDX-License-Identifier: GPL-2.0 */
/* Operations of a module parameter that does something when it is set to 0 or 1. */
#ifndef _LPT_BOOL_H
#define _LPT_BOOL_H

#include <linux/kstrtox.h>
#include <linux/moduleparam.h>

/* name##_to() does it; @read is a getter, or NULL. */
#define LPT_BOOL(name, read)						\
static int name##_set(const char *val, const struct kernel_param *kp)	\
{									\
	bool set;							\
	int ret = kstrtobool(val, &set);				\
									\
	if (!ret)							\
		name##_to(set);						\
	return ret;							\
}									\
									\
static const struct kernel_param_ops name##_ops = {			\
	.set = name##_set,						\
	.get = read,							\
}

#endif /* _LPT_BOOL_H */

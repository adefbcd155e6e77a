/* SPDX-License-Identifier: GPL-2.0 */
/* What the two subjects share. */
#ifndef _KLP_SUBJECT_H
#define _KLP_SUBJECT_H

#include <linux/moduleparam.h>
#include <linux/sysfs.h>

/* A parameter that says what a function returns. */
#define SUBJECT_SHOW(name, call)					\
static int name##_get(char *buffer, const struct kernel_param *kp)	\
{									\
	return sysfs_emit(buffer, "%d\n", call);			\
}									\
									\
static const struct kernel_param_ops name##_ops = {			\
	.get = name##_get,						\
};									\
module_param_cb(name, &name##_ops, NULL, 0400)

int subject_global(int x);
int subject_inlines(int x);

/* Only callbacks of a patch write to it, which the compiler must not know. */
extern int subject_state;

/* Every caller has a copy of it. */
static __always_inline int subject_inline(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return 2 * x;
}

#endif /* _KLP_SUBJECT_H */

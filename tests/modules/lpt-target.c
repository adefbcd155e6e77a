// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests patch.
 *
 *   parameters/versions	which version of each of its functions runs, one
 *				character each, 0 for its own
 *   parameters/secret		what lpt_target_read() returns
 *   parameters/init		the versions as its init function saw them
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include "lpt-target.h"

#define DEFINE(i)					\
static noinline __used char lpt_target_##i(void)	\
{							\
	int x = i;					\
							\
	OPTIMIZER_HIDE_VAR(x);				\
	return x < LPT_NR ? '0' : '?';			\
}

#define ENTRY(i)	lpt_target_##i,

LPT_ALL(DEFINE)

static char (*const functions[])(void) = { LPT_ALL(ENTRY) };

/* Not exported, and called by nobody but a patch. */
static noinline __used int lpt_target_secret(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 42;
}

static noinline int lpt_target_read(void)
{
	int x = 0;

	OPTIMIZER_HIDE_VAR(x);
	return x;
}

/* The machine cannot be stopped meanwhile, so this is what runs at one time. */
static void get_versions(char *buffer)
{
	unsigned int i;

	preempt_disable();
	for (i = 0; i < LPT_NR; i++)
		buffer[i] = functions[i]();
	preempt_enable();
	buffer[LPT_NR] = '\0';
}

static int versions_get(char *buffer, const struct kernel_param *kp)
{
	char versions[LPT_NR + 1];

	get_versions(versions);
	return sysfs_emit(buffer, "%s\n", versions);
}

static const struct kernel_param_ops versions_ops = { .get = versions_get };
module_param_cb(versions, &versions_ops, NULL, 0444);

static int secret_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", lpt_target_read());
}

static const struct kernel_param_ops secret_ops = { .get = secret_get };
module_param_cb(secret, &secret_ops, NULL, 0444);

static char at_init[LPT_NR + 1];
module_param_string(init, at_init, sizeof(at_init), 0444);

static int __init lpt_target_init(void)
{
	get_versions(at_init);
	return 0;
}
module_init(lpt_target_init);

static void __exit lpt_target_exit(void)
{
}
module_exit(lpt_target_exit);

MODULE_DESCRIPTION("Functions to be patched by tests");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/* Functions that the tests patch, and their replacements. */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/instrumentation.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/moduleparam.h>
#include "functions.h"

int lpt_data = 1;

noinline void lpt_park(struct lpt_park *park)
{
	complete(&park->parked);
	wait_for_completion(&park->leave);
	/* Not a tail call, or the function would not be on the stack. */
	barrier();
}

/*
 * The barriers keep the compiler from knowing the results, and from merging
 * functions that are the same.
 */
noinline int lpt_one(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x * 10 + LPT_OLD;
}

noinline int lpt_one_new(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x * 10 + LPT_NEW;
}

noinline int lpt_one_newer(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x * 10 + LPT_NEWER;
}

noinline int lpt_two(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x * 100 + LPT_OLD;
}

noinline int lpt_two_new(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x * 100 + LPT_NEW;
}

/*
 * The compiler sees which registers lpt_leaf() leaves alone. The arguments of the caller
 * that come after the first are still needed when it returns.
 */
static noinline int lpt_leaf(int x)
{
	return x * 33 + LPT_OLD;
}

noinline long lpt_leaf_caller(int x, long b, long c, long d, long e, long f)
{
	return lpt_leaf(x) + b * c + d * e + f;
}

/* Long enough to be interrupted, and preempted, within it. */
noinline int lpt_busy(int x)
{
	int i, sum = 0;

	for (i = 0; i < 20; i++) {
		OPTIMIZER_HIDE_VAR(sum);
		sum += x;
	}
	return sum == 20 * x ? LPT_OLD : 0;
}

noinline int lpt_busy_new(int x)
{
	int i, sum = 0;

	for (i = 0; i < 10; i++) {
		OPTIMIZER_HIDE_VAR(sum);
		sum += x;
	}
	return sum == 10 * x ? LPT_NEW : 0;
}

noinline int lpt_sleeper(struct lpt_park *park)
{
	lpt_park(park);
	return LPT_OLD;
}

noinline int lpt_sleeper_new(struct lpt_park *park)
{
	lpt_park(park);
	return LPT_NEW;
}

DEFINE_STATIC_KEY_ARRAY_FALSE(lpt_keys, 2);

/* The jump label is the first instruction. */
noinline int lpt_jump_label(void)
{
	if (static_branch_unlikely(&lpt_keys[0]))
		return LPT_NEW;
	return LPT_OLD;
}

/* The jump label is the second instruction, behind one of a single byte. */
noinline int lpt_late_label(void)
{
	asm volatile("nop");
	if (static_branch_unlikely(&lpt_keys[1]))
		return LPT_NEW;
	return LPT_OLD;
}

/* Only its first byte is in the site. */
noinline int lpt_edge_label(void)
{
	asm volatile("nopl (%rax,%rax)");
	if (static_branch_unlikely(&lpt_keys[1]))
		return LPT_NEW;
	return LPT_OLD;
}

/* Only its first byte is in the site. It takes five, as it leads far away. */
noinline int lpt_last_label(void)
{
	asm volatile("nopl (%rax,%rax)");
	if (static_branch_unlikely(&lpt_keys[1]))
		return LPT_NEW;
	asm volatile(".skip 200, 0x90");
	return LPT_OLD;
}

/* A jump while its key is off. */
noinline int lpt_likely_label(void)
{
	if (static_branch_likely(&lpt_keys[1]))
		return LPT_NEW;
	return LPT_OLD;
}

/* Two jump labels, one behind the other. */
noinline int lpt_two_labels(void)
{
	if (static_branch_unlikely(&lpt_keys[0]))
		return static_branch_unlikely(&lpt_keys[1]) ? 13 : 11;
	if (static_branch_unlikely(&lpt_keys[1]))
		return 12;
	return 10;
}

noinline int lpt_label_new(void)
{
	return LPT_NEWER;
}

DEFINE_STATIC_CALL(lpt_call, lpt_one);

/* The static call is the second one. */
noinline int lpt_late_call(int x)
{
	asm volatile("nop");
	return static_call(lpt_call)(x);
}

/* The static call, made as a jump, is the first instruction. */
noinline int lpt_static_call(int x)
{
	return static_call(lpt_call)(x);
}

/* How often the static call in lpt_calls() has returned. */
unsigned int lpt_nr_returned;

/* Static calls that are not made as a jump. */
noinline int lpt_calls(int x)
{
	x = static_call(lpt_call)(x);
	OPTIMIZER_HIDE_VAR(x);
	lpt_nr_returned++;
	return x;
}

DEFINE_STATIC_CALL(lpt_call_two, lpt_two);

noinline int lpt_calls_two(int x)
{
	x = static_call(lpt_call_two)(x);
	OPTIMIZER_HIDE_VAR(x);
	return x;
}

/* Where nobody may set a breakpoint. */
noinstr int lpt_calls_noinstr(int x)
{
	instrumentation_begin();
	x = static_call(lpt_call)(x);
	instrumentation_end();
	return x;
}

/* One of two symbols of this name, see symbol_test.c. */
static int __used lpt_twice(int x)
{
	return x + 1;
}

/*
 * In /sys/module/klp_kunit/parameters, for tests that load modules: what a static
 * call and a static key of vmlinux say.
 */

static int call_set(const char *val, const struct kernel_param *kp)
{
	bool new;
	int ret = kstrtobool(val, &new);

	if (!ret)
		static_call_update(lpt_call_two, new ? lpt_two_new : lpt_two);
	return ret;
}

static const struct kernel_param_ops call_ops = { .set = call_set };
module_param_cb(call, &call_ops, NULL, 0200);

static int branch_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	if (!ret && on)
		static_branch_enable(&lpt_keys[1]);
	else if (!ret)
		static_branch_disable(&lpt_keys[1]);
	return ret;
}

static const struct kernel_param_ops branch_ops = { .set = branch_set };
module_param_cb(branch, &branch_ops, NULL, 0200);

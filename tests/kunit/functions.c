// SPDX-License-Identifier: GPL-2.0
/* Functions that the tests patch, and what they are patched with. */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/kernel.h>
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

DEFINE_STATIC_KEY_FALSE(lpt_key);

/* The jump label is the first instruction. */
noinline int lpt_jump_label(void)
{
	if (static_branch_unlikely(&lpt_key))
		return LPT_NEW;
	return LPT_OLD;
}

DEFINE_STATIC_CALL(lpt_call, lpt_one);

/* The static call, made as a jump, is the first instruction. */
noinline int lpt_static_call(int x)
{
	return static_call(lpt_call)(x);
}

/* One of two symbols of this name, see symbol_test.c. */
static int __used lpt_twice(int x)
{
	return x + 1;
}

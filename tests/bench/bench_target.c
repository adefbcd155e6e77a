// SPDX-License-Identifier: GPL-2.0
/*
 * Functions to be patched and measured. In /sys/module/bench_target/parameters:
 *
 *   call	read: how long 1,000 calls of a function take, the least of many
 *		times, in cycles of the time stamp counter; and through a static
 *		call; and of a function that no patch is for
 *
 * Nothing else of this module runs. An emulator discards the translation of a page that is
 * written to, which takes it a hundred times as long as the write.
 */

#include <linux/compiler.h>
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/static_call.h>
#include <linux/sysfs.h>
#include <asm/msr.h>
#include "bench.h"

#define DEFINE(i)				\
static noinline __used int bench_fn_##i(int x)	\
{						\
	BENCH_BODY(x);				\
	return x;				\
}

BENCH_ALL(DEFINE)

static noinline int bench_unpatched(int x)
{
	BENCH_BODY(x);
	return x;
}

DEFINE_STATIC_CALL(bench_call, bench_fn_000);

/* Calling */

#define BENCH_ROUNDS	200
#define BENCH_CALLS	1000

/* The call is in the loop, and not a pointer: that is what a call is. */
#define BENCH_LEAST(call)						\
({									\
	u64 start, least = U64_MAX;					\
	unsigned int round, i;						\
	unsigned long flags;						\
	int x = 0;							\
									\
	for (round = 0; round < BENCH_ROUNDS; round++) {		\
		local_irq_save(flags);					\
		start = rdtsc_ordered();				\
		for (i = 0; i < BENCH_CALLS; i++)			\
			x = call(x);					\
		least = min(least, rdtsc_ordered() - start);		\
		local_irq_restore(flags);				\
	}								\
	OPTIMIZER_HIDE_VAR(x);						\
	least;								\
})

static int bench_call_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu %llu %llu\n",
			  BENCH_LEAST(bench_fn_000),
			  BENCH_LEAST(static_call(bench_call)),
			  BENCH_LEAST(bench_unpatched));
}

static const struct kernel_param_ops bench_call_ops = { .get = bench_call_get };
module_param_cb(call, &bench_call_ops, NULL, 0444);

MODULE_DESCRIPTION("What is patched to measure it");
MODULE_LICENSE("GPL");

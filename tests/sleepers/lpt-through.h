/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A patch that changes nothing: the replacement calls a copy of the first
 * instructions of the function, which goes on behind them with a jump. So a function
 * can be patched without its source, and a task that sleeps in it sleeps in the
 * replacement as well. The function must take no arguments on the stack, and return
 * nothing that is larger than a register. A file that includes this defines
 *
 *   LPT_FUNCTION	the name of the function
 *   LPT_ENTRY		the bytes of these instructions, for the assembler
 *   LPT_BEHIND		the offset in the function of what is behind them
 *
 * The jump is relocated by klp-relocs.
 */
#ifndef _LPT_THROUGH_H
#define _LPT_THROUGH_H

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/stringify.h>

asm(".pushsection .text, \"ax\"\n"
".type lpt_entry, @function\n"
"lpt_entry:\n"
"	.byte " LPT_ENTRY "\n"
"	jmp lpt_original + " __stringify(LPT_BEHIND) "\n"
".size lpt_entry, . - lpt_entry\n"
".popsection\n");

long lpt_entry(long a, long b, long c, long d, long e, long f);
/* It leaves on the stack what the rest of the function takes off. */
STACK_FRAME_NON_STANDARD(lpt_entry);

static long lpt_through(long a, long b, long c, long d, long e, long f)
{
	long ret = lpt_entry(a, b, c, d, e, f);

	/* It must be a call: a jump leaves nothing on the stack. */
	barrier();
	return ret;
}

static struct klp_func funcs[] = {
	{
		.old_name = LPT_FUNCTION,
		.new_func = lpt_through,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lpt_through_init(void)
{
	return klp_enable_patch(&patch);
}
module_init(lpt_through_init);

static void __exit lpt_through_exit(void)
{
}
module_exit(lpt_through_exit);

MODULE_DESCRIPTION("A patch that changes nothing");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

#endif /* _LPT_THROUGH_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Functions that the compiler does not make in the shape that a test needs. */

#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

/* Tests call them by address. Not everywhere does SYM_FUNC_START() care for that. */
#define LPT_FUNC_START(name)						\
	SYM_START(name, SYM_L_GLOBAL, SYM_A_ALIGN) ASM_NL		\
	ENDBR

	.text

/* Sleeps, if it has somewhere to sleep, in what was split from it as unlikely. */
LPT_FUNC_START(lpt_has_cold)
	testq	%rdi, %rdi
	jnz	lpt_has_cold.cold
	movl	$1, %eax
	RET
SYM_FUNC_END(lpt_has_cold)

	.section .text.unlikely, "ax"

SYM_FUNC_START_LOCAL(lpt_has_cold.cold)
	subq	$8, %rsp
	call	lpt_park
	addq	$8, %rsp
	movl	$2, %eax
	RET
SYM_FUNC_END(lpt_has_cold.cold)

	.text

/* Sleeps, if it has somewhere to sleep, in a cluster of basic blocks. */
LPT_FUNC_START(lpt_has_cluster)
	testq	%rdi, %rdi
	jnz	lpt_has_cluster.__part.1
	movl	$1, %eax
	RET
SYM_FUNC_END(lpt_has_cluster)

	.section .text.unlikely, "ax"

SYM_FUNC_START_LOCAL(lpt_has_cluster.__part.1)
	subq	$8, %rsp
	call	lpt_park
	addq	$8, %rsp
	movl	$2, %eax
	RET
SYM_FUNC_END(lpt_has_cluster.__part.1)

	.text

/* Sleeps, if it has somewhere to sleep, in a part that was not inlined. */
LPT_FUNC_START(lpt_has_part)
	testq	%rdi, %rdi
	jnz	lpt_has_part.part.0
	movl	$1, %eax
	RET
SYM_FUNC_END(lpt_has_part)

SYM_FUNC_START_LOCAL(lpt_has_part.part.0)
	subq	$8, %rsp
	call	lpt_park
	addq	$8, %rsp
	movl	$2, %eax
	RET
SYM_FUNC_END(lpt_has_part.part.0)

/* A caller that the rest of it was inlined into. */
LPT_FUNC_START(lpt_has_part_caller)
	testq	%rdi, %rdi
	jnz	lpt_has_part.part.0
	movl	$1, %eax
	RET
SYM_FUNC_END(lpt_has_part_caller)

/* Changes every register that a function may change. */
LPT_FUNC_START(lpt_leaf_new)
	imull	$33, %edi, %eax
	addl	$2, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	RET
SYM_FUNC_END(lpt_leaf_new)

/* Sleeps where the unwinder does not know its way. */
LPT_FUNC_START(lpt_unreliable)
	UNWIND_HINT_UNDEFINED
	call	lpt_park
	UNWIND_HINT_FUNC
	movl	$2, %eax
	RET
SYM_FUNC_END(lpt_unreliable)

/* Sleeps in what is called by the first instruction, which is short. */
LPT_FUNC_START(lpt_calls_early)
	ANNOTATE_RETPOLINE_SAFE
	call	*%rax
	movl	$2, %eax
	RET
SYM_FUNC_END(lpt_calls_early)

LPT_FUNC_START(lpt_calls_early_caller)
	movq	$lpt_park, %rax
	call	lpt_calls_early
	RET
SYM_FUNC_END(lpt_calls_early_caller)

/* Sleeps in a loop, once, whose head is among the first five bytes. */
LPT_FUNC_START(lpt_loops)
	push	%rbx
	movl	%eax, %eax
.Lagain:
	testq	%rdi, %rdi
	jz	.Ldone
	call	lpt_park
	xorl	%edi, %edi
	jmp	.Lagain
.Ldone:
	movl	$2, %eax
	pop	%rbx
	RET
SYM_FUNC_END(lpt_loops)

/* Begins with a branch to lpt_hidden, which is a little further. */
LPT_FUNC_START(lpt_hides)
	testq	%rdi, %rdi
	jz	.Lhidden
	movl	$1, %eax
	movl	$1, %eax
	movl	$1, %eax
	RET
	nop
	nop
	nop
	nop
	nop
	nop
.Lhidden:
	ANNOTATE_NOENDBR
	movl	$2, %eax
	movl	$2, %eax
	RET
SYM_FUNC_END(lpt_hides)

	.pushsection .rodata, "a"
	.balign	8
SYM_DATA(lpt_hidden, .quad .Lhidden)
	.popsection

/*
 * The jump of a patch ends in the first instruction. What is left of that decodes to four
 * NOPs, and to an addition of a number that ends in the third instruction.
 */
LPT_FUNC_START(lpt_shifts)
	movabsq	$0x0590909090909090, %rax
	movq	(%rdi), %rax
	movq	(%rdi), %rax
	movq	(%rdi), %rax
	RET
SYM_FUNC_END(lpt_shifts)

/* The rest is never called: entries of all kinds. */

/* The last of the five bytes is a lock prefix, to be patched with a second CPU. */
SYM_START(lpt_lock, SYM_L_GLOBAL, SYM_A_ALIGN)
	ANNOTATE_NOENDBR
	xorl	%eax, %eax
	xorl	%eax, %eax
	LOCK_PREFIX
	incl	(%rdi)
	ud2
SYM_FUNC_END(lpt_lock)

/* The next symbol comes before the jump would end. */
SYM_START(lpt_short, SYM_L_GLOBAL, SYM_A_ALIGN)
	ud2
	ud2
SYM_FUNC_END(lpt_short)

SYM_START(lpt_plain, SYM_L_GLOBAL, SYM_A_NONE)
	ANNOTATE_NOENDBR
	xorl	%eax, %eax
	xorl	%eax, %eax
	ud2
	ud2
SYM_FUNC_END(lpt_plain)

SYM_START(lpt_with_endbr, SYM_L_GLOBAL, SYM_A_ALIGN)
	endbr64
	xorl	%eax, %eax
	xorl	%eax, %eax
	ud2
	ud2
SYM_FUNC_END(lpt_with_endbr)

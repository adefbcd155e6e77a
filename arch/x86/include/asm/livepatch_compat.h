/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The differences between the kernel versions that live patching supports, from 6.12 on.
 */
#ifndef _ASM_X86_LIVEPATCH_COMPAT_H
#define _ASM_X86_LIVEPATCH_COMPAT_H

#include <linux/percpu.h>
#include <linux/types.h>
#include <linux/version.h>
#include <asm/alternative.h>
#include <asm/current.h>
#include <asm/ibt.h>

/* Since 6.15 is_endbr() reads the instruction itself, as with FineIBT it moves. */
static inline bool klp_is_endbr(void *addr)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
	return is_endbr(addr);
#else
	return is_endbr(*(u32 *)addr);
#endif
}

/* The task that @cpu runs. Since 6.15 that is a variable of its own. */
static inline struct task_struct *klp_cpu_curr(unsigned int cpu)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
	return per_cpu(current_task, cpu);
#else
	return per_cpu(pcpu_hot.current_task, cpu);
#endif
}

/*
 * Kernels that patch out lock prefixes on machines with one CPU have this function. Later
 * kernels do not.
 */
int __weak alternatives_text_reserved(void *start, void *end);

static inline bool klp_alternatives_text_reserved(void *start, void *end)
{
	return alternatives_text_reserved &&
	       alternatives_text_reserved(start, end);
}

#endif /* _ASM_X86_LIVEPATCH_COMPAT_H */

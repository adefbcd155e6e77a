/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that live patching is laid over, from 6.12 on.
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

/* What @cpu runs. Since 6.15 that is a variable of its own. */
static inline struct task_struct *klp_cpu_curr(unsigned int cpu)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
	return per_cpu(current_task, cpu);
#else
	return per_cpu(pcpu_hot.current_task, cpu);
#endif
}

/*
 * Lock prefixes are alternatives for a kernel that runs on one CPU, until kernels
 * stopped to care for that: then there is no such function.
 */
int __weak alternatives_text_reserved(void *start, void *end);

static inline bool klp_alternatives_text_reserved(void *start, void *end)
{
	return alternatives_text_reserved &&
	       alternatives_text_reserved(start, end);
}

#endif /* _ASM_X86_LIVEPATCH_COMPAT_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What live patching wants of the scheduler: nothing for a per-task transition, of which
 * there is none, and a call for each task that leaves a CPU while a switch is being
 * prepared, and for each thread that exits, see kernel/livepatch/look.c.
 */
#ifndef _LINUX_LIVEPATCH_SCHED_H_
#define _LINUX_LIVEPATCH_SCHED_H_

#include <linux/types.h>

/* Macros, because kernels differ in the arguments that they pass. */
#define klp_sched_try_switch(...)	do { } while (0)
#define __klp_sched_try_switch(...)	do { } while (0)

#ifdef CONFIG_LIVEPATCH
struct klp_look;
struct task_struct;

extern struct klp_look __rcu *klp_looking;
void klp_sched_out(struct task_struct *next);

/* The scheduler's hook for architectures; x86 has no other use for it. */
#ifdef prepare_arch_switch
#error "prepare_arch_switch() is in use"
#endif
#define prepare_arch_switch(next)				\
do {								\
	if (unlikely(rcu_access_pointer(klp_looking) ||		\
		     current->exit_state))			\
		klp_sched_out(next);				\
} while (0)
#endif /* CONFIG_LIVEPATCH */

#endif /* _LINUX_LIVEPATCH_SCHED_H_ */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What live patching wants of the scheduler: nothing for a per-task transition,
 * of which there is none, and a word about each task that it takes off a CPU
 * while a switch is being prepared, see kernel/livepatch/ran.c.
 */
#ifndef _LINUX_LIVEPATCH_SCHED_H_
#define _LINUX_LIVEPATCH_SCHED_H_

#include <linux/percpu-defs.h>
#include <linux/types.h>

/* Macros, because kernels differ in the arguments that they pass. */
#define klp_sched_try_switch(...)	do { } while (0)
#define __klp_sched_try_switch(...)	do { } while (0)

#ifdef CONFIG_LIVEPATCH
DECLARE_PER_CPU(bool, klp_ran_wanted);
void klp_ran_note(void);

/* The scheduler's hook for architectures; x86 has no other use for it. */
#ifdef prepare_arch_switch
#error "Somebody else wants to know what the scheduler does"
#endif
#define prepare_arch_switch(next)				\
do {								\
	(void)(next);						\
	if (unlikely(__this_cpu_read(klp_ran_wanted)))		\
		klp_ran_note();					\
} while (0)
#endif /* CONFIG_LIVEPATCH */

#endif /* _LINUX_LIVEPATCH_SCHED_H_ */

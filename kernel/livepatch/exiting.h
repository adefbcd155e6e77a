/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_EXITING_H
#define _LIVEPATCH_EXITING_H

#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/sched.h>

extern struct list_head __percpu *klp_exiting;

/*
 * Visit every thread that is on its way out and may have left the task list.
 * Only while all CPUs are stopped: the lists are changed with interrupts off.
 * Such a thread can still be on the task list as well.
 */
#define klp_for_each_exiting(task, cpu)					\
	for_each_possible_cpu(cpu)					\
		list_for_each_entry(task, per_cpu_ptr(klp_exiting, cpu), \
				    rcu_tasks_exit_list)

bool klp_exiting_ready(void);

#endif /* _LIVEPATCH_EXITING_H */

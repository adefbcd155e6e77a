/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_TASKS_H
#define _LIVEPATCH_TASKS_H

#include <linux/types.h>

struct task_struct;

bool klp_task_is_inside(const struct task_struct *task);
void klp_task_set_inside(struct task_struct *task, bool inside, int state);
void klp_task_exits(struct task_struct *task, bool dead);

void klp_threads_visit(bool (*is)(const struct task_struct *task),
		       void (*visit)(struct task_struct *task, void *data),
		       void *data);
void klp_tasks_visit(void (*visit)(struct task_struct *task, void *data),
		     void *data);

#endif /* _LIVEPATCH_TASKS_H */

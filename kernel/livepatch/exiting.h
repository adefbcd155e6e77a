/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_EXITING_H
#define _LIVEPATCH_EXITING_H

#include <linux/sched.h>

void klp_exiting_visit(unsigned int cpu,
		       void (*visit)(void *data, struct task_struct *task),
		       void *data);
bool klp_exiting_ready(void);

#endif /* _LIVEPATCH_EXITING_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_RAN_H
#define _LIVEPATCH_RAN_H

#include <linux/types.h>

struct task_struct;

int __must_check klp_ran_start(void);
void klp_ran_stop(void);
unsigned int klp_ran_visit(unsigned int cpu,
			   void (*visit)(void *data, struct task_struct *task),
			   void *data);
unsigned int klp_ran_pending(unsigned int cpu);
bool klp_ran_lost(unsigned int cpu);
bool klp_ran_ready(void);

#endif /* _LIVEPATCH_RAN_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_REFERRERS_H
#define _LIVEPATCH_REFERRERS_H

#include "ranges.h"

struct module;
struct task_struct;

int __must_check klp_referrers_add_memory(struct klp_ranges *memory,
					  const struct module *mod);
void klp_referrers_begin(void);
void klp_referrer_leaves(const struct klp_ranges *memory,
			 struct task_struct *task);
unsigned int klp_referrers_visit(const struct module *mod,
				 const struct task_struct *except,
				 void (*visit)(struct task_struct *task, void *data),
				 void *data);

#endif /* _LIVEPATCH_REFERRERS_H */

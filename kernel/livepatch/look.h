/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_LOOK_H
#define _LIVEPATCH_LOOK_H

#include <linux/types.h>
#include "ranges.h"

struct task_struct;

/**
 * struct klp_look - what tasks are looked at for
 * @text:	text that no task may be inside; sorted
 * @registrars:	text that no task may be inside that klp_registrar_pending() tells of;
 *		sorted
 * @memory:	memory of patch modules that may be unloaded after the switch; sorted
 * @switched:	the text was switched, and @memory is not looked for any more
 * @state:	what /proc/<pid>/patch_state shows for a task inside
 * @nr_walked:	how many stacks klp_look_all() has walked
 *
 * Other CPUs can use it for a grace period after klp_look_stop().
 */
struct klp_look {
	struct klp_ranges text;
	struct klp_ranges registrars;
	struct klp_ranges memory;
	bool switched;
	int state;
	unsigned int nr_walked;
};

void klp_look_start(struct klp_look *look);
void klp_look_all(struct klp_look *look);
void klp_look_running(void (*visit)(struct task_struct *task));
void klp_look_inside(void (*visit)(struct task_struct *task));
bool klp_look_clear(void);
unsigned int klp_look_nr_inside(void);
void klp_look_stop(void);
void klp_look_forget(void);

unsigned long klp_look_find(const struct klp_look *look,
			    struct task_struct *task);
bool klp_look_ready(void);

#endif /* _LIVEPATCH_LOOK_H */

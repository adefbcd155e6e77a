/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_HOLD_H
#define _LIVEPATCH_HOLD_H

#include <linux/types.h>

struct task_struct;

/**
 * enum klp_hold - which threads are held
 * @KLP_HOLD_NONE:	none
 * @KLP_HOLD_SEEN:	those that were seen inside
 * @KLP_HOLD_FAIR:	and all others that are not real-time
 * @KLP_HOLD_ALL:	all user threads
 */
enum klp_hold {
	KLP_HOLD_NONE,
	KLP_HOLD_SEEN,
	KLP_HOLD_FAIR,
	KLP_HOLD_ALL,
};

unsigned int klp_hold_max_ms(void);
void klp_hold_start(enum klp_hold hold, unsigned int ms);
unsigned int klp_hold_stop(void);
void klp_hold_running(struct task_struct *task);
void klp_hold_inside(struct task_struct *task);
void klp_hold_seen(struct task_struct *task);
void klp_hold_nudge(struct task_struct *task);

#endif /* _LIVEPATCH_HOLD_H */

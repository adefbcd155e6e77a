/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_LOOK_H
#define _LIVEPATCH_LOOK_H

#include <linux/sched.h>
#include <linux/types.h>
#include "ranges.h"

#define KLP_MAX_BLOCKERS	8
#define KLP_MAX_FRAMES		32

/**
 * struct klp_look - what tasks are looked at for
 * @text:	text that no task may be inside; sorted
 * @registrars:	text that no task may be inside that klp_registrar_pending() tells of;
 *		sorted
 * @state:	what /proc/<pid>/patch_state shows for a task inside
 * @nr_walked:	how many stacks klp_look_all() has walked
 *
 * Other CPUs can use it for a grace period after klp_look_stop().
 */
struct klp_look {
	struct klp_ranges text;
	struct klp_ranges registrars;
	int state;
	unsigned int nr_walked;
};

/**
 * struct klp_blocker - a task that is inside
 * @comm:	its name
 * @pid:	its PID
 * @addr:	where in the text it was seen
 * @kthread:	it is a kernel thread
 * @does:	what it does, as part of a sentence
 * @nr_frames:	how many return addresses are in @frames; 0 if it runs
 * @frames:	its stack, innermost first
 */
struct klp_blocker {
	char comm[TASK_COMM_LEN];
	pid_t pid;
	unsigned long addr;
	bool kthread;
	const char *does;
	unsigned int nr_frames;
	unsigned long frames[KLP_MAX_FRAMES];
};

/**
 * struct klp_blockers - the tasks that are inside
 * @nr:		how many there are; can exceed KLP_MAX_BLOCKERS
 * @nr_known:	how many are in @blocker
 * @blocker:	these
 */
struct klp_blockers {
	unsigned int nr;
	unsigned int nr_known;
	struct klp_blocker blocker[KLP_MAX_BLOCKERS];
};

void klp_look_start(struct klp_look *look);
void klp_look_all(struct klp_look *look);
void klp_look_threads(struct klp_look *look);
void klp_look_running(void (*visit)(struct task_struct *task));
void klp_look_inside(void (*visit)(struct task_struct *task));
bool klp_look_clear(void);
void klp_look_stop(void);
void klp_look_forget(void);

unsigned long klp_look_find(const struct klp_look *look,
			    struct task_struct *task);
void klp_look_blockers(struct klp_blockers *blockers);
bool klp_look_ready(void);

#endif /* _LIVEPATCH_LOOK_H */

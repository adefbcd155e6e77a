/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_BLOCKERS_H
#define _LIVEPATCH_BLOCKERS_H

#include <linux/sched.h>
#include <linux/types.h>

#define KLP_MAX_BLOCKERS	8
#define KLP_MAX_FRAMES		32

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

void klp_blocker_add(struct task_struct *task, unsigned long addr);
void klp_blocker_remove(const struct task_struct *task);
void klp_blockers_get(struct klp_blockers *blockers, unsigned int nr);

#endif /* _LIVEPATCH_BLOCKERS_H */

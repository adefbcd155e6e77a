/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_IDLE_H
#define _LIVEPATCH_IDLE_H

#include <linux/atomic.h>
#include <linux/sched.h>
#include <linux/types.h>

/**
 * struct klp_range - a piece of text
 * @start:	address of the first byte
 * @end:	address behind the last byte
 */
struct klp_range {
	unsigned long start;
	unsigned long end;
};

/**
 * struct klp_ranges - pieces of text that must be idle together
 * @range:	the pieces; sorted and disjoint after klp_ranges_sort()
 * @nr:		how many there are
 * @max:	how many there is room for
 */
struct klp_ranges {
	struct klp_range *range;
	unsigned int nr;
	unsigned int max;
};

int __must_check klp_ranges_add(struct klp_ranges *ranges, unsigned long start,
				unsigned long size);
int __must_check klp_ranges_add_all(struct klp_ranges *to,
				    const struct klp_ranges *from);
void klp_ranges_sort(struct klp_ranges *ranges);
bool klp_ranges_hit(const struct klp_ranges *ranges, unsigned long addr);
void klp_ranges_free(struct klp_ranges *ranges);

#define KLP_MAX_BLOCKERS	8
#define KLP_MAX_FRAMES		32

/**
 * struct klp_blocker - a task that is in the way
 * @task:	which one it is; it may be gone
 * @comm:	its name
 * @pid:	its number
 * @addr:	where in the text it is, 0 if its stack is unreliable
 * @nr_frames:	how much of its stack is in @frames
 * @frames:	its stack, innermost first
 */
struct klp_blocker {
	const void *task;
	char comm[TASK_COMM_LEN];
	pid_t pid;
	unsigned long addr;
	unsigned int nr_frames;
	unsigned long frames[KLP_MAX_FRAMES];
};

/**
 * struct klp_idle - one check whether text is idle
 * @ranges:	the text
 * @scan:	scan stacks that cannot be walked
 * @lost:	so many tasks have run that it is not known where they are
 * @nr_walked:	how many stacks were walked
 * @nr_blockers: how many tasks are in the way; can exceed KLP_MAX_BLOCKERS
 * @blockers:	the first of them
 */
struct klp_idle {
	const struct klp_ranges *ranges;
	bool scan;
	bool lost;
	atomic_t nr_walked;
	atomic_t nr_blockers;
	struct klp_blocker blockers[KLP_MAX_BLOCKERS];
};

void klp_idle_init(struct klp_idle *idle, const struct klp_ranges *ranges,
		   bool scan);
bool klp_idle_clear(const struct klp_idle *idle);
void klp_idle_check_known(struct klp_idle *idle);
void klp_idle_remember(const struct klp_idle *idle);
void klp_idle_check_all(struct klp_idle *idle);
void klp_idle_check_ran(struct klp_idle *idle);
void klp_idle_check_cpu(struct klp_idle *idle);
void klp_idle_check_rest(struct klp_idle *idle);
void klp_idle_check_task(struct klp_idle *idle, struct task_struct *task);
void klp_idle_report(const struct klp_idle *idle, const char *patch);

#endif /* _LIVEPATCH_IDLE_H */

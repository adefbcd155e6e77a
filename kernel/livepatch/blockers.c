// SPDX-License-Identifier: GPL-2.0
/*
 * Remember some of the tasks that block a switch, for the log and for debugfs.
 *
 * A look, see look.c, adds a task that it finds inside the text to be switched, and removes
 * the task when it finds it outside. The state and the stack of the task are read when the
 * blockers are reported.
 */

#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include "blockers.h"

/**
 * struct klp_seen - a task inside, for the report
 * @task:	the task, NULL if the entry is free
 * @addr:	where it was seen, 0 if that is not known yet
 *
 * An entry is freed when the bit of the task is cleared, which happens no later than
 * when the task dies. Task structs are freed after a grace period from then. So a
 * reader under RCU can use @task.
 */
struct klp_seen {
	struct task_struct *task;
	unsigned long addr;
};

/* Some of the tasks that are inside. */
static struct klp_seen klp_seen[KLP_MAX_BLOCKERS];

/**
 * klp_blocker_add() - a task was seen inside
 * @task:	the task, of which that was not known
 * @addr:	where it was seen
 *
 * Context: The task leaves a CPU, or task_call_func().
 */
void klp_blocker_add(struct task_struct *task, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(klp_seen); i++) {
		if (!cmpxchg(&klp_seen[i].task, NULL, task)) {
			WRITE_ONCE(klp_seen[i].addr, addr);
			break;
		}
	}
}

/**
 * klp_blocker_remove() - a task is not inside any more
 * @task:	the task
 *
 * Context: The task leaves a CPU, or task_call_func().
 */
void klp_blocker_remove(const struct task_struct *task)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(klp_seen); i++) {
		if (READ_ONCE(klp_seen[i].task) != task)
			continue;
		WRITE_ONCE(klp_seen[i].addr, 0);
		/* The next task in this entry has not the address of this one. */
		smp_store_release(&klp_seen[i].task, NULL);
	}
}

static const char *klp_what_it_does(struct task_struct *task)
{
	unsigned int state = READ_ONCE(task->__state);

	if (state & __TASK_STOPPED)
		return "is stopped";
	if (state & __TASK_TRACED)
		return "is stopped by its tracer";
	if (state & TASK_FROZEN)
		return "is frozen";
	if (state & TASK_PARKED)
		return "is parked";
	if (state & TASK_INTERRUPTIBLE)
		return "sleeps";
	if (state & TASK_UNINTERRUPTIBLE)
		return "sleeps uninterruptibly";

	return task_curr(task) ? "runs" : "is runnable";
}

static void klp_blocker_fill(struct klp_blocker *blocker, struct task_struct *task,
			     unsigned long addr)
{
	get_task_comm(blocker->comm, task);
	blocker->pid = task->pid;
	blocker->addr = addr;
	blocker->kthread = task->flags & PF_KTHREAD;
	blocker->does = klp_what_it_does(task);
	blocker->nr_frames = stack_trace_save_tsk(task, blocker->frames,
						  KLP_MAX_FRAMES, 0);
}

static struct task_struct *klp_seen_get(const struct klp_seen *seen)
{
	struct task_struct *task;

	rcu_read_lock();
	/* Pairs with klp_blocker_remove(). */
	task = smp_load_acquire(&seen->task);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();

	return task;
}

/**
 * klp_blockers_get() - which tasks are inside?
 * @blockers:	filled in with what is known of them
 * @nr:		how many there are
 *
 * Context: Process context, may sleep.
 */
void klp_blockers_get(struct klp_blockers *blockers, unsigned int nr)
{
	struct task_struct *task;
	unsigned long addr;
	unsigned int i;

	blockers->nr_known = 0;
	for (i = 0; i < ARRAY_SIZE(klp_seen); i++) {
		task = klp_seen_get(&klp_seen[i]);
		if (!task)
			continue;
		addr = READ_ONCE(klp_seen[i].addr);
		if (addr)
			klp_blocker_fill(&blockers->blocker[blockers->nr_known++],
					 task, addr);
		put_task_struct(task);
	}

	blockers->nr = max(nr, blockers->nr_known);
}

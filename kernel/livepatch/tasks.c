// SPDX-License-Identifier: GPL-2.0
/*
 * Visit all tasks, and keep a bit for each: was it inside when it was last looked at?
 *
 * All tasks that have run and can run again are:
 *
 *   - the idle threads of the CPUs that are online. The idle thread of a CPU that is
 *     offline is in a function that may not be patched, see guard.c
 *   - the threads that CPUs run and that have lost their PID. They exit
 *   - the threads on klp_exiting. A thread that exits loses its PID before it leaves its
 *     CPU for the last time, and can be preempted or sleep in between. klp_task_exits()
 *     adds it when it leaves a CPU with exit_state set, and removes it when it leaves its
 *     CPU as TASK_DEAD
 *   - the threads that have a PID. A thread that has none and does not exit is being
 *     created, and has not run. A thread whose PID changes is in exec(), and runs
 *
 * The bit of a task is part of task_struct.patch_state, which is one of
 *
 *   KLP_TRANSITION_IDLE		clear
 *   KLP_TRANSITION_UNPATCHED	set; a transition leads away from this state
 *   KLP_TRANSITION_PATCHED	set; a transition leads away from this state
 *   KLP_EXITING			clear, and the task is on klp_exiting
 *   KLP_EXITING_INSIDE		set, and the task is on klp_exiting
 *
 * The field is written by the task itself when it leaves a CPU, with the runqueue locked,
 * or by a visitor in task_call_func(). The visitor holds the same lock, or a lock that
 * keeps the task from being woken up. So there is one writer at a time.
 */

#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/rcupdate_wait.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include "patch.h"
#include "tasks.h"

#define KLP_EXITING		(KLP_TRANSITION_IDLE - 1)
#define KLP_EXITING_INSIDE	(KLP_TRANSITION_IDLE - 2)

static LIST_HEAD(klp_exiting);
static DEFINE_RAW_SPINLOCK(klp_exiting_lock);

/**
 * klp_task_is_inside() - is the bit of a task set?
 * @task:	the task
 *
 * Context: Any.
 * Return: true if it is.
 */
bool klp_task_is_inside(const struct task_struct *task)
{
	int state = READ_ONCE(task->patch_state);

	return state >= KLP_TRANSITION_UNPATCHED || state == KLP_EXITING_INSIDE;
}

static bool klp_is_listed(const struct task_struct *task)
{
	return READ_ONCE(task->patch_state) < KLP_TRANSITION_IDLE;
}

static void klp_set_state(struct task_struct *task, bool listed, bool inside,
			  int state)
{
	if (listed)
		state = inside ? KLP_EXITING_INSIDE : KLP_EXITING;
	else if (!inside)
		state = KLP_TRANSITION_IDLE;

	WRITE_ONCE(task->patch_state, state);
}

/**
 * klp_task_set_inside() - write the bit of a task
 * @task:	the task
 * @inside:	the bit
 * @state:	what /proc/<pid>/patch_state shows if the bit is set
 *
 * Context: The task leaves a CPU, or task_call_func().
 */
void klp_task_set_inside(struct task_struct *task, bool inside, int state)
{
	klp_set_state(task, klp_is_listed(task), inside, state);
}

/**
 * klp_task_exits() - a thread with exit_state set leaves a CPU
 * @task:	the thread
 * @dead:	it does so for the last time
 *
 * Context: From the scheduler: interrupts are off, and the runqueue is locked.
 */
void klp_task_exits(struct task_struct *task, bool dead)
{
	struct klp_exiting *exiting = klp_task_exiting(task);

	if (klp_is_listed(task) != dead)
		return;

	raw_spin_lock(&klp_exiting_lock);
	if (dead) {
		list_del(&exiting->node);
	} else {
		exiting->task = task;
		list_add(&exiting->node, &klp_exiting);
	}
	raw_spin_unlock(&klp_exiting_lock);

	klp_set_state(task, !dead, klp_task_is_inside(task),
		      KLP_TRANSITION_UNPATCHED);
}

/* The first thread of a list, moved back to klp_exiting, with a reference, or NULL. */
static struct task_struct *klp_next_exiting(struct list_head *list)
{
	struct task_struct *task = NULL;
	struct klp_exiting *exiting;

	raw_spin_lock_irq(&klp_exiting_lock);
	exiting = list_first_entry_or_null(list, struct klp_exiting, node);
	if (exiting) {
		list_move(&exiting->node, &klp_exiting);
		task = get_task_struct(exiting->task);
	}
	raw_spin_unlock_irq(&klp_exiting_lock);

	return task;
}

static void klp_visit_exiting(void (*visit)(struct task_struct *task, void *data),
			      void *data)
{
	struct task_struct *task;
	LIST_HEAD(list);

	raw_spin_lock_irq(&klp_exiting_lock);
	list_splice_init(&klp_exiting, &list);
	raw_spin_unlock_irq(&klp_exiting_lock);

	while ((task = klp_next_exiting(&list))) {
		visit(task, data);
		put_task_struct(task);
		cond_resched();
	}
}

/* The next thread with a PID of which @is is true, with a reference, or NULL. */
static struct task_struct *klp_next_thread(int *nr,
					   bool (*is)(const struct task_struct *task))
{
	struct task_struct *task = NULL;
	struct pid *pid;

	rcu_read_lock();
	while (!task && (pid = find_ge_pid(*nr, &init_pid_ns))) {
		*nr = pid_nr(pid) + 1;
		task = pid_task(pid, PIDTYPE_PID);
		if (!task || is(task))
			continue;
		task = NULL;
		cond_resched_rcu();
	}
	if (task)
		get_task_struct(task);
	rcu_read_unlock();

	return task;
}

/**
 * klp_threads_visit() - visit threads that have a PID
 * @is:		says which of them; called under RCU
 * @visit:	called for each of these, which can have died since
 * @data:	passed on to @visit
 *
 * Context: Process context, may sleep.
 */
void klp_threads_visit(bool (*is)(const struct task_struct *task),
		       void (*visit)(struct task_struct *task, void *data),
		       void *data)
{
	struct task_struct *task;
	int nr = 1;

	KUNIT_STATIC_STUB_REDIRECT(klp_threads_visit, is, visit, data);

	while ((task = klp_next_thread(&nr, is))) {
		visit(task, data);
		put_task_struct(task);
		cond_resched();
	}
}

static bool klp_is_any(const struct task_struct *task)
{
	return true;
}

/* The task that a CPU runs, with a reference, if it has lost its PID; else NULL. */
static struct task_struct *klp_get_running(unsigned int cpu)
{
	struct task_struct *task;

	rcu_read_lock();
	task = klp_cpu_curr(cpu);
	task = pid_alive(task) ? NULL : tryget_task_struct(task);
	rcu_read_unlock();

	return task;
}

static void klp_visit_running(void (*visit)(struct task_struct *task, void *data),
			      void *data)
{
	struct task_struct *task;
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		task = klp_get_running(cpu);
		if (!task)
			continue;
		visit(task, data);
		put_task_struct(task);
	}
}

/**
 * klp_tasks_visit() - visit all tasks
 * @visit:	called for each task, more than once for some that exit
 * @data:	passed on to @visit
 *
 * The idle threads are the first. A thread that loses its PID before it is visited
 * either runs, or is on klp_exiting when it leaves its CPU, and stays there. So these are
 * visited in this order.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex and cpus_read_lock().
 */
void klp_tasks_visit(void (*visit)(struct task_struct *task, void *data),
		     void *data)
{
	unsigned int cpu;

	lockdep_assert_held(&klp_mutex);
	lockdep_assert_cpus_held();

	for_each_online_cpu(cpu)
		visit(idle_task(cpu), data);
	klp_threads_visit(klp_is_any, visit, data);
	klp_visit_running(visit, data);
	klp_visit_exiting(visit, data);
}

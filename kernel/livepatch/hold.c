// SPDX-License-Identifier: GPL-2.0
/*
 * Hold user threads at the edge of user space for the time of an attempt (a burst), so that
 * they leave the kernel and do not come back before the switch is done.
 *
 * A thread with TIF_PATCH_PENDING set calls klp_update_patch_state() before it returns to
 * user space. The thread may sleep there, holds no lock, and has nothing of its system call
 * on its stack. It waits there until the burst ends. A burst has these steps:
 *
 *   start   klp_hold_start() sets which threads are held, and until when. It is called
 *           after all tasks have been looked at, so the time for that does not count
 *   mark    klp_hold_running() sets TIF_PATCH_PENDING for the threads that CPUs run, and
 *           for each thread that a CPU switches to later. klp_hold_inside() and
 *           klp_hold_seen() set it for threads that are inside. No CPU is interrupted
 *   nudge   klp_hold_inside() makes threads that are inside leave the kernel, as the fake
 *           signal of the kernel's own live patching does
 *   stop    klp_hold_stop() lets all threads go. System calls that were interrupted are
 *           restarted, as after any signal without a handler
 *
 * A burst ends on time even if its caller is not scheduled: each thread waits with a
 * timeout, which ends up to a tick later than the burst.
 *
 * A task inside may wait for a thread that is held: a FUSE server, the child of vfork(), or
 * the writer of a pipe. So bursts are short, and after each burst all tasks run for at
 * least as long.
 *
 *   fork      a child is marked when a CPU runs it, if the burst holds all threads, or all
 *             that are not real-time
 *   vfork     a child whose parent waits for it in the kernel is held only in bursts that
 *             hold all threads
 *   exec      execve() waits for the other threads of the group to die. They do, as a
 *             thread that is killed stops waiting
 *   signals   are delivered when the thread is let go. So is a stop by job control or by a
 *             tracer
 *   freezer   waits until the burst ends, which takes a second at most
 *   hotplug   a thread that is held can be moved to another CPU like any other sleeping
 *             thread
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/livepatch.h>
#include <linux/moduleparam.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/swait.h>
#include "hold.h"

/* A burst of more than this is no burst. */
#define KLP_MAX_HOLD_MS		1000

static unsigned int klp_hold_ms = 50;

static int klp_hold_ms_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, KLP_MAX_HOLD_MS);
}

static const struct kernel_param_ops klp_hold_ms_ops = {
	.set = klp_hold_ms_set,
	.get = param_get_uint,
};

module_param_cb(hold_ms, &klp_hold_ms_ops, &klp_hold_ms, 0644);
MODULE_PARM_DESC(hold_ms, "Hold tasks for at most so long at a time, in milliseconds; 0: never");

/* Which threads are held now. Written under klp_mutex. */
static enum klp_hold klp_hold;

/* When a thread stops waiting by itself, in jiffies. Valid while threads are held. */
static unsigned long klp_hold_end;

/* How often a thread waited in this burst. */
static atomic_t klp_nr_held;

/* The threads that wait. swake_up_all() does not wake all of them in one go. */
static DECLARE_SWAIT_QUEUE_HEAD(klp_edge);

/**
 * klp_hold_max_ms() - for how long may threads be held at a time?
 *
 * Context: Any.
 * Return: the time in milliseconds, 0 if they may not be held.
 */
unsigned int klp_hold_max_ms(void)
{
	return READ_ONCE(klp_hold_ms);
}

/**
 * klp_hold_start() - begin a burst
 * @hold:	which threads are held
 * @ms:		for how long, in milliseconds
 *
 * Context: Process context. Caller holds klp_mutex, and calls klp_hold_stop().
 */
void klp_hold_start(enum klp_hold hold, unsigned int ms)
{
	atomic_set(&klp_nr_held, 0);
	WRITE_ONCE(klp_hold_end, jiffies + msecs_to_jiffies(ms));
	/* Pairs with klp_is_held(): the end is known before a thread waits for it. */
	smp_store_release(&klp_hold, hold);
}

/**
 * klp_hold_stop() - let all threads go
 *
 * A thread that has not reached the edge of user space passes it without waiting.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: how often a thread was held.
 */
unsigned int klp_hold_stop(void)
{
	WRITE_ONCE(klp_hold, KLP_HOLD_NONE);
	/*
	 * The lock of the queue is taken after the store. A thread that adds itself
	 * to the queue after that sees the store.
	 */
	swake_up_all(&klp_edge);

	return atomic_read(&klp_nr_held);
}

/* Does the current thread have to wait? */
static bool klp_is_held(void)
{
	/* Pairs with klp_hold_start(). */
	enum klp_hold hold = smp_load_acquire(&klp_hold);

	if (hold == KLP_HOLD_NONE || (hold != KLP_HOLD_ALL && current->vfork_done))
		return false;

	return time_before(jiffies, READ_ONCE(klp_hold_end));
}

/**
 * klp_update_patch_state() - the current thread is about to return to user space
 * @task:	the current thread
 *
 * Context: Process context, may sleep; TIF_PATCH_PENDING is set.
 */
void klp_update_patch_state(struct task_struct *task)
{
	long timeout;

	/*
	 * If the flag is set again from here on, the thread comes back. If it was set
	 * for this burst, klp_hold was set before, and is read after.
	 */
	clear_tsk_thread_flag(task, TIF_PATCH_PENDING);
	/* Pairs with klp_hold_mark(). */
	smp_mb__after_atomic();
	if (!klp_is_held())
		return;

	atomic_inc(&klp_nr_held);
	timeout = max_t(long, READ_ONCE(klp_hold_end) - jiffies, 1);
	/* A thread that is held is no load. */
	(void)___swait_event(klp_edge, ___wait_cond_timeout(!klp_is_held()),
			     (TASK_KILLABLE | TASK_NOLOAD), timeout,
			     __ret = schedule_timeout(__ret));
}

/**
 * klp_copy_process() - the current task creates a child
 * @child:	the child, a copy of the current task that does not run yet
 *
 * The child is not inside where its parent is. When it runs it is marked, if need be. It
 * has no system call to restart, and so does not refer to a patch module, see referrers.c.
 *
 * Context: Process context.
 */
void klp_copy_process(struct task_struct *child)
{
	child->patch_state = KLP_TRANSITION_IDLE;
	child->restart_block.fn = do_no_restart_syscall;
	clear_tsk_thread_flag(child, TIF_PATCH_PENDING);
}

/* Threads that never return to user space. */
static bool klp_stays_in_kernel(const struct task_struct *task)
{
	return task->flags & (PF_KTHREAD | PF_USER_WORKER);
}

static bool klp_is_realtime(const struct task_struct *task)
{
	/* A thread that has the priority of a real-time one is needed by one. */
	return READ_ONCE(task->prio) < MAX_RT_PRIO;
}

/**
 * klp_hold_nudge() - make a task leave its system call
 * @task:	the task; a kernel thread is woken up instead
 *
 * As the fake signal of the kernel's own live patching: the system call is restarted. The
 * flag is cleared when no signal is found. If the task clears it just now, without
 * siglock, the nudge is lost.
 *
 * Context: Any, with no runqueue locked.
 */
void klp_hold_nudge(struct task_struct *task)
{
	if (!(task->flags & PF_KTHREAD))
		set_tsk_thread_flag(task, TIF_SIGPENDING);
	wake_up_state(task, TASK_INTERRUPTIBLE);
}

/*
 * Make a task that is inside leave. Two cases are left to later bursts. A thread that
 * runs is likely to leave anyway; a virtual CPU that runs its guest is not. And a wait
 * for io_uring only ends for what looks like a signal.
 *
 * set_notify_signal() would interrupt a CPU if the task has begun to run.
 */
static void klp_nudge(struct task_struct *task, enum klp_hold hold)
{
	unsigned int state = READ_ONCE(task->__state);
	bool sleeps = state & TASK_INTERRUPTIBLE;

	if ((task->flags & PF_KTHREAD) ||
	    (hold > KLP_HOLD_SEEN && (sleeps || state == TASK_RUNNING))) {
		klp_hold_nudge(task);
	} else if (sleeps) {
		set_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
		wake_up_state(task, TASK_INTERRUPTIBLE);
	}
}

/* Is a thread held that was not seen inside? */
static bool klp_is_wanted(const struct task_struct *task)
{
	enum klp_hold hold = READ_ONCE(klp_hold);

	return !klp_stays_in_kernel(task) &&
	       (hold == KLP_HOLD_ALL ||
		(hold == KLP_HOLD_FAIR && !klp_is_realtime(task)));
}

/* Have a thread call klp_update_patch_state() when it gets to the edge. */
static void klp_hold_mark(struct task_struct *task)
{
	/* Pairs with klp_update_patch_state(): klp_hold is set before. */
	smp_mb__before_atomic();
	set_tsk_thread_flag(task, TIF_PATCH_PENDING);
}

/**
 * klp_hold_running() - see to it that a task is held, if it is to be
 * @task:	a task that a CPU runs, or is going to run next
 *
 * Only a thread that runs gets to the edge. So those are marked that run when a burst
 * begins, and each that runs later. What that takes does not depend on how many threads
 * there are.
 *
 * The caller of the burst is marked as well, and has ended the burst when it gets to
 * the edge.
 *
 * Context: From klp_look_running(), after klp_hold_start(), and from klp_sched_out():
 *	    interrupts are off, and the runqueue is locked.
 */
void klp_hold_running(struct task_struct *task)
{
	if (klp_is_wanted(task))
		klp_hold_mark(task);
}

/**
 * klp_hold_inside() - see to it that a task that is inside leaves, and is held
 * @task:	the task
 *
 * Context: Process context, from klp_look_inside(). Caller holds klp_mutex, and has
 *	    begun a burst.
 */
void klp_hold_inside(struct task_struct *task)
{
	if (!klp_stays_in_kernel(task))
		klp_hold_mark(task);
	klp_nudge(task, READ_ONCE(klp_hold));
}

/**
 * klp_hold_seen() - the current task was seen inside as it leaves its CPU
 * @task:	the current task
 *
 * Context: From klp_sched_out(): interrupts are off, and the runqueue is locked.
 */
void klp_hold_seen(struct task_struct *task)
{
	if (READ_ONCE(klp_hold) != KLP_HOLD_NONE && !klp_stays_in_kernel(task))
		set_tsk_thread_flag(task, TIF_PATCH_PENDING);
}

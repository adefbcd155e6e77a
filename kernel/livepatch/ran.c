// SPDX-License-Identifier: GPL-2.0
/*
 * Which tasks have run since they were last looked at?
 *
 * While somebody wants to know, the scheduler tells of each task that it takes
 * off a CPU, and the CPU puts it on its record. A task that runs cannot be looked
 * at, and when it stops running it is on the record. So who is not there has
 * stayed where he was seen, whatever happened to others in the meantime:
 *
 *   exec    runs, and is taken off the CPU after it, or before in the middle;
 *   fork    the child is not there until it has run, and then like others; a
 *	     child that has not run is in no function but that which lets it go;
 *   exit    is there too, but for the last time that it is taken off: from there
 *	     it never comes back;
 *   reuse   a task on the record keeps its task_struct, so that no other task
 *	     is mistaken for it, and its number is of no interest;
 *   idle    is a task as well, taken off when the CPU has something to do, and
 *	     be it to stop.
 *
 * There are no counters that could wrap. The record only grows, to a bound; if a
 * task finds no place on it, that is remembered, and the record is worth nothing.
 *
 * Only its own CPU adds to a record, with interrupts off. So an interrupt of that
 * CPU is the means to begin and to end it. The scheduler asks a flag of the CPU,
 * and no static key: that would be text which is poked, for each attempt, in the
 * one function that all CPUs always run.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/build_bug.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/livepatch_sched.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include "ran.h"

/*
 * How many tasks a record has room for: four times a CPU's share of all threads,
 * and what a small machine runs in the background. That 16384 different tasks
 * run on one CPU while a switch is prepared is not to be expected.
 */
#define KLP_RAN_SHARES	4
#define KLP_RAN_MIN	256U
#define KLP_RAN_MAX	16384U

/**
 * struct klp_ran_task - a task on a record
 * @task:	the task
 * @ran:	it is to be visited, as it was taken off the CPU since it last was
 */
struct klp_ran_task {
	struct task_struct *task;
	bool ran;
};

/**
 * struct klp_ran - what has run on a CPU
 * @lost:	there were more tasks than there is room for
 * @tasks:	the tasks, each once
 * @nr:		how many there are
 * @max:	how many there is room for
 * @slots:	where in @tasks a task is, plus one, by its hash; at least half of
 *		them are 0, which ends a search
 * @bits:	the logarithm of the number of @slots
 * @queue:	where in @tasks those are that are to be visited, each once, in a ring
 *		that has room for all of them
 * @head:	how many were added to it
 * @tail:	how many were taken from it
 */
struct klp_ran {
	bool lost;
	struct klp_ran_task *tasks;
	unsigned int nr;
	unsigned int max;
	u16 *slots;
	unsigned int bits;
	u16 *queue;
	unsigned int head;
	unsigned int tail;
};

static_assert(KLP_RAN_MAX <= U16_MAX);

/* Does this CPU keep a record? Written by itself. */
DEFINE_PER_CPU(bool, klp_ran_wanted);
static DEFINE_PER_CPU(struct klp_ran, klp_ran);

/* Find a task on this CPU's record, or add it. NULL if there is no room. */
static struct klp_ran_task *klp_ran_find(struct klp_ran *ran,
					 struct task_struct *task)
{
	unsigned int mask = (1U << ran->bits) - 1;
	unsigned int slot = hash_ptr(task, ran->bits);
	unsigned int nr = ran->nr;

	for (; ran->slots[slot]; slot = (slot + 1) & mask) {
		if (ran->tasks[ran->slots[slot] - 1].task == task)
			return &ran->tasks[ran->slots[slot] - 1];
	}

	if (nr == ran->max)
		return NULL;

	ran->tasks[nr].task = get_task_struct(task);
	ran->slots[slot] = nr + 1;
	ran->nr++;

	return &ran->tasks[nr];
}

static unsigned int klp_ran_place(const struct klp_ran *ran, unsigned int count)
{
	return count & ((1U << ran->bits) / 2 - 1);
}

/**
 * klp_ran_note() - put the current task on the record
 *
 * Context: The scheduler is about to take it off the CPU: interrupts are off, and
 *	    the runqueue is locked.
 */
void klp_ran_note(void)
{
	struct klp_ran *ran = this_cpu_ptr(&klp_ran);
	struct klp_ran_task *entry;

	/* Who is dead never comes back. */
	if (READ_ONCE(current->__state) == TASK_DEAD)
		return;

	entry = klp_ran_find(ran, current);
	if (!entry) {
		WRITE_ONCE(ran->lost, true);
		return;
	}

	/* If it is to be visited, it has not been yet, and will be after this. */
	if (READ_ONCE(entry->ran))
		return;

	WRITE_ONCE(entry->ran, true);
	ran->queue[klp_ran_place(ran, ran->head)] = entry - ran->tasks;
	/* Pairs with klp_ran_pending(): who counts a task finds it. */
	smp_store_release(&ran->head, ran->head + 1);
}

/**
 * klp_ran_pending() - how many tasks have run on a CPU since they were visited?
 * @cpu:	the CPU
 *
 * Context: Between klp_ran_start() and klp_ran_stop(). Takes no lock.
 * Return: how many klp_ran_visit() would visit.
 */
unsigned int __kprobes klp_ran_pending(unsigned int cpu)
{
	struct klp_ran *ran = per_cpu_ptr(&klp_ran, cpu);

	/* Pairs with klp_ran_note(). */
	return smp_load_acquire(&ran->head) - ran->tail;
}

/**
 * klp_ran_visit() - visit the tasks that have run on a CPU since the last visit
 * @cpu:	the CPU
 * @visit:	called for each of them
 * @data:	passed on
 *
 * A task can have run on several CPUs, and can run again. It is marked as visited
 * before it is. So if @visit finds that it runs there is nothing to be done about
 * it: it will be marked as having run when it stops. If @visit finds that it does
 * not run, under the locks of the scheduler or as all CPUs are stopped, a mark
 * that it gets from there on is of its next run.
 *
 * Context: Between klp_ran_start() and klp_ran_stop(), by one at a time for each
 *	    CPU. Takes no lock.
 * Return: how many were visited.
 */
unsigned int __kprobes klp_ran_visit(unsigned int cpu,
				     void (*visit)(void *data,
						   struct task_struct *task),
				     void *data)
{
	struct klp_ran *ran = per_cpu_ptr(&klp_ran, cpu);
	unsigned int i, nr = klp_ran_pending(cpu);
	struct klp_ran_task *entry;

	for (i = 0; i < nr; i++) {
		entry = &ran->tasks[ran->queue[klp_ran_place(ran, ran->tail++)]];
		/* The full barrier: it is marked as visited, and then visited. */
		xchg(&entry->ran, false);
		visit(data, entry->task);
	}

	return nr;
}

/**
 * klp_ran_lost() - did tasks run on a CPU that are not on its record?
 * @cpu:	the CPU
 *
 * Context: Between klp_ran_start() and klp_ran_stop(). Takes no lock.
 * Return: true if some did.
 */
bool __kprobes klp_ran_lost(unsigned int cpu)
{
	return READ_ONCE(per_cpu(klp_ran, cpu).lost);
}

static void klp_ran_free(struct klp_ran *ran)
{
	unsigned int i;

	for (i = 0; i < ran->nr; i++)
		put_task_struct(ran->tasks[i].task);
	kvfree(ran->queue);
	kvfree(ran->slots);
	kvfree(ran->tasks);
	*ran = (struct klp_ran){};
}

static int klp_ran_alloc(struct klp_ran *ran)
{
	unsigned int share = READ_ONCE(nr_threads) / num_online_cpus();

	ran->max = clamp(KLP_RAN_SHARES * share, KLP_RAN_MIN, KLP_RAN_MAX);
	ran->bits = order_base_2(2 * ran->max);
	ran->tasks = kvcalloc(ran->max, sizeof(*ran->tasks), GFP_KERNEL);
	ran->slots = kvcalloc(1U << ran->bits, sizeof(*ran->slots), GFP_KERNEL);
	ran->queue = kvcalloc((1U << ran->bits) / 2, sizeof(*ran->queue),
			      GFP_KERNEL);

	return ran->tasks && ran->slots && ran->queue ? 0 : -ENOMEM;
}

static void klp_ran_free_all(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		klp_ran_free(per_cpu_ptr(&klp_ran, cpu));
}

/* In an interrupt: when it returns the CPU is in klp_ran_note() no more. */
static void klp_ran_want(void *wanted)
{
	__this_cpu_write(klp_ran_wanted, wanted);
}

/**
 * klp_ran_start() - begin to record which tasks run
 *
 * Context: Process context, may sleep. Caller holds cpus_read_lock(), and keeps
 *	    it until after klp_ran_stop(). One at a time.
 * Return: 0, or -ENOMEM.
 */
int klp_ran_start(void)
{
	unsigned int cpu;

	lockdep_assert_cpus_held();

	for_each_online_cpu(cpu) {
		if (klp_ran_alloc(per_cpu_ptr(&klp_ran, cpu))) {
			klp_ran_free_all();
			return -ENOMEM;
		}
	}

	on_each_cpu(klp_ran_want, (void *)true, true);

	return 0;
}

/**
 * klp_ran_stop() - stop recording, and forget what was recorded
 *
 * Context: Process context, may sleep. Caller has called klp_ran_start(), and
 *	    still holds cpus_read_lock().
 */
void klp_ran_stop(void)
{
	lockdep_assert_cpus_held();

	on_each_cpu(klp_ran_want, (void *)false, true);
	klp_ran_free_all();
}

/* Is the scheduler's hook there? Set once, at boot. */
static bool klp_ran_works __ro_after_init;

/**
 * klp_ran_ready() - do the records work?
 *
 * Context: Any.
 * Return: true if klp_ran_start() can be used.
 */
bool klp_ran_ready(void)
{
	return klp_ran_works;
}

static void __init klp_ran_see_current(void *data, struct task_struct *task)
{
	if (task == current)
		klp_ran_works = true;
}

/* Nothing would be safe without the hook, so see that it is there. */
static int __init klp_ran_init(void)
{
	unsigned int cpu;
	int ret;

	cpus_read_lock();
	ret = klp_ran_start();
	if (ret)
		goto unlock;

	schedule_timeout_uninterruptible(1);
	for_each_online_cpu(cpu)
		klp_ran_visit(cpu, klp_ran_see_current, NULL);
	klp_ran_stop();
	if (!klp_ran_works) {
		pr_err("the scheduler does not tell who runs\n");
		ret = -ENODEV;
	}
unlock:
	cpus_read_unlock();
	return ret;
}
late_initcall(klp_ran_init);

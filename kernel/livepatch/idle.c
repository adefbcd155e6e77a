// SPDX-License-Identifier: GPL-2.0
/*
 * Is any task inside these ranges of text?
 *
 * The answer only holds while nothing runs. But most of the work can be done
 * before that, for who has not run is where he was:
 *
 *   before   each CPU begins to keep a record of the tasks that run, see ran.c;
 *            then every task is looked at, one after the other;
 *   closer   who has run since is looked at again, until these are few;
 *   stopped  each CPU looks at the task that stopped it, and at those that have
 *            run on it since.
 *
 * Once somebody is found in the way it is not worth while to go on to the next
 * step. Tasks are looked at as follows:
 *
 *   - every thread that has a number, before. One that is being created has no
 *     number yet, and one that was is in no text but the way out of fork; a
 *     thread whose number changes is in exec, so it runs;
 *   - the idle thread of every CPU that is online, before. That of a CPU that is
 *     offline is dead: it stays where the CPU was given up, which is text that
 *     the guards refuse, and starts afresh when the CPU comes back;
 *   - every thread that is on its way out and may have lost its number, while all
 *     is stopped, see exiting.c. There are never many.
 *
 * Every thread with a number is seen, and not just recorded: one that is running
 * is made to give way to the stopper of its CPU. The guards count on it that who
 * was in a function at the beginning was found there, or has left it.
 *
 * A stack that cannot be walked reliably counts as a blocker, whatever is on
 * it. Only a switch that is forced looks closer, see klp_idle_scan().
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stacktrace.h>
#include <linux/stop_machine.h>
#include <linux/wait.h>
#include <asm/livepatch.h>
#include "exiting.h"
#include "grow.h"
#include "idle.h"
#include "ran.h"

/*
 * How often a thread that runs is made to keep still for a moment. It must have
 * been in the text, or moved to another CPU, each time for that to be too few.
 */
#define KLP_STILL_TRIES	10

/*
 * How often those who have run are looked at again while the machine runs. On a
 * machine that is not busy they are few after the first time; on one that is they
 * never are.
 */
#define KLP_CLOSER_TRIES	4

/*
 * How many stacks a CPU may walk while all are stopped. It was stopped soon after
 * those who had run were few; so if these are many, who asked for the switch has
 * been kept from it in between, and may try again.
 */
#define KLP_MAX_RECHECKED	64

/* Who was in the way last time. Protected by klp_mutex. */
static pid_t klp_known[KLP_MAX_BLOCKERS];

/**
 * klp_ranges_add() - add a piece of text
 * @ranges:	where to add it; zeroed before the first call
 * @start:	address of its first byte
 * @size:	its size in bytes
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int klp_ranges_add(struct klp_ranges *ranges, unsigned long start,
		   unsigned long size)
{
	struct klp_range *range;

	KUNIT_STATIC_STUB_REDIRECT(klp_ranges_add, ranges, start, size);

	range = klp_grow(ranges->range, ranges->nr, &ranges->max, sizeof(*range));
	if (!range)
		return -ENOMEM;

	ranges->range = range;
	ranges->range[ranges->nr++] = (struct klp_range){
		.start	= start,
		.end	= start + size,
	};
	return 0;
}

/**
 * klp_ranges_add_all() - add pieces of text to others
 * @to:		where to add them
 * @from:	what to add
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int klp_ranges_add_all(struct klp_ranges *to, const struct klp_ranges *from)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < from->nr && !ret; i++)
		ret = klp_ranges_add(to, from->range[i].start,
				     from->range[i].end - from->range[i].start);
	return ret;
}

static int klp_range_cmp(const void *a, const void *b)
{
	const struct klp_range *ra = a, *rb = b;

	if (ra->start == rb->start)
		return 0;

	return ra->start < rb->start ? -1 : 1;
}

/**
 * klp_ranges_sort() - make the ranges ready for klp_ranges_hit()
 * @ranges:	the ranges
 *
 * Ranges that touch or overlap become one, so that at most one range can be
 * the answer to a search.
 *
 * Context: Process context.
 */
void klp_ranges_sort(struct klp_ranges *ranges)
{
	struct klp_range *range = ranges->range;
	unsigned int i, last = 0;

	if (!ranges->nr)
		return;

	sort(range, ranges->nr, sizeof(*range), klp_range_cmp, NULL);

	for (i = 1; i < ranges->nr; i++) {
		if (range[i].start <= range[last].end)
			range[last].end = max(range[last].end, range[i].end);
		else
			range[++last] = range[i];
	}
	ranges->nr = last + 1;
}

/**
 * klp_ranges_hit() - is an address that was found on a stack in the text?
 * @ranges:	the ranges, sorted
 * @addr:	the address
 *
 * Both ends count. An address on a stack is where a task will continue. If it
 * is the first byte, the task was interrupted on its way in. If it is behind
 * the last byte, the task is in a function that does not return, which was
 * called by the very last instruction. Either can also be a neighbour, which
 * costs another attempt, while the opposite would cost the machine.
 *
 * Context: Any.
 * Return: true if it is.
 */
bool __kprobes klp_ranges_hit(const struct klp_ranges *ranges,
			      unsigned long addr)
{
	unsigned int lo = 0, hi = ranges->nr;

	/* Most of what is on a stack is nowhere near. */
	if (!hi || addr < ranges->range[0].start || addr > ranges->range[hi - 1].end)
		return false;

	/* Look for the last range that starts at or before @addr. */
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (ranges->range[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}

	return addr <= ranges->range[lo - 1].end;
}

/**
 * klp_ranges_free() - free the memory that ranges use
 * @ranges:	the ranges; empty afterwards
 *
 * Context: Any but NMI and with a raw lock held, as kvfree().
 */
void klp_ranges_free(struct klp_ranges *ranges)
{
	kvfree(ranges->range);
	*ranges = (struct klp_ranges){};
}

/**
 * klp_idle_init() - begin a check
 * @idle:	the check
 * @ranges:	the text, sorted; must stay until the check is over
 * @scan:	scan stacks that cannot be walked
 *
 * Context: Any.
 */
void klp_idle_init(struct klp_idle *idle, const struct klp_ranges *ranges,
		   bool scan)
{
	idle->ranges = ranges;
	idle->scan = scan;
	idle->lost = false;
	atomic_set(&idle->nr_walked, 0);
	atomic_set(&idle->nr_blockers, 0);
	memset(idle->blockers, 0, sizeof(idle->blockers));
}

struct klp_walk {
	const struct klp_ranges *ranges;
	unsigned long addr;
	unsigned int nr_frames;
	unsigned long frames[KLP_MAX_FRAMES];
};

static bool __kprobes klp_walk_frame(void *cookie, unsigned long addr)
{
	struct klp_walk *walk = cookie;

	if (walk->nr_frames < KLP_MAX_FRAMES)
		walk->frames[walk->nr_frames++] = addr;
	if (!walk->addr && klp_ranges_hit(walk->ranges, addr))
		walk->addr = addr;

	/* Go on after a hit: the whole stack goes into the report. */
	return true;
}

/*
 * Look for the text in a stack word by word. A task that does not run goes on
 * where its stack says, and each address that it will go on at is in an aligned
 * word there, or that of a trampoline is, which counts as text. So nothing is
 * missed, but a word that is no such address, or not any more, can be found as
 * well. What the task was doing in user space is none of our business.
 * Return: the address that was found, or 0.
 */
static unsigned long __kprobes klp_idle_scan(const struct klp_idle *idle,
					     struct task_struct *task)
{
	const unsigned long *word = (void *)klp_task_sp(task);
	const unsigned long *end = (void *)task_pt_regs(task);
	unsigned long addr;

	for (; word < end; word++) {
		addr = READ_ONCE_NOCHECK(*word);
		if (klp_ranges_hit(idle->ranges, addr))
			return addr;
	}

	return 0;
}

static void __kprobes klp_idle_block(struct klp_idle *idle,
				     const struct task_struct *task,
				     const struct klp_walk *walk)
{
	struct klp_blocker *blocker;
	unsigned int i, n;

	/* It may have run on several CPUs. */
	n = atomic_read(&idle->nr_blockers);
	for (i = 0; i < min(n, KLP_MAX_BLOCKERS); i++) {
		if (idle->blockers[i].task == task)
			return;
	}

	/* While they are stopped all CPUs do this at the same time. */
	n = atomic_fetch_inc(&idle->nr_blockers);
	if (n >= KLP_MAX_BLOCKERS)
		return;

	blocker = &idle->blockers[n];
	blocker->task = task;
	memcpy(blocker->comm, task->comm, sizeof(blocker->comm));
	blocker->pid = task->pid;
	blocker->addr = walk->addr;
	blocker->nr_frames = walk->nr_frames;
	memcpy(blocker->frames, walk->frames, sizeof(blocker->frames));
}

/* Is a task, which is the current one or cannot run, in the text? */
static bool __kprobes klp_idle_walk(struct klp_idle *idle,
				    struct task_struct *task,
				    struct klp_walk *walk)
{
	int ret;

	*walk = (struct klp_walk){ .ranges = idle->ranges };
	atomic_inc(&idle->nr_walked);

	ret = arch_stack_walk_reliable(klp_walk_frame, walk, task);
	if (ret && idle->scan) {
		walk->addr = klp_idle_scan(idle, task);
		ret = 0;
	}

	return ret || walk->addr;
}

/**
 * klp_idle_check_task() - is one task in the text?
 * @idle:	the check, to which the task is added if it is in the way
 * @task:	the task: the current one, or one that has a stack and cannot run
 *
 * Context: Any. Takes no lock, allocates nothing.
 */
void __kprobes klp_idle_check_task(struct klp_idle *idle,
				   struct task_struct *task)
{
	struct klp_walk walk;

	if (klp_idle_walk(idle, task, &walk))
		klp_idle_block(idle, task, &walk);
}

/**
 * klp_idle_clear() - is nobody in the way, so far?
 * @idle:	the check
 *
 * Context: Any.
 * Return: true if nobody was found.
 */
bool __kprobes klp_idle_clear(const struct klp_idle *idle)
{
	return !atomic_read(&idle->nr_blockers) && !READ_ONCE(idle->lost);
}

/* Before */

/**
 * struct klp_look - a look at a task
 * @idle:	the check
 * @task:	the task
 * @walk:	what was found on its stack
 * @ret:	1 if it is in the text, 0 if not, -EAGAIN if it runs
 */
struct klp_look {
	struct klp_idle *idle;
	struct task_struct *task;
	struct klp_walk walk;
	int ret;
};

static int klp_look_still(struct task_struct *task, void *data)
{
	struct klp_look *look = data;

	/* One's own stack can be walked, and the rest of it does not change. */
	if (task_curr(task) && task != current)
		return -EAGAIN;
	/* It never comes back. */
	if (READ_ONCE(task->__state) == TASK_DEAD)
		return 0;

	return klp_idle_walk(look->idle, task, &look->walk);
}

/* Look at a task that may wake up, run, or exit. */
static int klp_look(void *data)
{
	struct klp_look *look = data;

	look->ret = 0;
	/* Who has no stack any more has run for the last time. */
	if (!try_get_task_stack(look->task))
		return 0;

	look->ret = task_call_func(look->task, klp_look_still, look);
	put_task_stack(look->task);
	return 0;
}

/* Check a task if it does not run. */
static void klp_idle_check_live(struct klp_idle *idle, struct task_struct *task)
{
	struct klp_look look = { .idle = idle, .task = task };

	klp_look(&look);
	if (look.ret == 1)
		klp_idle_block(idle, task, &look.walk);
}

/*
 * Check a task in any case. If it runs, its CPU is stopped for it; that is what
 * happens to it in the window anyway. If it was in the text then, it is only
 * passing, so it gets another chance.
 */
static void klp_idle_check_any(struct klp_idle *idle, struct task_struct *task)
{
	struct klp_look look = { .idle = idle, .task = task };
	unsigned int tries;

	for (tries = 0; tries < KLP_STILL_TRIES; tries++) {
		klp_look(&look);
		if (look.ret != -EAGAIN)
			break;
		stop_one_cpu(task_cpu(task), klp_look, &look);
		if (!look.ret)
			break;
	}

	if (look.ret)
		klp_idle_block(idle, task, &look.walk);
}

/* The thread that has a number, or NULL, with a reference to it. */
static struct task_struct *klp_get_thread(int nr)
{
	struct task_struct *task;

	rcu_read_lock();
	task = pid_task(find_pid_ns(nr, &init_pid_ns), PIDTYPE_PID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();

	return task;
}

/* The next thread that has a number, or NULL, with a reference to it. */
static struct task_struct *klp_next_thread(int *nr)
{
	struct task_struct *task = NULL;
	struct pid *pid;

	rcu_read_lock();
	for (; !task && (pid = find_ge_pid(*nr, &init_pid_ns)); *nr = pid_nr(pid) + 1)
		task = pid_task(pid, PIDTYPE_PID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();

	return task;
}

/**
 * klp_idle_check_known() - check who was in the way last time
 * @idle:	the check
 *
 * This is quickly done, and who was there is likely to be there still.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_idle_check_known(struct klp_idle *idle)
{
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < KLP_MAX_BLOCKERS && klp_known[i]; i++) {
		task = klp_get_thread(klp_known[i]);
		if (!task)
			continue;
		klp_idle_check_any(idle, task);
		put_task_struct(task);
	}
}

/**
 * klp_idle_remember() - remember who was in the way
 * @idle:	the check, which is over
 *
 * Context: Any. Caller holds klp_mutex.
 */
void klp_idle_remember(const struct klp_idle *idle)
{
	unsigned int i, n = atomic_read(&idle->nr_blockers);

	for (i = 0; i < KLP_MAX_BLOCKERS; i++)
		klp_known[i] = i < n ? idle->blockers[i].pid : 0;
}

/**
 * klp_idle_check_all() - check all tasks while the machine runs
 * @idle:	the check
 *
 * Context: Process context, may sleep. Caller holds klp_mutex, has called
 *	    klp_ran_start(), and holds cpus_read_lock().
 */
void klp_idle_check_all(struct klp_idle *idle)
{
	struct task_struct *task;
	unsigned int cpu;
	int nr = 1;

	KUNIT_STATIC_STUB_REDIRECT(klp_idle_check_all, idle);

	while ((task = klp_next_thread(&nr))) {
		klp_idle_check_any(idle, task);
		put_task_struct(task);
		cond_resched();
	}

	/* If it runs it has nothing else to do, and will have run. */
	for_each_online_cpu(cpu)
		klp_idle_check_live(idle, idle_task(cpu));
}

/*
 * Is there no record of who has run on a CPU, or one that is too long to be gone
 * through?
 */
static void __kprobes klp_idle_check_lost(struct klp_idle *idle,
					  unsigned int cpu)
{
	if (klp_ran_lost(cpu) || klp_ran_pending(cpu) > KLP_MAX_RECHECKED)
		WRITE_ONCE(idle->lost, true);
}

static void klp_idle_check_noted(void *data, struct task_struct *task)
{
	/* If it runs it will be noted once more. */
	klp_idle_check_live(data, task);
	cond_resched();
}

/**
 * klp_idle_check_ran() - check who has run since
 * @idle:	the check
 *
 * Done when they are few, as those who always run are, or cannot be made fewer.
 *
 * Context: Process context, may sleep. Caller has called klp_ran_start(), and
 *	    holds cpus_read_lock().
 */
void klp_idle_check_ran(struct klp_idle *idle)
{
	unsigned int cpu, nr, tries = 0;

	KUNIT_STATIC_STUB_REDIRECT(klp_idle_check_ran, idle);

	do {
		nr = 0;
		for_each_online_cpu(cpu)
			nr += klp_ran_visit(cpu, klp_idle_check_noted, idle);
	} while (nr > 2 * num_online_cpus() && ++tries < KLP_CLOSER_TRIES);

	for_each_online_cpu(cpu)
		klp_idle_check_lost(idle, cpu);
}

/* Stopped */

static void __kprobes klp_idle_check_stopped(void *data,
					     struct task_struct *task)
{
	/*
	 * A thread that was switched out for the last time never runs again and
	 * may have lost its stack; until then a thread keeps its stack. The
	 * state is set with preemption off, so nobody was stopped in between.
	 */
	if (READ_ONCE(task->__state) == TASK_DEAD)
		return;

	/* Who stopped the CPU may have run before. Only its own CPU knows. */
	if (task != current)
		klp_idle_check_task(data, task);
}

/**
 * klp_idle_check_cpu() - check a CPU's share
 * @idle:	the check
 *
 * Context: Called on every CPU that is online, all CPUs being stopped.
 */
void __kprobes klp_idle_check_cpu(struct klp_idle *idle)
{
	unsigned int cpu = smp_processor_id();

	klp_idle_check_lost(idle, cpu);
	if (READ_ONCE(idle->lost))
		return;

	klp_idle_check_task(idle, current);
	klp_ran_visit(cpu, klp_idle_check_stopped, idle);
	klp_exiting_visit(cpu, klp_idle_check_stopped, idle);
}

/* For comparison only: all that is in the other steps, in this one. */
static void __kprobes klp_idle_check_list(struct klp_idle *idle)
{
	struct task_struct *g, *task;
	unsigned int cpu;

	/* Only the tasks that stopped the CPUs run. */
	for_each_process_thread(g, task) {
		if (!task_curr(task))
			klp_idle_check_stopped(idle, task);
	}

	for_each_online_cpu(cpu)
		klp_idle_check_task(idle, idle_task(cpu));
}

/**
 * klp_idle_check_rest() - check what is no CPU's share
 * @idle:	the check
 *
 * Context: Called on one CPU, all CPUs being stopped.
 */
void __kprobes klp_idle_check_rest(struct klp_idle *idle)
{
	unsigned int cpu;

	for_each_cpu_andnot(cpu, cpu_possible_mask, cpu_online_mask)
		klp_exiting_visit(cpu, klp_idle_check_stopped, idle);

	if (IS_ENABLED(CONFIG_LIVEPATCH_WALK_ALL))
		klp_idle_check_list(idle);
}

/**
 * klp_idle_report() - log who was in the way
 * @idle:	the check
 * @patch:	name of the patch
 *
 * Context: Process context.
 */
void klp_idle_report(const struct klp_idle *idle, const char *patch)
{
	unsigned int n = atomic_read(&idle->nr_blockers);
	unsigned int i, j;

	for (i = 0; i < min(n, KLP_MAX_BLOCKERS); i++) {
		const struct klp_blocker *blocker = &idle->blockers[i];

		if (blocker->addr)
			pr_warn("'%s': blocked by %s:%d in %pS\n", patch,
				blocker->comm, blocker->pid,
				(void *)blocker->addr);
		else
			pr_warn("'%s': blocked by %s:%d with an unreliable stack\n",
				patch, blocker->comm, blocker->pid);

		for (j = 0; j < blocker->nr_frames; j++)
			pr_warn("  %pB\n", (void *)blocker->frames[j]);
	}

	if (n > KLP_MAX_BLOCKERS)
		pr_warn("'%s': blocked by %u more tasks\n", patch,
			n - KLP_MAX_BLOCKERS);

	if (idle->lost)
		pr_warn("'%s': too many tasks ran while others were checked\n",
			patch);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is any task inside these ranges of text?
 *
 * The answer only holds while nothing runs, so it is sought while all CPUs are
 * stopped: each CPU walks the stack of the task that stopped it, and one of
 * them walks all others. These are
 *
 *   - every thread on the task list;
 *   - every thread that is on its way out and may have left it, see exiting.c;
 *   - the idle thread of every CPU that is online.
 *
 * A thread that is being created and is not yet on the list has not run: its
 * stack holds nothing but the way out of fork. The idle thread of a CPU that is
 * offline is dead: it stays where the CPU was given up, which is text that the
 * guards refuse, and starts afresh when the CPU comes back.
 *
 * A stack that cannot be walked reliably counts as a blocker, whatever is on
 * it. Only a switch that is forced looks closer, see klp_idle_scan().
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/percpu.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stacktrace.h>
#include <asm/livepatch.h>
#include "exiting.h"
#include "idle.h"

/* The task that stopped this CPU; it runs, so only the CPU itself can walk it. */
static DEFINE_PER_CPU(struct task_struct *, klp_stopper);

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
	unsigned int max;

	KUNIT_STATIC_STUB_REDIRECT(klp_ranges_add, ranges, start, size);

	if (ranges->nr == ranges->max) {
		max = ranges->max ? 2 * ranges->max : 16;
		range = kvrealloc(ranges->range,
				  array_size(max, sizeof(*range)), GFP_KERNEL);
		if (!range)
			return -ENOMEM;
		ranges->range = range;
		ranges->max = max;
	}

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

	/* Look for the last range that starts at or before @addr. */
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (ranges->range[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}

	return lo && addr <= ranges->range[lo - 1].end;
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
	atomic_set(&idle->nr_blockers, 0);
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
	struct klp_walk walk = { .ranges = idle->ranges };
	struct klp_blocker *blocker;
	unsigned int n;
	int ret;

	ret = arch_stack_walk_reliable(klp_walk_frame, &walk, task);
	if (ret && idle->scan) {
		walk.addr = klp_idle_scan(idle, task);
		ret = 0;
	}
	if (!ret && !walk.addr)
		return;

	/* CPUs check themselves all at the same time. */
	n = atomic_fetch_inc(&idle->nr_blockers);
	if (n >= KLP_MAX_BLOCKERS)
		return;

	blocker = &idle->blockers[n];
	memcpy(blocker->comm, task->comm, sizeof(blocker->comm));
	blocker->pid = task->pid;
	blocker->addr = walk.addr;
	blocker->nr_frames = walk.nr_frames;
	memcpy(blocker->frames, walk.frames, sizeof(blocker->frames));
}

/**
 * klp_idle_check_self() - is the task that stopped this CPU in the text?
 * @idle:	the check
 *
 * Context: Called on every CPU that is online, all CPUs being stopped.
 */
void __kprobes klp_idle_check_self(struct klp_idle *idle)
{
	this_cpu_write(klp_stopper, current);
	klp_idle_check_task(idle, current);
}

static void __kprobes klp_idle_check_other(void *data,
					   struct task_struct *task)
{
	struct klp_idle *idle = data;
	unsigned int cpu = task_cpu(task);

	/*
	 * A thread that was switched out for the last time never runs again and
	 * may have lost its stack; until then a thread keeps its stack. The
	 * state is set with preemption off, so nobody was stopped in between.
	 */
	if (READ_ONCE(task->__state) == TASK_DEAD)
		return;

	/* The stopper of a CPU that is offline is a parked thread like others. */
	if (cpu_online(cpu) && task == per_cpu(klp_stopper, cpu))
		return;

	klp_idle_check_task(idle, task);
}

/**
 * klp_idle_check_others() - is any task but the stoppers in the text?
 * @idle:	the check
 *
 * Context: Called on one CPU after all CPUs have called klp_idle_check_self(),
 *	    and while they are all still stopped.
 * Return: true if no task at all is in the way, stoppers included.
 */
bool __kprobes klp_idle_check_others(struct klp_idle *idle)
{
	struct task_struct *g, *task;
	unsigned int cpu;

	/*
	 * The list may have been left half changed where its lock can be
	 * preempted, but it is changed so that a reader sees each thread that
	 * has been on it all the time.
	 */
	for_each_process_thread(g, task)
		klp_idle_check_other(idle, task);

	klp_exiting_visit(klp_idle_check_other, idle);

	for_each_online_cpu(cpu)
		klp_idle_check_task(idle, idle_task(cpu));

	return !atomic_read(&idle->nr_blockers);
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
}

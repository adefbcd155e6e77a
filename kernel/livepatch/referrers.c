// SPDX-License-Identifier: GPL-2.0
/*
 * Find out which tasks may still use the memory of a patch module that was disabled.
 *
 * No task is inside the text of the module when the switch is made. But a function of the
 * module can end with a tail call, which is a jump. Then the function has no frame, and the
 * called function may still use data of the module: a format string, or a table of
 * functions. The task has a pointer to the data in a register or on its stack. So the
 * module must not be unloaded while a word on the stack of a task is an address in the
 * memory of the module. Registers that an interrupt has saved count as well.
 *
 * A task without such a word cannot get one, because after the switch no function leads to
 * the module any more. So it is enough to see each task once after the switch while it does
 * not run. A running task would have to be interrupted for that. This is mostly avoided:
 * for the switch, each CPU left its task for the stopper, and klp_sched_out() looked at the
 * task then. If the task had no such word, and its CPU runs it now, it is not looked at
 * again. So a CPU that always runs the same task is not disturbed.
 *
 * A word can be a leftover, or come from user space. So a reference does not block the
 * switch, but keeps the module loaded.
 *
 * Pointers to the module that are not on a stack are left to the author of the patch. The
 * only exception is restart_block.fn in task_struct, the function that restarts a system
 * call.
 */

#include <linux/cpu.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/stop_machine.h>
#include <asm/livepatch.h>
#include "patch.h"
#include "ranges.h"
#include "referrers.h"
#include "tasks.h"

/**
 * klp_referrers_add_memory() - add the memory of a module
 * @memory:	set to which it is added
 * @mod:	the module, whose init function has returned
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int klp_referrers_add_memory(struct klp_ranges *memory, const struct module *mod)
{
	unsigned int cpu;
	int ret = 0;

	/* As it is passed on to functions that add the offset of a CPU. */
	if (mod->percpu_size)
		ret = klp_ranges_add(memory, (unsigned long)mod->percpu,
				     mod->percpu_size - 1);
	for_each_possible_cpu(cpu) {
		if (!ret && mod->percpu_size)
			ret = klp_ranges_add(memory,
					     (unsigned long)per_cpu_ptr(mod->percpu, cpu),
					     mod->percpu_size - 1);
	}
	for_class_mod_mem_type(type, core) {
		const struct module_memory *mem = &mod->mem[type];

		/* Both ends of a range count. */
		if (!ret && mem->size)
			ret = klp_ranges_add(memory, (unsigned long)mem->base,
					     mem->size - 1);
	}

	return ret;
}

static bool klp_restarts_in(const struct klp_ranges *memory,
			    const struct task_struct *task)
{
	return klp_ranges_hit(memory, (unsigned long)task->restart_block.fn);
}

/* The registers of user space at the end of the stack are not those of the kernel. */
static bool klp_refers(const struct klp_ranges *memory, struct task_struct *task)
{
	const unsigned long *word;

	klp_for_each_stack_word(word, task) {
		if (klp_ranges_hit(memory, READ_ONCE_NOCHECK(*word)))
			return true;
	}

	return klp_restarts_in(memory, task);
}

/*
 * The task that each CPU ran before it was stopped for the switch, if that did not refer
 * to the memory; else NULL. The task is only compared. Another task can get the same
 * task_struct, and does not refer to the memory either, as it is new.
 */
static DEFINE_PER_CPU(const struct task_struct *, klp_no_referrer);

/**
 * klp_referrers_begin() - forget what is known of earlier switches
 *
 * A CPU that is offline now does not take part in the next one.
 *
 * Context: Caller holds klp_mutex, and has looked at all tasks, so that no CPU is in a
 *	    klp_sched_out() for an earlier switch any more.
 */
void klp_referrers_begin(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(klp_no_referrer, cpu), NULL);
}

/* The task can have left another CPU before it got the reference. */
static void klp_is_referrer(const struct task_struct *task)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (READ_ONCE(per_cpu(klp_no_referrer, cpu)) == task)
			WRITE_ONCE(per_cpu(klp_no_referrer, cpu), NULL);
	}
}

/**
 * klp_referrer_leaves() - the current task leaves its CPU while a switch is prepared
 * @memory:	memory of the modules that may be unloaded after the switch, and of those
 *		that wait for it since an earlier one; sorted
 * @task:	the current task
 *
 * Context: From the scheduler: interrupts are off, and the runqueue is locked.
 */
void klp_referrer_leaves(const struct klp_ranges *memory, struct task_struct *task)
{
	unsigned long bp;

	if (!memory->nr)
		return;

	/* Other registers that the task needs later are on the stack. */
	bp = klp_spill_registers();
	if (klp_refers(memory, task) || klp_ranges_hit(memory, bp))
		klp_is_referrer(task);
	else
		this_cpu_write(klp_no_referrer, task);
}

/**
 * struct klp_reference - does a task refer to memory?
 * @memory:	the memory
 * @task:	the task
 * @found:	it does
 * @runs:	it runs, and so that is not known
 */
struct klp_reference {
	const struct klp_ranges *memory;
	struct task_struct *task;
	bool found;
	bool runs;
};

static int klp_refers_locked(struct task_struct *task, void *data)
{
	struct klp_reference *ref = data;

	/* A stopper that looks at itself is inside no other function. */
	ref->runs = task_curr(task) && task != current &&
		    per_cpu(klp_no_referrer, task_cpu(task)) != task;
	if (task_curr(task) || READ_ONCE(task->__state) == TASK_DEAD)
		return 0;

	/* The system call then fails with EINTR, as after a signal with a handler. */
	if (klp_restarts_in(ref->memory, task))
		task->restart_block.fn = do_no_restart_syscall;
	ref->found = klp_refers(ref->memory, task);

	return 0;
}

/* The stopper runs in place of the task. */
static int klp_refers_stopped(void *data)
{
	struct klp_reference *ref = data;

	task_call_func(ref->task, klp_refers_locked, ref);
	return 0;
}

/**
 * struct klp_referrers - a search
 * @memory:	the memory
 * @except:	a task that does not count, or NULL
 * @visit:	called for each task that is found
 * @data:	passed on to @visit
 * @stop:	stop CPUs to look at what they run
 * @nr:		how many were found
 * @nr_running:	how many run, so that nothing is known of them
 */
struct klp_referrers {
	const struct klp_ranges *memory;
	const struct task_struct *except;
	void (*visit)(struct task_struct *task, void *data);
	void *data;
	bool stop;
	unsigned int nr;
	unsigned int nr_running;
};

static void klp_visit_referrer(struct task_struct *task, void *data)
{
	struct klp_referrers *referrers = data;
	struct klp_reference ref = { .memory = referrers->memory, .task = task };

	/* A task without a stack has left its CPU for the last time. */
	if (task == current || task == referrers->except || !try_get_task_stack(task))
		return;

	task_call_func(task, klp_refers_locked, &ref);
	if (ref.runs && referrers->stop)
		stop_one_cpu(task_cpu(task), klp_refers_stopped, &ref);
	put_task_stack(task);

	referrers->nr_running += ref.runs;
	referrers->nr += ref.found;
	if (ref.found)
		referrers->visit(task, referrers->data);
}

/* A CPU is stopped only if the module could be unloaded otherwise. */
static unsigned int klp_referrers_count(struct klp_referrers *referrers)
{
	klp_tasks_visit(klp_visit_referrer, referrers);
	if (!referrers->nr && referrers->nr_running) {
		referrers->nr_running = 0;
		referrers->stop = true;
		klp_tasks_visit(klp_visit_referrer, referrers);
	}

	return referrers->nr ?: referrers->nr_running;
}

/**
 * klp_referrers_visit() - visit the tasks that may refer to the memory of a module
 * @mod:	a patch module that no function leads to any more. Its memory was given to
 *		klp_referrer_leaves() when the switch was made that led to that
 * @except:	a task that does not count, or NULL
 * @visit:	called for each of them
 * @data:	passed on to @visit
 *
 * The current task does not count. A task that changes its PID meanwhile, in exec(), can
 * be missed. It is not missed the next time.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: how many there are, or 1 if that is not known for want of memory. If it is 0
 *	   twice in a row, there will not be any.
 */
unsigned int klp_referrers_visit(const struct module *mod,
				 const struct task_struct *except,
				 void (*visit)(struct task_struct *task, void *data),
				 void *data)
{
	struct klp_ranges memory = {};
	struct klp_referrers referrers = {
		.memory	= &memory,
		.except	= except,
		.visit	= visit,
		.data	= data,
	};
	unsigned int nr;

	lockdep_assert_held(&klp_mutex);

	if (klp_referrers_add_memory(&memory, mod)) {
		klp_ranges_free(&memory);
		return 1;
	}
	klp_ranges_sort(&memory);

	cpus_read_lock();
	nr = klp_referrers_count(&referrers);
	cpus_read_unlock();

	klp_ranges_free(&memory);
	return nr;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Find out which tasks are inside the text that is about to be switched.
 *
 * A task is inside if its stack holds an address in that text. The stack of a task
 * that does not run does not change. So each task is looked at once when it does not
 * run, and from then on each time that it leaves a CPU. One bit a task says whether
 * it was inside then, and one counter says how many of these bits are set. When all
 * CPUs are stopped nothing is left to do but to read the counter.
 *
 *   start     klp_looking is published. The scheduler calls klp_sched_out() for each
 *             task that leaves a CPU, and klp_sched_out() looks at that task.
 *   prescan   klp_look_all() looks at each task that does not run.
 *   stop      all CPUs run their stopper thread. klp_look_clear() tells whether any
 *             task is inside.
 *
 * Why no task is missed:
 *
 * 1. The prescan begins with the idle threads. task_call_func() takes the runqueue
 *    lock of an idle thread's CPU, after klp_looking was published. Each later
 *    context switch on that CPU happens under the same lock. So once all idle threads have
 *    been visited, no task leaves any CPU without being looked at.
 * 2. A task that runs when the prescan visits it, or that first runs after that, is
 *    looked at when it leaves its CPU. It does so for the stopper at the latest.
 *    Nothing has to interrupt it before. The exception is a task that may be about to
 *    set a kprobe, see registrar.c: it has to be seen before kprobes are searched.
 * 3. A task that does not run when the prescan visits it is looked at under the
 *    locks that it would need to run again. If it runs again (1) applies.
 * 4. There are three kinds of tasks that the prescan does not visit, see tasks.c. Some
 *    cannot run again. Some run after (1), and are looked at when they leave their CPU.
 *    Some have not run yet, and have only the return path of fork() on their stack.
 *
 * The counter is atomic. A CPU that arrives in the stop window has finished its last
 * klp_sched_out() before, and arriving is a full barrier, see klp_window_steps().
 *
 * The bits survive klp_look_stop(). Until the next look they say what was seen last,
 * which is what /proc/<pid>/patch_state shows.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/ftrace.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/rcupdate.h>
#include <linux/rethook.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <linux/stop_machine.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include <asm/sections.h>
#include "blockers.h"
#include "hold.h"
#include "look.h"
#include "patch.h"
#include "referrers.h"
#include "registrar.h"
#include "tasks.h"

/* The look that is under way, or NULL. Read by the scheduler on each switch. */
struct klp_look __rcu *klp_looking;

/* How many tasks are inside. */
static atomic_t klp_nr_inside;

/* Set the bit of a task if @addr is not 0, else clear it. */
static void klp_set_inside(struct task_struct *task, unsigned long addr, int state)
{
	bool inside = addr;

	if (klp_task_is_inside(task) == inside)
		return;

	if (inside)
		klp_blocker_add(task, addr);
	else
		klp_blocker_remove(task);
	klp_task_set_inside(task, inside, state);
	atomic_add(inside ? 1 : -1, &klp_nr_inside);
}

/* Looking at a stack */

static bool klp_look_hit(const struct klp_look *look,
			 const struct task_struct *task, unsigned long addr)
{
	if (klp_ranges_hit(&look->text, addr))
		return true;

	return klp_ranges_hit(&look->registrars, addr) &&
	       klp_registrar_pending(task);
}

/*
 * Does an address on a stack stand for another one that is not there? A tracer of
 * returns has put the address of its trampoline where the return address was. A task
 * that is preempted in the copy of an instruction that a kprobe has made goes on
 * behind that instruction.
 */
static bool klp_hides_address(unsigned long addr)
{
#ifdef CONFIG_RETHOOK
	if (addr == (unsigned long)arch_rethook_trampoline)
		return true;
#endif
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	if (addr == (unsigned long)return_to_handler)
		return true;
#endif
	return is_kprobe_insn_slot(addr) || is_kprobe_optinsn_slot(addr);
}

/*
 * Look at a stack word by word. A task that does not run continues at addresses
 * that are on its stack: return addresses, and the instruction pointers that
 * interrupts and exceptions have saved with the other registers. Each of them is in
 * an aligned word between the stack pointer and the registers of user space. The
 * task has no other registers: those of its last call of the scheduler are on the
 * stack as well. So no address is missed, unless a word stands for it, which counts
 * as a hit. A word can be a leftover or a pointer that is no return address. Such a
 * false hit costs another attempt.
 */
static unsigned long klp_scan_stack(const struct klp_look *look,
				    struct task_struct *task)
{
	const unsigned long *word;
	unsigned long addr;

	klp_for_each_stack_word(word, task) {
		addr = READ_ONCE_NOCHECK(*word);
		if (klp_look_hit(look, task, addr) || klp_hides_address(addr))
			return addr;
	}

	return 0;
}

struct klp_walk {
	const struct klp_look *look;
	struct task_struct *task;
	unsigned long addr;
};

static bool klp_walk_frame(void *cookie, unsigned long addr)
{
	struct klp_walk *walk = cookie;

	if (!klp_look_hit(walk->look, walk->task, addr))
		return true;

	walk->addr = addr;
	return false;
}

/**
 * klp_look_find() - is a task inside?
 * @look:	the look
 * @task:	the current task, or one that has a stack and cannot run
 *
 * A stack that cannot be unwound reliably, as when code that was generated at run
 * time is on it, is looked at word by word.
 *
 * Context: Any. Takes no lock, allocates nothing.
 * Return: an address in the text that is on the stack of the task, or 0.
 */
unsigned long klp_look_find(const struct klp_look *look,
			    struct task_struct *task)
{
	struct klp_walk walk = { .look = look, .task = task };
	int ret;

	ret = arch_stack_walk_reliable(klp_walk_frame, &walk, task);
	if (ret && !walk.addr)
		walk.addr = klp_scan_stack(look, task);

	return walk.addr;
}

/**
 * klp_sched_out() - look at the current task, which leaves its CPU
 * @next:	the task that the CPU runs next
 *
 * Called if a look is under way, or if the task exits.
 *
 * Context: From the scheduler: interrupts are off, and the runqueue is locked.
 */
void klp_sched_out(struct task_struct *next)
{
	bool dead = READ_ONCE(current->__state) == TASK_DEAD;
	const struct klp_look *look;
	unsigned long addr = 0;

	if (current->exit_state)
		klp_task_exits(current, dead);

	look = rcu_dereference_sched(klp_looking);
	if (look && !dead) {
		addr = klp_look_find(look, current);
		if (!READ_ONCE(look->switched))
			klp_referrer_leaves(&look->memory, current);
	}
	if (look || dead)
		klp_set_inside(current, addr, look ? look->state : 0);
	if (addr)
		klp_hold_seen(current);
	if (look)
		klp_hold_running(next);
}

/* The prescan */

/**
 * struct klp_visit - a visit of the prescan to a task
 * @look:	the look, or NULL to clear the bits
 * @stop:	the task runs, and has to leave its CPU to be looked at
 */
struct klp_visit {
	struct klp_look *look;
	bool stop;
};

static int klp_visit_locked(struct task_struct *task, void *data)
{
	struct klp_visit *visit = data;
	unsigned long addr = 0;

	/*
	 * If the task runs, its bit is out of date: it may leave the kernel and not
	 * leave the CPU. It is looked at when it does.
	 */
	if (task_curr(task)) {
		visit->stop = visit->look && klp_registrar_pending(task);
	} else if (visit->look && READ_ONCE(task->__state) != TASK_DEAD) {
		addr = klp_look_find(visit->look, task);
		visit->look->nr_walked++;
	}
	klp_set_inside(task, addr, visit->look ? visit->look->state : 0);

	return 0;
}

static int klp_nothing(void *unused)
{
	return 0;
}

static void klp_visit_task(struct task_struct *task, void *look)
{
	struct klp_visit visit = { .look = look };

	/* A task without a stack has left its CPU for the last time. */
	if (!try_get_task_stack(task))
		return;

	task_call_func(task, klp_visit_locked, &visit);
	put_task_stack(task);
	/* If it has moved to another CPU since, it was looked at for that. */
	if (visit.stop)
		stop_one_cpu(task_cpu(task), klp_nothing, NULL);
}

/* An idle thread can have been seen inside before its CPU went offline. */
static void klp_visit_offline(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (!cpu_online(cpu))
			klp_visit_task(idle_task(cpu), NULL);
	}
}

/**
 * klp_look_all() - look at all tasks that do not run
 * @look:	the look, after klp_look_start()
 *
 * Context: Process context, may sleep. Caller holds klp_mutex and cpus_read_lock().
 */
void klp_look_all(struct klp_look *look)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_look_all, look);

	klp_visit_offline();
	klp_tasks_visit(klp_visit_task, look);
}

struct klp_visit_curr {
	unsigned int cpu;
	void (*visit)(struct task_struct *task);
};

/* The runqueue of the CPU is locked, so the CPU does not switch to another task. */
static int klp_visit_curr_locked(struct task_struct *idle, void *data)
{
	const struct klp_visit_curr *curr = data;

	curr->visit(klp_cpu_curr(curr->cpu));
	return 0;
}

/**
 * klp_look_running() - visit the task that runs on each CPU
 * @visit:	called for it, with the runqueue locked
 *
 * A task that runs on a CPU after the visit has been the argument of a klp_sched_out()
 * that came after the call of klp_look_running().
 *
 * Context: Process context. Caller holds cpus_read_lock().
 */
void klp_look_running(void (*visit)(struct task_struct *task))
{
	struct klp_visit_curr curr = { .visit = visit };

	lockdep_assert_cpus_held();

	for_each_online_cpu(curr.cpu)
		task_call_func(idle_task(curr.cpu), klp_visit_curr_locked, &curr);
}

/* A bit is out of date if the task runs, as it may leave the kernel and not the CPU. */
static int klp_visit_inside_locked(struct task_struct *task, void *unused)
{
	if (task_curr(task))
		klp_set_inside(task, 0, 0);
	return 0;
}

static void klp_visit_inside(struct task_struct *task, void *data)
{
	void (**visit)(struct task_struct *task) = data;

	task_call_func(task, klp_visit_inside_locked, NULL);
	(*visit)(task);
}

/**
 * klp_look_inside() - visit all threads that were inside when they last left a CPU
 * @visit:	called for each of them
 *
 * No stack is walked. So it takes little time even if there are many threads.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_look_inside(void (*visit)(struct task_struct *task))
{
	if (!klp_look_clear())
		klp_threads_visit(klp_task_is_inside, klp_visit_inside, &visit);
}

/**
 * klp_look_start() - begin to look at tasks that leave a CPU
 * @look:	what they are looked at for
 *
 * Context: Process context. Caller holds klp_mutex.
 */
void klp_look_start(struct klp_look *look)
{
	lockdep_assert_held(&klp_mutex);

	look->nr_walked = 0;
	klp_registrars_begin();
	rcu_assign_pointer(klp_looking, look);
}

/**
 * klp_look_clear() - is no task inside, as far as is known?
 *
 * The answer is final when klp_look_all() has finished and all CPUs are stopped.
 *
 * Context: Any.
 * Return: true if no task is known to be inside.
 */
bool klp_look_clear(void)
{
	return !atomic_read(&klp_nr_inside);
}

/**
 * klp_look_nr_inside() - how many tasks are inside, as far as is known?
 *
 * Context: Any.
 * Return: their number.
 */
unsigned int klp_look_nr_inside(void)
{
	return atomic_read(&klp_nr_inside);
}

/**
 * klp_look_stop() - stop looking
 *
 * Other CPUs can use the look for another grace period.
 *
 * Context: Process context. Caller holds klp_mutex.
 */
void klp_look_stop(void)
{
	lockdep_assert_held(&klp_mutex);

	rcu_assign_pointer(klp_looking, NULL);
}

/**
 * klp_look_forget() - clear what was seen
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. No look is under way.
 */
void klp_look_forget(void)
{
	if (klp_look_clear())
		return;

	cpus_read_lock();
	klp_look_all(NULL);
	cpus_read_unlock();
}

/* Does the scheduler call klp_sched_out()? Set once, at boot. */
static bool klp_look_works __ro_after_init;

/**
 * klp_look_ready() - does looking at tasks work?
 *
 * Context: Any.
 * Return: true if it does.
 */
bool klp_look_ready(void)
{
	return klp_look_works;
}

#define KLP_INIT_TRIES	100

/*
 * Nothing is safe if the scheduler does not call klp_sched_out(). So sleep once, in
 * text that is looked for: this function is init text.
 */
static int __init klp_look_init(void)
{
	static struct klp_range init __initdata;
	static struct klp_look look __initdata = {
		.text = { .range = &init, .nr = 1 },
	};
	unsigned int tries;

	init.start = (unsigned long)_sinittext;
	init.end = (unsigned long)_einittext;

	mutex_lock(&klp_mutex);
	klp_look_start(&look);
	/* On a busy host the time can be up before the task has left the CPU. */
	for (tries = 0; tries < KLP_INIT_TRIES && !klp_task_is_inside(current); tries++)
		schedule_timeout_uninterruptible(1);
	klp_look_stop();
	klp_look_works = klp_task_is_inside(current);
	/* The look is freed with the rest of init memory. */
	synchronize_rcu();
	klp_look_forget();
	mutex_unlock(&klp_mutex);

	if (!klp_look_works)
		pr_err("the scheduler does not tell which tasks leave a CPU\n");

	return klp_look_works ? 0 : -ENODEV;
}
late_initcall(klp_look_init);

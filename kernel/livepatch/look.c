// SPDX-License-Identifier: GPL-2.0
/*
 * Which tasks are inside the text that is about to be switched?
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
 *    switch on that CPU happens under the same lock. So once all idle threads have
 *    been visited, no task leaves any CPU without being looked at.
 * 2. A task that runs when the prescan visits it, or that first runs after that, is
 *    looked at when it leaves its CPU. It does so for the stopper at the latest.
 *    Nothing has to interrupt it before. The exception is a task that may be about to
 *    set a kprobe, see registrar.c: it has to be seen before kprobes are searched.
 * 3. A task that does not run when the prescan visits it is looked at under the
 *    locks that it would need to run again. If it runs again (1) applies.
 * 4. A task that the prescan does not visit and that never runs after (1) does not
 *    exist, see below.
 *
 * The bit of a task is written by klp_sched_out() in the context of the task, with
 * the runqueue locked, or by the prescan, which holds that lock or keeps the task
 * from being woken up. So there is one writer at a time. The counter is atomic. A CPU
 * that arrives in the stop window has finished its last klp_sched_out() before, and
 * arriving is a full barrier, see klp_window_steps().
 *
 * Which tasks the prescan visits:
 *
 *   - idle threads. The CPU of an idle thread that is offline has been given up by
 *     it, in text that the guards refuse, and the thread starts afresh when the CPU
 *     is brought up;
 *   - threads on klp_exiting. A thread that exits loses its PID before it leaves the
 *     CPU for good, and can be preempted or sleep in between. klp_sched_out() puts
 *     each thread that leaves a CPU with exit_state set on that list, whether or not
 *     a look is under way, and takes it off when it leaves the CPU as TASK_DEAD;
 *   - threads that have a PID. A thread that has none and does not exit is being
 *     created and has not run yet, so that only the return path of fork() is on its
 *     stack. A thread whose PID changes is in exec(), and so runs after (1).
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
#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/rcupdate_wait.h>
#include <linux/rethook.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include <asm/sections.h>
#include "hold.h"
#include "look.h"
#include "patch.h"
#include "registrar.h"

/* The look that is under way, or NULL. Read by the scheduler on each switch. */
struct klp_look __rcu *klp_looking;

/*
 * The bit is part of task_struct.patch_state: a task is inside if that is
 * KLP_TRANSITION_UNPATCHED or KLP_TRANSITION_PATCHED. Of a thread that is on
 * klp_exiting it also says that, by one of these values.
 */
#define KLP_EXITING		(KLP_TRANSITION_IDLE - 1)
#define KLP_EXITING_INSIDE	(KLP_TRANSITION_IDLE - 2)

/* How many tasks are inside. */
static atomic_t klp_nr_inside;

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

static void klp_seen_add(struct task_struct *task, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(klp_seen); i++) {
		if (!cmpxchg(&klp_seen[i].task, NULL, task)) {
			WRITE_ONCE(klp_seen[i].addr, addr);
			break;
		}
	}
}

static void klp_seen_remove(const struct task_struct *task)
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

static bool klp_is_inside(const struct task_struct *task)
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

/* Set the bit of a task if @addr is not 0, else clear it. */
static void klp_set_inside(struct task_struct *task, unsigned long addr, int state)
{
	bool inside = addr;

	if (klp_is_inside(task) == inside)
		return;

	if (inside)
		klp_seen_add(task, addr);
	else
		klp_seen_remove(task);
	klp_set_state(task, klp_is_listed(task), inside, state);
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
	const unsigned long *word = (void *)klp_task_sp(task);
	const unsigned long *end = (void *)task_pt_regs(task);
	unsigned long addr;

	for (; word < end; word++) {
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

/* Threads that exit */

static LIST_HEAD(klp_exiting);
static DEFINE_RAW_SPINLOCK(klp_exiting_lock);

/*
 * A thread with exit_state set leaves a CPU. When it is on the list it stays there
 * until it leaves a CPU for the last time.
 */
static void klp_exit_sched_out(struct task_struct *task, bool dead)
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

	klp_set_state(task, !dead, klp_is_inside(task), KLP_TRANSITION_UNPATCHED);
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
		klp_exit_sched_out(current, dead);

	look = rcu_dereference_sched(klp_looking);
	if (look && !dead)
		addr = klp_look_find(look, current);
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

static void klp_visit_task(struct klp_look *look, struct task_struct *task)
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

static void klp_visit_idle(struct klp_look *look)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		klp_visit_task(cpu_online(cpu) ? look : NULL, idle_task(cpu));
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

static void klp_visit_exiting(struct klp_look *look)
{
	struct task_struct *task;
	LIST_HEAD(list);

	raw_spin_lock_irq(&klp_exiting_lock);
	list_splice_init(&klp_exiting, &list);
	raw_spin_unlock_irq(&klp_exiting_lock);

	while ((task = klp_next_exiting(&list))) {
		klp_visit_task(look, task);
		put_task_struct(task);
		cond_resched();
	}
}

static bool klp_is_any(const struct task_struct *task)
{
	return true;
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
 * klp_look_threads() - the part of klp_look_all() that is about threads with a PID
 * @look:	see klp_look_all()
 *
 * Context: Process context, may sleep.
 */
void klp_look_threads(struct klp_look *look)
{
	struct task_struct *task;
	int nr = 1;

	KUNIT_STATIC_STUB_REDIRECT(klp_look_threads, look);

	while ((task = klp_next_thread(&nr, klp_is_any))) {
		klp_visit_task(look, task);
		put_task_struct(task);
		cond_resched();
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
	lockdep_assert_held(&klp_mutex);
	lockdep_assert_cpus_held();

	/* First, see above. */
	klp_visit_idle(look);
	klp_visit_exiting(look);
	klp_look_threads(look);
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
	struct task_struct *task;
	int nr = 1;

	while (!klp_look_clear() && (task = klp_next_thread(&nr, klp_is_inside))) {
		task_call_func(task, klp_visit_inside_locked, NULL);
		visit(task);
		put_task_struct(task);
		cond_resched();
	}
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

/* The report */

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
	/* Pairs with klp_seen_remove(). */
	task = smp_load_acquire(&seen->task);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();

	return task;
}

/**
 * klp_look_blockers() - which tasks are inside?
 * @blockers:	filled in with what is known of them
 *
 * Context: Process context, may sleep.
 */
void klp_look_blockers(struct klp_blockers *blockers)
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

	blockers->nr = max_t(unsigned int, atomic_read(&klp_nr_inside),
			     blockers->nr_known);
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
	for (tries = 0; tries < KLP_INIT_TRIES && !klp_is_inside(current); tries++)
		schedule_timeout_uninterruptible(1);
	klp_look_stop();
	klp_look_works = klp_is_inside(current);
	/* The look is freed with the rest of init memory. */
	synchronize_rcu();
	klp_look_forget();
	mutex_unlock(&klp_mutex);

	if (!klp_look_works)
		pr_err("the scheduler does not tell which tasks leave a CPU\n");

	return klp_look_works ? 0 : -ENODEV;
}
late_initcall(klp_look_init);

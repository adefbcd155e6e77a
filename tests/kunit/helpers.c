// SPDX-License-Identifier: GPL-2.0
/* Patches that are made without a module, and tasks for the tests. */

#include <linux/delay.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/preempt.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/sync_core.h>
#include <asm/text-patching.h>
#include "../ladder.h"
#include "../patch.h"
#include "../switch.h"
#include "../target.h"
#include "../transition.h"
#include "helpers.h"

/* A test that has failed may leave its patch enabled; the next ones go on. */
static void lpt_give_up(void *data)
{
	struct lpt_patch *p = data;

	klp_wait = false;
	mutex_lock(&klp_mutex);
	if (klp_transition_patch == &p->patch)
		klp_transition_reverse();
	if (p->patch.enabled && klp_transition_disable(&p->patch))
		pr_err("patch '%s' stays\n", p->mod.name);
	mutex_unlock(&klp_mutex);

	if (p->patch.free_work.func)
		flush_work(&p->patch.free_work);
}

struct lpt_patch *lpt_patch(struct kunit *test, const char *name)
{
	struct lpt_patch *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, lpt_give_up, p), 0);
	strscpy(p->mod.name, name, sizeof(p->mod.name));
	p->mod.state = MODULE_STATE_LIVE;
	p->mod.klp = true;
	p->mod.klp_info = &p->info;
	atomic_set(&p->mod.refcnt, 1);
	p->objs[0].funcs = p->funcs;
	p->patch.mod = &p->mod;
	p->patch.objs = p->objs;
	return p;
}

void lpt_replace(struct lpt_patch *p, const char *old_name, void *new_func)
{
	p->funcs[p->nr_funcs++] = (struct klp_func){
		.old_name = old_name,
		.new_func = new_func,
	};
}

int lpt_enable(struct lpt_patch *p)
{
	return klp_enable_patch(&p->patch);
}

int lpt_disable(struct lpt_patch *p)
{
	int ret;

	mutex_lock(&klp_mutex);
	ret = klp_transition_disable(&p->patch);
	/* What stands in for the memory of the module is known to the current task. */
	if (!ret)
		p->patch.waiter = current;
	mutex_unlock(&klp_mutex);

	/* After this the patch is not referenced any more. */
	if (!ret)
		flush_work(&p->patch.free_work);
	return ret;
}

int lpt_refs(struct lpt_patch *p)
{
	return atomic_read(&p->mod.refcnt) - 1;
}

bool lpt_in_sysfs(const char *patch)
{
	struct kernfs_node *dir, *node = NULL;

	dir = kernfs_find_and_get(kernel_kobj->sd, "livepatch");
	if (dir)
		node = kernfs_find_and_get(dir, patch);
	kernfs_put(node);
	kernfs_put(dir);
	return node;
}

void lpt_snapshot(struct lpt_snapshot *snap, void *func)
{
	snap->func = func;
	memcpy(snap->text, func, LPT_TEXT);
}

static void lpt_sync_cpu(void *unused)
{
	sync_core();
}

/* After text was written that CPUs may have decoded already. */
void lpt_sync_cpus(void)
{
	on_each_cpu(lpt_sync_cpu, NULL, true);
}

/* Put the text of a function back, as when a module is loaded again. */
void lpt_restore(const struct lpt_snapshot *snap)
{
	mutex_lock(&text_mutex);
	text_poke(snap->func, snap->text, LPT_TEXT);
	lpt_sync_cpus();
	mutex_unlock(&text_mutex);
}

void lpt_wait_transition(void)
{
	bool waits;

	do {
		schedule_timeout_uninterruptible(1);
		/* With the lock, as it is over before all is given back. */
		mutex_lock(&klp_mutex);
		waits = klp_transition_patch;
		mutex_unlock(&klp_mutex);
	} while (waits);
}

void lpt_expect_unchanged(struct kunit *test, const struct lpt_snapshot *snap)
{
	KUNIT_EXPECT_MEMEQ(test, snap->func, snap->text, LPT_TEXT);
}

void lpt_expect_gone(struct kunit *test, struct lpt_patch *p)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, lpt_refs(p), 0);
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs(p->mod.name));
	KUNIT_EXPECT_FALSE(test, p->patch.enabled);

	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_TRUE(test, list_empty(&klp_patches));
	KUNIT_EXPECT_NULL(test, klp_transition_patch);
	for (i = 0; i < p->nr_funcs; i++) {
		KUNIT_EXPECT_FALSE(test, p->funcs[i].patched);
		KUNIT_EXPECT_FALSE(test, p->funcs[i].transition);
		KUNIT_EXPECT_NULL(test, p->funcs[i].target);
		KUNIT_EXPECT_NULL(test, klp_target_find(p->funcs[i].old_func));
	}
	mutex_unlock(&klp_mutex);
}

static int lpt_parked_fn(void *data)
{
	struct lpt_parked *parked = data;

	parked->result = parked->func(&parked->park);
	return 0;
}

/* Wait until a thread that is on its way to sleep is asleep. */
void lpt_wait_asleep(struct task_struct *task)
{
	while (!wait_task_inactive(task, TASK_UNINTERRUPTIBLE))
		schedule_timeout_uninterruptible(1);
}

static bool lpt_is_inside(struct task_struct *task, void *func)
{
	unsigned long start = (unsigned long)func;
	unsigned long frames[16];
	unsigned int i, nr;

	nr = stack_trace_save_tsk(task, frames, ARRAY_SIZE(frames), 0);
	for (i = 0; i < nr; i++) {
		if (frames[i] > start && frames[i] < start + 64)
			return true;
	}
	return false;
}

/* Wait until a thread sleeps in a function. */
void lpt_wait_inside(struct task_struct *task, void *func)
{
	do {
		lpt_wait_asleep(task);
	} while (!lpt_is_inside(task, func));
}

void lpt_park_in(struct kunit *test, struct lpt_parked *parked,
		 int (*func)(struct lpt_park *park))
{
	init_completion(&parked->park.parked);
	init_completion(&parked->park.leave);
	parked->func = func;
	parked->task = kthread_create(lpt_parked_fn, parked, "lpt_parked");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, parked->task);
	get_task_struct(parked->task);
	wake_up_process(parked->task);
	wait_for_completion(&parked->park.parked);
	lpt_wait_asleep(parked->task);
}

int lpt_unpark(struct lpt_parked *parked)
{
	complete(&parked->park.leave);
	kthread_stop(parked->task);
	put_task_struct(parked->task);
	return parked->result;
}

/* Wait until a thread has left its CPU for the last time, and put it. */
void lpt_wait_dead(struct task_struct *task)
{
	while (READ_ONCE(task->stack))
		schedule_timeout_uninterruptible(1);
	put_task_struct(task);
}

struct elsewhere {
	int (*fn)(void *data);
	void *data;
	int ret;
	struct completion done;
};

static int elsewhere_fn(void *data)
{
	struct elsewhere *elsewhere = data;

	elsewhere->ret = elsewhere->fn(elsewhere->data);
	complete(&elsewhere->done);
	return 0;
}

/* Call a function in another thread, as locks are held here. Return: what it does. */
int lpt_call_elsewhere(struct kunit *test, int (*fn)(void *data), void *data)
{
	struct elsewhere elsewhere = { .fn = fn, .data = data };
	struct task_struct *task;

	init_completion(&elsewhere.done);
	task = kthread_create(elsewhere_fn, &elsewhere, "lpt_elsewhere");
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, task);
	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&elsewhere.done);
	kthread_stop(task);
	put_task_struct(task);
	return elsewhere.ret;
}

/* A set of edits that wants its text to be idle. Return: the set, or NULL. */
struct klp_switch *lpt_switch_alloc(const char *name)
{
	return klp_switch_alloc(name, "test", KLP_SWITCH_IDLE);
}

static int attempt(struct klp_switch *sw, const struct klp_rung *rung)
{
	int ret;

	mutex_lock(&klp_mutex);
	ret = klp_switch_run(sw, rung);
	mutex_unlock(&klp_mutex);
	return ret;
}

/* The first attempt only. */
int lpt_switch_once(struct klp_switch *sw)
{
	struct klp_rung rung;

	klp_ladder_rung(0, &rung);
	return attempt(sw, &rung);
}

/* Attempt a switch as a transition does. Return: its error. */
int lpt_switch_run(struct klp_switch *sw)
{
	struct klp_rung rung;
	unsigned int nr = 0;
	int ret;

	do {
		klp_ladder_rung(nr++, &rung);
		ret = attempt(sw, &rung);
		fsleep(rung.pause_ms * USEC_PER_MSEC);
	} while (ret == -EBUSY && nr < klp_ladder_length());

	return ret;
}

/* For klp_threads_visit(), so that no thread is found by its PID. */
void lpt_no_threads(bool (*is)(const struct task_struct *task),
		    void (*visit)(struct task_struct *task, void *data),
		    void *data)
{
}

#ifdef CONFIG_KPROBES
/* The kprobe that is known at an address can be one that stands for others. */
void lpt_set_gone(void *addr, bool gone)
{
	struct kprobe *kp;

	preempt_disable();
	kp = get_kprobe(addr);
	if (gone)
		kp->flags |= KPROBE_FLAG_GONE;
	else
		kp->flags &= ~KPROBE_FLAG_GONE;
	preempt_enable();
}
#endif

/* Where a function calls another one, or jumps to it. */
unsigned long lpt_find_call(struct kunit *test, void *caller, void *target)
{
	unsigned long addr, size, offset;

	KUNIT_ASSERT_TRUE(test, kallsyms_lookup_size_offset((unsigned long)caller,
							    &size, &offset));
	for (addr = (unsigned long)caller;
	     addr + KLP_SITE_SIZE <= (unsigned long)caller + size; addr++) {
		if (klp_call_target(addr) == target)
			return addr;
	}
	KUNIT_FAIL_AND_ABORT(test, "%pS does not call %pS", caller, target);
	return 0;
}

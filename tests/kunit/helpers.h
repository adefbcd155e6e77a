/* SPDX-License-Identifier: GPL-2.0 */
/* Patches that are made without a module, and tasks for the tests. */
#ifndef _LIVEPATCH_TESTS_HELPERS_H
#define _LIVEPATCH_TESTS_HELPERS_H

#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include "functions.h"

#define LPT_MAX_FUNCS	4

/**
 * struct lpt_patch - a patch and what stands in for its module
 * @mod:	a module that has a name, a state and a reference count
 * @info:	its file, in which there are no sections
 * @patch:	the patch
 * @objs:	one object, vmlinux, and the end
 * @funcs:	its functions, and the end
 * @nr_funcs:	how many there are
 */
struct lpt_patch {
	struct module mod;
	struct klp_modinfo info;
	struct klp_patch patch;
	struct klp_object objs[2];
	struct klp_func funcs[LPT_MAX_FUNCS + 1];
	unsigned int nr_funcs;
};

struct lpt_patch *lpt_patch(struct kunit *test, const char *name);
void lpt_replace(struct lpt_patch *p, const char *old_name, void *new_func);
int lpt_enable(struct lpt_patch *p);
int lpt_disable(struct lpt_patch *p);
int lpt_refs(struct lpt_patch *p);
bool lpt_in_sysfs(const char *patch);
void lpt_wait_dead(struct task_struct *task);
int lpt_call_elsewhere(struct kunit *test, int (*fn)(void *data), void *data);
struct klp_switch *lpt_switch_alloc(const char *name);
int lpt_switch_once(struct klp_switch *sw);
int lpt_switch_run(struct klp_switch *sw);
void lpt_no_threads(bool (*is)(const struct task_struct *task),
		    void (*visit)(struct task_struct *task, void *data),
		    void *data);
#ifdef CONFIG_KPROBES
void lpt_set_gone(void *addr, bool gone);
#endif
unsigned long lpt_find_call(struct kunit *test, void *caller, void *target);

#define LPT_TEXT	16

/**
 * struct lpt_snapshot - what a failure must leave alone
 * @func:	a function
 * @text:	its first bytes
 */
struct lpt_snapshot {
	void *func;
	u8 text[LPT_TEXT];
};

void lpt_snapshot(struct lpt_snapshot *snap, void *func);
void lpt_sync_cpus(void);
void lpt_restore(const struct lpt_snapshot *snap);
void lpt_wait_transition(void);
void lpt_expect_unchanged(struct kunit *test, const struct lpt_snapshot *snap);
void lpt_expect_gone(struct kunit *test, struct lpt_patch *p);

/*
 * A test must not end before it has called lpt_unpark(), so no KUNIT_ASSERT in
 * between.
 */

/**
 * struct lpt_parked - a kernel thread that sleeps where it was told to
 * @park:	where
 * @func:	what it calls to get there
 * @task:	the thread
 * @result:	what @func returned, after lpt_unpark()
 */
struct lpt_parked {
	struct lpt_park park;
	int (*func)(struct lpt_park *park);
	struct task_struct *task;
	int result;
};

void lpt_wait_asleep(struct task_struct *task);
void lpt_wait_inside(struct task_struct *task, void *func);
void lpt_park_in(struct kunit *test, struct lpt_parked *parked,
		 int (*func)(struct lpt_park *park));
int lpt_unpark(struct lpt_parked *parked);

#endif /* _LIVEPATCH_TESTS_HELPERS_H */

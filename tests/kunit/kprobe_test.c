// SPDX-License-Identifier: GPL-2.0
/* A function is patched, or probed, but not both. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <asm/livepatch.h>
#include "../guard.h"
#include "../look.h"
#include "../patch.h"
#include "../switch.h"
#include "helpers.h"

#ifdef CONFIG_KPROBES

static int hits;

static int count_hit(struct kprobe *kp, struct pt_regs *regs)
{
	hits++;
	return 0;
}

/* Register a probe, which counts, and unregister it. Return: the error. */
static int try_probe(void *addr)
{
	struct kprobe kp = { .addr = addr, .pre_handler = count_hit };
	int ret = register_kprobe(&kp);

	if (!ret)
		unregister_kprobe(&kp);
	return ret;
}

static void expect_probed(struct kunit *test, void *addr, int err)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct kprobe kp = { .addr = addr, .pre_handler = count_hit };
	struct lpt_snapshot snap;

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_has_cold", lpt_sleeper_new);

	KUNIT_ASSERT_EQ_MSG(test, register_kprobe(&kp), 0, "%pS", addr);
	lpt_snapshot(&snap, lpt_has_cold);
	KUNIT_EXPECT_EQ_MSG(test, lpt_enable(p), err, "%pS", addr);
	if (err) {
		lpt_expect_unchanged(test, &snap);
		lpt_expect_gone(test, p);
	} else {
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	}

	/* A probe that is disabled can be enabled at any time. */
	KUNIT_EXPECT_EQ(test, disable_kprobe(&kp), 0);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), err);
	if (!err)
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);

	unregister_kprobe(&kp);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static void kprobe_at_entry(struct kunit *test)
{
	struct klp_site site;

	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_has_cold, 64));
	expect_probed(test, (void *)site.addr, -EBUSY);
}

static void kprobe_in_cold(struct kunit *test)
{
	void *addr = (void *)kallsyms_lookup_name("lpt_has_cold.cold");

	KUNIT_ASSERT_NOT_NULL(test, addr);
	expect_probed(test, addr,
		      IS_ENABLED(CONFIG_LIVEPATCH_RESTRICT_KPROBE) ? -EBUSY : 0);
}

static void kprobe_elsewhere(struct kunit *test)
{
	expect_probed(test, lpt_two, 0);
}

/* The probe that is known there can be one that stands for others. */
static void set_gone(void *addr, bool gone)
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

/* What is left of a probe, at an address where there is other text by now. */
static void kprobe_remnant(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct kprobe kp = { .pre_handler = count_hit };
	struct klp_site site;

	lpt_replace(p, "lpt_one", lpt_one_new);
	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_one, 64));
	kp.addr = (void *)site.addr;
	KUNIT_ASSERT_EQ(test, register_kprobe(&kp), 0);
	KUNIT_EXPECT_EQ(test, disable_kprobe(&kp), 0);

	set_gone(kp.addr, true);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EBUSY);
	set_gone(kp.addr, false);

	unregister_kprobe(&kp);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static void kprobe_refused_while_patched(struct kunit *test)
{
	void *cold = (void *)kallsyms_lookup_name("lpt_has_cold.cold");
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct klp_site site;
	unsigned int i;

	lpt_replace(p, "lpt_has_cold", lpt_sleeper_new);
	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_has_cold, 64));
	KUNIT_ASSERT_NOT_NULL(test, cold);

	KUNIT_EXPECT_EQ(test, try_probe((void *)site.addr), 0);
	KUNIT_EXPECT_EQ(test, try_probe(cold), 0);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	/* Also in what the jump leaves of the last instruction. */
	KUNIT_EXPECT_GT(test, site.insns, KLP_SITE_SIZE);
	for (i = 0; i < site.insns; i++)
		KUNIT_EXPECT_EQ(test, try_probe((void *)site.addr + i), -EINVAL);
	if (IS_ENABLED(CONFIG_LIVEPATCH_RESTRICT_KPROBE)) {
		KUNIT_EXPECT_EQ(test, try_probe(cold), -EINVAL);
		KUNIT_EXPECT_EQ(test, try_probe(lpt_has_cold), -EINVAL);
	}
	KUNIT_EXPECT_EQ(test, try_probe(lpt_one), 0);
	KUNIT_ASSERT_EQ(test, lpt_disable(p), 0);

	KUNIT_EXPECT_EQ(test, try_probe((void *)site.addr), 0);
	KUNIT_EXPECT_EQ(test, try_probe(cold), 0);
}

static struct kprobe late_probe;

static int register_late(void *data)
{
	return register_kprobe(&late_probe);
}

/* Look at all tasks, and then a probe is there. */
static void look_and_probe(struct klp_look *look)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, klp_look_all);
	klp_look_all(look);
	late_probe = (struct kprobe){
		.addr = (void *)lpt_one,
		.pre_handler = count_hit,
	};
	KUNIT_EXPECT_EQ(test, lpt_call_elsewhere(test, register_late, NULL), 0);
}

/* A probe is found that was not there when a switch began. */
static void kprobe_in_prescan(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_kprobe");

	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, klp_ranges_add(&sw->unprobed,
					     (unsigned long)lpt_one, 16), 0);
	KUNIT_EXPECT_EQ(test, lpt_switch_run(sw), 0);
	KUNIT_EXPECT_EQ(test, sw->probe, 0);
	kunit_activate_static_stub(test, klp_look_all, look_and_probe);
	KUNIT_EXPECT_EQ(test, lpt_switch_run(sw), -EBUSY);
	KUNIT_EXPECT_EQ(test, sw->probe, (unsigned long)late_probe.addr);
	unregister_kprobe(&late_probe);
	klp_switch_free(sw);
}

static int register_fn(void *data)
{
	return try_probe(data);
}

static int hold_text_mutex(struct lpt_park *park)
{
	mutex_lock(&text_mutex);
	lpt_park(park);
	mutex_unlock(&text_mutex);
	return 0;
}

/*
 * A task is about to set a probe: register_kprobe() has asked whether it may, and waits
 * for text_mutex.
 */
static struct task_struct *start_registrar(struct kunit *test)
{
	struct task_struct *task;

	task = kthread_create(register_fn, lpt_two, "lpt_registrar");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	lpt_wait_asleep(task);
	return task;
}

static void stop_registrar(struct kunit *test, struct task_struct *task)
{
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 0);
	put_task_struct(task);
}

static void look_at_all(struct klp_look *look)
{
	cpus_read_lock();
	klp_look_all(look);
	cpus_read_unlock();
}

/* What a look finds of a task that asks before or after it begins. */
static void expect_registrar(struct kunit *test, bool before, int state)
{
	struct klp_look look = {};
	struct task_struct *task;
	struct lpt_parked holder;

	KUNIT_EXPECT_EQ(test, klp_guard_add_registrars(&look.registrars), 0);
	klp_ranges_sort(&look.registrars);
	lpt_park_in(test, &holder, hold_text_mutex);
	mutex_lock(&klp_mutex);

	if (before)
		task = start_registrar(test);
	klp_look_start(&look);
	if (!before)
		task = start_registrar(test);
	look_at_all(&look);
	KUNIT_EXPECT_EQ(test, READ_ONCE(task->patch_state), state);
	KUNIT_EXPECT_EQ(test, klp_look_clear(), !before);

	lpt_unpark(&holder);
	stop_registrar(test, task);
	look_at_all(&look);
	KUNIT_EXPECT_TRUE(test, klp_look_clear());
	klp_look_stop();
	mutex_unlock(&klp_mutex);
	synchronize_rcu();
	klp_ranges_free(&look.registrars);
}

/*
 * A task that asked before a look blocks it, whatever it wants to probe, and one that
 * has asked since does not.
 */
static void kprobe_registrar(struct kunit *test)
{
	expect_registrar(test, true, KLP_TRANSITION_UNPATCHED);
	expect_registrar(test, false, KLP_TRANSITION_IDLE);
}

/* Probes work on what was patched before. */
static void kprobe_hits_again(struct kunit *test)
{
	struct kprobe kp = { .addr = (void *)lpt_one, .pre_handler = count_hit };
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	lpt_replace(p, "lpt_one", lpt_one_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_ASSERT_EQ(test, lpt_disable(p), 0);

	hits = 0;
	KUNIT_ASSERT_EQ(test, register_kprobe(&kp), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	unregister_kprobe(&kp);
	KUNIT_EXPECT_EQ(test, hits, 1);
}

static struct kunit_case kprobe_cases[] = {
	KUNIT_CASE(kprobe_at_entry),
	KUNIT_CASE(kprobe_in_cold),
	KUNIT_CASE(kprobe_elsewhere),
	KUNIT_CASE_SLOW(kprobe_remnant),
	KUNIT_CASE(kprobe_refused_while_patched),
	KUNIT_CASE_SLOW(kprobe_in_prescan),
	KUNIT_CASE_SLOW(kprobe_registrar),
	KUNIT_CASE(kprobe_hits_again),
	{}
};

/* What a probe made of the text is put back some time after it is gone. */
static void kprobe_exit(struct kunit *test)
{
	wait_for_kprobe_optimizer();
}

static struct kunit_suite kprobe_suite = {
	.name = "livepatch_kprobe",
	.exit = kprobe_exit,
	.test_cases = kprobe_cases,
};

kunit_test_suite(kprobe_suite);

#endif /* CONFIG_KPROBES */

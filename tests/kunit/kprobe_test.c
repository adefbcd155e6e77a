// SPDX-License-Identifier: GPL-2.0
/* A function that has a kprobe is not patched, and the other way round. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/hw_breakpoint.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/perf_event.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <asm/insn.h>
#include <asm/livepatch.h>
#include "../kprobe.h"
#include "../look.h"
#include "../patch.h"
#include "../registrar.h"
#include "../switch.h"
#include "../symbol.h"
#include "../tasks.h"
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

	lpt_set_gone(kp.addr, true);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EBUSY);
	lpt_set_gone(kp.addr, false);

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

/*
 * Kprobes do not see a branch that the jump hides, and would write their own jump over
 * what it leads to.
 */
static void kprobe_hidden_branch(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	unsigned int i;
	int other;

	lpt_replace(p, "lpt_hides", lpt_sleeper_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	for (i = 1; i <= KLP_SITE_SIZE; i++)
		KUNIT_EXPECT_EQ(test, try_probe(lpt_hidden - i), -EINVAL);
	/* Elsewhere the only reason is that the function is patched. */
	other = IS_ENABLED(CONFIG_LIVEPATCH_RESTRICT_KPROBE) ? -EINVAL : 0;
	KUNIT_EXPECT_EQ(test, try_probe(lpt_hidden), other);
	KUNIT_EXPECT_EQ(test, try_probe(lpt_hidden - KLP_SITE_SIZE - 1), other);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

#define LPT_SHIFTS_SIZE	20

/* Kprobes decode what is behind the jump, and take other bytes for instructions. */
static void kprobe_between_instructions(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	DECLARE_BITMAP(begins, LPT_SHIFTS_SIZE) = {};
	struct klp_site site;
	struct insn insn;
	unsigned int i;

	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_shifts, 64));
	for (i = 0; i < LPT_SHIFTS_SIZE; i += insn.length) {
		__set_bit(i, begins);
		KUNIT_ASSERT_EQ(test, insn_decode_kernel(&insn, (void *)site.addr + i), 0);
	}

	lpt_replace(p, "lpt_shifts", lpt_sleeper_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	for (i = 0; i < LPT_SHIFTS_SIZE; i++) {
		if (!test_bit(i, begins))
			KUNIT_EXPECT_NE_MSG(test, try_probe((void *)site.addr + i), 0,
					    "%u", i);
	}
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* With ftrace a kprobe at the entry is in front of the site, and is hit as before. */
static void kprobe_in_front(struct kunit *test)
{
	struct kprobe kp = { .addr = (void *)lpt_one, .pre_handler = count_hit };
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	unsigned int i;

	if (!IS_ENABLED(CONFIG_KPROBES_ON_FTRACE))
		kunit_skip(test, "without ftrace the site is at the entry");

	lpt_replace(p, "lpt_one", lpt_one_new);
	/* The probe first, and then the patch. */
	for (i = 0; i < 2; i++) {
		if (i)
			KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
		hits = 0;
		KUNIT_EXPECT_EQ(test, register_kprobe(&kp), 0);
		if (!i)
			KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
		KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
		KUNIT_EXPECT_EQ(test, hits, 1);
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
		KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
		KUNIT_EXPECT_EQ(test, hits, 2);
		unregister_kprobe(&kp);
		kp.flags = 0;
		lpt_expect_gone(test, p);
	}
}

static bool is_optimized(void *addr)
{
	const struct kprobe *kp;
	bool optimized;

	preempt_disable();
	kp = get_kprobe(addr);
	optimized = kp && (kp->flags & KPROBE_FLAG_OPTIMIZED);
	preempt_enable();

	return optimized;
}

/* What is left of it is a jump that nothing needs. */
static void set_and_remove(struct kunit *test, const struct klp_site *site)
{
	struct kprobe kp = { .addr = (void *)site->addr, .pre_handler = count_hit };

	KUNIT_ASSERT_EQ(test, register_kprobe(&kp), 0);
	wait_for_kprobe_optimizer();
	KUNIT_EXPECT_TRUE(test, is_optimized(kp.addr));
	unregister_kprobe(&kp);
}

/* A kprobe that was optimised is gone when it has been unregistered. */
static void kprobe_removed(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_kprobe");
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct klp_site site;

	lpt_replace(p, "lpt_busy", lpt_busy_new);
	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_busy, 64));
	/* So that all symbols are known, and it does not take long. */
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	set_and_remove(test, &site);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);

	/* Between two attempts. */
	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, klp_ranges_add(&sw->unprobed, site.addr, site.insns), 0);
	set_and_remove(test, &site);
	KUNIT_EXPECT_EQ(test, lpt_switch_once(sw), 0);
	klp_switch_free(sw);
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

/*
 * Hold text_mutex. The optimizer of kprobes would wait for it with kprobe_mutex held, and
 * then a task waits for that before it asks. What the last tests left to the optimizer is
 * done when it has done something for this one.
 */
static void keep_registrars(struct kunit *test, struct lpt_parked *holder)
{
	struct klp_site site;

	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_busy, 64));
	set_and_remove(test, &site);
	wait_for_kprobe_optimizer();
	lpt_park_in(test, holder, hold_text_mutex);
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

	KUNIT_EXPECT_EQ(test, klp_kprobe_add_registrars(&look.registrars), 0);
	klp_ranges_sort(&look.registrars);
	keep_registrars(test, &holder);
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

static void *no_map(struct klp_edit *edits, unsigned int nr)
{
	return ERR_PTR(-EIO);
}

/* A switch goes no further while such a task is there. */
static void kprobe_registrar_blocks(struct kunit *test)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_kprobe");
	struct task_struct *task;
	struct lpt_parked holder;

	KUNIT_ASSERT_NOT_NULL(test, sw);
	KUNIT_EXPECT_EQ(test, klp_ranges_add(&sw->unprobed, (unsigned long)lpt_one, 16), 0);
	keep_registrars(test, &holder);
	task = start_registrar(test);
	kunit_activate_static_stub(test, klp_edits_map, no_map);
	KUNIT_EXPECT_EQ(test, lpt_switch_once(sw), -EBUSY);
	kunit_deactivate_static_stub(test, klp_edits_map);
	lpt_unpark(&holder);
	stop_registrar(test, task);
	KUNIT_EXPECT_EQ(test, lpt_switch_run(sw), 0);
	klp_switch_free(sw);
}

static DECLARE_COMPLETION(asked);

static noinline int ask_and_spin(void *unused)
{
	within_kprobe_blacklist((unsigned long)lpt_two);
	complete(&asked);
	while (!kthread_should_stop())
		cpu_relax();
	return 0;
}

/* A task that has asked and runs has to be seen before kprobes are searched. */
static void kprobe_registrar_runs(struct kunit *test)
{
	struct klp_look look = {};
	struct task_struct *task;
	unsigned int cpu;

	if (num_online_cpus() == 1)
		kunit_skip(test, "another CPU has to run it");

	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, klp_symbol_text((unsigned long)ask_and_spin,
					      &look.registrars), 0);
	klp_ranges_sort(&look.registrars);
	migrate_disable();
	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	task = kthread_create_on_cpu(ask_and_spin, NULL, cpu, "lpt_spin/%u");
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, task);
	wake_up_process(task);
	wait_for_completion(&asked);
	klp_look_start(&look);
	look_at_all(&look);
	KUNIT_EXPECT_TRUE(test, klp_task_is_inside(task));
	klp_look_stop();
	kthread_stop(task);
	migrate_enable();
	klp_look_forget();
	mutex_unlock(&klp_mutex);
	synchronize_rcu();
	klp_ranges_free(&look.registrars);
}

#ifdef CONFIG_HAVE_HW_BREAKPOINT
static bool has_asked(void)
{
	bool pending;

	mutex_lock(&klp_mutex);
	klp_registrars_begin();
	pending = klp_registrar_pending(current);
	klp_registrars_settled();
	mutex_unlock(&klp_mutex);

	return pending;
}

/* Any user may ask for a hardware breakpoint, so that is not recorded. */
static void kprobe_breakpoint(struct kunit *test)
{
	struct perf_event_attr attr;
	struct perf_event *event;

	hw_breakpoint_init(&attr);
	attr.bp_addr = (unsigned long)lpt_two;
	attr.bp_len = sizeof(long);
	attr.bp_type = HW_BREAKPOINT_X;
	attr.disabled = 1;

	has_asked();
	event = perf_event_create_kernel_counter(&attr, -1, current, NULL, NULL);
	KUNIT_EXPECT_FALSE(test, IS_ERR(event));
	KUNIT_EXPECT_FALSE(test, has_asked());
	if (!IS_ERR(event))
		perf_event_release_kernel(event);

	within_kprobe_blacklist((unsigned long)lpt_two);
	KUNIT_EXPECT_TRUE(test, has_asked());
	KUNIT_EXPECT_FALSE(test, has_asked());
}
#endif

static struct lpt_park *register_park;

/* As register_kprobe(), which has been allowed to set a probe, and has not done so. */
static int lpt_register_kprobe(struct kprobe *kp)
{
	int ret = within_kprobe_blacklist((unsigned long)kp->addr) ? -EINVAL : 0;

	lpt_park(register_park);
	return ret;
}

static int register_and_park(struct lpt_park *park)
{
	struct kprobe kp = { .addr = (void *)lpt_two };

	register_park = park;
	return register_kprobe(&kp);
}

/* register_kprobe() can be patched. A task that is in the patched version counts, too. */
static void kprobe_registrar_patched(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_registrar");
	struct lpt_patch *q = lpt_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_replace(p, "register_kprobe", lpt_register_kprobe);
	lpt_replace(q, "lpt_two", lpt_two_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &parked, register_and_park);
	KUNIT_EXPECT_EQ(test, lpt_enable(q), -EBUSY);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), 0);
	KUNIT_EXPECT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
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
	KUNIT_CASE(kprobe_hidden_branch),
	KUNIT_CASE(kprobe_between_instructions),
	KUNIT_CASE(kprobe_in_front),
	KUNIT_CASE_SLOW(kprobe_removed),
	KUNIT_CASE_SLOW(kprobe_in_prescan),
	KUNIT_CASE_SLOW(kprobe_registrar),
	KUNIT_CASE_SLOW(kprobe_registrar_blocks),
	KUNIT_CASE(kprobe_registrar_runs),
#ifdef CONFIG_HAVE_HW_BREAKPOINT
	KUNIT_CASE(kprobe_breakpoint),
#endif
	KUNIT_CASE_SLOW(kprobe_registrar_patched),
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

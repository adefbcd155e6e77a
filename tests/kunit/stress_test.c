// SPDX-License-Identifier: GPL-2.0
/*
 * Patches are enabled and disabled while other code does everything that could interfere.
 *
 *   klp_kunit.stress_seconds	how long each test takes
 *   klp_kunit.stress_coherent	a CPU sees at once what another writes to text, so it may
 *				execute any number of INT3. That is not so in an emulator
 *				that has a thread for each CPU: if one CPU translates an
 *				INT3 while another overwrites it, the first can execute it
 *				for ever
 *   klp_kunit.stress_seed	determines the order of what is done
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/nmi.h>
#include <linux/prandom.h>
#include <linux/sched/task.h>
#include <linux/static_call.h>
#include <asm/apic.h>
#include <asm/livepatch.h>
#include "../ladder.h"
#include "../patch.h"
#include "../switch.h"
#include "helpers.h"

static unsigned int stress_seconds = 2;
module_param(stress_seconds, uint, 0444);

static bool stress_coherent;
module_param(stress_coherent, bool, 0444);

static unsigned int stress_seed = 1;
module_param(stress_seed, uint, 0444);

/**
 * struct worker - a thread that does something over and over
 * @name:	what it does
 * @round:	does it once
 * @rests:	does it rest about as long as that took?
 * @task:	the thread
 * @rnd:	where its decisions come from
 * @rounds:	how often it was done
 * @refused:	how often it was not possible, as it must be
 * @hits:	how often a probe of its own was hit by itself
 * @optimized:	how often one was a jump
 * @wrong:	how often it came out wrong
 */
struct worker {
	const char *name;
	void (*round)(struct worker *worker);
	bool rests;
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned long rounds;
	unsigned long refused;
	unsigned long hits;
	unsigned long optimized;
	unsigned long wrong;
};

static unsigned int choose(struct worker *worker, unsigned int nr)
{
	return prandom_u32_state(&worker->rnd) % nr;
}

static void must(struct worker *worker, bool holds)
{
	if (!holds)
		worker->wrong++;
}

/* Calling */

static bool result_of_busy(int result)
{
	return result == LPT_OLD || result == LPT_NEW;
}

static bool result_of_one(int result)
{
	return result >= 71 && result <= 73;
}

static void call_round(struct worker *worker)
{
	unsigned int i;

	must(worker, result_of_busy(lpt_busy(3)));
	must(worker, result_of_one(lpt_one(7)));
	/* As in race_test.c: be elsewhere for most of the time. */
	for (i = 0; i < 500; i++)
		barrier();
}

/* Static calls and jump labels */

static void static_call_round(struct worker *worker)
{
	static_call_update(lpt_call, lpt_two);
	must(worker, lpt_calls(7) == 701);
	must(worker, lpt_static_call(7) == 701);
	static_call_update(lpt_call, lpt_one);
	must(worker, result_of_one(lpt_calls(7)));
	must(worker, result_of_one(lpt_static_call(7)));
}

static void jump_label_round(struct worker *worker)
{
	int ret;

	/* This one is not patched, and the other one is now and then. */
	static_branch_enable(&lpt_keys[0]);
	must(worker, lpt_jump_label() == LPT_NEW);
	static_branch_disable(&lpt_keys[0]);
	must(worker, lpt_jump_label() == LPT_OLD);

	static_branch_enable(&lpt_keys[1]);
	ret = lpt_last_label();
	must(worker, ret == LPT_NEW || ret == LPT_NEWER);
	static_branch_disable(&lpt_keys[1]);
	ret = lpt_last_label();
	must(worker, ret == LPT_OLD || ret == LPT_NEWER);
}

/* CPUs */

/* Those that are there and not used. */
static void hotplug_round(struct worker *worker)
{
	unsigned int cpu;

	for_each_present_cpu(cpu) {
		if (cpu_online(cpu))
			continue;
		must(worker, !add_cpu(cpu));
		must(worker, !remove_cpu(cpu));
	}
}

/* NMIs */

static atomic_long_t nmis, nmis_wrong, nmis_trapped;
/* The first byte of lpt_one() that a switch writes. */
static u8 *nmi_site;
static bool nmi_chain;

/* So many NMIs may interrupt one instruction of a CPU, one after the other. */
#define MAX_NMIS_AT_ONCE	16

static DEFINE_PER_CPU(unsigned long, nmi_ip);
static DEFINE_PER_CPU(unsigned int, nmis_at_ip);

/*
 * If each CPU always has another NMI waiting, none executes anything else, and that
 * never ends. Then the CPU sends no other.
 */
static bool is_stuck(const struct pt_regs *regs)
{
	if (this_cpu_read(nmi_ip) != regs->ip) {
		this_cpu_write(nmi_ip, regs->ip);
		this_cpu_write(nmis_at_ip, 0);
	}

	return this_cpu_inc_return(nmis_at_ip) > MAX_NMIS_AT_ONCE;
}

/*
 * A CPU that has an NMI sends the next one to the next CPU, so that they go on while
 * the machine is stopped. The interrupted code can be about to send an interrupt, too,
 * and have written where to, but not yet what.
 */
static void send_next_nmi(void)
{
	unsigned int cpu = cpumask_next(smp_processor_id(), cpu_online_mask);
	bool halves = !x2apic_enabled();
	u32 where = 0;

	if (!READ_ONCE(nmi_chain))
		return;
	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	if (cpu == smp_processor_id())
		return;

	if (halves)
		where = apic_read(APIC_ICR2);
	__apic_send_IPI_mask(cpumask_of(cpu), NMI_VECTOR);
	if (halves)
		apic_write(APIC_ICR2, where);
}

static int call_in_nmi(unsigned int type, struct pt_regs *regs)
{
	bool trapped = READ_ONCE(*nmi_site) == INT3_INSN_OPCODE;
	int called = lpt_calls(7);

	if (!result_of_busy(lpt_busy(3)) || !result_of_one(lpt_one(7)) ||
	    !(result_of_one(called) || called == 701))
		atomic_long_inc(&nmis_wrong);
	atomic_long_inc(&nmis);
	if (trapped)
		atomic_long_inc(&nmis_trapped);
	if (!is_stuck(regs))
		send_next_nmi();

	return NMI_HANDLED;
}

/*
 * Others may come from outside, of who is told when they are welcome: through the
 * port that QEMU has for such things.
 */
#define DEBUG_PORT	0xe9

static int stress_suite_init(struct kunit_suite *suite)
{
	struct klp_site site;
	int ret;

	if (klp_site_init(&site, lpt_one, 64))
		return -EINVAL;
	nmi_site = (u8 *)site.addr;
	ret = register_nmi_handler(NMI_LOCAL, call_in_nmi, 0, "lpt_nmi");
	if (!ret)
		outb('1', DEBUG_PORT);
	return ret;
}

static void stress_suite_exit(struct kunit_suite *suite)
{
	outb('0', DEBUG_PORT);
	/* Those that are on their way. */
	msleep(100);
	unregister_nmi_handler(NMI_LOCAL, "lpt_nmi");
}

/* The next ones when these are over, and everybody has got a little further. */
static void nmi_round(struct worker *worker)
{
	long before = atomic_long_read(&nmis);
	unsigned int i;

	__apic_send_IPI_mask(cpu_online_mask, NMI_VECTOR);
	while (atomic_long_read(&nmis) == before)
		cpu_relax();
	for (i = 0; i < 2000; i++)
		barrier();
}

/* Probes */

#ifdef CONFIG_KPROBES
/**
 * struct probe - a probe of a worker
 * @kp:		the probe
 * @rp:		or this one, which is also hit by the return
 * @worker:	the worker
 */
struct probe {
	struct kprobe kp;
	struct kretprobe rp;
	struct worker *worker;
};

static int probe_hit(struct kprobe *kp, struct pt_regs *regs)
{
	struct probe *probe = container_of(kp, struct probe, kp);

	if (current == probe->worker->task)
		probe->worker->hits++;
	return 0;
}

/* A probe that has one is never made a jump. */
static void probe_passed(struct kprobe *kp, struct pt_regs *regs,
			 unsigned long flags)
{
}

static int probe_returned(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct probe *probe = container_of(get_kretprobe(ri), struct probe, rp);

	if (current == probe->worker->task)
		probe->worker->hits++;
	return 0;
}

/* A function with a probe in it is not patched, and the probe is hit. */
static void expect_hit(struct worker *worker)
{
	unsigned long before = worker->hits;

	must(worker, lpt_busy(3) == LPT_OLD);
	must(worker, worker->hits > before);
}

/* If it is in front of the site the probe is hit in any case. */
static void expect_hit_in_front(struct worker *worker)
{
	unsigned long before = worker->hits;
	int result = lpt_busy(3);

	must(worker, result == LPT_OLD || result == LPT_NEW);
	must(worker, worker->hits > before);
}

static bool is_optimized(void *addr)
{
	const struct kprobe *kp;
	bool optimized;

	preempt_disable();
	kp = get_kprobe(addr);
	optimized = kp && kp->flags & KPROBE_FLAG_OPTIMIZED;
	preempt_enable();

	return optimized;
}

static void kprobe_round(struct worker *worker)
{
	struct probe probe = { .worker = worker };
	struct klp_site site;
	int ret;

	/* That of ftrace is before it, and claimed only together with the rest. */
	klp_site_init(&site, lpt_busy, 64);
	probe.kp.addr = (void *)site.addr;
	probe.kp.pre_handler = probe_hit;
	if (choose(worker, 2))
		probe.kp.post_handler = probe_passed;
	ret = register_kprobe(&probe.kp);
	if (ret) {
		must(worker, ret == -EINVAL);
		worker->refused++;
		return;
	}

	expect_hit(worker);
	/* Sooner or later it becomes a jump, if it can. */
	if (choose(worker, 2)) {
		schedule_timeout_uninterruptible(10);
		wait_for_kprobe_optimizer();
		if (is_optimized(probe.kp.addr))
			worker->optimized++;
		expect_hit(worker);
	}
	if (choose(worker, 2)) {
		must(worker, !disable_kprobe(&probe.kp));
		must(worker, lpt_busy(3) == LPT_OLD);
		if (choose(worker, 2)) {
			must(worker, !enable_kprobe(&probe.kp));
			expect_hit(worker);
		}
	}
	unregister_kprobe(&probe.kp);
}

static void kretprobe_round(struct worker *worker)
{
	struct probe probe = { .worker = worker };
	void (*expect)(struct worker *worker) = expect_hit;
	int ret;

	if (!IS_ENABLED(CONFIG_LIVEPATCH_RESTRICT_KPROBE))
		return;

	/* It is set at the entry, where ftrace handles it if the kernel has that. */
	if (IS_ENABLED(CONFIG_KPROBES_ON_FTRACE))
		expect = expect_hit_in_front;
	probe.rp.kp.symbol_name = "lpt_busy";
	probe.rp.handler = probe_returned;
	/* Those who are in it at the same time, with room to spare. */
	probe.rp.maxactive = 64;
	ret = register_kretprobe(&probe.rp);
	if (ret) {
		must(worker, ret == -EINVAL);
		worker->refused++;
		return;
	}
	expect(worker);
	unregister_kretprobe(&probe.rp);
}

/* With no patch there is nothing against a probe any more. */
static void expect_probed(struct kunit *test)
{
	struct worker worker = {
		.round = kprobe_round,
		.task = current,
	};

	prandom_seed_state(&worker.rnd, stress_seed);
	worker.round(&worker);
	KUNIT_EXPECT_EQ(test, worker.refused, 0);
	KUNIT_EXPECT_EQ(test, worker.wrong, 0);
}

static void stress_settle(void)
{
	wait_for_kprobe_optimizer();
}
#else
static void kprobe_round(struct worker *worker)
{
}

static void kretprobe_round(struct worker *worker)
{
}

static void expect_probed(struct kunit *test)
{
}

static void stress_settle(void)
{
}
#endif

/*
 * Who registers a probe is in the way of every switch, and who brings up a CPU
 * keeps switches and registrars waiting. So that there are switches, too, they
 * rest.
 */
static void rest(struct worker *worker, u64 took)
{
	schedule_timeout_uninterruptible(choose(worker,
						2 * nsecs_to_jiffies(took) + 2));
}

static int work(void *data)
{
	struct worker *worker = data;
	u64 start;

	while (!kthread_should_stop()) {
		start = ktime_get_ns();
		worker->round(worker);
		worker->rounds++;
		if (worker->rests)
			rest(worker, ktime_get_ns() - start);
		/* Or kprobes wait for it when they remove what they optimised. */
		cond_resched_tasks_rcu_qs();
	}
	return 0;
}

/* Switching */

/* A switch that waits for a probe to go meets no others. */
static unsigned int short_ladder(void)
{
	return 6;
}

/**
 * struct side - a patch of which one is sometimes enabled
 * @p:		the patch
 * @one:	what it makes of lpt_one()
 * @busy:	what it makes of lpt_busy(), NULL for nothing
 */
struct side {
	struct lpt_patch *p;
	void *one;
	void *busy;
};

static void side_init(struct kunit *test, struct side *side, const char *name)
{
	side->p = lpt_patch(test, name);
}

static int side_enable(struct side *side, bool replace)
{
	struct lpt_patch *p = side->p;

	memset(p->funcs, 0, sizeof(p->funcs));
	p->nr_funcs = 0;
	lpt_replace(p, "lpt_one", side->one);
	/* It cannot be patched while the kernel boots. */
	if (system_state >= SYSTEM_RUNNING)
		lpt_replace(p, "lpt_last_label", lpt_label_new);
	if (side->busy)
		lpt_replace(p, "lpt_busy", side->busy);
	p->patch.replace = replace;

	return lpt_enable(p);
}

/**
 * struct tally - what switching has come to
 * @switches:	how many were made
 * @refused:	how many were refused, as something was in the way
 * @wrong:	how many ended otherwise
 */
struct tally {
	unsigned long switches;
	unsigned long refused;
	unsigned long wrong;
};

static void count(struct tally *tally, int ret)
{
	if (!ret)
		tally->switches++;
	else if (ret == -EBUSY)
		tally->refused++;
	else
		tally->wrong++;
}

static void switch_round(struct worker *chooser, struct side *sides,
			 struct tally *tally)
{
	struct side *side = &sides[choose(chooser, 2)];
	struct side *other = &sides[side == sides];

	bool replaces;
	int ret;

	if (side->p->patch.enabled) {
		count(tally, lpt_disable(side->p));
		return;
	}

	replaces = choose(chooser, 2) && other->p->patch.enabled;
	ret = side_enable(side, replaces);
	count(tally, ret);
	if (!ret && replaces)
		flush_work(&other->p->patch.free_work);
}

/* Whoever was in the way is not any more. */
static void disable_all(struct kunit *test, struct side *sides)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (sides[i].p->patch.enabled)
			KUNIT_EXPECT_EQ(test, lpt_disable(sides[i].p), 0);
	}
	for (i = 0; i < 2; i++)
		lpt_expect_gone(test, sides[i].p);
}

static void start_worker(struct kunit *test, struct worker *worker,
			 unsigned int i)
{
	prandom_seed_state(&worker->rnd, stress_seed + i);
	worker->task = kthread_create(work, worker, "lpt_%s", worker->name);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, worker->task);
	if (!IS_ERR(worker->task)) {
		get_task_struct(worker->task);
		wake_up_process(worker->task);
	}
}

static void stop_worker(struct kunit *test, struct worker *worker)
{
	if (IS_ERR(worker->task))
		return;
	kthread_stop(worker->task);
	put_task_struct(worker->task);
	kunit_info(test, "%s: %lu rounds, %lu refused, %lu optimised, %lu wrong\n",
		   worker->name, worker->rounds, worker->refused,
		   worker->optimized, worker->wrong);
	KUNIT_EXPECT_GT(test, worker->rounds, 0);
	KUNIT_EXPECT_EQ(test, worker->wrong, 0);
}

static void stress(struct kunit *test, struct worker *workers, unsigned int nr)
{
	struct side sides[2] = {
		{ .one = lpt_one_new, .busy = lpt_busy_new },
		{ .one = lpt_one_newer },
	};
	unsigned long end = jiffies + stress_seconds * HZ;
	struct worker chooser = {};
	struct tally tally = {};
	struct lpt_snapshot one, busy, calls, tail, label;
	unsigned int i;

	side_init(test, &sides[0], "lpt_first");
	side_init(test, &sides[1], "lpt_second");
	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&busy, lpt_busy);
	lpt_snapshot(&calls, lpt_calls);
	lpt_snapshot(&tail, lpt_static_call);
	lpt_snapshot(&label, lpt_last_label);
	kunit_activate_static_stub(test, klp_ladder_length, short_ladder);
	prandom_seed_state(&chooser.rnd, stress_seed);
	atomic_long_set(&nmis, 0);
	atomic_long_set(&nmis_wrong, 0);
	atomic_long_set(&nmis_trapped, 0);

	for (i = 0; i < nr; i++)
		start_worker(test, &workers[i], i + 1);
	while (time_before(jiffies, end) || !tally.switches) {
		switch_round(&chooser, sides, &tally);
		cond_resched();
	}
	for (i = 0; i < nr; i++)
		stop_worker(test, &workers[i]);
	kunit_deactivate_static_stub(test, klp_ladder_length);
	stress_settle();

	kunit_info(test, "seed %u: %lu switches, %lu refused, %lu wrong, %ld NMIs, %ld in a switch, %ld wrong\n",
		   stress_seed, tally.switches, tally.refused, tally.wrong,
		   atomic_long_read(&nmis), atomic_long_read(&nmis_trapped),
		   atomic_long_read(&nmis_wrong));
	KUNIT_EXPECT_EQ(test, tally.wrong, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&nmis_wrong), 0);
	disable_all(test, sides);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &busy);
	lpt_expect_unchanged(test, &calls);
	lpt_expect_unchanged(test, &tail);
	lpt_expect_unchanged(test, &label);
	expect_probed(test);
	stress_settle();
}

#define CALL		{ .name = "call", .round = call_round }
#define STATIC_CALL	{ .name = "static_call", .round = static_call_round }
#define JUMP_LABEL	{ .name = "jump_label", .round = jump_label_round }
#define HOTPLUG		{ .name = "hotplug", .round = hotplug_round, .rests = true }
#define NMI		{ .name = "nmi", .round = nmi_round }
#define KPROBE		{ .name = "kprobe", .round = kprobe_round, .rests = true }
#define KRETPROBE	{ .name = "kretprobe", .round = kretprobe_round, .rests = true }

static void need_coherent(struct kunit *test)
{
	if (!stress_coherent)
		kunit_skip(test, "needs klp_kunit.stress_coherent=1");
}

static void stress_kprobes(struct kunit *test)
{
	struct worker workers[] = { CALL, KPROBE, KRETPROBE };

	if (!IS_ENABLED(CONFIG_KPROBES))
		kunit_skip(test, "there are no kprobes");
	need_coherent(test);
	stress(test, workers, ARRAY_SIZE(workers));
}

static void stress_static_calls(struct kunit *test)
{
	struct worker workers[] = { CALL, STATIC_CALL };

	stress(test, workers, ARRAY_SIZE(workers));
}

static void stress_jump_labels(struct kunit *test)
{
	struct worker workers[] = { CALL, JUMP_LABEL };

	stress(test, workers, ARRAY_SIZE(workers));
}

static void stress_hotplug(struct kunit *test)
{
	struct worker workers[] = { CALL, HOTPLUG };

	if (num_online_cpus() == num_present_cpus())
		kunit_skip(test, "there is no CPU to bring up");
	stress(test, workers, ARRAY_SIZE(workers));
}

static void stress_nmis(struct kunit *test)
{
	struct worker workers[] = { CALL, NMI };
	/* With a single CPU there are only those from outside. */
	bool chain = stress_coherent && num_online_cpus() > 1;

	WRITE_ONCE(nmi_chain, chain);
	stress(test, workers, ARRAY_SIZE(workers));
	WRITE_ONCE(nmi_chain, false);
	KUNIT_EXPECT_GT(test, atomic_long_read(&nmis), 0);
	if (chain)
		KUNIT_EXPECT_GT(test, atomic_long_read(&nmis_trapped), 0);
}

static void stress_everything(struct kunit *test)
{
	struct worker workers[] = {
		CALL, KPROBE, KRETPROBE, STATIC_CALL, JUMP_LABEL, HOTPLUG, NMI,
	};

	need_coherent(test);
	stress(test, workers, ARRAY_SIZE(workers));
}

static struct kunit_case stress_cases[] = {
	KUNIT_CASE_SLOW(stress_kprobes),
	KUNIT_CASE_SLOW(stress_static_calls),
	KUNIT_CASE_SLOW(stress_jump_labels),
	KUNIT_CASE_SLOW(stress_hotplug),
	KUNIT_CASE_SLOW(stress_nmis),
	KUNIT_CASE_SLOW(stress_everything),
	{}
};

static struct kunit_suite stress_suite = {
	.name = "livepatch_stress",
	.suite_init = stress_suite_init,
	.suite_exit = stress_suite_exit,
	.test_cases = stress_cases,
};

kunit_test_suite(stress_suite);

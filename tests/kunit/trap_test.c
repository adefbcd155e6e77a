// SPDX-License-Identifier: GPL-2.0
/*
 * No function may be patched that can run between an INT3 and klp_int3().
 *
 * These functions follow from the text of the kernel at hand: all direct calls and jumps
 * from exc_int3(), and from what they lead to; and the notifiers that are called before
 * klp_int3(), which is the end of it. Parts that the compiler took for unlikely, and
 * functions that report a mistake of the kernel, do not count.
 */

#include <kunit/test.h>
#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/memory.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <asm/livepatch.h>
#include "../guard.h"
#include "../patch.h"

#define MAX_FUNCTIONS	1024

/* Mistakes that are reported, and what only runs if there is one. */
static const char * const reports[] = {
	"__warn", "_printk", "panic", "die", "oops_", "print_", "dump_", "debug_locks_off",
	"show_", "lockdep_print", "lockdep_rcu_suspicious", "add_taint", "report_bug",
	"__stack_chk_fail", "nbcon_cpu_emergency", "kasan_report",
	"kcsan_report",
};

/* What is not on the way to klp_int3(), though the text leads there. */
static const char * const elsewhere[] = {
	"klp_int3",
	/* For hardware breakpoints. Its callees do not run for an INT3. */
	"hw_breakpoint_exceptions_notify",
	/* For breakpoints in user space. */
	"__ct_user_enter", "__ct_user_exit", "arch_exit_to_user_mode", "do_int3_user",
	"exit_to_user_mode", "irqentry_exit_to_user_mode", "irqentry_enter_from_user_mode",
	"rcu_nocb_flush_deferred_wakeup", "switch_fpu_return", "__hrtimer_rearm_deferred",
	/* If no notifier has handled the breakpoint. */
	"fixup_exception", "fixup_vdso_exception", "force_sig",
	/* If a task was preempted as an RCU reader, which a stopper never is. */
	"rcu_read_unlock_special", "irq_work_queue_on", "rcu_preempt_deferred_qs",
	"raise_softirq_irqoff",
	/* For a notifier in a module. klp_int3() was there before. */
	"in_gate_area_no_mm", "is_module_text_address",
	/* Not in an NMI, and a breakpoint in the kernel counts as one. */
	"__rcu_irq_enter_check_tick", "preempt_schedule",
	/* Lockdep is off in an NMI. */
	"__lock_acquire", "__lock_release", "find_held_lock", "mark_held_locks",
	"reacquire_held_locks",
	/* KCSAN waits there, and then not again for some thousand accesses to memory. */
	"__udelay",
	/* If an event is recorded there, see docs/operator.md. */
	"__traceiter_",
};

/* The functions, and in which of the others each was found first. */
static unsigned long functions[MAX_FUNCTIONS];
static unsigned int callers[MAX_FUNCTIONS];
static unsigned int nr_functions, nr_open;

static bool has_prefix_of(const char *name, const char * const *prefixes,
			  unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (str_has_prefix(name, prefixes[i]))
			return true;
	}

	return false;
}

static void add(struct kunit *test, unsigned long addr, unsigned int caller)
{
	unsigned int i;

	for (i = 0; i < nr_functions; i++) {
		if (functions[i] == addr)
			return;
	}
	KUNIT_EXPECT_LT(test, nr_functions, MAX_FUNCTIONS);
	if (nr_functions < MAX_FUNCTIONS) {
		callers[nr_functions] = caller;
		functions[nr_functions++] = addr;
	}
}

static void add_name(struct kunit *test, const char *name)
{
	unsigned long addr = kallsyms_lookup_name(name);

	if (addr)
		add(test, addr, nr_functions);
}

/* The function that an address is in. */
static unsigned long function_of(unsigned long addr, char *name, unsigned long *size)
{
	unsigned long offset;

	if (!kallsyms_lookup_size_offset(addr, size, &offset) ||
	    lookup_symbol_name(addr, name))
		return 0;

	return addr - offset;
}

static void follow(struct kunit *test, unsigned int i)
{
	unsigned long func = functions[i], addr, size, end, to;
	char name[KSYM_NAME_LEN];
	const char *why;
	bool ends;

	if (function_of(func, name, &size) != func)
		return;
	ends = strstr(name, ".cold") ||
	       has_prefix_of(name, reports, ARRAY_SIZE(reports)) ||
	       has_prefix_of(name, elsewhere, ARRAY_SIZE(elsewhere));
	/* A notifier is called, though it may have nothing to do. */
	if (ends && callers[i] != i)
		return;

	if (klp_guard_func(func, &why) != -EPERM) {
		KUNIT_EXPECT_TRUE_MSG(test, false, "%s can be patched, and %pS calls it",
				      name, (void *)functions[callers[i]]);
		nr_open++;
		return;
	}
	if (ends)
		return;

	end = func + size;
	for (addr = func; (to = klp_text_branch(&addr, end));) {
		unsigned long callee_size;

		if (to >= func && to < end)
			continue;
		to = function_of(to, name, &callee_size);
		if (to)
			add(test, to, i);
	}
}

/* The notifiers of a breakpoint up to klp_int3(). */
static void add_notifiers(struct kunit *test)
{
	struct atomic_notifier_head *chain = (void *)kallsyms_lookup_name("die_chain");
	unsigned long last = kallsyms_lookup_name("klp_int3");
	const struct notifier_block *nb;
	unsigned long addr = 0;

	KUNIT_ASSERT_NOT_NULL(test, chain);
	KUNIT_ASSERT_NE(test, last, 0);

	rcu_read_lock();
	for (nb = rcu_dereference(chain->head); nb && addr != last;
	     nb = rcu_dereference(nb->next)) {
		addr = (unsigned long)nb->notifier_call;
		add(test, addr, nr_functions);
	}
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, addr, last);
}

static void trap_path(struct kunit *test)
{
	unsigned int i;

	nr_functions = 0;
	nr_open = 0;
	add_name(test, "exc_int3");
	add_notifiers(test);
	/* Kprobes can be in front as well; tracers set a pointer. */
	add_name(test, "kprobe_exceptions_notify");
	add_name(test, "trace_hwlat_callback");
	add_name(test, "trace_osnoise_callback");

	mutex_lock(&klp_mutex);
	mutex_lock(&text_mutex);
	for (i = 0; i < nr_functions; i++)
		follow(test, i);
	mutex_unlock(&text_mutex);
	mutex_unlock(&klp_mutex);

	kunit_info(test, "%u functions, %u can be patched", nr_functions, nr_open);
	KUNIT_EXPECT_GT(test, nr_functions, 20);
}

static struct kunit_case trap_cases[] = {
	KUNIT_CASE(trap_path),
	{}
};

static struct kunit_suite trap_suite = {
	.name = "livepatch_trap",
	.test_cases = trap_cases,
};

kunit_test_suite(trap_suite);

// SPDX-License-Identifier: GPL-2.0
/*
 * Decide which functions may be patched.
 *
 * A function is refused, and the log gives its name and the reason, if
 *
 *   - it must not contain an INT3 even briefly. That is so for entry and noinstr text,
 *     for the kprobe blacklist, and for functions that run between an INT3 and its
 *     handler klp_int3(): they would trap there again, without end
 *   - the switch itself runs it while the text is written
 *   - a CPU that is offline can be in it. Such a CPU is not stopped, and nothing is
 *     known of its stack
 *   - it is init text, which is freed
 *   - its entry has no room for the jump, or other code uses these bytes, see site.c
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/livepatch.h>
#include <asm/sections.h>
#include "fault.h"
#include "guard.h"
#include "kprobe.h"
#include "patch.h"
#include "site.h"

static bool klp_in_section(unsigned long addr, const char *start,
			   const char *end)
{
	return addr >= (unsigned long)start && addr < (unsigned long)end;
}

static bool klp_in_module_section(unsigned long addr, const char *start,
				  unsigned int size)
{
	return klp_in_section(addr, start, start + size);
}

static bool klp_in_module_blacklist(unsigned long addr,
				    const struct module *mod)
{
#ifdef CONFIG_KPROBES
	unsigned int i;

	for (i = 0; i < mod->num_kprobe_blacklist; i++) {
		if (mod->kprobe_blacklist[i] == addr)
			return true;
	}

	return klp_in_module_section(addr, mod->kprobes_text_start,
				     mod->kprobes_text_size);
#else
	return false;
#endif
}

/*
 * The sections of a module that must not contain a breakpoint. Kprobes know them only
 * after klp_module_coming(), and kernels without kprobes not at all.
 */
static bool klp_in_module_noinstr(unsigned long addr)
{
	const struct module *mod;
	bool found;

	preempt_disable();
	mod = __module_text_address(addr);
	found = mod && (klp_in_module_section(addr, mod->noinstr_text_start,
					      mod->noinstr_text_size) ||
			klp_in_module_blacklist(addr, mod));
	preempt_enable();

	return found;
}

static bool klp_in_noinstr(unsigned long addr)
{
	return klp_in_section(addr, __entry_text_start, __entry_text_end) ||
	       klp_in_section(addr, __noinstr_text_start, __noinstr_text_end) ||
	       klp_in_module_noinstr(addr);
}

/*
 * Functions outside these sections that run between an INT3 and klp_int3(). A test
 * compares this with the calls that the text of the kernel makes, see
 * tests/kunit/trap_test.c.
 */
static const char * const klp_trap_path[] = {
	"do_int3",
	"trace_hwlat_callback",
	"trace_osnoise_callback",
	"trace_clock_local",
	"sched_clock",
	"kprobe_int3_handler",
	"get_kprobe",
	"notify_die",
	"hw_breakpoint_exceptions_notify",
	"atomic_notifier_call_chain",
	"notifier_call_chain",
	"func_ptr_is_kernel_text",
	"kprobe_exceptions_notify",
	"__rcu_read_lock",
	"__rcu_read_unlock",
	"rcu_read_unlock_special",
	"rcu_is_watching",
	"rcu_lockdep_current_cpu_online",
	"debug_lockdep_rcu_enabled",
	"lockdep_rcu_suspicious",
	"lock_acquire",
	"__lock_acquire",
	"lock_release",
	"lock_is_held_type",
	"trace_hardirqs_off_finish",
	"trace_hardirqs_on_prepare",
	"trace_irq_disable",
	"trace_irq_enable",
	"lockdep_hardirqs_on_prepare",
};

/*
 * Functions that the compiler calls from any text, and so from the breakpoint handler:
 * thunks of returns and of indirect calls, and the checks of sanitizers.
 */
static const char * const klp_compiler_prefixes[] = {
	"__x86_indirect_",
	"__x86_return_",
	"call_depth_return_thunk",
	"entry_untrain_ret",
	"its_return_thunk",
	"retbleed_return_thunk",
	"retbleed_untrain_ret",
	"srso_alias_",
	"srso_return_thunk",
	"srso_safe_ret",
	"srso_untrain_ret",
	"zen_untrain_ret",
	"__asan_",
	"__hwasan_",
	"__kasan_",
	"kasan_",
	"__kcsan_",
	"kcsan_",
	"__tsan_",
	"__msan_",
	"kmsan_",
	"__sanitizer_",
	"__ubsan_",
};

/*
 * Functions that the stopper of each CPU is in while the CPUs are stopped. So it is not
 * looked at whether a task is inside.
 */
static const char * const klp_stop_path[] = {
	"cpu_stopper_thread",
	"multi_cpu_stop",
};

/*
 * The functions in which a CPU can be that is offline, beside those that have play_dead in
 * their names: they are called by those. Nothing stops such a CPU while text is written,
 * and some come back to where they were.
 */
static unsigned long klp_offline_path[128] __ro_after_init;
static unsigned int klp_nr_offline_path __ro_after_init;

static bool klp_is_listed_offline(unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < klp_nr_offline_path; i++) {
		if (klp_offline_path[i] == addr)
			return true;
	}

	return false;
}

static bool klp_in_offline_path(unsigned long addr, const char *name)
{
	return klp_is_listed_offline(addr) || strstr(name, "play_dead") ||
	       strstr(name, "_enter_dead");
}

/*
 * Why a function is not to be patched for what it is called, or NULL. Whatever the
 * compiler made of a function has the same name up to the first dot.
 */
static const char *klp_why_kept(unsigned long addr)
{
	static const char handler_runs_it[] = "the breakpoint handler runs it";
	static const char switch_runs_it[] = "the switch itself runs it";
	char name[KSYM_NAME_LEN];
	unsigned int i;

	if (lookup_symbol_name(addr, name))
		return NULL;
	if (klp_in_offline_path(addr, name))
		return "a CPU that is offline can be in it";
	if (!core_kernel_text(addr))
		return NULL;

	name[strcspn(name, ".")] = '\0';
	if (str_has_prefix(name, "klp_"))
		return switch_runs_it;

	for (i = 0; i < ARRAY_SIZE(klp_compiler_prefixes); i++) {
		if (str_has_prefix(name, klp_compiler_prefixes[i]))
			return handler_runs_it;
	}

	if (match_string(klp_trap_path, ARRAY_SIZE(klp_trap_path), name) >= 0)
		return handler_runs_it;
	if (match_string(klp_stop_path, ARRAY_SIZE(klp_stop_path), name) >= 0)
		return switch_runs_it;

	return NULL;
}

/* Why text must not contain a breakpoint, or why it must not be patched, or NULL. */
static const char *klp_why_untouchable(unsigned long addr)
{
	return klp_in_noinstr(addr) ? "it is entry or noinstr text" :
				      klp_why_kept(addr);
}

/**
 * klp_guard_call() - may a call instruction be changed?
 * @addr:	its address
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: true if a breakpoint does no harm there.
 */
bool klp_guard_call(unsigned long addr)
{
	return !klp_why_untouchable(addr) && !klp_kprobe_blacklisted(addr);
}

static bool klp_in_init(unsigned long addr)
{
	struct module *mod;
	bool init;

	if (is_kernel_inittext(addr))
		return true;

	preempt_disable();
	mod = __module_address(addr);
	init = mod && within_module_init(addr, mod);
	preempt_enable();

	return init;
}

static bool klp_in_text(unsigned long addr)
{
	bool text;

	if (core_kernel_text(addr))
		return true;

	preempt_disable();
	text = __module_text_address(addr);
	preempt_enable();

	return text;
}

static int klp_refuse(const char *name, const char *why, int err)
{
	pr_err("function '%s' cannot be patched: %s\n", name, why);
	return err;
}

/**
 * klp_guard_func() - may a function be patched, as far as its address tells?
 * @addr:	its address
 * @why:	set to the reason if it may not, as part of a sentence
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0,
 *	   -ENXIO if it is init text,
 *	   -EINVAL if it is not kernel text,
 *	   -EPERM if it must not contain a breakpoint, if a switch runs it, or if a
 *	   CPU that is offline can be in it.
 */
int klp_guard_func(unsigned long addr, const char **why)
{
	lockdep_assert_held(&klp_mutex);

	if (klp_in_init(addr)) {
		*why = "it is init text";
		return -ENXIO;
	}
	if (!klp_in_text(addr)) {
		*why = "it is not kernel text";
		return -EINVAL;
	}
	*why = klp_why_untouchable(addr);
	if (!*why && klp_kprobe_blacklisted(addr))
		*why = "it is on the kprobe blacklist";

	return *why ? -EPERM : 0;
}

/**
 * klp_guard_replacement() - may a function be replaced by another?
 * @name:	name of the function, for the log
 * @func:	its address
 * @new_func:	address of the other
 *
 * Context: Process context.
 * Return: 0, or, with a line in the log, -EINVAL if the two are the same, or if the
 *	   other is not kernel text, or is init text.
 */
int klp_guard_replacement(const char *name, void *func, void *new_func)
{
	unsigned long addr = (unsigned long)new_func;

	if (new_func == func)
		return klp_refuse(name, "it is its own replacement", -EINVAL);
	if (!klp_in_text(addr))
		return klp_refuse(name, "its replacement is not kernel text",
				  -EINVAL);
	if (klp_in_init(addr))
		return klp_refuse(name, "its replacement is init text", -EINVAL);

	return 0;
}

/**
 * klp_guard_site() - may a function be patched, and where?
 * @name:	its name, for the log
 * @func:	its address
 * @size:	its size in bytes, padding included
 * @text:	all its text, the entry first
 * @site:	filled in
 * @claim:	its ranges are filled in
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes
 *	    cpus_read_lock(), jump_label_lock() and text_mutex.
 * Return: 0, or, with a line in the log that names the function and the reason,
 *	   the errors of klp_guard_func(),
 *	   -ENOSPC if it is too short for the jump, or cannot be decoded,
 *	   -EADDRINUSE if there is a static call, an alternative or a breakpoint in
 *	   the bytes that the jump would take, or in a module or while the kernel
 *	   boots a jump label, or if it is the trampoline of a static call,
 *	   -EBUSY if there is a kprobe in the text that is claimed,
 *	   -ENOMEM, without a line in the log.
 */
int klp_guard_site(const char *name, void *func, unsigned long size,
		   const struct klp_ranges *text, struct klp_site *site,
		   struct klp_claim *claim)
{
	unsigned long probe;
	const char *why;
	int ret;

	ret = klp_guard_func((unsigned long)func, &why);
	if (ret)
		return klp_refuse(name, why, ret);
	ret = klp_fault(-EADDRINUSE);
	if (ret)
		return ret;

	klp_kprobe_settle(text);

	cpus_read_lock();
	jump_label_lock();
	mutex_lock(&text_mutex);

	why = klp_site_init(site, func, size);
	if (why) {
		ret = klp_refuse(name, why, -ENOSPC);
		goto out;
	}

	why = klp_site_labels(site);
	if (why) {
		ret = klp_refuse(name, why, -EADDRINUSE);
		goto out;
	}

	ret = klp_claim_init(claim, site, text);
	if (ret)
		goto out;

	probe = klp_kprobe_find(&claim->ranges);
	if (probe) {
		pr_err("function '%s' cannot be patched: there is a kprobe at %pS\n",
		       name, (void *)probe);
		ret = -EBUSY;
		goto out;
	}

	why = klp_site_shared(site, func);
	if (why)
		ret = klp_refuse(name, why, -EADDRINUSE);
out:
	mutex_unlock(&text_mutex);
	jump_label_unlock();
	cpus_read_unlock();
	return ret;
}

static void __init klp_add_offline(unsigned long addr)
{
	if (klp_is_listed_offline(addr))
		return;

	if (!WARN_ON(klp_nr_offline_path == ARRAY_SIZE(klp_offline_path)))
		klp_offline_path[klp_nr_offline_path++] = addr;
}

/* Idle states for CPUs that are offline are called by their address. */
static int __init klp_add_idle_state(void *unused, const char *name,
				     unsigned long addr)
{
	if ((strstr(name, "_idle_play_dead") || strstr(name, "_enter_dead")) &&
	    core_kernel_text(addr))
		klp_add_offline(addr);
	return 0;
}

static void __init klp_add_callees(unsigned long func)
{
	unsigned long addr = func, size, to;

	if (!kallsyms_lookup_size_offset(func, &size, NULL))
		return;

	while ((to = klp_text_branch(&addr, func + size))) {
		if ((to < func || to >= func + size) && core_kernel_text(to))
			klp_add_offline(to);
	}
}

static int __init klp_guard_init(void)
{
	char name[KSYM_NAME_LEN];
	unsigned int i, nr_roots;

	klp_add_offline((unsigned long)smp_ops.play_dead);
	kallsyms_on_each_symbol(klp_add_idle_state, NULL);
	nr_roots = klp_nr_offline_path;

	mutex_lock(&text_mutex);

	for (i = 0; i < klp_nr_offline_path; i++) {
		if (i < nr_roots || (!lookup_symbol_name(klp_offline_path[i], name) &&
				     strstr(name, "play_dead")))
			klp_add_callees(klp_offline_path[i]);
	}
	mutex_unlock(&text_mutex);

	return 0;
}
late_initcall(klp_guard_init);

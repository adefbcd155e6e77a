// SPDX-License-Identifier: GPL-2.0
/*
 * What may not be patched, and what may not touch what is patched.
 *
 * A function is refused, by name and with the reason, if it cannot hold a
 * breakpoint for a moment, if its entry is written by somebody else as well, or
 * if what has to run while it is switched would run it.
 *
 * In return, the text of a patched function is claimed: register_kprobe() asks
 * arch_within_kprobe_blacklist(), which is ours, and refuses a probe there. A switch
 * first claims the text; then it begins to look at tasks, and a task that is inside
 * register_kprobe() and asked before the claim blocks it, see registrar.c; then it
 * searches the table of kprobes, with text_mutex held.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <linux/static_call.h>
#include <asm/hw_breakpoint.h>
#include <asm/livepatch_compat.h>
#include <asm/sections.h>
#include "fault.h"
#include "guard.h"
#include "patch.h"
#include "registrar.h"
#include "symbol.h"

/* Claims are added and removed under klp_mutex, and read under RCU. */
static LIST_HEAD(klp_claims);

/**
 * klp_guard_add() - make a claim known
 * @claim:	the claim, which refuses new probes whenever it has a @patch, whose
 *		name must stay for a grace period after it was changed
 *
 * Context: Caller holds klp_mutex.
 */
void klp_guard_add(struct klp_claim *claim)
{
	list_add_rcu(&claim->node, &klp_claims);
}

/**
 * klp_guard_remove() - take a claim back for good
 * @claim:	the claim; RCU readers may use it for another grace period
 *
 * Context: Caller holds klp_mutex.
 */
void klp_guard_remove(struct klp_claim *claim)
{
	list_del_rcu(&claim->node);
}

#ifdef CONFIG_KPROBES
/* The task that asks for a patch, not for a probe: claims are no matter to it. */
static struct task_struct *klp_asking;

static bool klp_claims_addr(const struct klp_claim *claim, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < claim->ranges.nr; i++) {
		if (addr >= claim->ranges.range[i].start &&
		    addr < claim->ranges.range[i].end)
			return true;
	}

	return false;
}

/* Is an address claimed? If @tell is set the log says by which patch. */
static bool klp_is_claimed(unsigned long addr, bool tell)
{
	const struct klp_claim *claim;
	const char *patch = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(claim, &klp_claims, node) {
		patch = READ_ONCE(claim->patch);
		if (patch && klp_claims_addr(claim, addr))
			break;
		patch = NULL;
	}
	if (patch && tell)
		pr_warn_ratelimited("no probe can be at %pS, which '%s' patches\n",
				    (void *)addr, patch);
	rcu_read_unlock();

	return patch;
}

/*
 * Is the current task asking for a breakpoint of the CPU? Any user may, before it is
 * seen that the address is in the kernel. Such a task sets no kprobe.
 */
static bool klp_wants_breakpoint(void)
{
#ifdef CONFIG_HAVE_HW_BREAKPOINT
	unsigned long start = (unsigned long)hw_breakpoint_arch_parse;
	unsigned long frames[8], size, offset;
	unsigned int i, nr;

	if (!kallsyms_lookup_size_offset(start, &size, &offset))
		return false;

	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 0);
	for (i = 0; i < nr; i++) {
		if (frames[i] > start && frames[i] <= start + size)
			return true;
	}
#endif
	return false;
}

/**
 * arch_within_kprobe_blacklist() - may an address not be probed?
 * @addr:	the address
 *
 * Stands in for the weak function of the same name.
 *
 * Context: Any.
 * Return: true if it is in .kprobes.text, or claimed by a patch, which is logged.
 */
bool arch_within_kprobe_blacklist(unsigned long addr)
{
	if (addr >= (unsigned long)__kprobes_text_start &&
	    addr < (unsigned long)__kprobes_text_end)
		return true;

	if (READ_ONCE(klp_asking) == current)
		return false;

	if (klp_wants_breakpoint())
		return klp_is_claimed(addr, false);

	klp_registrar_asks();
	return klp_is_claimed(addr, true);
}

static bool klp_has_probe(unsigned long addr)
{
	const struct kprobe *probe;
	bool probed;

	preempt_disable();
	probe = get_kprobe((void *)addr);
	/* What is left of one in a module that went is none. */
	probed = probe && !(probe->flags & KPROBE_FLAG_GONE);
	preempt_enable();

	return probed;
}

/**
 * klp_guard_find_probe() - look for a kprobe in text
 * @ranges:	the text
 *
 * Context: Process context, may sleep.
 * Return: the address of a kprobe, armed or not, or 0 if there is none.
 */
unsigned long klp_guard_find_probe(const struct klp_ranges *ranges)
{
	unsigned long addr;
	unsigned int i;

	for (i = 0; i < ranges->nr; i++) {
		for (addr = ranges->range[i].start;
		     addr < ranges->range[i].end; addr++) {
			if (klp_has_probe(addr))
				return addr;
		}
		cond_resched();
	}

	return 0;
}

/**
 * klp_guard_add_registrars() - text in which a task can be that sets a kprobe
 * @ranges:	where it is added
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, -ENOENT if the text cannot be found, or -ENOMEM.
 */
int klp_guard_add_registrars(struct klp_ranges *ranges)
{
	return klp_symbol_text((unsigned long)register_kprobe, ranges);
}

/* By anybody but the loader? Where references are not counted that may be so. */
static bool klp_is_referenced(struct module *mod)
{
#ifdef CONFIG_MODULE_UNLOAD
	return module_refcount(mod) > 1;
#else
	return true;
#endif
}

/**
 * klp_guard_settle() - wait for who is setting a kprobe in a module that comes
 * @mod:	the module, which is being loaded
 *
 * register_kprobe() asks arch_within_kprobe_blacklist(), takes a reference to the
 * module, and gives it back when the probe is armed. It takes the reference as an
 * RCU reader that includes the question, or, in later kernels, before the question.
 * So when a grace period has passed, a task that asked before the text was claimed
 * has a reference. The loader has one too. Others hardly can have one before the
 * module's init function runs, but a callback of a patch can take one for good.
 *
 * Context: Process context, may sleep, also with klp_mutex held, which kprobes
 *	    know nothing of. What must not be probed is claimed, or the module
 *	    is going and cannot be referenced any more.
 * Return: true when nobody is left; false if somebody still has a reference after
 *	   a second, or if references are not counted.
 */
bool klp_guard_settle(struct module *mod)
{
	unsigned long end = jiffies + HZ;

	synchronize_rcu();
	while (klp_is_referenced(mod)) {
		if (time_after(jiffies, end))
			return false;
		schedule_timeout_uninterruptible(1);
	}

	return true;
}

/**
 * klp_guard_settle_probes() - wait until nobody is in what is left of a kprobe
 *
 * Who is preempted in the code of an optimised kprobe is in the function that is
 * probed, and nothing on his stack says so. That code is given up some time after
 * the probe is gone.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_guard_settle_probes(void)
{
	wait_for_kprobe_optimizer();
}

static bool klp_in_blacklist(unsigned long addr)
{
	bool blacklisted;

	WRITE_ONCE(klp_asking, current);
	blacklisted = within_kprobe_blacklist(addr);
	WRITE_ONCE(klp_asking, NULL);

	return blacklisted;
}
#else
unsigned long klp_guard_find_probe(const struct klp_ranges *ranges)
{
	return 0;
}

int klp_guard_add_registrars(struct klp_ranges *ranges)
{
	return 0;
}

bool klp_guard_settle(struct module *mod)
{
	return true;
}

void klp_guard_settle_probes(void)
{
}

/* Without kprobes there is no list; klp_own_path has what matters of it. */
static bool klp_in_blacklist(unsigned long addr)
{
	return false;
}
#endif

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
 * The sections of a module that must not hold a breakpoint. Kprobes only know
 * them after klp_module_coming(), and not at all where there are no kprobes.
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
 * Functions outside these sections that run between an INT3 and klp_int3(), and
 * would trap there again for ever.
 */
static const char * const klp_trap_path[] = {
	"do_int3",
	"trace_hwlat_callback",
	"trace_osnoise_callback",
	"kprobe_int3_handler",
	"get_kprobe",
	"notify_die",
	"atomic_notifier_call_chain",
	"notifier_call_chain",
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
	"lockdep_hardirqs_on_prepare",
};

/*
 * Functions that a CPU runs while it is stopped, or while it looks at a task. None of
 * them runs when the text is written, but for those with which a CPU waits for the
 * others. So this is not about breakpoints: a mistake in a new version of one of these
 * would be a mistake of the check.
 */
static const char * const klp_window_path[] = {
	"multi_cpu_stop",
	"cpu_stopper_thread",
	"stop_machine_yield",
	"cpu_idle_poll_ctrl",
	"ktime_get_mono_fast_ns",
	"read_tsc",
	"rcu_momentary_eqs",
	"rcu_preempt_deferred_qs",
	"touch_nmi_watchdog",
	"touch_softlockup_watchdog",
	"wq_watchdog_touch",
	"arch_stack_walk_reliable",
	"__unwind_start",
	"unwind_next_frame",
	"unwind_get_return_address",
	"__orc_find",
	"orc_find",
	"orc_ftrace_find",
	"orc_module_find",
	"get_stack_info",
	"get_stack_info_noinstr",
	"in_task_stack",
	"deref_stack_reg",
	"deref_stack_regs",
	"deref_stack_iret_regs",
	"stack_access_ok",
	"__kernel_text_address",
	"kernel_text_address",
	"core_kernel_text",
	"is_module_text_address",
	"is_ftrace_trampoline",
	"is_bpf_text_address",
	"__is_insn_slot_addr",
	"in_gate_area_no_mm",
	"__module_text_address",
	"__module_address",
	"ftrace_graph_ret_addr",
};

/*
 * What the compiler calls from anywhere, so from the breakpoint handler as well:
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

/* Functions in which a CPU that is offline can be. */
static const char * const klp_offline_path[] = {
	"arch_cpu_idle_dead",
	"play_dead",
	"native_play_dead",
	"play_dead_common",
	"mwait_play_dead",
	"hlt_play_dead",
	"resume_play_dead",
	"cond_wakeup_cpu0",
	"cpuidle_play_dead",
	"acpi_idle_play_dead",
	"acpi_processor_ffh_play_dead",
	"cpuhp_report_idle_dead",
};

static const char klp_switch_runs_it[] = "the switch itself runs it";
static const char klp_handler_runs_it[] = "the breakpoint handler runs it";

struct klp_path {
	const char * const *names;
	unsigned int nr;
	const char *why;
};

static const struct klp_path klp_paths[] = {
	{ klp_trap_path, ARRAY_SIZE(klp_trap_path), klp_handler_runs_it },
	{ klp_window_path, ARRAY_SIZE(klp_window_path), klp_switch_runs_it },
	{ klp_offline_path, ARRAY_SIZE(klp_offline_path),
	  "CPUs that are offline stay in it" },
};

/*
 * Why a function is not to be patched for what it is called, or NULL. Whatever the
 * compiler made of it is called the same up to the first dot.
 */
static const char *klp_why_kept(unsigned long addr)
{
	const struct klp_path *path;
	char name[KSYM_NAME_LEN];
	unsigned int i;

	if (!core_kernel_text(addr) || lookup_symbol_name(addr, name))
		return NULL;

	name[strcspn(name, ".")] = '\0';
	if (str_has_prefix(name, "klp_"))
		return klp_switch_runs_it;

	for (i = 0; i < ARRAY_SIZE(klp_compiler_prefixes); i++) {
		if (str_has_prefix(name, klp_compiler_prefixes[i]))
			return klp_handler_runs_it;
	}

	for (path = klp_paths; path < klp_paths + ARRAY_SIZE(klp_paths); path++) {
		if (match_string(path->names, path->nr, name) >= 0)
			return path->why;
	}

	return NULL;
}

/* Text that could not hold a breakpoint, or that the switch runs. */
static const char *klp_why_untouchable(unsigned long addr)
{
	return klp_in_noinstr(addr) ? "it is entry or noinstr text" :
				      klp_why_kept(addr);
}

/**
 * klp_guard_call() - may a call be changed?
 * @addr:	where it is made
 *
 * Context: Process context, may sleep.
 * Return: true if a breakpoint does no harm there.
 */
bool klp_guard_call(unsigned long addr)
{
	return !klp_why_untouchable(addr) && !klp_in_blacklist(addr);
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

static const char klp_overlaps_jump_label[] = "a jump label overlaps its entry";
static const char klp_overlaps_static_call[] = "a static call overlaps its entry";

/*
 * Jump labels and static calls take five bytes at the most as well; but for a jump
 * to another function under a condition, which ends no later than its own function.
 */
static bool klp_site_overlaps(const struct klp_site *site, unsigned long addr)
{
	return addr < site->addr + KLP_SITE_SIZE &&
	       addr + KLP_SITE_SIZE > site->addr;
}

/*
 * The jump labels and static calls of a module are only registered after
 * klp_module_coming(), so look at its own tables.
 */
static const char *klp_site_shared_module(const struct klp_site *site,
					  const struct module *mod)
{
	unsigned int i;

#ifdef CONFIG_JUMP_LABEL
	for (i = 0; i < mod->num_jump_entries; i++) {
		if (klp_site_overlaps(site,
				      jump_entry_code(&mod->jump_entries[i])))
			return klp_overlaps_jump_label;
	}
#endif
#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
	for (i = 0; i < mod->num_static_call_sites; i++) {
		s32 *addr = &mod->static_call_sites[i].addr;

		if (klp_site_overlaps(site, (unsigned long)addr + *addr))
			return klp_overlaps_static_call;
	}
#endif
	return NULL;
}

/* Does somebody else write to the bytes of a site? */
static const char *klp_site_shared(const struct klp_site *site,
				   const void *func)
{
	void *first = (void *)site->addr;
	void *last = first + KLP_SITE_SIZE - 1;
	const char *why = NULL;
	struct module *mod;

	lockdep_assert_held(&text_mutex);

	if (klp_site_trapped(site))
		return "somebody else set a breakpoint at its entry";
	if (klp_is_trampoline(func))
		return "it is the trampoline of a static call";
	if (jump_label_text_reserved(first, last))
		return klp_overlaps_jump_label;
	if (static_call_text_reserved(first, last))
		return klp_overlaps_static_call;

	preempt_disable();
	mod = __module_text_address(site->addr);
	if (mod)
		why = klp_site_shared_module(site, mod);
	preempt_enable();
	if (why)
		return why;

	/* Unlike the others, this one wants to know where the end is. */
	if (klp_alternatives_text_reserved(first, last + 1))
		return "an alternative overlaps its entry";

	return NULL;
}

#ifdef CONFIG_JUMP_LABEL
static bool klp_jump_labels_hit(const struct klp_site *site,
				const struct jump_entry *entry,
				const struct jump_entry *end)
{
	for (; entry < end; entry++) {
		if (klp_site_contains(site, jump_entry_target(entry)))
			return true;
	}

	return false;
}

/* A jump label can be a NOP now and a jump later. */
static bool klp_site_jumped_to(const struct klp_site *site)
{
	const struct module *mod;
	bool hit = false;

	if (core_kernel_text(site->addr))
		return klp_jump_labels_hit(site, __start___jump_table,
					   __stop___jump_table);

	preempt_disable();
	mod = __module_text_address(site->addr);
	if (mod)
		hit = klp_jump_labels_hit(site, mod->jump_entries,
					  mod->jump_entries +
					  mod->num_jump_entries);
	preempt_enable();

	return hit;
}
#else
static bool klp_site_jumped_to(const struct klp_site *site)
{
	return false;
}
#endif

/**
 * klp_guard_reentered() - can who is in a function get back to its first bytes?
 * @site:	the site of the function
 * @text:	all its text
 *
 * It is so if the function begins with a loop. Who is in the function when a
 * jump is written over its beginning would then run half of that, or leave the
 * loop for the replacement.
 *
 * Context: Process context, may sleep. Takes text_mutex.
 * Return: true if it can be.
 */
bool klp_guard_reentered(const struct klp_site *site,
			 const struct klp_ranges *text)
{
	bool reentered;
	unsigned int i;

	mutex_lock(&text_mutex);
	reentered = klp_site_jumped_to(site);
	for (i = 0; i < text->nr && !reentered; i++)
		reentered = klp_site_branched_to(site, text->range[i].start,
						 text->range[i].end);
	mutex_unlock(&text_mutex);

	return reentered;
}

/*
 * What a claim covers: with the option the whole function, so that no probe is
 * set that is never hit, else the instructions that cannot be shared. Who wants to
 * set a probe decodes the function as it is then, and may find one behind the jump
 * where there is the middle of one without it.
 */
static int klp_claim_init(struct klp_claim *claim, const struct klp_site *site,
			  const struct klp_ranges *text)
{
	if (IS_ENABLED(CONFIG_LIVEPATCH_RESTRICT_KPROBE))
		return klp_ranges_add_all(&claim->ranges, text);

	return klp_ranges_add(&claim->ranges, site->addr, site->insns);
}

static int klp_refuse(const char *name, const char *why, int err)
{
	pr_err("function '%s' cannot be patched: %s\n", name, why);
	return err;
}

/**
 * klp_guard_func() - may a function be patched, whatever its text says?
 * @addr:	its address
 * @why:	set to the reason if it may not, as part of a sentence
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0,
 *	   -ENXIO if it is init text,
 *	   -EINVAL if it is not kernel text,
 *	   -EPERM if it must not hold a breakpoint: entry and noinstr text, the
 *	   kprobe blacklist, and what a switch itself needs.
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
	if (!*why && klp_in_blacklist(addr))
		*why = "it is on the kprobe blacklist";

	return *why ? -EPERM : 0;
}

/**
 * klp_guard_replacement() - may a function be replaced by another?
 * @name:	its name, for the log
 * @func:	its address
 * @new_func:	that of the other
 *
 * Context: Process context.
 * Return: 0, or, with a line in the log, -EINVAL if the other is the function
 *	   itself, or no text that stays.
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
 * @text:	all its text
 * @site:	filled in
 * @claim:	filled in: what must not be probed while the function is patched
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes
 *	    cpus_read_lock(), jump_label_lock() and text_mutex.
 * Return: 0, or, with a line in the log that names the function and the reason,
 *	   the errors of klp_guard_func(),
 *	   -ENOSPC if it is too short for the jump, or cannot be decoded,
 *	   -EADDRINUSE if a jump label, a static call or an alternative is in
 *	   the bytes that the jump would take, or a breakpoint at the first, or
 *	   if it is itself what static calls go through,
 *	   -EBUSY if there is a kprobe in what is claimed,
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

	cpus_read_lock();
	jump_label_lock();
	mutex_lock(&text_mutex);

	why = klp_site_init(site, func, size);
	if (why) {
		ret = klp_refuse(name, why, -ENOSPC);
		goto out;
	}

	ret = klp_claim_init(claim, site, text);
	if (ret)
		goto out;

	probe = klp_guard_find_probe(&claim->ranges);
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

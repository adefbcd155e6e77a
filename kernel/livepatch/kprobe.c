// SPDX-License-Identifier: GPL-2.0
/*
 * Keep kprobes and patched functions apart.
 *
 * While a function is patched, or is about to be, its text is claimed. register_kprobe()
 * calls arch_within_kprobe_blacklist(), which is here, and refuses a kprobe in text that
 * is claimed. A switch takes these steps, so that no kprobe is in the text when it is
 * written:
 *
 *   claim    from here on register_kprobe() refuses kprobes in the text
 *   look     a task that called arch_within_kprobe_blacklist() before the claim, and is
 *            still inside register_kprobe(), blocks the switch, see registrar.c
 *   search   with text_mutex held, no kprobe is found in the text
 *
 * When no such task is inside any more, each task that called it before the claim has
 * either added its kprobe, which the search finds, or has given up.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/extable.h>
#include <linux/kallsyms.h>
#include <linux/kgdb.h>
#include <linux/kprobes.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <asm/hw_breakpoint.h>
#include <asm/livepatch.h>
#include <asm/sections.h>
#include "kprobe.h"
#include "registrar.h"
#include "symbol.h"

/* Claims are added and removed under klp_mutex, and read under RCU. */
static LIST_HEAD(klp_claims);

/**
 * klp_claim_add() - make a claim known
 * @claim:	the claim. It takes effect while its @patch is set. The name must stay for
 *		a grace period after it was changed
 *
 * Context: Caller holds klp_mutex.
 */
void klp_claim_add(struct klp_claim *claim)
{
	list_add_rcu(&claim->node, &klp_claims);
}

/**
 * klp_claim_remove() - remove a claim
 * @claim:	the claim; RCU readers can use it for another grace period
 *
 * Context: Caller holds klp_mutex.
 */
void klp_claim_remove(struct klp_claim *claim)
{
	list_del_rcu(&claim->node);
}

/* Claim what is in front of the target of a branch that is hidden. */
static int klp_claim_target(struct klp_claim *claim, const struct klp_range *func,
			    unsigned long to)
{
	if (to <= func->start || to >= func->end)
		return 0;

	return klp_ranges_add(&claim->ranges, to - KLP_SITE_SIZE, KLP_SITE_SIZE);
}

/*
 * A kprobe can be optimised: five bytes of the function become a jump. So kprobes decode
 * the function, and do not optimise a kprobe if a branch leads into these bytes, or if
 * there is an exception table entry. They do not see what the jump of a patch hides, and
 * would run into the middle of their own jump when the patch is disabled.
 *
 * kprobes also decode the bytes behind the jump, which can be the middle of an instruction.
 * They would set a kprobe where no instruction of the original begins. So what is hidden
 * ends where both decode to the same instructions.
 *
 * A jump label that is hidden can be a jump when the function is restored. If it ends behind
 * the site, the bytes there are not known in advance, and all text is claimed.
 */
static int klp_claim_hidden(struct klp_claim *claim, const struct klp_site *site,
			    const struct klp_ranges *text)
{
	const struct klp_range *func = &text->range[0];
	unsigned long addr = site->addr, seen = site->addr + KLP_SITE_SIZE, to;
	unsigned int i;
	int ret = 0;

	if (site->size > KLP_SITE_SIZE)
		return klp_ranges_add_all(&claim->ranges, text);

	for (i = 0; i < site->nr_labels && !ret; i++)
		ret = klp_claim_target(claim, func, klp_label_target(site->label[i]));
	while (!ret && addr != seen) {
		if (addr > seen && klp_text_step(&seen, &to))
			continue;
		if (addr > seen || addr >= func->end || search_exception_tables(addr) ||
		    !klp_text_step(&addr, &to) || to == KLP_ANYWHERE)
			return klp_ranges_add_all(&claim->ranges, text);
		ret = klp_claim_target(claim, func, to);
	}

	return ret ?: klp_ranges_add(&claim->ranges, site->addr, addr - site->addr);
}

/**
 * klp_claim_init() - find the text in which no kprobe may be while a function is patched
 * @claim:	its ranges are filled in
 * @site:	the site of the function
 * @text:	all text of the function, its entry first
 *
 * With CONFIG_LIVEPATCH_RESTRICT_KPROBE that is the text that is not executed while the
 * function is patched. A kprobe in front of the site is hit by each call, as before.
 * Without the option it is the text where a kprobe is not safe.
 *
 * Context: Process context, may sleep. The function is not redirected. Caller holds
 *	    text_mutex.
 * Return: 0, or -ENOMEM.
 */
int klp_claim_init(struct klp_claim *claim, const struct klp_site *site,
		   const struct klp_ranges *text)
{
	int ret;

	if (!IS_ENABLED(CONFIG_LIVEPATCH_RESTRICT_KPROBE))
		return klp_claim_hidden(claim, site, text);

	ret = klp_ranges_add_all(&claim->ranges, text);
	if (!ret)
		claim->ranges.range[0].start = site->addr;

	return ret;
}

#ifdef CONFIG_KPROBES
/* The task that asks on behalf of a patch. Claims do not matter to it. */
static struct task_struct *klp_asking;

static bool klp_claim_contains(const struct klp_claim *claim, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < claim->ranges.nr; i++) {
		if (addr >= claim->ranges.range[i].start &&
		    addr < claim->ranges.range[i].end)
			return true;
	}

	return false;
}

/* Is an address claimed? If @log is set the log names the patch. */
static bool klp_is_claimed(unsigned long addr, bool log)
{
	const struct klp_claim *claim;
	const char *patch = NULL;

	rcu_read_lock();
	list_for_each_entry_rcu(claim, &klp_claims, node) {
		patch = READ_ONCE(claim->patch);
		if (patch && klp_claim_contains(claim, addr))
			break;
		patch = NULL;
	}
	if (patch && log)
		pr_warn_ratelimited("no probe can be at %pS, which '%s' patches\n",
				    (void *)addr, patch);
	rcu_read_unlock();

	return patch;
}

/*
 * Does the current task ask for a hardware breakpoint? Any user may ask for one at any
 * address, and is refused an address in the kernel only later. Such a task sets no
 * kprobe.
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
 * arch_within_kprobe_blacklist() - must an address not be probed?
 * @addr:	the address
 *
 * Overrides the weak function of kprobes.
 *
 * Context: Any.
 * Return: true if it is in .kprobes.text, or if a patch claims it, which is logged.
 */
bool arch_within_kprobe_blacklist(unsigned long addr)
{
	if (addr >= (unsigned long)__kprobes_text_start &&
	    addr < (unsigned long)__kprobes_text_end)
		return true;

	if (READ_ONCE(klp_asking) == current)
		return false;

	/* A debugger, which has stopped the other CPUs wherever they are, sets no kprobe. */
	if (in_dbg_master() || klp_wants_breakpoint())
		return klp_is_claimed(addr, false);

	klp_registrar_asks();
	return klp_is_claimed(addr, true);
}

/**
 * klp_kprobe_blacklisted() - would kprobes refuse an address, whatever is patched?
 * @addr:	the address
 *
 * Context: Process context. Caller holds klp_mutex.
 * Return: true if they would.
 */
bool klp_kprobe_blacklisted(unsigned long addr)
{
	bool blacklisted;

	WRITE_ONCE(klp_asking, current);
	blacklisted = within_kprobe_blacklist(addr);
	WRITE_ONCE(klp_asking, NULL);

	return blacklisted;
}

/* A kprobe that is left over from an unloaded module is none. */
static bool klp_is_kprobe(const struct kprobe *probe)
{
	return !(probe->flags & KPROBE_FLAG_GONE);
}

/* A kprobe that was unregistered and is still optimised has no handlers. */
static bool klp_is_unused(const struct kprobe *probe)
{
	return (probe->flags & KPROBE_FLAG_DISABLED) && list_empty(&probe->list);
}

static bool klp_has_kprobe(unsigned long addr, bool (*is)(const struct kprobe *probe))
{
	const struct kprobe *probe;
	bool probed;

	preempt_disable();
	probe = get_kprobe((void *)addr);
	probed = probe && is(probe);
	preempt_enable();

	return probed;
}

static unsigned long klp_kprobe_search(const struct klp_ranges *ranges,
				       bool (*is)(const struct kprobe *probe))
{
	unsigned long addr;
	unsigned int i;

	for (i = 0; i < ranges->nr; i++) {
		for (addr = ranges->range[i].start;
		     addr < ranges->range[i].end; addr++) {
			if (klp_has_kprobe(addr, is))
				return addr;
		}
		cond_resched();
	}

	return 0;
}

/**
 * klp_kprobe_find() - search text for a kprobe
 * @ranges:	the text
 *
 * Context: Process context, may sleep.
 * Return: the address of a kprobe, whether it is armed or not; 0 if there is none.
 */
unsigned long klp_kprobe_find(const struct klp_ranges *ranges)
{
	return klp_kprobe_search(ranges, klp_is_kprobe);
}

/**
 * klp_kprobe_settle() - wait until kprobes that were unregistered are gone from text
 * @ranges:	the text
 *
 * kprobes keep an optimised kprobe for some time after it was unregistered, until its
 * jump has been removed.
 *
 * Context: Process context, may sleep. Takes kprobe_mutex. Caller may hold klp_mutex,
 *	    which is not taken with kprobe_mutex held.
 */
void klp_kprobe_settle(const struct klp_ranges *ranges)
{
	if (klp_kprobe_search(ranges, klp_is_unused))
		wait_for_kprobe_optimizer();
}

/**
 * klp_kprobe_add_registrars() - add the text in which a task is that sets a kprobe
 * @text:	set to which it is added
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, -ENOENT if the text is not found, or -ENOMEM.
 */
int klp_kprobe_add_registrars(struct klp_ranges *text)
{
	return klp_symbol_text((unsigned long)register_kprobe, text);
}

/**
 * klp_kprobe_registers() - is a function the one that sets kprobes?
 * @func:	its address
 *
 * Context: Any.
 * Return: true if it is register_kprobe().
 */
bool klp_kprobe_registers(const void *func)
{
	return func == register_kprobe;
}
#endif /* CONFIG_KPROBES */

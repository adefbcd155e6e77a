// SPDX-License-Identifier: GPL-2.0
/*
 * Find other code that uses the bytes of a site: code that writes to them, and code
 * that jumps into them.
 *
 * Breakpoints, jump labels, static calls and alternatives change text while the kernel
 * runs. They must not change the bytes of the jump. So a function is refused if one of them
 * is in its site. The exception is a jump label of vmlinux: while the function is
 * redirected, changes of the label's key pass over it. Branches into the site matter only
 * for a switch that is forced.
 *
 * This is not done in a module. Its jump labels are set up after klp_module_coming(): their
 * table is sorted, the marks in it are removed, and the kernel dies if it finds a jump of
 * ours in place of a label. It is not done for static calls either: a switch cannot keep an
 * update of a static call out, as it cannot take the lock of static calls.
 */

#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include <asm/sections.h>
#include "ranges.h"
#include "site.h"

static const char klp_has_jump_label[] = "a jump label overlaps its entry";
static const char klp_has_static_call[] = "a static call overlaps its entry";

/*
 * A jump label or a static call takes five bytes at most. The exception is a conditional
 * jump to a function, which is the last instruction of its own function.
 */
static bool klp_site_overlaps(const struct klp_site *site, unsigned long addr)
{
	return addr < site->addr + KLP_SITE_SIZE &&
	       addr + KLP_SITE_SIZE > site->addr;
}

/*
 * The jump labels and static calls of a module are registered after klp_module_coming()
 * only. So read the tables of the module.
 */
static const char *klp_site_shared_module(const struct klp_site *site,
					  const struct module *mod)
{
	unsigned int i;

#ifdef CONFIG_JUMP_LABEL
	for (i = 0; i < mod->num_jump_entries; i++) {
		if (klp_site_overlaps(site,
				      jump_entry_code(&mod->jump_entries[i])))
			return klp_has_jump_label;
	}
#endif
#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
	for (i = 0; i < mod->num_static_call_sites; i++) {
		s32 *addr = &mod->static_call_sites[i].addr;

		if (klp_site_overlaps(site, (unsigned long)addr + *addr))
			return klp_has_static_call;
	}
#endif
	return NULL;
}

#ifdef CONFIG_JUMP_LABEL
static bool klp_site_add_labels(struct klp_site *site)
{
	struct jump_entry *label;

	for (label = __start___jump_table; label < __stop___jump_table; label++) {
		if (!klp_site_add_label(site, label))
			return false;
	}

	return true;
}
#else
static bool klp_site_add_labels(struct klp_site *site)
{
	return true;
}
#endif

/**
 * klp_site_labels() - find the jump labels in a site
 * @site:	the site; those that may be there are added
 *
 * Context: Process context. Caller holds jump_label_lock() and text_mutex.
 * Return: NULL, or that one is there that may not, as part of a sentence.
 */
const char *klp_site_labels(struct klp_site *site)
{
	void *first = (void *)site->addr;
	bool good;

	/* While the kernel boots, labels that are marked are not passed over. */
	if (core_kernel_text(site->addr) && system_state >= SYSTEM_RUNNING)
		good = klp_site_add_labels(site);
	else
		good = !jump_label_text_reserved(first, first + KLP_SITE_SIZE - 1);

	return good ? NULL : klp_has_jump_label;
}

/**
 * klp_site_shared() - does other code write to the bytes of a site?
 * @site:	the site
 * @func:	its function
 *
 * Jump labels are left to klp_site_labels(), but for those of a module that is being loaded.
 *
 * Context: Process context. Caller holds cpus_read_lock(), jump_label_lock() and
 *	    text_mutex.
 * Return: NULL, or which code does, as part of a sentence.
 */
const char *klp_site_shared(const struct klp_site *site, const void *func)
{
	void *first = (void *)site->addr;
	void *last = first + KLP_SITE_SIZE - 1;
	const char *why = NULL;
	struct module *mod;

	lockdep_assert_held(&text_mutex);

	if (klp_site_trapped(site))
		return "other code set a breakpoint at its entry";
	if (klp_is_trampoline(func))
		return "it is the trampoline of a static call";
	if (static_call_text_reserved(first, last) ||
	    klp_site_has_static_call(site))
		return klp_has_static_call;

	preempt_disable();
	mod = __module_text_address(site->addr);
	if (mod)
		why = klp_site_shared_module(site, mod);
	preempt_enable();
	if (why)
		return why;

	/* Unlike the others, this function takes the address behind the last byte. */
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
 * klp_site_reentered() - can a task inside a function get back to its site?
 * @site:	the site of the function
 * @text:	all text of the function
 *
 * It can if the function begins with a loop. If a jump is written to the site meanwhile,
 * such a task executes a part of the jump, or leaves the loop for the replacement.
 *
 * Context: Process context, may sleep. Takes jump_label_lock() and text_mutex.
 * Return: true if it can, or if that is not known.
 */
bool klp_site_reentered(const struct klp_site *site,
			const struct klp_ranges *text)
{
	bool reentered;
	unsigned int i;

	/* The loader sorts the jump labels of a module with this lock held. */
	jump_label_lock();
	mutex_lock(&text_mutex);
	reentered = klp_site_jumped_to(site);
	for (i = 0; i < text->nr && !reentered; i++)
		reentered = klp_site_branched_to(site, text->range[i].start,
						 text->range[i].end);
	mutex_unlock(&text_mutex);
	jump_label_unlock();

	return reentered;
}

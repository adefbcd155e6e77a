// SPDX-License-Identifier: GPL-2.0
/*
 * The site: where in a function a redirection is written, what, and how.
 *
 * A redirected function starts with a jump to its replacement. The jump has
 * five bytes, but a single one decides: the first. It is written while every
 * CPU is stopped, through a writable alias, and it takes either of two values
 * that are both complete in themselves, whatever the other four bytes say:
 *
 *   INT3         a trap, from which klp_int3() continues in the replacement;
 *   orig[0]      the function's own first byte, the other four being its own.
 *
 * So an NMI or a machine check that calls the function meanwhile gets the old
 * version or the new one, whole. The four bytes behind the deciding one only
 * change while the first one is INT3, in the way the kernel pokes live text:
 *
 *                 running (arm)       stopped (flip)    running (settle)
 *   redirect      orig                INT3 orig'        jmp to
 *   redirect on   jmp from            INT3 from'        jmp to
 *   restore       INT3 orig'          orig              orig
 *
 * A restore that did not come about is settled back to "jmp from".
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/bsearch.h>
#include <linux/ftrace.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/ibt.h>
#include <asm/insn.h>
#include <asm/livepatch.h>
#include <asm/text-patching.h>

/*
 * The edits whose sites can hold an INT3, sorted by address; NULL if there are
 * none. Written under text_mutex. klp_int3() needs no lock to read it: the
 * array is published before the first INT3 is written and withdrawn after the
 * last one is gone, see klp_edits_settle().
 */
static const struct klp_edit *klp_armed;
static unsigned int klp_nr_armed;

static void klp_jump(u8 *insn, const struct klp_site *site, void *to)
{
	s32 rel = (unsigned long)to - (site->addr + JMP32_INSN_SIZE);

	insn[0] = JMP32_INSN_OPCODE;
	memcpy(insn + 1, &rel, sizeof(rel));
}

/* What the site says while the function's entry goes to @to. */
static void klp_site_text(u8 *text, const struct klp_site *site, void *to)
{
	if (to)
		klp_jump(text, site, to);
	else
		memcpy(text, site->orig, KLP_SITE_SIZE);
}

/**
 * klp_site_init() - find the site of a function
 * @site:	filled in
 * @func:	address of the function
 * @size:	its size in bytes, padding included
 *
 * The site is behind endbr64, which an indirect call must find, and behind the
 * bytes that ftrace writes, so that both keep working on a patched function.
 *
 * Context: The text must stay as it is for the duration of the call.
 * Return: NULL, or why the function has no site, as part of a sentence.
 */
const char *klp_site_init(struct klp_site *site, void *func, unsigned long size)
{
	unsigned long addr = (unsigned long)func;
	unsigned long end = addr + size;
	unsigned long pos, fentry;
	struct insn insn;

	if (size >= ENDBR_INSN_SIZE && is_endbr(*(u32 *)func))
		addr += ENDBR_INSN_SIZE;

	fentry = ftrace_location((unsigned long)func);
	if (fentry)
		addr = fentry + CALL_INSN_SIZE;

	if (end < addr + KLP_SITE_SIZE)
		return "it is too short for the jump";

	/*
	 * The bytes are put back as a whole, so it does not matter where an
	 * instruction ends; but bytes that are no instructions are no function.
	 */
	for (pos = addr; pos < addr + KLP_SITE_SIZE; pos += insn.length) {
		if (insn_decode_kernel(&insn, (void *)pos))
			return "its entry cannot be decoded";
		if (insn.opcode.bytes[0] == INT3_INSN_OPCODE && pos == addr)
			return "its entry holds a breakpoint";
	}

	site->addr = addr;
	memcpy(site->orig, (void *)addr, KLP_SITE_SIZE);
	return NULL;
}

/**
 * klp_site_reachable() - can a jump at the site get to an address?
 * @site:	the site
 * @to:		the address
 *
 * Context: Any.
 * Return: 0, or -ERANGE if @to is more than 2 GiB away.
 */
int klp_site_reachable(const struct klp_site *site, void *to)
{
	long rel = (long)to - (long)(site->addr + JMP32_INSN_SIZE);

	return rel == (s32)rel ? 0 : -ERANGE;
}

static struct page *klp_text_page(unsigned long addr)
{
	if (core_kernel_text(addr))
		return virt_to_page((void *)addr);

	return vmalloc_to_page((void *)addr);
}

/**
 * klp_edits_map() - make the deciding bytes writable
 * @edits:	the edits, sorted by address
 * @nr:		number of edits
 *
 * All pages go into one mapping, each once. It is not executable, and it is
 * gone, from every TLB too, when klp_edits_unmap() returns.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOMEM if there is no memory or address space, or -EFAULT if a
 *	   site is in no page.
 */
int klp_edits_map(struct klp_edit *edits, unsigned int nr)
{
	unsigned int i, nr_pages = 0;
	struct page **pages;
	int ret = -ENOMEM;
	u8 *map;

	KUNIT_STATIC_STUB_REDIRECT(klp_edits_map, edits, nr);

	if (!nr)
		return 0;

	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;

	for (i = 0; i < nr; i++) {
		struct page *page = klp_text_page(edits[i].site->addr);

		if (!page) {
			ret = -EFAULT;
			goto out;
		}
		if (!nr_pages || pages[nr_pages - 1] != page)
			pages[nr_pages++] = page;
		/* An index for now; the address is known when all are. */
		edits[i].alias = (u8 *)(unsigned long)(nr_pages - 1);
	}

	map = vmap(pages, nr_pages, VM_MAP, PAGE_KERNEL);
	if (!map)
		goto out;

	for (i = 0; i < nr; i++) {
		unsigned long index = (unsigned long)edits[i].alias;

		edits[i].alias = map + index * PAGE_SIZE +
				 offset_in_page(edits[i].site->addr);
	}
	ret = 0;
out:
	kvfree(pages);
	return ret;
}

/**
 * klp_edits_unmap() - undo klp_edits_map()
 * @edits:	the edits
 * @nr:		number of edits
 *
 * Context: Process context, may sleep.
 */
void klp_edits_unmap(struct klp_edit *edits, unsigned int nr)
{
	if (!nr)
		return;

	/* The first edit is in the first page of the mapping. */
	vunmap((void *)((unsigned long)edits[0].alias & PAGE_MASK));
	/*
	 * vunmap() leaves stale TLB entries for later. These would let a stray
	 * write through to kernel text.
	 */
	vm_unmap_aliases();
}

/**
 * klp_edits_arm() - make every site ready for its deciding byte
 * @edits:	the edits, sorted by address
 * @nr:		number of edits
 *
 * What runs does not change. A function that is to be restored traps from here
 * on, as its own bytes are put back behind the INT3.
 *
 * Context: Process context, may sleep. Caller holds cpus_read_lock() and
 *	    text_mutex until after klp_edits_settle(), which must be called
 *	    if this succeeded.
 * Return: 0, or -EADDRINUSE, with a line in the log, if somebody else has
 *	   changed a site meanwhile, in which case nothing was written.
 */
int klp_edits_arm(struct klp_edit *edits, unsigned int nr)
{
	u8 text[KLP_SITE_SIZE], jump[KLP_SITE_SIZE];
	unsigned int i;

	lockdep_assert_cpus_held();
	lockdep_assert_held(&text_mutex);

	for (i = 0; i < nr; i++) {
		const struct klp_site *site = edits[i].site;

		klp_site_text(text, site, edits[i].from);
		if (memcmp((void *)site->addr, text, KLP_SITE_SIZE)) {
			pr_err("somebody else changed the text at %pS\n",
			       (void *)site->addr);
			return -EADDRINUSE;
		}
	}

	WRITE_ONCE(klp_nr_armed, nr);
	/* Pairs with klp_int3(): who sees an INT3 of ours sees the edits. */
	smp_store_release(&klp_armed, edits);

	for (i = 0; i < nr; i++) {
		const struct klp_site *site = edits[i].site;

		if (edits[i].to)
			continue;

		memcpy(text, site->orig, KLP_SITE_SIZE);
		text[0] = INT3_INSN_OPCODE;
		klp_jump(jump, site, edits[i].from);
		text_poke_queue((void *)site->addr, text, KLP_SITE_SIZE, jump);
	}
	text_poke_finish();

	return 0;
}

/**
 * klp_edits_flip() - write the deciding bytes
 * @edits:	the edits, armed and mapped
 * @nr:		number of edits
 *
 * Context: Every other CPU waits with interrupts off, in code that is not
 *	    patched, and goes through sync_core() before it leaves; so does the
 *	    caller. NMIs are welcome. Takes no lock, calls nothing.
 */
void __kprobes klp_edits_flip(struct klp_edit *edits, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		WRITE_ONCE(*edits[i].alias, edits[i].to ? INT3_INSN_OPCODE :
							  edits[i].site->orig[0]);
}

/**
 * klp_edits_settle() - turn what the deciding bytes say into plain text
 * @edits:	the edits, as given to klp_edits_arm()
 * @nr:		number of edits
 * @flipped:	klp_edits_flip() was called
 *
 * When this returns no CPU is on its way from a site to where the site used
 * to go, not even in an NMI, and no site holds an INT3.
 *
 * Context: Process context, may sleep, as klp_edits_arm().
 */
void klp_edits_settle(struct klp_edit *edits, unsigned int nr, bool flipped)
{
	u8 text[KLP_SITE_SIZE], was[KLP_SITE_SIZE];
	unsigned int i;

	lockdep_assert_cpus_held();
	lockdep_assert_held(&text_mutex);

	for (i = 0; i < nr; i++) {
		const struct klp_site *site = edits[i].site;

		if (!edits[i].to && flipped) {
			/* Nothing left to write, but perf has not heard of it. */
			klp_jump(was, site, edits[i].from);
			perf_event_text_poke((void *)site->addr,
					     was, KLP_SITE_SIZE,
					     site->orig, KLP_SITE_SIZE);
		} else if (!edits[i].to || flipped) {
			klp_jump(text, site, flipped ? edits[i].to : edits[i].from);
			text_poke_queue((void *)site->addr, text, KLP_SITE_SIZE,
					NULL);
		}
	}
	text_poke_finish();

	/*
	 * No CPU is in a trap of ours any more. A trap keeps interrupts off, so
	 * that a CPU in one took neither the IPI with which text_poke_finish()
	 * ends, nor did it leave the stop behind klp_edits_flip(). But other
	 * INT3s get to klp_int3() as well: let these go before the edits do.
	 */
	WRITE_ONCE(klp_armed, NULL);
	text_poke_sync();
}

static int __kprobes klp_edit_cmp(const void *key, const void *elt)
{
	unsigned long addr = *(const unsigned long *)key;
	const struct klp_edit *edit = elt;

	if (addr < edit->site->addr)
		return -1;

	return addr > edit->site->addr;
}

/*
 * An INT3 of ours stands for a jump to the replacement: to the new one where
 * there is one, else the function is about to be restored and the old one still
 * holds. It runs in any context, NMI included.
 */
static int __kprobes klp_int3(struct notifier_block *nb, unsigned long val,
			      void *data)
{
	struct die_args *args = data;
	struct pt_regs *regs = args->regs;
	const struct klp_edit *edits, *edit;
	unsigned long addr;

	if (val != DIE_INT3 || user_mode(regs))
		return NOTIFY_DONE;

	/* Pairs with klp_edits_arm(). */
	edits = smp_load_acquire(&klp_armed);
	if (!edits)
		return NOTIFY_DONE;

	addr = regs->ip - INT3_INSN_SIZE;
	edit = __inline_bsearch(&addr, edits, READ_ONCE(klp_nr_armed),
				sizeof(*edits), klp_edit_cmp);
	if (!edit)
		return NOTIFY_DONE;

	regs->ip = (unsigned long)(edit->to ?: edit->from);
	return NOTIFY_STOP;
}

static struct notifier_block klp_int3_nb = {
	.notifier_call	= klp_int3,
	/* Before anything that could call a function that traps. */
	.priority	= INT_MAX,
};

static int __init klp_arch_init(void)
{
	return register_die_notifier(&klp_int3_nb);
}
early_initcall(klp_arch_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * The site: where in a function a redirection is written, what, and how.
 *
 * A redirected function starts with a jump to its replacement. The jump has
 * five bytes, which cannot be written at once, so they are written in three
 * steps, while every CPU is stopped, through a writable alias:
 *
 *   1. the first byte becomes INT3, a trap, from which klp_int3() continues in
 *      a replacement;
 *   2. the other four bytes become what they must be;
 *   3. the first byte does.
 *
 * All CPUs serialise after each step, and none that is in an NMI counts as
 * having done so before the NMI is over. So the other four bytes only change
 * when no CPU can see the old first byte any more, and an NMI or a machine
 * check that calls the function meanwhile gets one version or the other, whole:
 * of the bytes that a step writes the first alone decides.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/bsearch.h>
#include <linux/err.h>
#include <linux/extable.h>
#include <linux/ftrace.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sync_core.h>
#include <linux/vmalloc.h>
#include <asm/insn.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include <asm/text-patching.h>

/*
 * The edits where there can be an INT3, sorted by address, or NULL. Set in the
 * window, and taken back soon after it.
 */
static const struct klp_edit *klp_armed;
static unsigned int klp_nr_armed;

/* Who calls a function or jumps to it directly need not go through endbr64. */
static unsigned long klp_behind_endbr(void *func)
{
	unsigned long addr = (unsigned long)func;

	return klp_is_endbr(func) ? addr + ENDBR_INSN_SIZE : addr;
}

/* Can a direct call or jump at an address get to another? */
static bool klp_reaches(unsigned long addr, unsigned long to)
{
	long rel = to - (addr + KLP_SITE_SIZE);

	return rel == (s32)rel;
}

static void klp_branch(u8 *insn, u8 opcode, unsigned long addr,
		       unsigned long to)
{
	s32 rel = to - (addr + KLP_SITE_SIZE);

	insn[0] = opcode;
	memcpy(insn + 1, &rel, sizeof(rel));
}

/* What the site says while the function's entry goes to @to. */
static void klp_site_text(u8 *text, const struct klp_site *site, void *to)
{
	if (to)
		klp_branch(text, JMP32_INSN_OPCODE, site->addr,
			   klp_behind_endbr(to));
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
	unsigned long end = (unsigned long)func + size;
	unsigned long addr, pos, fentry;
	struct insn insn;

	addr = klp_behind_endbr(func);
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
	}

	site->addr = addr;
	memcpy(site->orig, (void *)addr, KLP_SITE_SIZE);
	site->insns = pos - addr;
	return NULL;
}

/**
 * klp_site_trapped() - did somebody else set a breakpoint at the site?
 * @site:	the site
 *
 * Context: Any.
 * Return: true if there was one when the site was looked at.
 */
bool klp_site_trapped(const struct klp_site *site)
{
	return site->orig[0] == INT3_INSN_OPCODE;
}

/**
 * klp_is_trampoline() - is a function the trampoline of a static call?
 * @func:	its address
 *
 * A trampoline is a function for the symbol table. It is five bytes that its key's
 * owner writes, and an instruction that nobody runs, by which he knows it again.
 *
 * Context: Any.
 * Return: true if it is.
 */
bool klp_is_trampoline(const void *func)
{
	static const u8 mark[] = { 0x0f, 0xb9, 0xcc };

	/* Functions are aligned, so as much can be read of the shortest. */
	return !memcmp(func + JMP32_INSN_SIZE, mark, sizeof(mark));
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
	unsigned long addr = (unsigned long)to;

	/* The jump may land behind an endbr64. */
	return klp_reaches(site->addr, addr) &&
	       klp_reaches(site->addr, addr + ENDBR_INSN_SIZE) ? 0 : -ERANGE;
}

static bool klp_insn_branches_to(const struct klp_site *site,
				 const struct insn *insn, unsigned long addr)
{
	unsigned long to = addr + insn->length + insn->immediate.value;
	u8 opcode = insn->opcode.bytes[0];

	switch (opcode) {
	case 0x70 ... 0x7f:	/* Jcc rel8 */
	case 0xe0 ... 0xe3:	/* LOOPcc, JCXZ */
	case JMP8_INSN_OPCODE:
	case JMP32_INSN_OPCODE:
		return klp_site_contains(site, to);
	case CALL_INSN_OPCODE:
		/* Who calls the function anew gets it anew. */
		return to != site->addr && klp_site_contains(site, to);
	case 0x0f:
		/* Jcc rel32 */
		return (insn->opcode.bytes[1] & 0xf0) == 0x80 &&
		       klp_site_contains(site, to);
	case 0xff:
		/*
		 * JMP r/m64, maybe by a jump table. There are none if indirect
		 * jumps have to be avoided or marked.
		 */
		return (X86_MODRM_REG(insn->modrm.value) & ~1) == 4 &&
		       !IS_ENABLED(CONFIG_MITIGATION_RETPOLINE) &&
		       !IS_ENABLED(CONFIG_X86_KERNEL_IBT);
	default:
		return false;
	}
}

static bool klp_fixup_branches_to(const struct klp_site *site,
				  unsigned long addr)
{
	const struct exception_table_entry *e = search_exception_tables(addr);

	return e && klp_site_contains(site, (unsigned long)&e->fixup + e->fixup);
}

static bool klp_is_probed(unsigned long addr)
{
	bool probed;

	preempt_disable();
	probed = get_kprobe((void *)addr);
	preempt_enable();

	return probed;
}

/**
 * klp_site_branched_to() - does text branch into the bytes of a site?
 * @site:	the site
 * @start:	address of the text
 * @end:	address behind it
 *
 * Context: Process context. Caller holds text_mutex.
 * Return: true if it does, or if there is no knowing it.
 */
bool klp_site_branched_to(const struct klp_site *site, unsigned long start,
			  unsigned long end)
{
	unsigned long addr;
	struct insn insn;

	lockdep_assert_held(&text_mutex);

	for (addr = start; addr < end; addr += insn.length) {
		if (insn_decode_kernel(&insn, (void *)addr) ||
		    klp_insn_branches_to(site, &insn, addr) ||
		    klp_fixup_branches_to(site, addr) || klp_is_probed(addr))
			return true;
	}

	return false;
}

/**
 * klp_call_target() - where does a direct call or jump go?
 * @addr:	the address of the instruction
 *
 * Context: Any.
 * Return: where it goes, or NULL if it is none that takes five bytes.
 */
void *klp_call_target(unsigned long addr)
{
	const u8 *insn = (const u8 *)addr;
	s32 rel;

	if (insn[0] != CALL_INSN_OPCODE && insn[0] != JMP32_INSN_OPCODE)
		return NULL;

	memcpy(&rel, insn + 1, sizeof(rel));
	return (void *)(addr + KLP_SITE_SIZE + rel);
}

/**
 * klp_edit_site() - make an edit of a function's entry
 * @edit:	the edit
 * @site:	the function's site
 * @from:	where the entry goes now, NULL for the function itself
 * @to:		where it must go, NULL for the function itself
 *
 * Meanwhile it goes where the new version is, unless that is the function itself,
 * of which the bytes are not whole then.
 *
 * Context: Any.
 */
void klp_edit_site(struct klp_edit *edit, const struct klp_site *site,
		   void *from, void *to)
{
	*edit = (struct klp_edit){
		.addr	= site->addr,
		.trap	= to ?: from,
	};
	klp_site_text(edit->was, site, from);
	klp_site_text(edit->text, site, to);
}

/**
 * klp_edit_call() - make an edit of a direct call or jump
 * @edit:	the edit
 * @addr:	the address of the instruction
 * @from:	where it goes, as klp_call_target() has said
 * @to:		where it must go
 * @trap:	where it goes meanwhile
 *
 * Somebody may have changed it since, so what it was does not follow from the text
 * but from what was found: else it would be his change that is made undone.
 *
 * Context: Any.
 * Return: 0, or -ERANGE if @to is more than 2 GiB away.
 */
int klp_edit_call(struct klp_edit *edit, unsigned long addr, void *from,
		  void *to, void *trap)
{
	u8 opcode = READ_ONCE(*(u8 *)addr);

	if (!klp_reaches(addr, (unsigned long)to))
		return -ERANGE;

	*edit = (struct klp_edit){
		.addr		= addr,
		.trap		= trap,
		.call		= opcode == CALL_INSN_OPCODE,
	};

	klp_branch(edit->was, opcode, addr, (unsigned long)from);
	klp_branch(edit->text, opcode, addr, (unsigned long)to);
	return 0;
}

/**
 * klp_edit_fits() - is the text as it must be for an edit?
 * @edit:	the edit
 *
 * Context: Process context. Caller holds text_mutex, and keeps it until the edit
 *	    is made.
 * Return: true if nobody else has changed it.
 */
bool klp_edit_fits(const struct klp_edit *edit)
{
	lockdep_assert_held(&text_mutex);

	return !memcmp((void *)edit->addr, edit->was, KLP_SITE_SIZE);
}

/**
 * klp_edit_probed() - is there a kprobe at an edit, or what is left of one?
 * @edit:	the edit
 *
 * When a module goes its probes are disarmed for good, but stay registered. In a
 * module that is then loaded to the same place they are never hit, but kprobes take
 * an INT3 there for theirs, so that klp_int3() never hears of it.
 *
 * Context: Any.
 * Return: true if there is.
 */
bool klp_edit_probed(const struct klp_edit *edit)
{
	return klp_is_probed(edit->addr);
}

static struct page *klp_text_page(unsigned long addr)
{
	if (core_kernel_text(addr))
		return virt_to_page((void *)addr);

	return vmalloc_to_page((void *)addr);
}

static bool klp_crosses_page(unsigned long addr)
{
	return offset_in_page(addr) + KLP_SITE_SIZE > PAGE_SIZE;
}

/**
 * klp_edits_map() - make text writable
 * @edits:	the edits, sorted by address
 * @nr:		number of edits
 *
 * All pages go into one mapping, each once. It is not executable, and it is
 * gone, from every TLB too, when klp_edits_unmap() returns.
 *
 * Context: Process context, may sleep.
 * Return: the mapping, NULL if there are no edits, or ERR_PTR() of -ENOMEM if
 *	   there is no memory or address space, or of -EFAULT if an edit is in no
 *	   page.
 */
void *klp_edits_map(struct klp_edit *edits, unsigned int nr)
{
	unsigned int i, nr_pages = 0;
	struct page **pages;
	void *map;

	KUNIT_STATIC_STUB_REDIRECT(klp_edits_map, edits, nr);

	if (!nr)
		return NULL;

	/* An edit is in two pages at the most. */
	pages = kvmalloc_array(nr, 2 * sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return ERR_PTR(-ENOMEM);

	for (i = 0; i < nr; i++) {
		unsigned long addr = edits[i].addr;
		struct page *page = klp_text_page(addr);

		if (!nr_pages || pages[nr_pages - 1] != page)
			pages[nr_pages++] = page;
		/* An index for now; the address is known when all are. */
		edits[i].alias = (u8 *)(unsigned long)(nr_pages - 1);

		if (klp_crosses_page(addr))
			pages[nr_pages++] = klp_text_page(addr + KLP_SITE_SIZE -
							  1);
	}

	map = ERR_PTR(-EFAULT);
	for (i = 0; i < nr_pages; i++) {
		if (!pages[i])
			goto out;
	}

	map = vmap(pages, nr_pages, VM_MAP, PAGE_KERNEL);
	if (!map) {
		map = ERR_PTR(-ENOMEM);
		goto out;
	}

	for (i = 0; i < nr; i++) {
		unsigned long index = (unsigned long)edits[i].alias;

		edits[i].alias = map + index * PAGE_SIZE +
				 offset_in_page(edits[i].addr);
	}
out:
	kvfree(pages);
	return map;
}

/**
 * klp_edits_unmap() - undo klp_edits_map()
 * @map:	what it has returned, no error
 *
 * Context: Process context, may sleep.
 */
void klp_edits_unmap(void *map)
{
	if (!map)
		return;

	vunmap(map);
	/*
	 * vunmap() leaves stale TLB entries for later. These would let a stray
	 * write through to kernel text.
	 */
	vm_unmap_aliases();
}

/**
 * klp_edits_write() - do one step of making the edits
 * @edits:	the edits, mapped and sorted by address
 * @nr:		number of edits
 * @step:	KLP_STEP_TRAP, KLP_STEP_TAIL, KLP_STEP_HEAD
 *
 * The steps are done in this order. Before each one, all CPUs must have gone
 * through sync_core() since the one before, and not in an NMI. The same goes for
 * klp_edits_disarm(), which follows the last one.
 *
 * Context: Every other CPU waits with interrupts off, or runs none of the text.
 *	    NMIs are welcome. Takes no lock, calls nothing.
 */
void __kprobes klp_edits_write(const struct klp_edit *edits, unsigned int nr,
			       enum klp_step step)
{
	unsigned int i;

	switch (step) {
	case KLP_STEP_TRAP:
		WRITE_ONCE(klp_nr_armed, nr);
		/* Pairs with klp_int3(): the edits are there before the INT3. */
		smp_store_release(&klp_armed, edits);
		for (i = 0; i < nr; i++)
			WRITE_ONCE(*edits[i].alias, INT3_INSN_OPCODE);
		break;
	case KLP_STEP_TAIL:
		for (i = 0; i < nr; i++)
			memcpy(edits[i].alias + 1, edits[i].text + 1,
			       KLP_SITE_SIZE - 1);
		break;
	case KLP_STEP_HEAD:
		for (i = 0; i < nr; i++)
			WRITE_ONCE(*edits[i].alias, edits[i].text[0]);
		break;
	}
}

/**
 * klp_rela_clear() - clear what a relocation has written
 * @addr:	where it was written, in a module
 * @size:	what klp_rela_size() says
 *
 * Nobody runs it before it is written again, by who has all CPUs serialise.
 *
 * Context: Process context. Caller holds text_mutex.
 */
void klp_rela_clear(unsigned long addr, unsigned int size)
{
	static const u64 zero;

	lockdep_assert_held(&text_mutex);

	text_poke((void *)addr, &zero, size);
}

static void klp_sync_cpu(void *unused)
{
	sync_core();
}

/**
 * klp_edits_disarm() - forget the edits, after the last step
 *
 * No CPU can meet an INT3 of ours any more. A CPU can still be in klp_int3() for
 * an INT3 of other code, and use the edits. It has interrupts off there. So the edits
 * must stay for a grace period.
 *
 * Context: Any.
 */
void klp_edits_disarm(void)
{
	WRITE_ONCE(klp_armed, NULL);
}

/**
 * klp_edits_write_still() - make edits in text that nobody runs
 * @edits:	the edits, mapped
 * @nr:		number of edits
 *
 * They need no trap, but there is no knowing what a CPU has decoded ahead.
 *
 * Context: Process context, may sleep.
 */
void klp_edits_write_still(const struct klp_edit *edits, unsigned int nr)
{
	klp_edits_write(edits, nr, KLP_STEP_TAIL);
	klp_edits_write(edits, nr, KLP_STEP_HEAD);
	on_each_cpu(klp_sync_cpu, NULL, true);
}

/**
 * klp_edits_tell() - tell those who follow changes of the text
 * @edits:	the edits, which have been made
 * @nr:		number of edits
 *
 * Context: Process context.
 */
void klp_edits_tell(const struct klp_edit *edits, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		perf_event_text_poke((void *)edits[i].addr, edits[i].was,
				     KLP_SITE_SIZE, edits[i].text,
				     KLP_SITE_SIZE);
}

static int __kprobes klp_edit_cmp(const void *key, const void *elt)
{
	unsigned long addr = *(const unsigned long *)key;
	const struct klp_edit *edit = elt;

	if (addr < edit->addr)
		return -1;

	return addr > edit->addr;
}

/*
 * An INT3 of ours stands for a jump or a call to a version of a function that is
 * whole. Only an NMI or a machine check can hit one.
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

	/* Pairs with KLP_STEP_TRAP. */
	edits = smp_load_acquire(&klp_armed);
	if (!edits)
		return NOTIFY_DONE;

	addr = regs->ip - INT3_INSN_SIZE;
	edit = __inline_bsearch(&addr, edits, READ_ONCE(klp_nr_armed),
				sizeof(*edits), klp_edit_cmp);
	if (!edit)
		return NOTIFY_DONE;

	/* As the call does, of which the first byte has just been executed. */
	if (edit->call)
		int3_emulate_push(regs, regs->ip - INT3_INSN_SIZE + CALL_INSN_SIZE);
	int3_emulate_jmp(regs, (unsigned long)edit->trap);
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

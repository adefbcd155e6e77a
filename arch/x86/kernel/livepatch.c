// SPDX-License-Identifier: GPL-2.0
/*
 * Redirect a function by writing a jump to its replacement.
 *
 * The jump is written behind endbr64, and behind the bytes of ftrace if there are any. The
 * five bytes that it overwrites are the site of the function. Five bytes cannot be written
 * atomically. So they are written in three steps, through a writable alias, while all CPUs
 * are stopped. Static calls that are changed, see calls.c, are written in the same steps:
 *
 *   trap   the first byte becomes an INT3. klp_int3() handles it, and makes the CPU
 *          continue in a complete version of the function
 *   tail   the other bytes get their new values: four, or a few more
 *   head   the first byte gets its new value
 *
 * Each CPU executes sync_core() after each step. A CPU in an NMI does so when the NMI
 * handler has returned, and the next step waits for it. So when the tail is written, all
 * CPUs see the INT3, and no CPU executes the old first byte any more. An NMI or a machine
 * check that calls the function between two steps runs the old or the new version as a
 * whole.
 *
 * A jump label in the site is not in the text while the function is redirected. It is marked
 * in the table of jump labels, so that a change of its key does not write there. When the
 * function is restored the label becomes what its key says.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/bsearch.h>
#include <linux/err.h>
#include <linux/extable.h>
#include <linux/ftrace.h>
#include <linux/jump_label.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/memory.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/sync_core.h>
#include <linux/vmalloc.h>
#include <asm/insn.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include <asm/nops.h>
#include <asm/text-patching.h>

#define KLP_NOWHERE	0UL

/*
 * The edits at which a CPU can execute an INT3, sorted by address, or NULL. Set in the stop
 * window, and cleared soon after it.
 */
static const struct klp_edit *klp_armed;
static unsigned int klp_nr_armed;

/* A direct call or jump need not go through the endbr64 of its target. */
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

#ifdef CONFIG_JUMP_LABEL
/**
 * klp_site_add_label() - add a jump label to a site
 * @site:	the site, of a function that is not redirected
 * @label:	a jump label, which is added if it begins in the site
 *
 * While the function is redirected the label is not in the text. Its bytes follow from its
 * key when the function is restored.
 *
 * Context: Process context. Caller holds jump_label_lock() and text_mutex.
 * Return: false if a part of it is in the site and it cannot be added: it begins in front of
 *	   the site, or a debugger has set a breakpoint there.
 */
bool klp_site_add_label(struct klp_site *site, struct jump_entry *label)
{
	unsigned long addr = jump_entry_code(label);
	unsigned int size;

	lockdep_assert_held(&text_mutex);

	if (addr >= site->addr + KLP_SITE_SIZE || addr + JMP32_INSN_SIZE <= site->addr)
		return true;
	/* Not even its size is known then. */
	if (*(u8 *)addr == INT3_INSN_OPCODE)
		return false;

	size = arch_jump_entry_size(label);
	if (addr + size <= site->addr)
		return true;
	/* Two of them do not overlap, so there is always room. */
	if (addr < site->addr || WARN_ON_ONCE(site->nr_labels == KLP_SITE_LABELS))
		return false;

	site->label[site->nr_labels++] = label;
	site->size = max(site->size, (unsigned int)(addr + size - site->addr));
	memcpy(site->orig, (void *)site->addr, site->size);
	return true;
}

/**
 * klp_label_target() - where does a jump label jump to, if it does?
 * @label:	the jump label
 *
 * Context: Any.
 * Return: the address.
 */
unsigned long klp_label_target(const struct jump_entry *label)
{
	return jump_entry_target(label);
}

static bool klp_site_has_label(const struct klp_site *site, unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < site->nr_labels; i++) {
		if (jump_entry_code(site->label[i]) == addr)
			return true;
	}

	return false;
}

/* Let a jump label be what its key says: a jump, or a NOP of the same size. */
static void klp_label_text(u8 *insn, const struct jump_entry *label)
{
	bool jumps = static_key_enabled(jump_entry_key(label)) !=
		     jump_entry_is_branch(label);
	unsigned long addr = jump_entry_code(label);
	unsigned long to = jump_entry_target(label);
	bool is_short = insn[0] == JMP8_INSN_OPCODE ||
			!memcmp(insn, x86_nops[JMP8_INSN_SIZE], JMP8_INSN_SIZE);

	if (!jumps) {
		unsigned int size = is_short ? JMP8_INSN_SIZE : JMP32_INSN_SIZE;

		memcpy(insn, x86_nops[size], size);
	} else if (is_short) {
		insn[0] = JMP8_INSN_OPCODE;
		insn[1] = to - (addr + JMP8_INSN_SIZE);
	} else {
		klp_branch(insn, JMP32_INSN_OPCODE, addr, to);
	}
}

static void klp_site_follow_labels(u8 *text, const struct klp_site *site)
{
	unsigned int i;

	for (i = 0; i < site->nr_labels; i++)
		klp_label_text(text + jump_entry_code(site->label[i]) - site->addr,
			       site->label[i]);
}

/**
 * klp_edit_label() - encode the edit by which a jump label is taken, or given back
 * @edit:	the edit
 * @label:	the jump label
 * @take:	take it, else give it back
 *
 * A label that is marked as one of init text is passed over when its key is changed.
 *
 * Context: Any.
 */
void klp_edit_label(struct klp_edit *edit, struct jump_entry *label, bool take)
{
	struct jump_entry marked = *label;

	jump_entry_set_init(&marked, take);
	*edit = (struct klp_edit){
		.addr		= (unsigned long)&label->key,
		.size		= KLP_SITE_SIZE,
		.no_trap	= true,
		.data		= true,
	};
	/* The mark is in the first of the eight bytes. An edit has five at least. */
	memcpy(edit->text, &marked.key, KLP_SITE_SIZE);
	jump_entry_set_init(&marked, !take);
	memcpy(edit->was, &marked.key, KLP_SITE_SIZE);
}
#else
unsigned long klp_label_target(const struct jump_entry *label)
{
	return KLP_NOWHERE;
}

static bool klp_site_has_label(const struct klp_site *site, unsigned long addr)
{
	return false;
}

static void klp_site_follow_labels(u8 *text, const struct klp_site *site)
{
}

void klp_edit_label(struct klp_edit *edit, struct jump_entry *label, bool take)
{
}
#endif

/* The bytes of a site while the function is redirected to @to. */
static void klp_site_text(u8 *text, const struct klp_site *site, void *to)
{
	memcpy(text, site->orig, site->size);
	klp_site_follow_labels(text, site);
	if (to)
		klp_branch(text, JMP32_INSN_OPCODE, site->addr,
			   klp_behind_endbr(to));
}

/**
 * klp_site_init() - find the site of a function
 * @site:	filled in
 * @func:	address of the function
 * @size:	its size in bytes, padding included
 *
 * The site is behind endbr64, which an indirect call must find, and behind the bytes of
 * ftrace, so that both keep working on a patched function.
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
	 * The bytes are restored as a whole, so it does not matter where an instruction
	 * ends. But bytes that are no instructions are no function.
	 */
	for (pos = addr; pos < addr + KLP_SITE_SIZE; pos += insn.length) {
		if (insn_decode_kernel(&insn, (void *)pos))
			return "its entry cannot be decoded";
	}

	*site = (struct klp_site){
		.addr	= addr,
		.size	= KLP_SITE_SIZE,
		.insns	= pos - addr,
	};
	memcpy(site->orig, (void *)addr, KLP_SITE_SIZE);
	return NULL;
}

/* JMP r/m64, of which the target is not known. */
static bool klp_insn_jumps_anywhere(const struct insn *insn)
{
	return insn->opcode.bytes[0] == 0xff &&
	       (X86_MODRM_REG(insn->modrm.value) & ~1) == 4;
}

/* Does the CPU never get from an instruction to the one behind it? */
static bool klp_insn_ends(const struct insn *insn)
{
	switch (insn->opcode.bytes[0]) {
	case RET_INSN_OPCODE:
	case JMP8_INSN_OPCODE:
	case JMP32_INSN_OPCODE:
		return true;
	case 0x0f:
		/* UD2 */
		return insn->opcode.bytes[1] == 0x0b;
	default:
		return klp_insn_jumps_anywhere(insn);
	}
}

/**
 * klp_site_trapped() - did other code set a breakpoint in a site?
 * @site:	the site
 *
 * The compiler puts an INT3 behind an instruction that ends a function, to stop
 * speculation. That is no breakpoint. A jump label that is a jump now ends nothing.
 *
 * Context: Process context. Caller holds text_mutex.
 * Return: true if there is a breakpoint.
 */
bool klp_site_trapped(const struct klp_site *site)
{
	unsigned long addr = site->addr;
	struct insn insn;

	while (klp_site_contains(site, addr) &&
	       !insn_decode_kernel(&insn, (void *)addr)) {
		if (insn.opcode.bytes[0] == INT3_INSN_OPCODE)
			return true;
		if (klp_insn_ends(&insn) && !klp_site_has_label(site, addr))
			break;
		addr += insn.length;
	}

	return false;
}

/**
 * klp_is_trampoline() - is a function the trampoline of a static call?
 * @func:	its address
 *
 * A trampoline is a function in the symbol table. It consists of five bytes that
 * static_call_update() writes, and of an instruction that is not executed, by which the
 * static call code recognises it.
 *
 * Context: Any.
 * Return: true if it is.
 */
bool klp_is_trampoline(const void *func)
{
	static const u8 mark[] = { 0x0f, 0xb9, 0xcc };

	/* Functions are aligned, so that much can be read also of the shortest. */
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

/* Where may an instruction branch to, other than to the one behind it? */
static unsigned long klp_insn_target(const struct insn *insn, unsigned long addr)
{
	unsigned long to = addr + insn->length + insn->immediate.value;

	switch (insn->opcode.bytes[0]) {
	case 0x70 ... 0x7f:	/* Jcc rel8 */
	case 0xe0 ... 0xe3:	/* LOOPcc, JCXZ */
	case JMP8_INSN_OPCODE:
	case JMP32_INSN_OPCODE:
	case CALL_INSN_OPCODE:
		return to;
	case 0x0f:
		/* Jcc rel32 */
		return (insn->opcode.bytes[1] & 0xf0) == 0x80 ? to : KLP_NOWHERE;
	default:
		return klp_insn_jumps_anywhere(insn) ? KLP_ANYWHERE : KLP_NOWHERE;
	}
}

/* There are no jump tables if indirect jumps have to be avoided or marked. */
#define KLP_HAS_JUMP_TABLES	(!IS_ENABLED(CONFIG_MITIGATION_RETPOLINE) && \
				 !IS_ENABLED(CONFIG_X86_KERNEL_IBT))

static bool klp_insn_branches_to(const struct klp_site *site,
				 const struct insn *insn, unsigned long addr)
{
	unsigned long to = klp_insn_target(insn, addr);

	if (to == KLP_ANYWHERE)
		return KLP_HAS_JUMP_TABLES;
	/* A task that calls the function enters it anew. */
	if (insn->opcode.bytes[0] == CALL_INSN_OPCODE && to == site->addr)
		return false;

	return klp_site_contains(site, to);
}

/**
 * klp_text_step() - decode an instruction
 * @addr:	its address; set to that of the one behind it
 * @to:		set to the target if it is a branch or a call, KLP_ANYWHERE if it is an
 *		indirect jump, else 0
 *
 * Context: Process context. The text must not change during the call.
 * Return: false if it cannot be decoded.
 */
bool klp_text_step(unsigned long *addr, unsigned long *to)
{
	struct insn insn;

	if (insn_decode_kernel(&insn, (void *)*addr))
		return false;

	*to = klp_insn_target(&insn, *addr);
	*addr += insn.length;
	return true;
}

/**
 * klp_text_branch() - find a branch in text
 * @addr:	the address of an instruction; set to the one behind the branch
 * @end:	where to stop
 *
 * Context: Process context. The text must not change during the call.
 * Return: the target of the first branch or call at or after @addr; KLP_ANYWHERE if it
 *	   is an indirect jump; 0 if there are no more, or the text cannot be decoded.
 */
unsigned long klp_text_branch(unsigned long *addr, unsigned long end)
{
	unsigned long to = KLP_NOWHERE;

	while (to == KLP_NOWHERE && *addr < end && klp_text_step(addr, &to))
		;

	return to;
}

/**
 * klp_site_has_static_call() - is a static call in a site that is not set up yet?
 * @site:	the site
 *
 * Until a static call is set up it calls its trampoline, or jumps there. After that the
 * table of static calls says where it is. While a module is being loaded its table is
 * sorted, and cannot be read.
 *
 * Context: Process context. Caller holds text_mutex.
 * Return: true if there is one.
 */
bool klp_site_has_static_call(const struct klp_site *site)
{
	unsigned long addr = site->addr, to;

	while ((to = klp_text_branch(&addr, site->addr + KLP_SITE_SIZE))) {
		/* All that klp_is_trampoline() reads is text. */
		if (kernel_text_address(to) && kernel_text_address(to + 7) &&
		    klp_is_trampoline((void *)to))
			return true;
	}

	return false;
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
 * klp_call_trapped() - is there a breakpoint in place of a call's first byte?
 * @addr:	the address of a static call
 *
 * Context: Any.
 * Return: true if there is: static_call_update() is writing the call, or a debugger has
 *	   set a breakpoint.
 */
bool klp_call_trapped(unsigned long addr)
{
	return READ_ONCE(*(const u8 *)addr) == INT3_INSN_OPCODE;
}

/**
 * klp_call_target() - find the target of a direct call or jump
 * @addr:	the address of the instruction
 *
 * Context: Any.
 * Return: the target, also if there is a breakpoint in place of the first byte; NULL if it
 *	   is another instruction.
 */
void *klp_call_target(unsigned long addr)
{
	const u8 *insn = (const u8 *)addr;
	s32 rel;

	if (insn[0] != CALL_INSN_OPCODE && insn[0] != JMP32_INSN_OPCODE &&
	    insn[0] != INT3_INSN_OPCODE)
		return NULL;

	memcpy(&rel, insn + 1, sizeof(rel));
	return (void *)(addr + KLP_SITE_SIZE + rel);
}

/**
 * klp_edit_site() - encode the edit of a function's entry
 * @edit:	the edit
 * @site:	the function's site
 * @from:	the replacement that it is redirected to now, NULL if it is not redirected
 * @to:		the replacement that it has to be redirected to, NULL to restore it
 *
 * An INT3 stands for the new version. If that is the original function, whose bytes are
 * incomplete meanwhile, it stands for the old version.
 *
 * Context: Any.
 */
void klp_edit_site(struct klp_edit *edit, const struct klp_site *site,
		   void *from, void *to)
{
	*edit = (struct klp_edit){
		.addr		= site->addr,
		.size		= from && to ? KLP_SITE_SIZE : site->size,
		.trap		= to ?: from,
		.restores	= !to,
		.site		= site->nr_labels && !(from && to) ? site : NULL,
	};
	klp_site_text(edit->was, site, from);
	klp_site_text(edit->text, site, to);
}

/**
 * klp_edit_follow_labels() - encode the jump labels of a site as they are now
 * @edit:	the edit
 *
 * They can have changed since klp_edit_site().
 *
 * Context: Process context. Caller holds jump_label_lock() and text_mutex, and keeps them
 *	    until the edit is made.
 */
void klp_edit_follow_labels(struct klp_edit *edit)
{
	unsigned int tail;

	lockdep_assert_held(&text_mutex);

	if (!edit->site)
		return;

	tail = edit->size - KLP_SITE_SIZE;
	if (edit->restores) {
		/* What is behind the site did not follow its label meanwhile. */
		memcpy(edit->was + KLP_SITE_SIZE,
		       (void *)(edit->addr + KLP_SITE_SIZE), tail);
		klp_site_text(edit->text, edit->site, NULL);
	} else {
		klp_site_text(edit->was, edit->site, NULL);
		memcpy(edit->text + KLP_SITE_SIZE, edit->was + KLP_SITE_SIZE, tail);
	}
}

/**
 * klp_edit_call() - encode the edit of a direct call or jump
 * @edit:	the edit
 * @addr:	the address of the instruction
 * @from:	its target, as found by klp_call_target()
 * @to:		the new target
 * @trap:	the target that an INT3 stands for
 *
 * The old bytes are made from @from and not copied from the text. static_call_update()
 * can have changed the text since, and that change must not be undone.
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
		.size		= CALL_INSN_SIZE,
		.trap		= trap,
		.call		= opcode == CALL_INSN_OPCODE,
	};

	klp_branch(edit->was, opcode, addr, (unsigned long)from);
	klp_branch(edit->text, opcode, addr, (unsigned long)to);
	return 0;
}

/**
 * klp_edit_fits() - does the text contain what an edit expects?
 * @edit:	the edit
 *
 * Context: Process context. Caller holds text_mutex, and keeps it until the edit
 *	    is made.
 * Return: true if it does.
 */
bool klp_edit_fits(const struct klp_edit *edit)
{
	lockdep_assert_held(&text_mutex);

	return !memcmp((void *)edit->addr, edit->was, edit->size);
}

/**
 * klp_edit_probed() - is there a kprobe at an edit, or the remainder of one?
 * @edit:	the edit
 *
 * When a module is unloaded its kprobes are disarmed, but stay registered. In another
 * module that is loaded to the same place they are never hit. But kprobes take an INT3
 * there for their own, and klp_int3() is not called.
 *
 * Context: Any.
 * Return: true if there is.
 */
bool klp_edit_probed(const struct klp_edit *edit)
{
	return klp_is_probed(edit->addr);
}

static struct page *klp_page(unsigned long addr)
{
	if (is_vmalloc_or_module_addr((void *)addr))
		return vmalloc_to_page((void *)addr);

	return virt_to_page((void *)addr);
}

/**
 * klp_edits_map() - make text writable
 * @edits:	the edits, sorted by address
 * @nr:		number of edits
 *
 * All pages are in one mapping, each once. It is not executable. When klp_edits_unmap()
 * returns, it is removed from all TLBs as well.
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
		struct page *page = klp_page(addr);

		if (!nr_pages || pages[nr_pages - 1] != page)
			pages[nr_pages++] = page;
		/* An index for now. The address is known when the pages are mapped. */
		edits[i].alias = (u8 *)(unsigned long)(nr_pages - 1);

		if (offset_in_page(addr) + edits[i].size > PAGE_SIZE)
			pages[nr_pages++] = klp_page(addr + edits[i].size - 1);
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

static __always_inline void klp_edit_write_tail(const struct klp_edit *edit)
{
	unsigned int i;

	/* memcpy() of a size that is not constant would be a call. */
	memcpy(edit->alias + 1, edit->text + 1, KLP_SITE_SIZE - 1);
	for (i = KLP_SITE_SIZE; i < edit->size; i++)
		WRITE_ONCE(edit->alias[i], edit->text[i]);
}

/**
 * klp_edits_write() - do one step of making the edits
 * @edits:	the edits, mapped and sorted by address
 * @nr:		number of edits
 * @step:	KLP_STEP_TRAP, KLP_STEP_TAIL, KLP_STEP_HEAD
 *
 * The steps are made in this order. Between two steps each CPU must execute sync_core(),
 * outside of an NMI. The same is true between the last step and klp_edits_disarm().
 *
 * Context: Each other CPU waits with interrupts off. NMIs are allowed. Takes no lock,
 *	    and calls nothing.
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
		for (i = 0; i < nr; i++) {
			if (!edits[i].no_trap)
				WRITE_ONCE(*edits[i].alias, INT3_INSN_OPCODE);
		}
		break;
	case KLP_STEP_TAIL:
		for (i = 0; i < nr; i++)
			klp_edit_write_tail(&edits[i]);
		break;
	case KLP_STEP_HEAD:
		for (i = 0; i < nr; i++)
			WRITE_ONCE(*edits[i].alias, edits[i].text[0]);
		break;
	}
}

/**
 * klp_rela_clear() - clear a relocation that was written
 * @addr:	its address, in a module
 * @size:	its size, see klp_rela_size()
 *
 * Context: Process context. Caller holds text_mutex.
 */
void klp_rela_clear(unsigned long addr, unsigned int size)
{
	static const u64 zero;

	lockdep_assert_held(&text_mutex);

	text_poke((void *)addr, &zero, size);
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
 * klp_edits_tell() - tell perf of the new text
 * @edits:	the edits, which have been made
 * @nr:		number of edits
 *
 * Context: Process context.
 */
void klp_edits_tell(const struct klp_edit *edits, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!edits[i].data)
			perf_event_text_poke((void *)edits[i].addr, edits[i].was,
					     edits[i].size, edits[i].text,
					     edits[i].size);
	}
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
 * An INT3 of a switch stands for a jump or a call to a version of a function that is
 * complete. Only an NMI or a machine check can execute one.
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

	/* As the call does, whose first byte was replaced by the INT3. */
	if (edit->call)
		int3_emulate_push(regs, regs->ip - INT3_INSN_SIZE + CALL_INSN_SIZE);
	int3_emulate_jmp(regs, (unsigned long)edit->trap);
	return NOTIFY_STOP;
}

static struct notifier_block klp_int3_nb = {
	.notifier_call	= klp_int3,
	/* Before any notifier that could call a function with an INT3. */
	.priority	= INT_MAX,
};

static int __init klp_arch_init(void)
{
	return register_die_notifier(&klp_int3_nb);
}
early_initcall(klp_arch_init);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Redirect a function: where in its text, and how.
 */
#ifndef _ASM_X86_LIVEPATCH_H
#define _ASM_X86_LIVEPATCH_H

#include <linux/build_bug.h>
#include <linux/elf.h>
#include <linux/list.h>
#include <linux/math.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/ptrace.h>
#include <asm/text-patching.h>

struct jump_entry;
struct static_call_key;

#define KLP_SITE_SIZE	JMP32_INSN_SIZE

/* A jump label begins in a site, and is one of two or of five bytes. */
#define KLP_SITE_LABELS	DIV_ROUND_UP(KLP_SITE_SIZE, JMP8_INSN_SIZE)
#define KLP_EDIT_SIZE	(KLP_SITE_SIZE - 1 + JMP32_INSN_SIZE)

/* The target of an indirect jump, which is not known. */
#define KLP_ANYWHERE	~0UL

/**
 * struct klp_site - the bytes of a function that are overwritten when it is redirected
 * @addr:	address of the first byte: after endbr64 and after the bytes of ftrace
 * @orig:	the bytes of the original function, but for what its jump labels are
 * @size:	how many bytes of the original function are written to restore it: the site,
 *		and what is behind it of a jump label
 * @insns:	the size of the instructions that these bytes are part of, in bytes
 * @label:	the jump labels that begin in the site
 * @nr_labels:	how many there are
 */
struct klp_site {
	unsigned long addr;
	u8 orig[KLP_EDIT_SIZE];
	unsigned int size;
	unsigned int insns;
	struct jump_entry *label[KLP_SITE_LABELS];
	unsigned int nr_labels;
};

/**
 * struct klp_edit - a change of five bytes of text or data, or of a few more of text
 * @addr:	address of the first byte
 * @was:	the bytes before the change
 * @text:	the bytes after it
 * @size:	how many they are
 * @trap:	where a CPU continues that executes the INT3 meanwhile
 * @call:	it gets there by a call, and not by a jump
 * @no_trap:	no INT3 is written
 * @data:	it is no text, but in the table of jump labels
 * @restores:	it restores the original function
 * @site:	the site, if it has jump labels and the edit redirects the function or
 *		restores it; else NULL
 * @key:	the key of the static call that the bytes are; NULL for the entry of a
 *		function
 * @func:	the function in the key, or the static call is being updated
 * @alias:	writable mapping of the bytes
 */
struct klp_edit {
	unsigned long addr;
	u8 was[KLP_EDIT_SIZE];
	u8 text[KLP_EDIT_SIZE];
	unsigned int size;
	void *trap;
	bool call;
	bool no_trap;
	bool data;
	bool restores;
	const struct klp_site *site;
	const struct static_call_key *key;
	void *func;
	u8 *alias;
};

/**
 * enum klp_step - the steps in which edits are made
 * @KLP_STEP_TRAP:	the first byte of each edit becomes an INT3
 * @KLP_STEP_TAIL:	the other bytes get their new values
 * @KLP_STEP_HEAD:	the first byte gets its new value
 */
enum klp_step {
	KLP_STEP_TRAP,
	KLP_STEP_TAIL,
	KLP_STEP_HEAD,
};

/**
 * klp_site_contains() - is an address in a site?
 * @site:	the site
 * @addr:	the address
 *
 * Context: Any.
 * Return: true if it is.
 */
static inline bool klp_site_contains(const struct klp_site *site,
				     unsigned long addr)
{
	return addr >= site->addr && addr < site->addr + KLP_SITE_SIZE;
}

/**
 * klp_rela_size() - the size of what a relocation writes
 * @type:	its type
 *
 * Context: Any.
 * Return: the number of bytes, or 0 if a livepatch relocation must not be of
 *	   this type.
 */
static inline unsigned int klp_rela_size(unsigned long type)
{
	switch (type) {
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	case R_X86_64_32:
	case R_X86_64_32S:
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return 4;
	default:
		return 0;
	}
}

void klp_rela_clear(unsigned long addr, unsigned int size);

/**
 * klp_task_sp() - the stack pointer of a task
 * @task:	the current task, or one that does not run
 *
 * Context: Any.
 * Return: the address.
 */
static __always_inline unsigned long klp_task_sp(const struct task_struct *task)
{
	return task == current ? current_stack_pointer : task->thread.sp;
}

/**
 * klp_for_each_stack_word() - go through the part of a task's stack that is in use
 * @word:	const unsigned long *, the address of an aligned word
 * @task:	the current task, or one that does not run
 *
 * It ends at the registers of user space.
 */
#define klp_for_each_stack_word(word, task)				\
	for (word = (void *)klp_task_sp(task);				\
	     word < (const unsigned long *)task_pt_regs(task); word++)

/**
 * klp_spill_registers() - save the registers that a function must preserve on the stack
 *
 * The compiler does so in the function that this is inlined into, as far as it has not done
 * so yet. It may not let go of %rbp, so this is returned.
 *
 * Context: Any.
 * Return: %rbp.
 */
static __always_inline unsigned long klp_spill_registers(void)
{
	unsigned long bp;

	asm volatile("movq %%rbp, %0"
		     : "=m" (bp) : : "rbx", "r12", "r13", "r14", "r15");
	return bp;
}

/**
 * struct klp_exiting - what is kept of a thread that exits
 * @node:	entry in the list of these threads
 * @task:	the thread
 */
struct klp_exiting {
	struct list_head node;
	struct task_struct *task;
};

/**
 * klp_task_exiting() - room for a struct klp_exiting
 * @task:	a thread with exit_state set that has not left its CPU for the last time
 *
 * The thread never returns to user space. So the first registers of user space on its
 * stack, which the unwinder does not use, are not needed any more. Kernel threads
 * have the same room.
 *
 * Context: Any.
 * Return: the address.
 */
static inline struct klp_exiting *klp_task_exiting(struct task_struct *task)
{
	BUILD_BUG_ON(offsetof(struct pt_regs, r15));
	BUILD_BUG_ON(sizeof(struct klp_exiting) > offsetof(struct pt_regs, bp));

	return (struct klp_exiting *)task_pt_regs(task);
}

const char *klp_site_init(struct klp_site *site, void *func,
			  unsigned long size);
bool klp_site_add_label(struct klp_site *site, struct jump_entry *label);
unsigned long klp_label_target(const struct jump_entry *label);
bool klp_site_branched_to(const struct klp_site *site, unsigned long start,
			  unsigned long end);
bool klp_site_trapped(const struct klp_site *site);
bool klp_text_step(unsigned long *addr, unsigned long *to);
unsigned long klp_text_branch(unsigned long *addr, unsigned long end);
bool klp_site_has_static_call(const struct klp_site *site);
bool klp_is_trampoline(const void *func);
int klp_site_reachable(const struct klp_site *site, void *to);

bool klp_call_trapped(unsigned long addr);
void *klp_call_target(unsigned long addr);

void klp_edit_site(struct klp_edit *edit, const struct klp_site *site,
		   void *from, void *to);
void klp_edit_follow_labels(struct klp_edit *edit);
void klp_edit_label(struct klp_edit *edit, struct jump_entry *label, bool take);
int __must_check klp_edit_call(struct klp_edit *edit, unsigned long addr,
			       void *from, void *to, void *trap);
bool klp_edit_fits(const struct klp_edit *edit);
bool klp_edit_probed(const struct klp_edit *edit);

void * __must_check klp_edits_map(struct klp_edit *edits, unsigned int nr);
void klp_edits_unmap(void *map);
void klp_edits_write(const struct klp_edit *edits, unsigned int nr,
		     enum klp_step step);
void klp_edits_disarm(void);
void klp_edits_tell(const struct klp_edit *edits, unsigned int nr);

#endif /* _ASM_X86_LIVEPATCH_H */

// SPDX-License-Identifier: GPL-2.0
/* Sites: where the jump is written, and which functions have no room for it. */

#include <kunit/test.h>
#include <linux/cpu.h>
#include <linux/ftrace.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/smp.h>
#include <asm/livepatch.h>
#include <asm/livepatch_compat.h>
#include <asm/sections.h>
#include "../patch.h"
#include "../guard.h"
#include "../ranges.h"
#include "../site.h"
#include "helpers.h"

/* push %rbp; mov %rsp,%rbp is 55 48 89 e5. */
#define NOP	0x90
#define RET	0xc3

static void expect_site(struct kunit *test, u8 *text, unsigned long size,
			unsigned int offset)
{
	struct klp_site site;

	KUNIT_ASSERT_NULL(test, klp_site_init(&site, text, size));
	KUNIT_EXPECT_EQ(test, site.addr, (unsigned long)text + offset);
	KUNIT_EXPECT_MEMEQ(test, site.orig, text + offset, KLP_SITE_SIZE);
}

static void site_plain(struct kunit *test)
{
	u8 text[] = { 0x55, 0x48, 0x89, 0xe5, NOP, RET };

	expect_site(test, text, sizeof(text), 0);
}

static void site_endbr(struct kunit *test)
{
	u8 text[] = { 0, 0, 0, 0, 0x55, 0x48, 0x89, 0xe5, NOP, RET };
	u32 insn;

	if (!IS_ENABLED(CONFIG_X86_KERNEL_IBT))
		kunit_skip(test, "no endbr64 without CONFIG_X86_KERNEL_IBT");

	insn = gen_endbr();
	memcpy(text, &insn, sizeof(insn));
	expect_site(test, text, sizeof(text), 4);

	/* What is left where nobody calls the function indirectly. */
	insn = gen_endbr_poison();
	memcpy(text, &insn, sizeof(insn));
	expect_site(test, text, sizeof(text), 4);
}

static void site_too_short(struct kunit *test)
{
	u8 text[] = { 0x55, 0x48, 0x89, 0xe5, RET };
	struct klp_site site;

	KUNIT_EXPECT_NULL(test, klp_site_init(&site, text, 5));
	KUNIT_EXPECT_NOT_NULL(test, klp_site_init(&site, text, 4));
	KUNIT_EXPECT_NOT_NULL(test, klp_site_init(&site, text, 0));
}

static void site_not_code(struct kunit *test)
{
	/* ANDN, which there is only with a VEX prefix. */
	u8 text[] = { NOP, 0x0f, 0x38, 0xf2, NOP, NOP };
	struct klp_site site;

	KUNIT_EXPECT_NOT_NULL(test, klp_site_init(&site, text, sizeof(text)));
}

static void site_of_functions(struct kunit *test)
{
	struct klp_site site;
	u8 *text = (u8 *)lpt_one;

	/* Else objtool takes what is added for a jump into the middle. */
	OPTIMIZER_HIDE_VAR(text);
	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_one, 64));

	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT)) {
		KUNIT_EXPECT_TRUE(test, klp_is_endbr(text));
		text += 4;
	}
	/* ftrace's five bytes stay ftrace's. */
	if (IS_ENABLED(CONFIG_DYNAMIC_FTRACE)) {
		KUNIT_EXPECT_EQ(test, ftrace_location((unsigned long)lpt_one),
				(unsigned long)text);
		text += 5;
	}
	KUNIT_EXPECT_EQ(test, site.addr, (unsigned long)text);
}

/* A jump lands behind the endbr64 of what it jumps to. */
static void site_encoding(struct kunit *test)
{
	unsigned long to = (unsigned long)lpt_one;
	struct klp_site site = { .orig = { 1, 2, 3, 4, 5 }, .size = KLP_SITE_SIZE };
	u8 forward[] = { JMP32_INSN_OPCODE, 0x78, 0x56, 0x34, 0x12 };
	u8 backward[] = { JMP32_INSN_OPCODE, 0xfb, 0xff, 0xff, 0xff };
	struct klp_site before = site, at = site;
	struct klp_edit edit;

	/* Or objtool takes it for an indirect call that misses the endbr64. */
	OPTIMIZER_HIDE_VAR(to);
	to += ENDBR_INSN_SIZE;
	before.addr = to - KLP_SITE_SIZE - 0x12345678;
	at.addr = to;

	klp_edit_site(&edit, &before, NULL, lpt_one);
	KUNIT_EXPECT_MEMEQ(test, edit.text, forward, KLP_SITE_SIZE);
	klp_edit_site(&edit, &at, NULL, lpt_one);
	KUNIT_EXPECT_MEMEQ(test, edit.text, backward, KLP_SITE_SIZE);
	klp_edit_site(&edit, &site, lpt_one, NULL);
	KUNIT_EXPECT_MEMEQ(test, edit.text, site.orig, KLP_SITE_SIZE);
}

struct branch_case {
	const char *what;
	u8 text[8];
	unsigned int size;
	int site;
	bool hit;
};

/* The text, where the site is from its beginning, and whether it is hit. */
static const struct branch_case branch_cases[] = {
	{ "jmp rel8, to the first byte", { 0xeb, 0xfe }, 2, 0, true },
	{ "jmp rel8, to the last byte", { 0xeb, 0xfe }, 2, -4, true },
	{ "jmp rel8, behind the last", { 0xeb, 0xfe }, 2, -5, false },
	{ "jmp rel8, before the first", { 0xeb, 0xfe }, 2, 1, false },
	{ "jcc rel8", { 0x74, 0xfe }, 2, -2, true },
	{ "jcxz", { 0xe3, 0xfe }, 2, -2, true },
	{ "jmp rel32", { 0xe9, 0xfb, 0xff, 0xff, 0xff }, 5, -2, true },
	{ "jmp rel32, elsewhere", { 0xe9, 0, 0, 0, 0 }, 5, -2, false },
	{ "jcc rel32", { 0x0f, 0x84, 0xfa, 0xff, 0xff, 0xff }, 6, -2, true },
	{ "another 0f", { 0x0f, 0x1f, 0x44, 0, 0 }, 5, 0, false },
	{ "call, inside", { 0xe8, 0xfb, 0xff, 0xff, 0xff }, 5, -2, true },
	{ "call of the function", { 0xe8, 0xfb, 0xff, 0xff, 0xff }, 5, 0, false },
	{ "second instruction", { NOP, 0xeb, 0xfe }, 3, 0, true },
	{ "no branch", { NOP, RET }, 2, 0, false },
	{ "no instruction", { 0x0f, 0x38, 0xf2, NOP }, 4, 100, true },
	{ "jmp *%rax", { 0xff, 0xe0 }, 2, 100,
	  !IS_ENABLED(CONFIG_MITIGATION_RETPOLINE) &&
	  !IS_ENABLED(CONFIG_X86_KERNEL_IBT) },
};

static void branch_desc(const struct branch_case *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(branch, branch_cases, branch_desc);

/* Who is in the text may come back to the site. */
static void site_branch(struct kunit *test)
{
	const struct branch_case *c = test->param_value;
	struct klp_site site = { .addr = (unsigned long)c->text + c->site };
	unsigned long start = (unsigned long)c->text;
	bool hit;

	mutex_lock(&text_mutex);
	hit = klp_site_branched_to(&site, start, start + c->size);
	mutex_unlock(&text_mutex);
	KUNIT_EXPECT_EQ(test, hit, c->hit);
}

#ifdef CONFIG_JUMP_LABEL
/* So may who takes a jump label that is off now. */
static void site_branch_hidden(struct kunit *test)
{
	struct klp_ranges none = {};
	struct klp_site site = {};

	KUNIT_EXPECT_FALSE(test, klp_site_reentered(&site, &none));
	site.addr = jump_entry_target(__start___jump_table) - 4;
	KUNIT_EXPECT_TRUE(test, klp_site_reentered(&site, &none));
}
#endif

struct trap_case {
	const char *what;
	u8 text[8];
	bool trapped;
};

static const struct trap_case trap_cases[] = {
	{ "first", { 0xcc, 0x48, 0x89, 0xe5, NOP, RET }, true },
	{ "second", { 0x55, 0xcc, 0x89, 0xe5, NOP, RET }, true },
	{ "third", { 0x55, NOP, 0xcc, NOP, NOP, RET }, true },
	{ "last byte", { NOP, NOP, NOP, NOP, 0xcc, RET }, true },
	{ "behind the site", { NOP, NOP, NOP, NOP, NOP, 0xcc, RET }, false },
	{ "behind ret", { 0x31, 0xc0, RET, 0xcc, 0xcc, 0xcc }, false },
	{ "behind jmp", { 0xeb, 0x02, 0xcc, 0xcc, NOP, RET }, false },
	{ "part of an instruction", { 0xb8, 0xcc, 0xcc, 0xcc, 0xcc, RET }, false },
};

static void trap_desc(const struct trap_case *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(trap, trap_cases, trap_desc);

static bool is_shared(struct klp_site *site)
{
	bool shared;

	cpus_read_lock();
	jump_label_lock();
	mutex_lock(&text_mutex);
	shared = klp_site_labels(site) || klp_site_shared(site, lpt_one);
	mutex_unlock(&text_mutex);
	jump_label_unlock();
	cpus_read_unlock();

	return shared;
}

/* A debugger can have set a breakpoint at any instruction of the site. */
static void site_trapped(struct kunit *test)
{
	const struct trap_case *c = test->param_value;
	struct klp_site site = { .addr = (unsigned long)c->text };

	KUNIT_EXPECT_EQ(test, klp_site_trapped(&site), c->trapped);
	KUNIT_EXPECT_EQ(test, is_shared(&site), c->trapped);
}

/* A static call that no table can be asked about, as that is being sorted. */
static void site_static_call(struct kunit *test)
{
	static u8 text[] = { NOP, CALL_INSN_OPCODE, 0, 0, 0, 0, RET };
	struct klp_site site = { .addr = (unsigned long)text };
	unsigned long to = kallsyms_lookup_name("__SCT__lpt_call");
	s32 rel = to - ((unsigned long)text + 1 + CALL_INSN_SIZE);

	if (!to)
		kunit_skip(test, "static calls have no trampolines");

	memcpy(text + 2, &rel, sizeof(rel));
	KUNIT_EXPECT_TRUE(test, klp_site_has_static_call(&site));
	KUNIT_EXPECT_TRUE(test, is_shared(&site));
	text[1] = JMP32_INSN_OPCODE;
	KUNIT_EXPECT_TRUE(test, klp_site_has_static_call(&site));
	rel = (unsigned long)lpt_two - ((unsigned long)text + 1 + CALL_INSN_SIZE);
	memcpy(text + 2, &rel, sizeof(rel));
	KUNIT_EXPECT_FALSE(test, klp_site_has_static_call(&site));
	KUNIT_EXPECT_FALSE(test, is_shared(&site));
}

static void site_reach(struct kunit *test)
{
	struct klp_site site = { .addr = (unsigned long)lpt_one };
	unsigned long next = site.addr + KLP_SITE_SIZE;
	unsigned long last = next + S32_MAX - ENDBR_INSN_SIZE;

	KUNIT_EXPECT_EQ(test, klp_site_reachable(&site, lpt_two), 0);
	KUNIT_EXPECT_EQ(test, klp_site_reachable(&site, (void *)last), 0);
	KUNIT_EXPECT_EQ(test, klp_site_reachable(&site, (void *)next + S32_MIN),
			0);
	KUNIT_EXPECT_EQ(test,
			klp_site_reachable(&site, (void *)(last + 1)),
			-ERANGE);
	KUNIT_EXPECT_EQ(test,
			klp_site_reachable(&site,
					   (void *)(next + S32_MIN - 1UL)),
			-ERANGE);
}

/* The whole way: such a patch is refused, with the errno of the reason. */
static void expect_refused(struct kunit *test, const char *name, int err)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_refused");
	struct lpt_snapshot snap;

	/* The good function comes first, so that there is something to undo. */
	lpt_snapshot(&snap, lpt_one);
	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, name, lpt_two_new);

	KUNIT_EXPECT_EQ_MSG(test, lpt_enable(p), err, "%s", name);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &snap);
}

static void site_refused_short(struct kunit *test)
{
	expect_refused(test, "lpt_short", -ENOSPC);
}

static void site_refused_not_text(struct kunit *test)
{
	expect_refused(test, "lpt_data", -EINVAL);
}

static void __init __used lpt_init_text(void)
{
}

static void site_refused_init(struct kunit *test)
{
	expect_refused(test, "lpt_init_text", -ENXIO);
}

static void site_refused_entry(struct kunit *test)
{
	expect_refused(test, "asm_exc_int3", -EPERM);
	expect_refused(test, "exc_int3", -EPERM);
	expect_refused(test, "irqentry_nmi_enter", -EPERM);
}

static void site_refused_trap_path(struct kunit *test)
{
	expect_refused(test, "do_int3", -EPERM);
	expect_refused(test, "notify_die", -EPERM);
	if (IS_ENABLED(CONFIG_PREEMPT_RCU))
		expect_refused(test, "__rcu_read_lock", -EPERM);
}

static void site_refused_own_path(struct kunit *test)
{
	expect_refused(test, "klp_window", -EPERM);
	expect_refused(test, "klp_enable_patch", -EPERM);
	expect_refused(test, "multi_cpu_stop", -EPERM);
	expect_refused(test, "cpu_stopper_thread", -EPERM);
	/* Every return can go through it. */
	if (IS_ENABLED(CONFIG_MITIGATION_SRSO))
		expect_refused(test, "srso_alias_return_thunk", -EPERM);
}

static void expect_func(struct kunit *test, const char *name, int err)
{
	unsigned long addr = kallsyms_lookup_name(name);
	const char *why;

	/* Of these functions each kernel has some. */
	if (!addr)
		return;
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ_MSG(test, klp_guard_func(addr, &why), err, "%s", name);
	mutex_unlock(&klp_mutex);
}

/* What smp_ops.play_dead leads to, by name or not. */
/* Also those that this machine does not use. */
static int expect_dead_refused(void *data, const char *name, unsigned long addr)
{
	struct kunit *test = data;
	const char *why;

	if (strstr(name, "play_dead") && core_kernel_text(addr))
		KUNIT_EXPECT_EQ_MSG(test, klp_guard_func(addr, &why), -EPERM, "%s", name);
	return 0;
}

static void site_refused_offline(struct kunit *test)
{
	const char *why;

	mutex_lock(&klp_mutex);
	kallsyms_on_each_symbol(expect_dead_refused, test);
	KUNIT_EXPECT_EQ(test, klp_guard_func((unsigned long)smp_ops.play_dead, &why),
			-EPERM);
	mutex_unlock(&klp_mutex);

	expect_refused(test, "native_play_dead", -EPERM);
	expect_refused(test, "cpuhp_ap_report_dead", -EPERM);
	expect_func(test, "mwait_play_dead", -EPERM);
	expect_func(test, "io_idle", -EPERM);
	expect_func(test, "tboot_shutdown", -EPERM);
	expect_func(test, "sev_es_play_dead", -EPERM);
	expect_func(test, "xen_pv_play_dead", -EPERM);
	/* A function that merely has to do with it. */
	expect_func(test, "_printk", 0);
}

static noinline __used int lpt_nokprobe(int x)
{
	return x;
}

NOKPROBE_SYMBOL(lpt_nokprobe);

static void site_refused_blacklist(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KPROBES))
		kunit_skip(test, "no kprobe blacklist without CONFIG_KPROBES");

	expect_refused(test, "lpt_nokprobe", -EPERM);
}

/**
 * struct section - text of which no function may be patched
 * @start:	its beginning
 * @end:	its end
 * @nr:		how many functions there are
 */
struct section {
	const char *start;
	const char *end;
	unsigned int nr;
};

enum { ENTRY, NOINSTR, KPROBES, NR_SECTIONS };

/* The rest is what kprobes refuse for other reasons. */
static struct section sections[NR_SECTIONS] = {
	[ENTRY]		= { __entry_text_start, __entry_text_end },
	[NOINSTR]	= { __noinstr_text_start, __noinstr_text_end },
	[KPROBES]	= { __kprobes_text_start, __kprobes_text_end },
};

static unsigned int nr_blacklisted;

static bool untouchable(unsigned long addr)
{
	struct section *section;

	for (section = sections; section < sections + NR_SECTIONS; section++) {
		if (addr >= (unsigned long)section->start &&
		    addr < (unsigned long)section->end) {
			section->nr++;
			return true;
		}
	}
	if (!core_kernel_text(addr) || !within_kprobe_blacklist(addr))
		return false;
	nr_blacklisted++;
	return true;
}

static int expect_untouched(void *data, const char *name, unsigned long addr)
{
	struct kunit *test = data;
	const char *why;

	if (untouchable(addr))
		KUNIT_EXPECT_NE_MSG(test, klp_guard_func(addr, &why), 0, "%s",
				    name);
	return 0;
}

/* No function of these is forgotten. */
static void site_refused_sections(struct kunit *test)
{
	unsigned int i;

	if (!IS_ENABLED(CONFIG_KPROBES))
		kunit_skip(test, "no kprobe blacklist without CONFIG_KPROBES");
	mutex_lock(&klp_mutex);
	kallsyms_on_each_symbol(expect_untouched, test);
	mutex_unlock(&klp_mutex);
	for (i = 0; i < NR_SECTIONS; i++)
		KUNIT_EXPECT_GT_MSG(test, sections[i].nr, 5, "%u", i);
	KUNIT_EXPECT_GT(test, nr_blacklisted, 10);
}

static void site_refused_static_call(struct kunit *test)
{
	expect_refused(test, "lpt_static_call", -EADDRINUSE);
}

/* The second instruction, which only begins in the five bytes. */
static void site_refused_overlap(struct kunit *test)
{
	expect_refused(test, "lpt_late_call", -EADDRINUSE);
}

/* What static calls go through where they are not direct. */
static void site_refused_trampoline(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_HAVE_STATIC_CALL))
		expect_refused(test, "__SCT__lpt_call", -EADDRINUSE);
}

/* A kernel writes to lock prefixes when its second CPU comes. */
static void site_refused_alternative(struct kunit *test)
{
	if (!alternatives_text_reserved)
		kunit_skip(test, "this kernel leaves lock prefixes alone");
	if (num_online_cpus() > 1 || num_possible_cpus() == 1)
		kunit_skip(test, "needs one CPU, and another that is off");
	expect_refused(test, "lpt_lock", -EADDRINUSE);
}

static void site_accepted_shapes(struct kunit *test)
{
	struct lpt_snapshot plain, endbr;
	struct lpt_patch *p = lpt_patch(test, "lpt_shapes");
	unsigned int skip = IS_ENABLED(CONFIG_X86_KERNEL_IBT) ? 4 : 0;
	u8 *with_endbr = (u8 *)lpt_with_endbr;

	OPTIMIZER_HIDE_VAR(with_endbr);
	lpt_snapshot(&plain, lpt_plain);
	lpt_snapshot(&endbr, lpt_with_endbr);
	lpt_replace(p, "lpt_plain", lpt_one_new);
	lpt_replace(p, "lpt_with_endbr", lpt_one_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);

	KUNIT_EXPECT_EQ(test, *(u8 *)lpt_plain, JMP32_INSN_OPCODE);
	KUNIT_EXPECT_MEMEQ(test, (void *)lpt_plain + 5, plain.text + 5,
			   LPT_TEXT - 5);
	KUNIT_EXPECT_MEMEQ(test, with_endbr, endbr.text, skip);
	KUNIT_EXPECT_EQ(test, with_endbr[skip], JMP32_INSN_OPCODE);

	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_unchanged(test, &plain);
	lpt_expect_unchanged(test, &endbr);
	lpt_expect_gone(test, p);
}

static struct kunit_case site_cases[] = {
	KUNIT_CASE(site_plain),
	KUNIT_CASE(site_endbr),
	KUNIT_CASE(site_too_short),
	KUNIT_CASE(site_not_code),
	KUNIT_CASE(site_of_functions),
	KUNIT_CASE(site_encoding),
	KUNIT_CASE_PARAM(site_branch, branch_gen_params),
#ifdef CONFIG_JUMP_LABEL
	KUNIT_CASE(site_branch_hidden),
#endif
	KUNIT_CASE_PARAM(site_trapped, trap_gen_params),
	KUNIT_CASE(site_static_call),
	KUNIT_CASE(site_reach),
	KUNIT_CASE(site_refused_short),
	KUNIT_CASE(site_refused_not_text),
	KUNIT_CASE(site_refused_init),
	KUNIT_CASE(site_refused_entry),
	KUNIT_CASE(site_refused_trap_path),
	KUNIT_CASE(site_refused_own_path),
	KUNIT_CASE(site_refused_offline),
	KUNIT_CASE(site_refused_blacklist),
	KUNIT_CASE_SLOW(site_refused_sections),
	KUNIT_CASE(site_refused_static_call),
	KUNIT_CASE(site_refused_overlap),
	KUNIT_CASE(site_refused_trampoline),
	KUNIT_CASE(site_refused_alternative),
	KUNIT_CASE(site_accepted_shapes),
	{}
};

static struct kunit_suite site_suite = {
	.name = "livepatch_site",
	.test_cases = site_cases,
};

kunit_test_suite(site_suite);

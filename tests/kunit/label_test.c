// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that begin with a jump label. They are refused while the kernel boots, which is
 * when KUnit tests run by themselves. tests/vm/labels runs these once more.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/err.h>
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/sched/task.h>
#include <asm/livepatch.h>
#include "../patch.h"
#include "../switch.h"
#include "../target.h"
#include "../transition.h"
#include "helpers.h"

/**
 * struct label_case - a function with a jump label in its site
 * @name:	its name
 * @func:	the function
 * @key:	which of lpt_keys is that of its label
 * @behind:	how many bytes of its label are behind the site
 */
struct label_case {
	const char *name;
	int (*func)(void);
	unsigned int key;
	unsigned int behind;
};

static const struct label_case label_cases[] = {
	{ "lpt_jump_label", lpt_jump_label, 0, 0 },
	{ "lpt_late_label", lpt_late_label, 1, 0 },
	{ "lpt_edge_label", lpt_edge_label, 1, 1 },
	{ "lpt_last_label", lpt_last_label, 1, 4 },
	{ "lpt_likely_label", lpt_likely_label, 1, 0 },
};

static void label_desc(const struct label_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(label, label_cases, label_desc);

static void set_key(unsigned int key, bool on)
{
	if (on)
		static_branch_enable(&lpt_keys[key]);
	else
		static_branch_disable(&lpt_keys[key]);
}

static int result(bool on)
{
	return on ? LPT_NEW : LPT_OLD;
}

static struct lpt_patch *enabled(struct kunit *test, const char *patch,
				 const char *name)
{
	struct lpt_patch *p = lpt_patch(test, patch);

	lpt_replace(p, name, lpt_label_new);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	return p;
}

/* May such functions be patched by now? If not, this one is refused. */
static bool booted(struct kunit *test, const char *name)
{
	struct lpt_patch *p;

	if (system_state >= SYSTEM_RUNNING)
		return true;

	p = lpt_patch(test, "lpt_label");
	lpt_replace(p, name, lpt_label_new);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EADDRINUSE);
	return false;
}

static struct klp_site *site_of(struct kunit *test, void *func)
{
	struct klp_target *target;

	mutex_lock(&klp_mutex);
	target = klp_target_find(func);
	mutex_unlock(&klp_mutex);
	KUNIT_ASSERT_NOT_NULL(test, target);
	return &target->site;
}

/* The label is where it has to be for the test. */
static void expect_label(struct kunit *test, const struct label_case *c)
{
	const struct klp_site *site = site_of(test, c->func);

	KUNIT_EXPECT_EQ(test, site->nr_labels, 1);
	KUNIT_EXPECT_EQ(test, site->size, KLP_SITE_SIZE + c->behind);
}

/* The key is changed while the function is patched, or is not. */
static void follow(struct kunit *test, const struct label_case *c, bool before,
		   bool after)
{
	struct lpt_snapshot jump;
	struct lpt_patch *p;

	set_key(c->key, before);
	KUNIT_EXPECT_EQ(test, c->func(), result(before));
	p = enabled(test, "lpt_label", c->name);
	expect_label(test, c);
	KUNIT_EXPECT_EQ(test, c->func(), LPT_NEWER);
	lpt_snapshot(&jump, c->func);
	set_key(c->key, !before);
	set_key(c->key, after);
	KUNIT_EXPECT_EQ(test, c->func(), LPT_NEWER);
	lpt_expect_unchanged(test, &jump);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, c->func(), result(after));
	/* And its key reaches it again. */
	set_key(c->key, !after);
	KUNIT_EXPECT_EQ(test, c->func(), result(!after));
}

/* A function that is restored is as its key says by then. */
static void label_follows(struct kunit *test)
{
	const struct label_case *c = test->param_value;
	struct lpt_snapshot off;
	unsigned int i;

	if (!booted(test, c->name))
		return;

	lpt_snapshot(&off, c->func);
	for (i = 0; i < 4; i++)
		follow(test, c, i & 1, i & 2);
	set_key(c->key, false);
	lpt_expect_unchanged(test, &off);
}

/* Two labels in the five bytes, of which each has its key. */
static void label_two(struct kunit *test)
{
	struct lpt_snapshot off;
	struct lpt_patch *p;
	unsigned int i;

	if (!booted(test, "lpt_two_labels"))
		return;

	lpt_snapshot(&off, lpt_two_labels);
	for (i = 0; i < 4; i++) {
		p = enabled(test, "lpt_label", "lpt_two_labels");
		KUNIT_EXPECT_EQ(test, site_of(test, lpt_two_labels)->nr_labels, 2);
		set_key(0, i & 1);
		set_key(1, i & 2);
		KUNIT_EXPECT_EQ(test, lpt_two_labels(), LPT_NEWER);
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
		KUNIT_EXPECT_EQ(test, lpt_two_labels(), 10 + i);
	}
	set_key(0, false);
	set_key(1, false);
	lpt_expect_unchanged(test, &off);
}

/* With another patch for the function on top, which stays. */
static void label_stacked(struct kunit *test)
{
	struct lpt_patch *first, *second;

	if (!booted(test, "lpt_late_label"))
		return;

	first = enabled(test, "lpt_first", "lpt_late_label");
	second = enabled(test, "lpt_second", "lpt_late_label");
	set_key(1, true);
	KUNIT_EXPECT_EQ(test, lpt_disable(first), 0);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEWER);
	set_key(1, false);
	set_key(1, true);
	KUNIT_EXPECT_EQ(test, lpt_disable(second), 0);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEW);
	set_key(1, false);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_OLD);
}

/* Does the text do what its key says, after an attempt that failed? */
static void expect_following(struct kunit *test)
{
	set_key(1, true);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEW);
	set_key(1, false);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_OLD);
}

/* A switch that fails takes no label, and gives none back. */
static void label_blocked(struct kunit *test)
{
	struct lpt_parked parked;
	struct lpt_patch *p;

	if (!booted(test, "lpt_late_label"))
		return;

	p = lpt_patch(test, "lpt_label");
	lpt_replace(p, "lpt_late_label", lpt_label_new);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EBUSY);
	expect_following(test);
	lpt_unpark(&parked);

	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EBUSY);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEWER);
	set_key(1, true);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEWER);
	lpt_unpark(&parked);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEW);
	expect_following(test);
}

/* Neither does one that waits. One that is forced does as any other. */
static void label_forced(struct kunit *test)
{
	struct lpt_parked parked;
	struct lpt_patch *p;

	if (!booted(test, "lpt_late_label"))
		return;

	p = lpt_patch(test, "lpt_label");
	lpt_replace(p, "lpt_late_label", lpt_label_new);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	lpt_park_in(test, &parked, lpt_sleeper);
	klp_wait = true;
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	klp_wait = false;
	expect_following(test);

	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_PTR_EQ(test, klp_transition_patch, &p->patch);
	KUNIT_EXPECT_EQ(test, klp_transition_force(), 0);
	mutex_unlock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEWER);
	set_key(1, true);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEWER);
	lpt_unpark(&parked);

	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEW);
	expect_following(test);
}

/*
 * No kprobe can be set where it would be optimised over bytes that the label leads into when
 * the function is restored, nor where the label ends.
 */
static void label_unprobed(struct kunit *test)
{
#ifdef CONFIG_KPROBES
	const struct label_case *c = test->param_value;
	const struct klp_site *site;
	struct lpt_patch *p;
	unsigned long addr;
	unsigned int i;

	if (!booted(test, c->name))
		return;

	p = enabled(test, "lpt_label", c->name);
	site = site_of(test, c->func);
	for (i = 1; i < KLP_SITE_SIZE; i++) {
		addr = klp_label_target(site->label[0]) - i;
		KUNIT_EXPECT_TRUE_MSG(test, arch_within_kprobe_blacklist(addr), "-%u", i);
	}
	for (addr = site->addr; addr < site->addr + site->size; addr++)
		KUNIT_EXPECT_TRUE(test, arch_within_kprobe_blacklist(addr));
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
#else
	kunit_skip(test, "there are no kprobes");
#endif
}

#define NOP	0x90

/* A debugger's breakpoint in the site is one, also behind a label that jumps now. */
static void label_trapped(struct kunit *test)
{
	/* A label is not far from where its text is. */
	struct {
		struct jump_entry label;
		u8 text[KLP_EDIT_SIZE];
	} *made = kunit_kzalloc(test, sizeof(*made), GFP_KERNEL);
	struct klp_site site = { .size = KLP_SITE_SIZE, .nr_labels = 1 };

	KUNIT_ASSERT_NOT_NULL(test, made);
	memset(made->text, NOP, sizeof(made->text));
	made->text[0] = JMP8_INSN_OPCODE;
	made->text[2] = INT3_INSN_OPCODE;
	made->label.code = (unsigned long)made->text - (unsigned long)&made->label.code;
	site.addr = (unsigned long)made->text;
	site.label[0] = &made->label;
	KUNIT_EXPECT_TRUE(test, klp_site_trapped(&site));
	site.nr_labels = 0;
	KUNIT_EXPECT_FALSE(test, klp_site_trapped(&site));

	/* One at the label itself. */
	made->text[0] = INT3_INSN_OPCODE;
	mutex_lock(&text_mutex);
	KUNIT_EXPECT_FALSE(test, klp_site_add_label(&site, &made->label));
	mutex_unlock(&text_mutex);
}

static unsigned int changed_key;

static int change_key(void *unused)
{
	set_key(changed_key, !static_key_enabled(&lpt_keys[changed_key]));
	return 0;
}

static void *change_and_map(struct klp_edit *edits, unsigned int nr)
{
	struct kunit *test = kunit_get_current_test();

	lpt_call_elsewhere(test, change_key, NULL);
	kunit_deactivate_static_stub(test, klp_edits_map);
	return klp_edits_map(edits, nr);
}

/* The key is changed when the switch has found out already what it is. */
static void label_changed(struct kunit *test)
{
	const struct label_case *c = test->param_value;
	struct lpt_snapshot off;
	struct lpt_patch *p;
	unsigned int i;

	if (!booted(test, c->name))
		return;

	changed_key = c->key;
	lpt_snapshot(&off, c->func);
	for (i = 0; i < 2; i++) {
		set_key(c->key, i);
		kunit_activate_static_stub(test, klp_edits_map, change_and_map);
		p = enabled(test, "lpt_label", c->name);
		KUNIT_EXPECT_EQ(test, c->func(), LPT_NEWER);
		kunit_activate_static_stub(test, klp_edits_map, change_and_map);
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
		KUNIT_EXPECT_EQ(test, c->func(), result(i));
	}
	set_key(c->key, false);
	lpt_expect_unchanged(test, &off);
}

static struct task_struct *changer;

static int change_fn(void *unused)
{
	return change_key(unused);
}

/* Begin to change the key; that has to wait until the switch has been made. */
static int begin_change_and_look(struct klp_switch *sw)
{
	struct kunit *test = kunit_get_current_test();

	kunit_deactivate_static_stub(test, klp_switch_look);
	changer = kthread_create(change_fn, NULL, "lpt_changer");
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, changer);
	if (!IS_ERR(changer)) {
		get_task_struct(changer);
		wake_up_process(changer);
		lpt_wait_asleep(changer);
	}
	return klp_switch_look(sw);
}

static void end_change(void)
{
	if (IS_ERR(changer))
		return;
	kthread_stop(changer);
	put_task_struct(changer);
}

/* A change of the key begins when the switch looks at the text for the last time. */
static void label_changing(struct kunit *test)
{
	struct lpt_patch *p;

	if (!booted(test, "lpt_late_label"))
		return;

	changed_key = 1;
	kunit_activate_static_stub(test, klp_switch_look, begin_change_and_look);
	p = enabled(test, "lpt_label", "lpt_late_label");
	end_change();
	KUNIT_EXPECT_TRUE(test, static_key_enabled(&lpt_keys[1]));
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_NEWER);

	kunit_activate_static_stub(test, klp_switch_look, begin_change_and_look);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	end_change();
	KUNIT_EXPECT_FALSE(test, static_key_enabled(&lpt_keys[1]));
	KUNIT_EXPECT_EQ(test, lpt_late_label(), LPT_OLD);
}

static struct kunit_case label_cases_run[] = {
	KUNIT_CASE_PARAM(label_follows, label_gen_params),
	KUNIT_CASE(label_two),
	KUNIT_CASE(label_stacked),
	KUNIT_CASE_SLOW(label_blocked),
	KUNIT_CASE_SLOW(label_forced),
	KUNIT_CASE_PARAM(label_unprobed, label_gen_params),
	KUNIT_CASE(label_trapped),
	KUNIT_CASE_PARAM(label_changed, label_gen_params),
	KUNIT_CASE(label_changing),
	{ }
};

static int label_init(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_JUMP_LABEL))
		kunit_skip(test, "there are no jump labels");
	return 0;
}

static struct kunit_suite label_suite = {
	.name		= "livepatch_label",
	.init		= label_init,
	.test_cases	= label_cases_run,
};

kunit_test_suite(label_suite);

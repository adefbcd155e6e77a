// SPDX-License-Identifier: GPL-2.0
/* Patches are enabled and disabled, as by patch modules. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/memory.h>
#include <asm/livepatch.h>
#include "../patch.h"
#include "../switch.h"
#include "../sysfs.h"
#include "../target.h"
#include "helpers.h"

static void patch_enable_disable(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_snapshot one, two;

	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&two, lpt_two);
	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", lpt_two_new);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 302);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_TRUE(test, lpt_in_sysfs("lpt_patch"));
	KUNIT_EXPECT_TRUE(test, p->patch.enabled);
	KUNIT_EXPECT_TRUE(test, p->objs[0].patched);

	KUNIT_ASSERT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 301);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &two);
}

/* A caller does not rely on registers that only the old function left alone. */
static void patch_registers(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	KUNIT_EXPECT_EQ(test, lpt_leaf_caller(1, 2, 3, 4, 5, 6), 34 + 6 + 20 + 6);
	lpt_replace(p, "lpt_leaf", lpt_leaf_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_leaf_caller(1, 2, 3, 4, 5, 6), 35 + 6 + 20 + 6);
	KUNIT_ASSERT_EQ(test, lpt_disable(p), 0);
}

/* Two patches for one function, the newer of which is disabled first, or last. */
static void stack_two(struct kunit *test, bool newer_first)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_older");
	struct lpt_patch *q = lpt_patch(test, "lpt_newer");
	struct lpt_snapshot snap;

	lpt_snapshot(&snap, lpt_one);
	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(q, "lpt_one", lpt_one_newer);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_ASSERT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 33);

	KUNIT_EXPECT_EQ(test, lpt_disable(newer_first ? q : p), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), newer_first ? 32 : 33);
	KUNIT_EXPECT_EQ(test, lpt_refs(newer_first ? q : p), 0);
	KUNIT_EXPECT_EQ(test, lpt_refs(newer_first ? p : q), 1);

	KUNIT_EXPECT_EQ(test, lpt_disable(newer_first ? p : q), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
	lpt_expect_unchanged(test, &snap);
}

static void patch_stack_newer_first(struct kunit *test)
{
	stack_two(test, true);
}

static void patch_stack_older_first(struct kunit *test)
{
	stack_two(test, false);
}

static void expect_fails(struct kunit *test, struct lpt_patch *p, int err)
{
	struct lpt_snapshot one, two;

	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&two, lpt_two);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), err);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &two);
}

/* What is enabled cannot be enabled again; what has gone, or failed, can. */
static void patch_enable_again(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	lpt_replace(p, "lpt_one", lpt_one_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EINVAL);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);

	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static void patch_same_function_twice(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", lpt_two_new);
	lpt_replace(p, "lpt_one", lpt_one_newer);
	expect_fails(test, p, -EINVAL);
	/* Position 1 of a name is the same as the only one. */
	p->funcs[2].old_sympos = 1;
	expect_fails(test, p, -EINVAL);
}

static void patch_malformed(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", NULL);
	expect_fails(test, p, -EINVAL);

	p->funcs[1].new_func = lpt_two_new;
	p->funcs[1].old_name = NULL;
	expect_fails(test, p, -EINVAL);

	p->funcs[1].old_name = "lpt_absent";
	expect_fails(test, p, -EINVAL);

	p->funcs[1].old_name = "lpt_twice";
	expect_fails(test, p, -EINVAL);

	p->funcs[1].old_name = "lpt_two";
	p->funcs[1].old_sympos = 2;
	expect_fails(test, p, -EINVAL);

	p->funcs[1].old_sympos = 0;
	p->mod.klp = false;
	expect_fails(test, p, -EINVAL);

	p->mod.klp = true;
	p->mod.state = MODULE_STATE_GOING;
	expect_fails(test, p, -ENODEV);

	/* With all of that put right it is good. */
	p->mod.state = MODULE_STATE_LIVE;
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* As after strip, which keeps only symbols that relocations need. */
static void patch_no_symbol(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	void *inside = lpt_one_new;

	OPTIMIZER_HIDE_VAR(inside);
	lpt_replace(p, "lpt_one", inside + 1);
	expect_fails(test, p, -ENOENT);
}

static int pre_patch_error;

static int failing_pre_patch(struct klp_object *obj)
{
	return pre_patch_error;
}

static void patch_pre_patch_fails(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	lpt_replace(p, "lpt_one", lpt_one_new);
	p->objs[0].callbacks.pre_patch = failing_pre_patch;
	pre_patch_error = -EPROTO;
	expect_fails(test, p, -EPROTO);
	/* This one is also what a patch returns that was reversed. */
	pre_patch_error = -ECANCELED;
	expect_fails(test, p, -ECANCELED);
}

/* Nobody may be in the function when it is patched, nor when it is unpatched. */
static void patch_busy(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_patch *q = lpt_patch(test, "lpt_other");
	struct lpt_snapshot snap, jump;
	struct lpt_parked parked;

	lpt_snapshot(&snap, lpt_sleeper);
	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	lpt_replace(q, "lpt_one", lpt_one_newer);

	lpt_park_in(test, &parked, lpt_sleeper);
	expect_fails(test, p, -EBUSY);
	lpt_expect_unchanged(test, &snap);
	/* Others do not mind. */
	KUNIT_EXPECT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_snapshot(&jump, lpt_sleeper);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EBUSY);
	lpt_expect_unchanged(test, &jump);
	KUNIT_EXPECT_TRUE(test, p->patch.enabled);
	KUNIT_EXPECT_TRUE(test, p->objs[0].patched);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);

	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &snap);
}

/* The module of a patch must be idle as a whole before the patch goes. */
static void patch_module_busy(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_replace(p, "lpt_one", lpt_one_new);
	p->mod.mem[MOD_TEXT].base = lpt_sleeper;
	p->mod.mem[MOD_TEXT].size = 64;

	/* Its init function is part of it, so it may be busy at first. */
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EBUSY);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	lpt_unpark(&parked);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* Swap the last byte of the site of lpt_one, as somebody who pokes text may. */
static void swap_text(void)
{
	u8 *last = (u8 *)klp_target_find(lpt_one)->site.addr + KLP_SITE_SIZE - 1;
	u8 byte = *last ^ 0xff;

	mutex_lock(&text_mutex);
	text_poke(last, &byte, sizeof(byte));
	lpt_sync_cpus();
	mutex_unlock(&text_mutex);
}

static int swap_text_before(struct klp_object *obj)
{
	swap_text();
	return 0;
}

static void swap_text_after(struct klp_object *obj)
{
	swap_text();
}

/* Somebody else changes the text between the guards and the switch. */
static void patch_text_changed(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");

	lpt_replace(p, "lpt_two", lpt_two_new);
	lpt_replace(p, "lpt_one", lpt_one_new);

	/* Its post_unpatch callback puts the text back. */
	p->objs[0].callbacks.pre_patch = swap_text_before;
	p->objs[0].callbacks.post_unpatch = swap_text_after;
	expect_fails(test, p, -EADDRINUSE);

	p->objs[0].callbacks = (struct klp_callbacks){};
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);

	/* A failure to disable is followed by the post_patch callback. */
	p->objs[0].callbacks.pre_unpatch = swap_text_after;
	p->objs[0].callbacks.post_patch = swap_text_after;
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EADDRINUSE);
	KUNIT_EXPECT_TRUE(test, p->patch.enabled);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 302);

	p->objs[0].callbacks = (struct klp_callbacks){};
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* Failures that cannot be brought about from outside. */

static unsigned int fail_countdown;

static int ranges_add_fails(struct klp_ranges *ranges, unsigned long start,
			    unsigned long size)
{
	struct kunit *test = kunit_get_current_test();
	int ret;

	if (!fail_countdown--)
		return -ENOMEM;

	kunit_deactivate_static_stub(test, klp_ranges_add);
	ret = klp_ranges_add(ranges, start, size);
	kunit_activate_static_stub(test, klp_ranges_add, ranges_add_fails);
	return ret;
}

static struct klp_switch *switch_alloc_fails(const char *name, const char *op,
					     enum klp_switch_mode mode)
{
	return NULL;
}

static int switch_add_fails(struct klp_switch *sw, void *func,
			    const struct klp_site *site, void *from, void *to)
{
	return -ENOMEM;
}

static void *edits_map_fails(struct klp_edit *edits, unsigned int nr)
{
	return ERR_PTR(-ENOMEM);
}

static int target_get_fails(struct klp_func *func)
{
	return -ENOMEM;
}

static int sysfs_add_patch_fails(struct klp_patch *patch)
{
	return -ENOMEM;
}

static int sysfs_add_object_fails(struct klp_patch *patch,
				  struct klp_object *obj)
{
	return -ENOMEM;
}

static int sysfs_add_func_fails(struct klp_object *obj, struct klp_func *func)
{
	return -ENOMEM;
}

/* Enabling, and disabling where it has been enabled, fail and change nothing. */
static void expect_survives(struct kunit *test, bool disable)
{
	struct lpt_patch *p = kunit_get_current_test()->priv;
	struct lpt_snapshot one, two;

	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&two, lpt_two);
	if (disable) {
		KUNIT_EXPECT_EQ(test, lpt_disable(p), -ENOMEM);
		KUNIT_EXPECT_TRUE(test, p->patch.enabled);
		KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	} else {
		KUNIT_EXPECT_EQ(test, lpt_enable(p), -ENOMEM);
		lpt_expect_gone(test, p);
	}
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &two);
}

static void fail_each(struct kunit *test, bool disable)
{
	kunit_activate_static_stub(test, klp_switch_alloc, switch_alloc_fails);
	expect_survives(test, disable);
	kunit_deactivate_static_stub(test, klp_switch_alloc);

	kunit_activate_static_stub(test, klp_switch_add, switch_add_fails);
	expect_survives(test, disable);
	kunit_deactivate_static_stub(test, klp_switch_add);

	kunit_activate_static_stub(test, klp_edits_map, edits_map_fails);
	expect_survives(test, disable);
	kunit_deactivate_static_stub(test, klp_edits_map);
}

/* The n-th piece of text cannot be added, for each n there is. */
static unsigned int fail_ranges(struct kunit *test, bool disable)
{
	struct lpt_patch *p = test->priv;
	struct lpt_snapshot one;
	unsigned int n;
	int ret;

	lpt_snapshot(&one, lpt_one);
	for (n = 0; ; n++) {
		fail_countdown = n;
		kunit_activate_static_stub(test, klp_ranges_add,
					   ranges_add_fails);
		ret = disable ? lpt_disable(p) : lpt_enable(p);
		kunit_deactivate_static_stub(test, klp_ranges_add);
		if (!ret)
			break;

		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		lpt_expect_unchanged(test, &one);
		if (!disable)
			lpt_expect_gone(test, p);
	}

	return n;
}

static void patch_failures(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_snapshot snap;

	test->priv = p;
	lpt_snapshot(&snap, lpt_one);
	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", lpt_two_new);

	fail_each(test, false);
	kunit_activate_static_stub(test, klp_target_get, target_get_fails);
	expect_survives(test, false);
	kunit_deactivate_static_stub(test, klp_target_get);

	kunit_activate_static_stub(test, klp_sysfs_add_patch,
				   sysfs_add_patch_fails);
	expect_survives(test, false);
	kunit_deactivate_static_stub(test, klp_sysfs_add_patch);

	kunit_activate_static_stub(test, klp_sysfs_add_object,
				   sysfs_add_object_fails);
	expect_survives(test, false);
	kunit_deactivate_static_stub(test, klp_sysfs_add_object);

	kunit_activate_static_stub(test, klp_sysfs_add_func,
				   sysfs_add_func_fails);
	expect_survives(test, false);
	kunit_deactivate_static_stub(test, klp_sysfs_add_func);

	/* Two functions, each with its text, its claim, and its new text. */
	KUNIT_EXPECT_GE(test, fail_ranges(test, false), 6);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);

	fail_each(test, true);
	KUNIT_EXPECT_GE(test, fail_ranges(test, true), 4);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &snap);
}

static struct kunit_case patch_cases[] = {
	KUNIT_CASE(patch_enable_disable),
	KUNIT_CASE(patch_registers),
	KUNIT_CASE(patch_stack_newer_first),
	KUNIT_CASE(patch_stack_older_first),
	KUNIT_CASE(patch_enable_again),
	KUNIT_CASE(patch_same_function_twice),
	KUNIT_CASE(patch_malformed),
	KUNIT_CASE(patch_no_symbol),
	KUNIT_CASE(patch_pre_patch_fails),
	KUNIT_CASE(patch_busy),
	KUNIT_CASE(patch_module_busy),
	KUNIT_CASE(patch_text_changed),
	KUNIT_CASE(patch_failures),
	{}
};

static struct kunit_suite patch_suite = {
	.name = "livepatch_patch",
	.test_cases = patch_cases,
};

kunit_test_suite(patch_suite);

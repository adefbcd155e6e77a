// SPDX-License-Identifier: GPL-2.0
/* Patches that replace others, and the states that they inherit. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <asm/livepatch.h>
#include "../patch.h"
#include "../target.h"
#include "../transition.h"
#include "helpers.h"

static unsigned int windows;

/* Each switch maps what it writes, once. */
static void *count_map(struct klp_edit *edits, unsigned int nr)
{
	struct kunit *test = kunit_get_current_test();
	void *ret;

	windows++;
	kunit_deactivate_static_stub(test, klp_edits_map);
	ret = klp_edits_map(edits, nr);
	kunit_activate_static_stub(test, klp_edits_map, count_map);
	return ret;
}

static unsigned int stack_order(struct lpt_patch *p)
{
	struct klp_patch *patch;
	unsigned int order = 0;

	mutex_lock(&klp_mutex);
	klp_for_each_patch(patch) {
		order++;
		if (patch == &p->patch)
			break;
	}
	mutex_unlock(&klp_mutex);
	return order;
}

/* Three patches, stacked and side by side, and what takes over from them all. */
static void replace_three(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_first");
	struct lpt_patch *q = lpt_patch(test, "lpt_second");
	struct lpt_patch *r = lpt_patch(test, "lpt_third");
	struct lpt_patch *z = lpt_patch(test, "lpt_all");
	struct lpt_snapshot one, two, busy, sleeper;

	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&two, lpt_two);
	lpt_snapshot(&busy, lpt_busy);
	lpt_snapshot(&sleeper, lpt_sleeper);

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", lpt_two_new);
	lpt_replace(q, "lpt_one", lpt_one_newer);
	lpt_replace(r, "lpt_busy", lpt_busy_new);
	/* It keeps one function, drops two, and has one of its own. */
	lpt_replace(z, "lpt_one", lpt_one_new);
	lpt_replace(z, "lpt_sleeper", lpt_sleeper_new);
	z->patch.replace = true;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_ASSERT_EQ(test, lpt_enable(q), 0);
	KUNIT_ASSERT_EQ(test, lpt_enable(r), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 33);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 302);
	KUNIT_EXPECT_EQ(test, lpt_busy(3), LPT_NEW);
	KUNIT_EXPECT_EQ(test, stack_order(p), 1);
	KUNIT_EXPECT_EQ(test, stack_order(r), 3);

	windows = 0;
	kunit_activate_static_stub(test, klp_edits_map, count_map);
	KUNIT_ASSERT_EQ(test, lpt_enable(z), 0);
	kunit_deactivate_static_stub(test, klp_edits_map);
	KUNIT_EXPECT_EQ(test, windows, 1);

	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 301);
	KUNIT_EXPECT_EQ(test, lpt_busy(3), LPT_OLD);
	lpt_expect_unchanged(test, &two);
	lpt_expect_unchanged(test, &busy);
	KUNIT_EXPECT_EQ(test, stack_order(z), 1);

	flush_work(&p->patch.free_work);
	flush_work(&q->patch.free_work);
	flush_work(&r->patch.free_work);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_refs(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_refs(r), 0);
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs("lpt_first"));
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs("lpt_second"));
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs("lpt_third"));
	KUNIT_EXPECT_EQ(test, lpt_refs(z), 1);

	KUNIT_EXPECT_EQ(test, lpt_disable(z), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
	lpt_expect_gone(test, r);
	lpt_expect_gone(test, z);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &sleeper);
}

/* Without it, a newer patch leaves the older ones alone. */
static void replace_not(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_first");
	struct lpt_patch *q = lpt_patch(test, "lpt_second");

	lpt_replace(p, "lpt_two", lpt_two_new);
	lpt_replace(q, "lpt_one", lpt_one_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_ASSERT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 302);
	KUNIT_EXPECT_TRUE(test, p->patch.enabled);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
}

static unsigned int callbacks;

static void old_callback(struct klp_object *obj)
{
	callbacks += 100;
}

static int new_pre_patch(struct klp_object *obj)
{
	callbacks++;
	return 0;
}

static void new_post_patch(struct klp_object *obj)
{
	callbacks++;
}

/* Only what replaces is called: it knows the others, and not they it. */
static void replace_callbacks(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_first");
	struct lpt_patch *q = lpt_patch(test, "lpt_second");

	lpt_replace(p, "lpt_one", lpt_one_new);
	p->objs[0].callbacks.pre_unpatch = old_callback;
	p->objs[0].callbacks.post_unpatch = old_callback;
	lpt_replace(q, "lpt_one", lpt_one_newer);
	q->objs[0].callbacks.pre_patch = new_pre_patch;
	q->objs[0].callbacks.post_patch = new_post_patch;
	q->patch.replace = true;

	callbacks = 0;
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_ASSERT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_EQ(test, callbacks, 2);
	flush_work(&p->patch.free_work);
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	KUNIT_EXPECT_EQ(test, callbacks, 2);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
}

/* Somebody is in a function that would be dropped: all stays as it is. */
static void replace_busy(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_first");
	struct lpt_patch *q = lpt_patch(test, "lpt_second");
	struct lpt_snapshot one, sleeper;
	struct lpt_parked parked;

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	lpt_replace(q, "lpt_one", lpt_one_newer);
	q->patch.replace = true;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&sleeper, lpt_sleeper);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(q), -EBUSY);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &sleeper);
	KUNIT_EXPECT_TRUE(test, p->patch.enabled);
	KUNIT_EXPECT_TRUE(test, p->objs[0].patched);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_EQ(test, lpt_refs(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);

	KUNIT_EXPECT_EQ(test, lpt_enable(q), 0);
	flush_work(&p->patch.free_work);
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
}

static struct klp_state old_states[] = {
	{ .id = 1, .version = 2 },
	{ .id = 7, .version = 1 },
	{}
};

struct states_case {
	const char *what;
	bool replace;
	struct klp_state states[3];
	int err;
};

static const struct states_case states_cases[] = {
	{ "none, beside", false, {}, 0 },
	{ "none, instead", true, {}, -EINVAL },
	{ "the same, instead", true, { { 1, 2 }, { 7, 1 } }, 0 },
	{ "newer, instead", true, { { 7, 2 }, { 1, 3 } }, 0 },
	{ "one of two, instead", true, { { 1, 2 } }, -EINVAL },
	{ "one of two, beside", false, { { 1, 2 } }, 0 },
	{ "older, beside", false, { { 1, 1 } }, -EINVAL },
	{ "older, instead", true, { { 1, 1 }, { 7, 1 } }, -EINVAL },
	{ "another, beside", false, { { 3, 1 } }, 0 },
};

static void states_desc(const struct states_case *c, char *desc)
{
	strscpy(desc, c->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(states, states_cases, states_desc);

/* Which patches can live with, or take over, the states of another. */
static void replace_states(struct kunit *test)
{
	const struct states_case *c = test->param_value;
	struct lpt_patch *p = lpt_patch(test, "lpt_first");
	struct lpt_patch *q = lpt_patch(test, "lpt_second");
	struct klp_state states[3];

	memcpy(states, c->states, sizeof(states));
	lpt_replace(p, "lpt_one", lpt_one_new);
	p->patch.states = old_states;
	lpt_replace(q, "lpt_two", lpt_two_new);
	q->patch.states = states;
	q->patch.replace = c->replace;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_enable(q), c->err);
	if (!c->err) {
		KUNIT_EXPECT_EQ(test, lpt_two(3), 302);
		KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	}
	if (c->err || !c->replace)
		KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	flush_work(&p->patch.free_work);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
}

static struct klp_state *prev_1, *prev_3;

static int get_prev_states(struct klp_object *obj)
{
	prev_1 = klp_get_prev_state(1);
	prev_3 = klp_get_prev_state(3);
	return 0;
}

static void replace_prev_state(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_first");
	struct lpt_patch *q = lpt_patch(test, "lpt_second");
	struct klp_state states[] = { { .id = 1, .version = 2 }, { .id = 3 }, {} };

	lpt_replace(p, "lpt_one", lpt_one_new);
	p->patch.states = old_states;
	lpt_replace(q, "lpt_two", lpt_two_new);
	q->patch.states = states;
	q->objs[0].callbacks.pre_patch = get_prev_states;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_PTR_EQ(test, prev_1, &old_states[0]);
	KUNIT_EXPECT_NULL(test, prev_3);
	KUNIT_EXPECT_PTR_EQ(test, klp_get_state(&q->patch, 3), &states[1]);
	KUNIT_EXPECT_NULL(test, klp_get_state(&q->patch, 7));
	KUNIT_EXPECT_NULL(test, klp_get_state(&q->patch, 0));
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
}

static struct kunit_case replace_cases[] = {
	KUNIT_CASE(replace_three),
	KUNIT_CASE(replace_not),
	KUNIT_CASE(replace_callbacks),
	KUNIT_CASE_SLOW(replace_busy),
	KUNIT_CASE_PARAM(replace_states, states_gen_params),
	KUNIT_CASE(replace_prev_state),
	{}
};

static struct kunit_suite replace_suite = {
	.name = "livepatch_replace",
	.test_cases = replace_cases,
};

kunit_test_suite(replace_suite);

// SPDX-License-Identifier: GPL-2.0
/* Sets of edits, without patches around them: all or nothing. */

#include <kunit/test.h>
#include <linux/memory.h>
#include <asm/text-patching.h>
#include "../blockers.h"
#include "../patch.h"
#include "../switch.h"
#include "helpers.h"

struct edit {
	void *func;
	void *from;
	void *to;
};

/* The site must be known from when the function was as it was built. */
static void get_site(struct kunit *test, void *func, struct klp_site *site)
{
	KUNIT_ASSERT_NULL(test, klp_site_init(site, func, 64));
}

static int run(struct kunit *test, struct klp_site *sites, struct edit *edits,
	       unsigned int nr)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_switch");
	unsigned int i;
	int ret = 0;

	KUNIT_ASSERT_NOT_NULL(test, sw);
	for (i = 0; i < nr && !ret; i++)
		ret = klp_switch_add(sw, edits[i].func, &sites[i],
				     edits[i].from, edits[i].to);
	if (!ret)
		ret = lpt_switch_run(sw);
	klp_switch_free(sw);
	return ret;
}

static void switch_none(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, run(test, NULL, NULL, 0), 0);
}

static void switch_one(struct kunit *test)
{
	struct edit redirect = { lpt_one, NULL, lpt_one_new };
	struct edit onward = { lpt_one, lpt_one_new, lpt_one_newer };
	struct edit restore = { lpt_one, lpt_one_newer, NULL };
	struct lpt_snapshot snap;
	struct klp_site site;

	get_site(test, lpt_one, &site);
	lpt_snapshot(&snap, lpt_one);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 71);
	KUNIT_EXPECT_EQ(test, run(test, &site, &redirect, 1), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 72);
	KUNIT_EXPECT_EQ(test, run(test, &site, &onward, 1), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 73);
	KUNIT_EXPECT_EQ(test, run(test, &site, &restore, 1), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 71);
	lpt_expect_unchanged(test, &snap);
}

/* One set can redirect one function and restore another. */
static void switch_mixed(struct kunit *test)
{
	struct edit first[] = { { lpt_one, NULL, lpt_one_new } };
	struct edit second[] = {
		{ lpt_one, lpt_one_new, NULL },
		{ lpt_two, NULL, lpt_two_new },
	};
	struct edit third[] = {
		{ lpt_one, NULL, NULL },
		{ lpt_two, lpt_two_new, NULL },
	};
	struct lpt_snapshot one, two;
	struct klp_site sites[2];

	get_site(test, lpt_one, &sites[0]);
	get_site(test, lpt_two, &sites[1]);
	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&two, lpt_two);

	KUNIT_EXPECT_EQ(test, run(test, sites, first, 1), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(1), 12);
	KUNIT_EXPECT_EQ(test, lpt_two(1), 101);
	KUNIT_EXPECT_EQ(test, run(test, sites, second, 2), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(1), 11);
	KUNIT_EXPECT_EQ(test, lpt_two(1), 102);
	KUNIT_EXPECT_EQ(test, run(test, sites + 1, third + 1, 1), 0);
	KUNIT_EXPECT_EQ(test, lpt_two(1), 101);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &two);
}

/* An address of the text that is out of anybody's reach. */
static void switch_unreachable(struct kunit *test)
{
	struct edit edits[] = {
		{ lpt_one, NULL, lpt_one_new },
		{ lpt_two, NULL, (void *)BIT(40) },
	};
	struct lpt_snapshot snap;
	struct klp_site sites[2];

	get_site(test, lpt_one, &sites[0]);
	get_site(test, lpt_two, &sites[1]);
	lpt_snapshot(&snap, lpt_one);
	KUNIT_EXPECT_EQ(test, run(test, sites, edits, 2), -ERANGE);
	lpt_expect_unchanged(test, &snap);
}

/* Somebody else wrote to one of the sites: none is touched. */
static void switch_text_changed(struct kunit *test)
{
	struct edit edits[] = {
		{ lpt_one, NULL, lpt_one_new },
		{ lpt_two, NULL, lpt_two_new },
	};
	struct klp_site sites[2];
	struct lpt_snapshot one, two;

	get_site(test, lpt_one, &sites[0]);
	get_site(test, lpt_two, &sites[1]);
	sites[1].orig[KLP_SITE_SIZE - 1] ^= 0xff;
	lpt_snapshot(&one, lpt_one);
	lpt_snapshot(&two, lpt_two);

	KUNIT_EXPECT_EQ(test, run(test, sites, edits, 2), -EADDRINUSE);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 71);
	lpt_expect_unchanged(test, &one);
	lpt_expect_unchanged(test, &two);
}

static struct klp_blockers blockers;

/* An edit for which a function must be idle in which a task sleeps. */
static void run_blocked(struct kunit *test, struct klp_site *site,
			struct edit *edit, struct task_struct *task)
{
	struct klp_switch *sw = lpt_switch_alloc("lpt_switch");

	KUNIT_EXPECT_NOT_NULL(test, sw);
	if (!sw)
		return;

	KUNIT_EXPECT_EQ(test, klp_switch_add(sw, edit->func, site, edit->from,
					     edit->to), 0);
	KUNIT_EXPECT_EQ(test, klp_ranges_add(&sw->look.text,
					     (unsigned long)lpt_sleeper, 64), 0);
	KUNIT_EXPECT_EQ(test, lpt_switch_run(sw), -EBUSY);
	klp_blockers_get(&blockers, klp_look_nr_inside());
	KUNIT_EXPECT_EQ(test, blockers.nr, 1);
	KUNIT_EXPECT_EQ(test, blockers.blocker[0].pid, task->pid);
	klp_switch_free(sw);
}

/* Somebody sleeps in the text: nothing is changed, neither way. */
static void switch_busy(struct kunit *test)
{
	struct edit redirect = { lpt_one, NULL, lpt_one_new };
	struct edit restore = { lpt_one, lpt_one_new, NULL };
	struct lpt_snapshot snap, jump;
	struct lpt_parked parked;
	struct klp_site site;

	get_site(test, lpt_one, &site);
	lpt_snapshot(&snap, lpt_one);
	lpt_park_in(test, &parked, lpt_sleeper);

	run_blocked(test, &site, &redirect, parked.task);
	lpt_expect_unchanged(test, &snap);

	KUNIT_EXPECT_EQ(test, run(test, &site, &redirect, 1), 0);
	lpt_snapshot(&jump, lpt_one);
	run_blocked(test, &site, &restore, parked.task);
	lpt_expect_unchanged(test, &jump);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 72);

	lpt_unpark(&parked);
	KUNIT_EXPECT_EQ(test, run(test, &site, &restore, 1), 0);
	lpt_expect_unchanged(test, &snap);
}

/* Do the steps of an edit one by one; after each, a call gets what it must. */
static void expect_steps(struct kunit *test, struct klp_edit *edit,
			 int (*func)(int x), int old, int trapped, int new)
{
	const int results[] = {
		[KLP_STEP_TRAP]	= trapped,
		[KLP_STEP_TAIL]	= trapped,
		[KLP_STEP_HEAD]	= new,
	};
	enum klp_step step;
	void *map;

	KUNIT_EXPECT_EQ(test, func(7), old);
	map = klp_edits_map(edit, 1);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, map);
	mutex_lock(&text_mutex);
	KUNIT_EXPECT_TRUE(test, klp_edit_fits(edit));
	for (step = KLP_STEP_TRAP; step <= KLP_STEP_HEAD; step++) {
		klp_edits_write(edit, 1, step);
		/* What the meeting of the CPUs does in the window. */
		lpt_sync_cpus();
		KUNIT_EXPECT_EQ_MSG(test, func(7), results[step], "step %d",
				    step);
	}
	klp_edits_disarm();
	KUNIT_EXPECT_EQ(test, func(7), new);
	mutex_unlock(&text_mutex);
	klp_edits_unmap(map);
}

static void expect_site_steps(struct kunit *test, const struct klp_site *site,
			      void *from, void *to, int old, int trapped,
			      int new)
{
	struct klp_edit edit;

	klp_edit_site(&edit, site, from, to);
	expect_steps(test, &edit, lpt_one, old, trapped, new);
}

/* What an NMI that calls the function gets while it is being switched. */
static void switch_trap(struct kunit *test)
{
	struct lpt_snapshot snap;
	struct klp_site site;

	get_site(test, lpt_one, &site);
	lpt_snapshot(&snap, lpt_one);
	expect_site_steps(test, &site, NULL, lpt_one_new, 71, 72, 72);
	expect_site_steps(test, &site, lpt_one_new, lpt_one_newer, 72, 73, 73);
	expect_site_steps(test, &site, lpt_one_newer, NULL, 73, 73, 71);
	lpt_expect_unchanged(test, &snap);
}

static void expect_call_steps(struct kunit *test, int (*caller)(int x))
{
	unsigned long call = lpt_find_call(test, caller, lpt_one);
	struct klp_edit edit;

	KUNIT_EXPECT_EQ(test, klp_edit_call(&edit, call, lpt_one, lpt_one_new,
					    lpt_one_newer), 0);
	expect_steps(test, &edit, caller, 71, 73, 72);
	KUNIT_EXPECT_EQ(test, klp_edit_call(&edit, call, lpt_one_new, lpt_one,
					    lpt_one_newer), 0);
	expect_steps(test, &edit, caller, 72, 73, 71);
}

/* What an NMI gets that comes across a static call meanwhile. */
static void switch_call_trap(struct kunit *test)
{
	lpt_nr_returned = 0;
	expect_call_steps(test, lpt_calls);
	/* Once before, after each of three steps, and at the end; and the same back. */
	KUNIT_EXPECT_EQ(test, lpt_nr_returned, 2 * 5);
	expect_call_steps(test, lpt_static_call);
}

/* A stack that cannot be unwound does not block what is not on it. */
static void switch_unreliable(struct kunit *test)
{
	struct edit redirect = { lpt_one, NULL, lpt_one_new };
	struct edit restore = { lpt_one, lpt_one_new, NULL };
	struct lpt_parked parked;
	struct klp_site site;

	get_site(test, lpt_one, &site);
	lpt_park_in(test, &parked, lpt_unreliable);
	KUNIT_EXPECT_EQ(test, run(test, &site, &redirect, 1), 0);
	KUNIT_EXPECT_EQ(test, run(test, &site, &restore, 1), 0);
	lpt_unpark(&parked);
}

static struct kunit_case switch_cases[] = {
	KUNIT_CASE(switch_none),
	KUNIT_CASE(switch_one),
	KUNIT_CASE(switch_mixed),
	KUNIT_CASE(switch_unreachable),
	KUNIT_CASE(switch_text_changed),
	KUNIT_CASE_SLOW(switch_busy),
	KUNIT_CASE(switch_trap),
	KUNIT_CASE(switch_call_trap),
	KUNIT_CASE(switch_unreliable),
	{}
};

static struct kunit_suite switch_suite = {
	.name = "livepatch_switch",
	.test_cases = switch_cases,
};

kunit_test_suite(switch_suite);

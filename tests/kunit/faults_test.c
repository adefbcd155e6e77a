// SPDX-License-Identifier: GPL-2.0
/*
 * Each step of an operation is made to fail once, and the state is as before. The steps are
 * those at which /sys/kernel/debug/failslab makes an allocation fail: by default not where
 * it may wait.
 */

#include <kunit/test.h>
#include <linux/sched.h>
#include "../patch.h"
#include "helpers.h"

static struct lpt_patch *make(struct kunit *test, const char *name, void *one)
{
	struct lpt_patch *p = lpt_patch(test, name);

	lpt_replace(p, "lpt_one", one);
	lpt_replace(p, "lpt_two", lpt_two_new);
	return p;
}

/* Do it with the n-th thing that can fail, failing. Return: how it ended. */
static int fail_nth(struct lpt_patch *p, int (*operation)(struct lpt_patch *p),
		    unsigned int n, bool *failed)
{
	int ret;

	current->fail_nth = n;
	ret = operation(p);
	*failed = !current->fail_nth;
	current->fail_nth = 0;

	return ret;
}

/* The functions that are patched, and those that call one by a static call. */
static void * const changed[] = {
	lpt_one, lpt_two, lpt_calls, lpt_static_call, lpt_calls_two,
};

static void snapshot(struct lpt_snapshot *snaps)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(changed); i++)
		lpt_snapshot(&snaps[i], changed[i]);
}

static void expect_unchanged(struct kunit *test, struct lpt_snapshot *snaps)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(changed); i++)
		lpt_expect_unchanged(test, &snaps[i]);
}

/*
 * After each the operation can be made as if nothing had been; and if it was made
 * nevertheless, it was made as a whole.
 */
static unsigned int fail_each(struct kunit *test, struct lpt_patch *p,
			      int (*operation)(struct lpt_patch *p),
			      int (*undo)(struct lpt_patch *p))
{
	struct lpt_snapshot before[ARRAY_SIZE(changed)];
	struct lpt_snapshot after[ARRAY_SIZE(changed)];
	unsigned int n, failures = 0;
	bool failed = true;
	int ret;

	snapshot(before);
	KUNIT_EXPECT_EQ(test, operation(p), 0);
	snapshot(after);
	KUNIT_EXPECT_MEMNEQ(test, before, after, sizeof(before));
	KUNIT_EXPECT_EQ(test, undo(p), 0);

	for (n = 1; failed; n++) {
		expect_unchanged(test, before);
		ret = fail_nth(p, operation, n, &failed);
		if (ret) {
			failures++;
			KUNIT_EXPECT_TRUE_MSG(test, failed, "%d at %u", ret, n);
			expect_unchanged(test, before);
			ret = operation(p);
		}
		KUNIT_EXPECT_EQ_MSG(test, ret, 0, "after %u", n);
		expect_unchanged(test, after);
		ret = undo(p);
		KUNIT_EXPECT_EQ_MSG(test, ret, 0, "after %u", n);
	}
	expect_unchanged(test, before);
	kunit_info(test, "%u of %u steps fail\n", failures, n - 2);
	return failures;
}

/*
 * Of so many steps it is seen that they fail. There are more, but what else happens
 * to allocate memory then, and can do without, takes the place of one at times.
 */
#define MIN_FAILURES	3

static void faults_enable(struct kunit *test)
{
	struct lpt_patch *p = make(test, "lpt_first", lpt_one_new);

	KUNIT_EXPECT_GE(test, fail_each(test, p, lpt_enable, lpt_disable),
			MIN_FAILURES);
	lpt_expect_gone(test, p);
}

static void faults_disable(struct kunit *test)
{
	struct lpt_patch *p = make(test, "lpt_first", lpt_one_new);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_GE(test, fail_each(test, p, lpt_disable, lpt_enable),
			MIN_FAILURES);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static struct lpt_patch *replaced;

static int replace(struct lpt_patch *p)
{
	int ret = lpt_enable(p);

	if (!ret)
		flush_work(&replaced->patch.free_work);
	return ret;
}

static int replace_back(struct lpt_patch *p)
{
	int ret = lpt_enable(replaced);

	if (!ret)
		flush_work(&p->patch.free_work);
	return ret;
}

static void faults_replace(struct kunit *test)
{
	struct lpt_patch *p = make(test, "lpt_second", lpt_one_newer);

	replaced = make(test, "lpt_first", lpt_one_new);
	replaced->patch.replace = true;
	p->patch.replace = true;
	KUNIT_ASSERT_EQ(test, lpt_enable(replaced), 0);
	KUNIT_EXPECT_GE(test, fail_each(test, p, replace, replace_back),
			MIN_FAILURES);
	KUNIT_EXPECT_EQ(test, lpt_disable(replaced), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, replaced);
}

static struct kunit_case faults_cases[] = {
	KUNIT_CASE_SLOW(faults_enable),
	KUNIT_CASE_SLOW(faults_disable),
	KUNIT_CASE_SLOW(faults_replace),
	{}
};

static struct kunit_suite faults_suite = {
	.name = "livepatch_faults",
	.test_cases = faults_cases,
};

kunit_test_suite(faults_suite);

// SPDX-License-Identifier: GPL-2.0
/* Symbols are looked up, and all parts of a function are found. */

#include <kunit/test.h>
#include <linux/kallsyms.h>
#include "../patch.h"
#include "../ranges.h"
#include "../symbol.h"
#include "functions.h"

/* Two symbols of one name, which is what a sympos is for. */
static int __used lpt_twice(int x)
{
	return x;
}

static void symbol_unique(struct kunit *test)
{
	unsigned long addr = 0;

	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_one", 0, &addr), 0);
	KUNIT_EXPECT_PTR_EQ(test, (void *)addr, (void *)lpt_one);

	addr = 0;
	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_one", 1, &addr), 0);
	KUNIT_EXPECT_PTR_EQ(test, (void *)addr, (void *)lpt_one);
}

static void symbol_absent(struct kunit *test)
{
	unsigned long addr = 5;

	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_absent", 0, &addr),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_absent", 1, &addr),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, klp_symbol_find("lpt_module", "lpt_one", 0, &addr),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, addr, 5);
}

static void symbol_ambiguous(struct kunit *test)
{
	unsigned long addr = 5, first = 0, second = 0;

	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_twice", 0, &addr),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, addr, 5);

	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_twice", 1, &first), 0);
	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_twice", 2, &second), 0);
	KUNIT_EXPECT_NE(test, first, second);
	if (first != (unsigned long)lpt_twice)
		KUNIT_EXPECT_EQ(test, second, (unsigned long)lpt_twice);
}

static void symbol_position_out_of_range(struct kunit *test)
{
	unsigned long addr = 5;

	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_one", 2, &addr),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, klp_symbol_find(NULL, "lpt_twice", 3, &addr),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, addr, 5);
}

static void get_text(struct kunit *test, void *func, struct klp_ranges *ranges)
{
	int ret;

	*ranges = (struct klp_ranges){};
	mutex_lock(&klp_mutex);
	ret = klp_symbol_text((unsigned long)func, ranges);
	mutex_unlock(&klp_mutex);
	KUNIT_ASSERT_EQ(test, ret, 0);
	klp_ranges_sort(ranges);
}

static void expect_text(struct kunit *test, void *func, const char *symbol,
			bool expected)
{
	unsigned long addr = kallsyms_lookup_name(symbol);
	struct klp_ranges ranges;

	KUNIT_ASSERT_NE_MSG(test, addr, 0, "%s", symbol);
	get_text(test, func, &ranges);
	KUNIT_EXPECT_EQ(test, klp_ranges_hit(&ranges, addr + 1), expected);
	klp_ranges_free(&ranges);
}

static void symbol_text_plain(struct kunit *test)
{
	unsigned long addr = (unsigned long)lpt_one;
	struct klp_ranges ranges;

	/* Else objtool takes what is subtracted for a jump somewhere else. */
	OPTIMIZER_HIDE_VAR(addr);
	get_text(test, lpt_one, &ranges);
	KUNIT_EXPECT_EQ(test, ranges.nr, 1);
	KUNIT_EXPECT_EQ(test, ranges.range[0].start, addr);
	KUNIT_EXPECT_TRUE(test, klp_ranges_hit(&ranges, addr));
	KUNIT_EXPECT_FALSE(test, klp_ranges_hit(&ranges, addr - 1));
	klp_ranges_free(&ranges);
}

static void symbol_text_cold(struct kunit *test)
{
	expect_text(test, lpt_has_cold, "lpt_has_cold.cold", true);
	expect_text(test, lpt_one, "lpt_has_cold.cold", false);
}

/* As Clang calls clusters of basic blocks. */
static void symbol_text_cluster(struct kunit *test)
{
	expect_text(test, lpt_has_cluster, "lpt_has_cluster.__part.1", true);
	expect_text(test, lpt_one, "lpt_has_cluster.__part.1", false);
}

static void symbol_text_part(struct kunit *test)
{
	expect_text(test, lpt_has_part, "lpt_has_part.part.0", true);
	expect_text(test, lpt_has_part_caller, "lpt_has_part.part.0", false);
}

static void symbol_text_not_a_function(struct kunit *test)
{
	unsigned long addr = (unsigned long)lpt_one;
	struct klp_ranges ranges = {};

	OPTIMIZER_HIDE_VAR(addr);
	addr++;
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, klp_symbol_text(addr, &ranges), -ENOENT);
	KUNIT_EXPECT_EQ(test, klp_symbol_text(0, &ranges), -ENOENT);
	mutex_unlock(&klp_mutex);
	klp_ranges_free(&ranges);
}

static struct kunit_case symbol_cases[] = {
	KUNIT_CASE(symbol_unique),
	KUNIT_CASE(symbol_absent),
	KUNIT_CASE(symbol_ambiguous),
	KUNIT_CASE(symbol_position_out_of_range),
	KUNIT_CASE(symbol_text_plain),
	KUNIT_CASE(symbol_text_cold),
	KUNIT_CASE(symbol_text_cluster),
	KUNIT_CASE(symbol_text_part),
	KUNIT_CASE(symbol_text_not_a_function),
	{}
};

static struct kunit_suite symbol_suite = {
	.name = "livepatch_symbol",
	.test_cases = symbol_cases,
};

kunit_test_suite(symbol_suite);

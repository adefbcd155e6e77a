// SPDX-License-Identifier: GPL-2.0
/* Static calls of functions that are patched. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/memory.h>
#include <asm/livepatch.h>
#include <asm/text-patching.h>
#include "../patch.h"
#include "helpers.h"

struct call {
	int (*caller)(int x);
	unsigned long addr;
	u8 text[KLP_SITE_SIZE];
};

/* Each test begins and ends with these, as they were built. */
static struct call plain = { .caller = lpt_calls };
static struct call tail = { .caller = lpt_static_call };
static struct call two = { .caller = lpt_calls_two };
static struct call untouched = { .caller = lpt_calls_noinstr };

static void call_init(struct kunit *test, struct call *call, void *target)
{
	call->addr = lpt_find_call(test, call->caller, target);
	memcpy(call->text, (void *)call->addr, KLP_SITE_SIZE);
}

static int calls_init(struct kunit *test)
{
	call_init(test, &plain, lpt_one);
	call_init(test, &tail, lpt_one);
	call_init(test, &two, lpt_two);
	call_init(test, &untouched, lpt_one);
	return 0;
}

static void expect_unchanged(struct kunit *test, const struct call *call)
{
	KUNIT_EXPECT_MEMEQ(test, (void *)call->addr, call->text, KLP_SITE_SIZE);
}

static void calls_exit(struct kunit *test)
{
	expect_unchanged(test, &plain);
	expect_unchanged(test, &tail);
	expect_unchanged(test, &two);
	expect_unchanged(test, &untouched);
}

/* What the text of a call says, and what comes of it. */
static void expect_call(struct kunit *test, const struct call *call,
			void *target, int result)
{
	KUNIT_EXPECT_PTR_EQ(test, klp_call_target(call->addr), target);
	KUNIT_EXPECT_EQ(test, call->caller(7), result);
}

static struct lpt_patch *enabled(struct kunit *test, const char *name,
				 void *new_func)
{
	struct lpt_patch *p = lpt_patch(test, name);

	lpt_replace(p, "lpt_one", new_func);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	return p;
}

/* They call what runs, and their keys never say so. */
static void calls_follow(struct kunit *test)
{
	struct lpt_patch *first, *second;

	first = enabled(test, "lpt_first", lpt_one_new);
	expect_call(test, &plain, lpt_one_new, 72);
	expect_call(test, &tail, lpt_one_new, 72);
	second = enabled(test, "lpt_second", lpt_one_newer);
	expect_call(test, &plain, lpt_one_newer, 73);
	expect_call(test, &tail, lpt_one_newer, 73);
	KUNIT_EXPECT_PTR_EQ(test, (void *)static_call_query(lpt_call),
			    (void *)lpt_one);

	KUNIT_EXPECT_EQ(test, lpt_disable(first), 0);
	expect_call(test, &plain, lpt_one_newer, 73);
	KUNIT_EXPECT_EQ(test, lpt_disable(second), 0);
	expect_call(test, &plain, lpt_one, 71);
	expect_call(test, &tail, lpt_one, 71);
}

/* Who updates a key of which the function is patched is not in our way. */
static void calls_update(struct kunit *test)
{
	struct lpt_patch *first, *second;

	first = enabled(test, "lpt_first", lpt_one_new);
	static_call_update(lpt_call, lpt_two);
	expect_call(test, &plain, lpt_two, 701);
	/* Through its entry, until there is another switch. */
	static_call_update(lpt_call, lpt_one);
	expect_call(test, &plain, lpt_one, 72);
	second = enabled(test, "lpt_second", lpt_one_newer);
	expect_call(test, &plain, lpt_one_newer, 73);

	static_call_update(lpt_call, lpt_two);
	KUNIT_EXPECT_EQ(test, lpt_disable(second), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(first), 0);
	expect_call(test, &plain, lpt_two, 701);
	expect_call(test, &tail, lpt_two, 701);
	static_call_update(lpt_call, lpt_one);
}

/* Who updates it to the replacement wants that, and nothing else. */
static void calls_wanted(struct kunit *test)
{
	struct lpt_patch *p = enabled(test, "lpt_first", lpt_one_new);

	static_call_update(lpt_call, lpt_one_new);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &plain, lpt_one_new, 72);
	static_call_update(lpt_call, lpt_one);
}

static void *map(struct klp_edit *edits, unsigned int nr)
{
	kunit_deactivate_static_stub(kunit_get_current_test(), klp_edits_map);
	return klp_edits_map(edits, nr);
}

static int update_fn(void *func)
{
	static_call_update(lpt_call, (int (*)(int x))func);
	return 0;
}

static void *update_and_map(struct klp_edit *edits, unsigned int nr)
{
	lpt_call_elsewhere(kunit_get_current_test(), update_fn, lpt_two);
	return map(edits, nr);
}

static void *want_and_map(struct klp_edit *edits, unsigned int nr)
{
	lpt_call_elsewhere(kunit_get_current_test(), update_fn, lpt_one_new);
	return map(edits, nr);
}

/* So does who updates it when the calls have been found already. */
static void calls_late_update(struct kunit *test)
{
	struct lpt_patch *p;

	kunit_activate_static_stub(test, klp_edits_map, update_and_map);
	p = enabled(test, "lpt_first", lpt_one_new);
	expect_call(test, &plain, lpt_two, 701);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 72);
	static_call_update(lpt_call, lpt_one);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);

	p = enabled(test, "lpt_first", lpt_one_new);
	expect_call(test, &tail, lpt_one_new, 72);
	kunit_activate_static_stub(test, klp_edits_map, update_and_map);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &tail, lpt_two, 701);
	KUNIT_EXPECT_EQ(test, lpt_one(7), 71);
	static_call_update(lpt_call, lpt_one);
}

/* Even if what he wants is what they say already. */
static void calls_late_wanted(struct kunit *test)
{
	struct lpt_patch *p = enabled(test, "lpt_first", lpt_one_new);

	kunit_activate_static_stub(test, klp_edits_map, want_and_map);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &plain, lpt_one_new, 72);
	expect_call(test, &tail, lpt_one_new, 72);
	static_call_update(lpt_call, lpt_one);
}

/* So does who updates it between being found and being looked at more closely. */
static void calls_stale(struct kunit *test)
{
	struct klp_edit edit;

	KUNIT_EXPECT_EQ(test, klp_edit_call(&edit, plain.addr, lpt_two,
					    lpt_one_new, lpt_one_new), 0);
	mutex_lock(&text_mutex);
	KUNIT_EXPECT_FALSE(test, klp_edit_fits(&edit));
	KUNIT_EXPECT_EQ(test, klp_edit_call(&edit, plain.addr, lpt_one,
					    lpt_one_new, lpt_one_new), 0);
	KUNIT_EXPECT_TRUE(test, klp_edit_fits(&edit));
	mutex_unlock(&text_mutex);
}

/* Two functions with the same replacement. */
static struct lpt_patch *enabled_shared(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_shared");

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_two", lpt_one_new);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	return p;
}

/* Each call finds back to its own. */
static void calls_shared(struct kunit *test)
{
	struct lpt_patch *p = enabled_shared(test);

	expect_call(test, &plain, lpt_one_new, 72);
	expect_call(test, &two, lpt_one_new, 72);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &plain, lpt_one, 71);
	expect_call(test, &two, lpt_two, 701);
}

/* And none of them goes where only the other does. */
static void calls_shared_stacked(struct kunit *test)
{
	struct lpt_patch *p = enabled_shared(test);
	struct lpt_patch *second;

	second = enabled(test, "lpt_second", lpt_one_newer);
	expect_call(test, &plain, lpt_one_newer, 73);
	expect_call(test, &two, lpt_one_new, 72);
	KUNIT_EXPECT_EQ(test, lpt_disable(second), 0);
	expect_call(test, &plain, lpt_one_new, 72);
	expect_call(test, &two, lpt_one_new, 72);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &two, lpt_two, 701);
}

/* A replacement that is replaced itself: its entry is the way on. */
static void calls_chained(struct kunit *test)
{
	struct lpt_patch *first = enabled(test, "lpt_first", lpt_two);
	struct lpt_patch *second = lpt_patch(test, "lpt_second");

	lpt_replace(second, "lpt_two", lpt_two_new);
	KUNIT_EXPECT_EQ(test, lpt_enable(second), 0);
	expect_call(test, &plain, lpt_two, 702);
	expect_call(test, &two, lpt_two_new, 702);
	KUNIT_EXPECT_EQ(test, lpt_disable(first), 0);
	expect_call(test, &plain, lpt_one, 71);
	KUNIT_EXPECT_EQ(test, lpt_disable(second), 0);
	expect_call(test, &plain, lpt_one, 71);
	expect_call(test, &two, lpt_two, 701);
}

/* A patch of which the replacement of lpt_one() is all the text there is. */
static struct lpt_patch *enabled_alone(struct kunit *test)
{
	struct lpt_patch *p = enabled(test, "lpt_first", lpt_one_new);

	p->mod.mem[MOD_TEXT] = (struct module_memory){
		.base	= lpt_one_new,
		.size	= p->funcs[0].new_size,
	};
	return p;
}

/* As an update begins, before it writes to any call. */
static void set_key(void *func)
{
	WRITE_ONCE(STATIC_CALL_KEY(lpt_call).func, func);
}

/* As the update ends. */
static void finish_update(void)
{
	set_key(lpt_one);
	static_call_update(lpt_call, lpt_two);
}

/*
 * No call may be left that leads to a patch that is disabled. If a key is being updated,
 * the update has to end before.
 */
static void calls_gone(struct kunit *test)
{
	struct lpt_patch *p = enabled_alone(test);

	set_key(lpt_two);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EBUSY);
	expect_call(test, &plain, lpt_one_new, 72);

	finish_update();
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &plain, lpt_two, 701);
	expect_call(test, &tail, lpt_two, 701);
	static_call_update(lpt_call, lpt_one);
}

static void *set_key_and_map(struct klp_edit *edits, unsigned int nr)
{
	set_key(lpt_two);
	return map(edits, nr);
}

/* The same if the update begins after the calls were looked for. */
static void calls_pending(struct kunit *test)
{
	struct lpt_patch *p = enabled_alone(test);

	kunit_activate_static_stub(test, klp_edits_map, set_key_and_map);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EBUSY);
	expect_call(test, &plain, lpt_one_new, 72);

	finish_update();
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &plain, lpt_two, 701);
	static_call_update(lpt_call, lpt_one);
}

/* The same if the calls do not follow what is disabled, as a newer patch is there. */
static void calls_gone_below(struct kunit *test)
{
	struct lpt_patch *first = enabled_alone(test), *second;

	set_key(lpt_two);
	second = enabled(test, "lpt_second", lpt_one_newer);
	expect_call(test, &plain, lpt_one_new, 72);
	KUNIT_EXPECT_EQ(test, lpt_disable(first), -EBUSY);

	finish_update();
	KUNIT_EXPECT_EQ(test, lpt_disable(first), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(second), 0);
	expect_call(test, &plain, lpt_two, 701);
	static_call_update(lpt_call, lpt_one);
}

static void write_byte(unsigned long addr, u8 byte)
{
	mutex_lock(&text_mutex);
	text_poke((void *)addr, &byte, 1);
	mutex_unlock(&text_mutex);
	lpt_sync_cpus();
}

/* A debugger, or an update that has just begun, has a breakpoint there. */
static void calls_trapped(struct kunit *test)
{
	struct lpt_patch *p = enabled(test, "lpt_first", lpt_one_new);
	u8 byte = *(u8 *)plain.addr;

	write_byte(plain.addr, INT3_INSN_OPCODE);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), -EBUSY);
	write_byte(plain.addr, byte);
	expect_call(test, &plain, lpt_one_new, 72);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_call(test, &plain, lpt_one, 71);
}

/* A switch that fails leaves them alone. */
static void calls_busy(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_busy");
	struct lpt_parked parked;

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EBUSY);
	expect_call(test, &plain, lpt_one, 71);
	lpt_unpark(&parked);
}

/* Where there must be no breakpoint they go through the entry. */
static void calls_noinstr(struct kunit *test)
{
	struct lpt_patch *p = enabled(test, "lpt_first", lpt_one_new);

	expect_call(test, &untouched, lpt_one, 72);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
}

static struct kunit_case calls_cases[] = {
	KUNIT_CASE(calls_follow),
	KUNIT_CASE(calls_update),
	KUNIT_CASE(calls_wanted),
	KUNIT_CASE(calls_late_update),
	KUNIT_CASE(calls_late_wanted),
	KUNIT_CASE(calls_stale),
	KUNIT_CASE(calls_shared),
	KUNIT_CASE(calls_shared_stacked),
	KUNIT_CASE(calls_chained),
	KUNIT_CASE(calls_gone),
	KUNIT_CASE_SLOW(calls_gone_below),
	KUNIT_CASE_SLOW(calls_trapped),
	KUNIT_CASE_SLOW(calls_pending),
	KUNIT_CASE_SLOW(calls_busy),
	KUNIT_CASE(calls_noinstr),
	{}
};

static struct kunit_suite calls_suite = {
	.name = "livepatch_calls",
	.init = calls_init,
	.exit = calls_exit,
	.test_cases = calls_cases,
};

kunit_test_suite(calls_suite);

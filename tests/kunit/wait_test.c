// SPDX-License-Identifier: GPL-2.0
/* Transitions that wait in the background: they end, are reversed, or forced. */

#include <kunit/test.h>
#include <linux/kprobes.h>
#include <asm/livepatch.h>
#include "../patch.h"
#include "../target.h"
#include "../transition.h"
#include "helpers.h"

static int wait_init(struct kunit *test)
{
	klp_wait = true;
	return 0;
}

static void wait_exit(struct kunit *test)
{
	klp_wait = false;
}

/* What runs while a transition waits. */
static void expect_waits(struct kunit *test, struct lpt_patch *p, bool enabling,
			 int one)
{
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_PTR_EQ(test, klp_transition_patch, &p->patch);
	mutex_unlock(&klp_mutex);
	KUNIT_EXPECT_EQ(test, p->patch.enabled, enabling);
	KUNIT_EXPECT_EQ(test, p->objs[0].patched, !enabling);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_TRUE(test, lpt_in_sysfs(p->mod.name));
	KUNIT_EXPECT_EQ(test, lpt_one(3), one);
}

static void reverse(struct kunit *test, struct lpt_patch *p)
{
	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_PTR_EQ(test, klp_transition_patch, &p->patch);
	if (klp_transition_patch)
		klp_transition_reverse();
	mutex_unlock(&klp_mutex);
	if (!p->patch.enabled)
		flush_work(&p->patch.free_work);
}

static int force(struct kunit *test, struct lpt_patch *p)
{
	int ret = -EINVAL;

	mutex_lock(&klp_mutex);
	KUNIT_EXPECT_PTR_EQ(test, klp_transition_patch, &p->patch);
	if (klp_transition_patch)
		ret = klp_transition_force();
	mutex_unlock(&klp_mutex);
	if (!ret && !p->patch.enabled)
		flush_work(&p->patch.free_work);
	return ret;
}

static struct lpt_patch *sleeper_patch(struct kunit *test, const char *name)
{
	struct lpt_patch *p = lpt_patch(test, name);

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	return p;
}

/* With nothing in the way there is no difference. */
static void wait_not(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_NULL(test, READ_ONCE(klp_transition_patch));
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static void wait_enable(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	expect_waits(test, p, true, 31);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);

	lpt_wait_transition();
	KUNIT_EXPECT_TRUE(test, p->objs[0].patched);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);

	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	expect_waits(test, p, false, 32);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);

	lpt_wait_transition();
	flush_work(&p->patch.free_work);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);
}

static void wait_reverse(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	reverse(test, p);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	reverse(test, p);
	KUNIT_EXPECT_NULL(test, READ_ONCE(klp_transition_patch));
	KUNIT_EXPECT_TRUE(test, p->patch.enabled);
	KUNIT_EXPECT_TRUE(test, p->objs[0].patched);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);

	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* Who is in the old function stays in it; who comes later gets the new one. */
static void wait_force_enable(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_parked old, new;

	lpt_park_in(test, &old, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, force(test, p), 0);
	KUNIT_EXPECT_NULL(test, READ_ONCE(klp_transition_patch));
	KUNIT_EXPECT_TRUE(test, p->objs[0].patched);
	KUNIT_EXPECT_FALSE(test, p->patch.forced);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);

	lpt_park_in(test, &new, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&new), LPT_NEW);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&old), LPT_OLD);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* The module stays for good, as somebody may be in it. */
static void wait_force_disable(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_parked old, new;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &new, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, force(test, p), 0);
	KUNIT_EXPECT_NULL(test, READ_ONCE(klp_transition_patch));
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs("lpt_patch"));

	lpt_park_in(test, &old, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&old), LPT_OLD);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&new), LPT_NEW);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	module_put(&p->mod);
	lpt_expect_gone(test, p);
}

/* So do the modules of patches that were replaced by force. */
static void wait_force_replace(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_patch *q = lpt_patch(test, "lpt_other");
	struct lpt_parked new;

	q->patch.replace = true;
	lpt_replace(q, "lpt_one", lpt_one_newer);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &new, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(q), 0);
	expect_waits(test, q, true, 32);
	KUNIT_EXPECT_EQ(test, force(test, q), 0);
	flush_work(&p->patch.free_work);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 33);
	KUNIT_EXPECT_EQ(test, lpt_refs(p), 1);
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs("lpt_patch"));
	KUNIT_EXPECT_EQ(test, lpt_unpark(&new), LPT_NEW);

	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	lpt_expect_gone(test, q);
	module_put(&p->mod);
	lpt_expect_gone(test, p);
}

/* A stack that cannot be unwound is not waited for. */
static void wait_not_unreliable(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_park_in(test, &parked, lpt_unreliable);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_NULL(test, READ_ONCE(klp_transition_patch));
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* A patch cannot be forced while a thread is in one of its functions. */
static void expect_not_forced(struct kunit *test, const char *old_name,
			      int (*enter)(struct lpt_park *park))
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_replace(p, "lpt_one", lpt_one_new);
	lpt_replace(p, old_name, lpt_sleeper_new);
	lpt_park_in(test, &parked, enter);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, force(test, p), -EBUSY);
	expect_waits(test, p, true, 31);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);
	lpt_wait_transition();
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* Nor for who is in a function, unless that begins with a loop. */
static void wait_force_loop(struct kunit *test)
{
	expect_not_forced(test, "lpt_loops", lpt_loops);
}

/* Or goes on in the middle of the bytes that are written. */
static void wait_force_inside(struct kunit *test)
{
	expect_not_forced(test, "lpt_calls_early", lpt_calls_early_caller);
}

/* A module that has begun to go does not stay, so nobody may be left in it. */
static void wait_force_going(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_parked new;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &new, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	p->mod.state = MODULE_STATE_GOING;
	KUNIT_EXPECT_EQ(test, force(test, p), -EBUSY);
	expect_waits(test, p, false, 32);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&new), LPT_NEW);
	lpt_wait_transition();
	flush_work(&p->patch.free_work);
	lpt_expect_gone(test, p);
}

static unsigned int nr_undone;

static void count_undone(struct klp_object *obj)
{
	nr_undone++;
}

/* Only one transition at a time. */
static void wait_second(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_patch *q = lpt_patch(test, "lpt_other");
	struct lpt_patch *z = lpt_patch(test, "lpt_third");
	struct lpt_parked parked;

	lpt_replace(q, "lpt_two", lpt_two_new);
	lpt_replace(z, "lpt_busy", lpt_busy_new);
	z->objs[0].callbacks.post_unpatch = count_undone;

	nr_undone = 0;
	KUNIT_ASSERT_EQ(test, lpt_enable(q), 0);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);

	KUNIT_EXPECT_EQ(test, lpt_enable(z), -EBUSY);
	/* It has not even begun. */
	KUNIT_EXPECT_EQ(test, nr_undone, 0);
	KUNIT_EXPECT_EQ(test, lpt_refs(z), 0);
	KUNIT_EXPECT_FALSE(test, lpt_in_sysfs("lpt_third"));
	KUNIT_EXPECT_EQ(test, lpt_disable(q), -EBUSY);
	KUNIT_EXPECT_EQ(test, lpt_two(3), 302);
	expect_waits(test, p, true, 31);

	reverse(test, p);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
	lpt_expect_gone(test, z);
}

/* What is not an obstacle fails at once. */
static int failing_pre_patch(struct klp_object *obj)
{
	return -EPROTO;
}

static void wait_error(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");

	p->objs[0].callbacks.pre_patch = failing_pre_patch;
	KUNIT_EXPECT_EQ(test, lpt_enable(p), -EPROTO);
	lpt_expect_gone(test, p);
}

#ifdef CONFIG_KPROBES
/* Between the attempts a function that is not patched yet can be probed. */
static void wait_kprobe(struct kunit *test)
{
	struct lpt_patch *p = sleeper_patch(test, "lpt_patch");
	struct lpt_parked parked;
	struct kprobe probe;
	struct klp_site site;
	bool patched;
	int ret;

	KUNIT_ASSERT_NULL(test, klp_site_init(&site, lpt_one, 64));
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	/* It is refused only while an attempt is under way. */
	do {
		schedule_timeout_uninterruptible(1);
		probe = (struct kprobe){ .addr = (void *)site.addr };
		ret = register_kprobe(&probe);
	} while (ret);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);

	/* Now only the probe blocks the switch, which is where the jump will be. */
	schedule_timeout_uninterruptible(HZ / 10);
	mutex_lock(&klp_mutex);
	patched = p->objs[0].patched;
	mutex_unlock(&klp_mutex);
	KUNIT_EXPECT_FALSE(test, patched);

	unregister_kprobe(&probe);
	wait_for_kprobe_optimizer();
	lpt_wait_transition();
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}
#endif

static struct kunit_case wait_cases[] = {
	KUNIT_CASE(wait_not),
	KUNIT_CASE(wait_enable),
	KUNIT_CASE(wait_reverse),
	KUNIT_CASE(wait_force_enable),
	KUNIT_CASE(wait_force_disable),
	KUNIT_CASE(wait_force_replace),
	KUNIT_CASE(wait_not_unreliable),
	KUNIT_CASE_SLOW(wait_force_loop),
	KUNIT_CASE_SLOW(wait_force_inside),
	KUNIT_CASE(wait_force_going),
	KUNIT_CASE(wait_second),
	KUNIT_CASE(wait_error),
#ifdef CONFIG_KPROBES
	KUNIT_CASE(wait_kprobe),
#endif
	{}
};

static struct kunit_suite wait_suite = {
	.name = "livepatch_wait",
	.init = wait_init,
	.exit = wait_exit,
	.test_cases = wait_cases,
};

kunit_test_suite(wait_suite);

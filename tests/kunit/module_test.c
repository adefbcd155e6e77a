// SPDX-License-Identifier: GPL-2.0
/*
 * Modules that are loaded and unloaded while a patch for them is enabled.
 *
 * The module is an imitation. Its name is lpt_module, and its functions are those that
 * the tests patch.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <asm/livepatch.h>
#include "../look.h"
#include "../patch.h"
#include "../switch.h"
#include "../symbol.h"
#include "../target.h"
#include "../transition.h"
#include "helpers.h"

/* The module loader holds a reference while it loads a module. */
#define REFS_COMING	2

/**
 * struct lpt_module - the module, and what its text is when it comes
 * @mod:	the module
 * @one:	text of lpt_one(), its only function but for one test
 */
struct lpt_module {
	struct module mod;
	struct lpt_snapshot one;
};

static int find_in_module(const char *objname, const char *name,
			  unsigned long sympos, unsigned long *addr)
{
	if (objname && strcmp(objname, "lpt_module"))
		return -EINVAL;

	*addr = kallsyms_lookup_name(name);
	return *addr ? 0 : -EINVAL;
}

static struct lpt_module *make_module(struct kunit *test)
{
	struct lpt_module *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	strscpy(m->mod.name, "lpt_module", sizeof(m->mod.name));
	lpt_snapshot(&m->one, lpt_one);
	kunit_activate_static_stub(test, klp_symbol_find, find_in_module);
	return m;
}

/* As the loader does. */
static int come(struct lpt_module *m)
{
	int ret;

	m->mod.state = MODULE_STATE_COMING;
	atomic_set(&m->mod.refcnt, REFS_COMING);
	ret = klp_module_coming(&m->mod);
	if (!ret)
		m->mod.state = MODULE_STATE_LIVE;

	return ret;
}

/* Nothing is redirected any more when it is gone. */
static void go(struct lpt_module *m)
{
	m->mod.state = MODULE_STATE_GOING;
	klp_module_going(&m->mod);
	lpt_expect_unchanged(kunit_get_current_test(), &m->one);
}

static struct lpt_patch *module_patch(struct kunit *test, const char *name,
				      void *new_func)
{
	struct lpt_patch *p = lpt_patch(test, name);

	p->objs[0].name = "lpt_module";
	lpt_replace(p, "lpt_one", new_func);
	return p;
}

static void module_comes_and_goes(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_FALSE(test, p->objs[0].patched);
		KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
		KUNIT_EXPECT_EQ(test, come(m), 0);
		KUNIT_EXPECT_TRUE(test, p->objs[0].patched);
		KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
		go(m);
	}
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);

	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	go(m);
}

static unsigned int nr_looks;

static void count_look(struct klp_look *look)
{
	nr_looks++;
}

/* A module that has nothing to do with a patch costs nothing. */
static void module_unconcerned(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_module *m = make_module(test);

	lpt_replace(p, "lpt_two", lpt_two_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	nr_looks = 0;
	kunit_activate_static_stub(test, klp_look_all, count_look);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	go(m);
	KUNIT_EXPECT_EQ(test, nr_looks, 0);
	kunit_deactivate_static_stub(test, klp_look_all);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* The patch goes while the module stays, which goes unpatched then. */
static void module_stays(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);
	lpt_expect_unchanged(test, &m->one);
	go(m);
}

static void module_unknown(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	p->objs[0].name = "lpt_other";
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	go(m);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* Two patches for it, which go in either order, and while it is there or not. */
static void module_stacked(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_older", lpt_one_new);
	struct lpt_patch *q = module_patch(test, "lpt_newer", lpt_one_newer);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		bool newer_first = i & 1, there = i & 2;

		KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
		KUNIT_EXPECT_EQ(test, lpt_enable(q), 0);
		KUNIT_EXPECT_EQ(test, come(m), 0);
		KUNIT_EXPECT_EQ(test, lpt_one(3), 33);
		if (!there)
			go(m);
		KUNIT_EXPECT_EQ(test, lpt_disable(newer_first ? q : p), 0);
		if (!there)
			KUNIT_EXPECT_EQ(test, come(m), 0);
		KUNIT_EXPECT_EQ(test, lpt_one(3), newer_first ? 32 : 33);
		KUNIT_EXPECT_EQ(test, lpt_disable(newer_first ? p : q), 0);
		KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
		lpt_expect_unchanged(test, &m->one);
		go(m);
		lpt_expect_gone(test, p);
		lpt_expect_gone(test, q);
	}
}

static char calls[16];

static void called(char what)
{
	size_t len = strlen(calls);

	if (len < sizeof(calls) - 1)
		calls[len] = what;
}

static int pre_patch(struct klp_object *obj)
{
	called('p');
	return 0;
}

static int failing_pre_patch(struct klp_object *obj)
{
	called('f');
	return -EPROTO;
}

static void post_patch(struct klp_object *obj)
{
	called('P');
}

static void pre_unpatch(struct klp_object *obj)
{
	called('u');
}

static void post_unpatch(struct klp_object *obj)
{
	called('U');
}

static void set_callbacks(struct lpt_patch *p)
{
	p->objs[0].callbacks = (struct klp_callbacks){
		.pre_patch	= pre_patch,
		.post_patch	= post_patch,
		.pre_unpatch	= pre_unpatch,
		.post_unpatch	= post_unpatch,
	};
	memset(calls, 0, sizeof(calls));
}

static void module_callbacks(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	set_callbacks(p);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_STREQ(test, calls, "");
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_STREQ(test, calls, "pP");
	go(m);
	KUNIT_EXPECT_STREQ(test, calls, "pPuU");
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_STREQ(test, calls, "pPuUpPuU");
	lpt_expect_gone(test, p);
	go(m);
}

static int seen_by_post_unpatch;

static void look_in_post_unpatch(struct klp_object *obj)
{
	seen_by_post_unpatch = lpt_one(3);
}

/* In post_unpatch nothing leads to the patch any more. */
static void module_post_unpatch(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	p->objs[0].callbacks.post_unpatch = look_in_post_unpatch;
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	go(m);
	KUNIT_EXPECT_EQ(test, seen_by_post_unpatch, 31);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static void *no_memory_once(struct klp_edit *edits, unsigned int nr)
{
	kunit_deactivate_static_stub(kunit_get_current_test(), klp_edits_map);
	return ERR_PTR(-ENOMEM);
}

/* That does not depend on whether there is memory at the moment. */
static void module_goes_without_memory(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	kunit_activate_static_stub(test, klp_edits_map, no_memory_once);
	go(m);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* The second patch does not want the module, so the first gives it up again. */
static void module_refused(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_older", lpt_one_new);
	struct lpt_patch *q = module_patch(test, "lpt_newer", lpt_one_newer);

	set_callbacks(p);
	q->objs[0].callbacks.pre_patch = failing_pre_patch;
	q->objs[0].callbacks.post_unpatch = post_unpatch;

	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_ASSERT_EQ(test, lpt_enable(q), 0);
	KUNIT_EXPECT_EQ(test, come(m), -EPROTO);
	lpt_expect_unchanged(test, &m->one);
	KUNIT_EXPECT_STREQ(test, calls, "pPfuU");
	KUNIT_EXPECT_FALSE(test, m->mod.klp_alive);
	KUNIT_EXPECT_FALSE(test, p->objs[0].patched);
	KUNIT_EXPECT_FALSE(test, q->objs[0].patched);
	KUNIT_EXPECT_NULL(test, p->objs[0].mod);
	KUNIT_EXPECT_NULL(test, q->objs[0].mod);

	/* Without the second it may come. */
	KUNIT_EXPECT_EQ(test, lpt_disable(q), 0);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	go(m);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
	lpt_expect_gone(test, q);
}

static void module_lacks_function(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	lpt_replace(p, "lpt_absent", lpt_two_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	KUNIT_EXPECT_EQ(test, come(m), -EINVAL);
	KUNIT_EXPECT_NULL(test, p->objs[0].mod);
	KUNIT_EXPECT_NULL(test, p->funcs[0].target);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

/* No task is looked for in the module: a thread that would block the switch does not. */
static void module_is_still(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);
	struct lpt_snapshot sleeper;
	struct lpt_parked parked;

	lpt_snapshot(&sleeper, lpt_sleeper);
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	go(m);
	lpt_expect_unchanged(test, &sleeper);
	lpt_unpark(&parked);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static int leave_later(void *data)
{
	struct lpt_parked *parked = data;

	/* That is for more than one attempt. */
	schedule_timeout_uninterruptible(2 * HZ);
	complete(&parked->park.leave);
	return 0;
}

/* The init function of a patch module fails after it has enabled its patch. */
static void module_abandons_patch(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	struct lpt_parked parked;

	lpt_replace(p, "lpt_one", lpt_one_new);
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	p->mod.state = MODULE_STATE_GOING;
	klp_module_going(&p->mod);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);

	/* Somebody is in a new function, and leaves later. */
	p->mod.state = MODULE_STATE_LIVE;
	p->funcs[0] = (struct klp_func){
		.old_name = "lpt_sleeper",
		.new_func = lpt_sleeper_new,
	};
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	lpt_park_in(test, &parked, lpt_sleeper);
	kthread_run(leave_later, &parked, "lpt_leaver");
	p->mod.state = MODULE_STATE_GOING;
	klp_module_going(&p->mod);
	lpt_expect_gone(test, p);
	kthread_stop(parked.task);
	put_task_struct(parked.task);
	KUNIT_EXPECT_EQ(test, parked.result, LPT_NEW);

	/* The same while it waits. */
	p->mod.state = MODULE_STATE_LIVE;
	p->funcs[0] = (struct klp_func){
		.old_name = "lpt_one",
		.new_func = lpt_one_new,
	};
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	klp_wait = true;
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);
	p->mod.state = MODULE_STATE_GOING;
	klp_module_going(&p->mod);
	klp_wait = false;
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	lpt_expect_gone(test, p);
	lpt_unpark(&parked);
}

#ifdef CONFIG_KPROBES
static struct kprobe probe;
static struct klp_site probe_site;

static int set_probe(struct klp_object *obj)
{
	probe = (struct kprobe){ .addr = (void *)probe_site.addr };
	return register_kprobe(&probe);
}

static bool is_trapped;

/* Is an INT3 going to be written? */
static int look_and_see(struct klp_switch *sw)
{
	int ret;

	kunit_deactivate_static_stub(kunit_get_current_test(), klp_switch_look);
	ret = klp_switch_look(sw);
	is_trapped = !sw->edits[0].no_trap;
	return ret;
}

static void expect_trapped(struct kunit *test, struct lpt_module *m, bool trapped)
{
	kunit_activate_static_stub(test, klp_switch_look, look_and_see);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, is_trapped, trapped);
	go(m);
}

/* kprobes take an INT3 for their own where a kprobe is left over from another module. */
static void module_remnant(struct kunit *test)
{
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);
	struct lpt_module *m = make_module(test);

	KUNIT_ASSERT_NULL(test, klp_site_init(&probe_site, lpt_one, 64));
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);
	expect_trapped(test, m, true);

	KUNIT_ASSERT_EQ(test, set_probe(NULL), 0);
	KUNIT_EXPECT_EQ(test, disable_kprobe(&probe), 0);
	lpt_set_gone(probe.addr, true);
	expect_trapped(test, m, false);
	lpt_set_gone(probe.addr, false);
	unregister_kprobe(&probe);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}

static void module_is_probed(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = module_patch(test, "lpt_patch", lpt_one_new);

	KUNIT_ASSERT_NULL(test, klp_site_init(&probe_site, lpt_one, 64));
	KUNIT_ASSERT_EQ(test, lpt_enable(p), 0);

	/* Before the patch is checked, and after it. */
	KUNIT_EXPECT_EQ(test, set_probe(NULL), 0);
	KUNIT_EXPECT_EQ(test, come(m), -EBUSY);
	unregister_kprobe(&probe);
	p->objs[0].callbacks.pre_patch = set_probe;
	KUNIT_EXPECT_EQ(test, come(m), -EBUSY);
	unregister_kprobe(&probe);
	wait_for_kprobe_optimizer();

	p->objs[0].callbacks.pre_patch = NULL;
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	go(m);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	lpt_expect_gone(test, p);
}
#endif

/*
 * A patch for vmlinux and the module waits. The module comes meanwhile and waits
 * with it, or goes before that is over.
 */
static struct lpt_patch *waiting_patch(struct kunit *test)
{
	struct lpt_patch *p = lpt_patch(test, "lpt_patch");
	static struct klp_func in_module[2];
	static struct klp_object objs[3];

	in_module[0] = (struct klp_func){
		.old_name = "lpt_one",
		.new_func = lpt_one_new,
	};
	lpt_replace(p, "lpt_sleeper", lpt_sleeper_new);
	memset(objs, 0, sizeof(objs));
	objs[0].funcs = p->funcs;
	objs[1].name = "lpt_module";
	objs[1].funcs = in_module;
	objs[1].callbacks.pre_patch = pre_patch;
	objs[1].callbacks.post_patch = post_patch;
	objs[1].callbacks.pre_unpatch = pre_unpatch;
	objs[1].callbacks.post_unpatch = post_unpatch;
	p->patch.objs = objs;
	memset(calls, 0, sizeof(calls));
	return p;
}

static void module_waits(struct kunit *test)
{
	struct lpt_module *m = make_module(test);
	struct lpt_patch *p = waiting_patch(test);
	struct lpt_parked parked;

	klp_wait = true;
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_enable(p), 0);

	/* It comes and goes. */
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_STREQ(test, calls, "p");
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	go(m);
	KUNIT_EXPECT_STREQ(test, calls, "pU");

	/* It comes and is patched with the rest. */
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_OLD);
	lpt_wait_transition();
	KUNIT_EXPECT_STREQ(test, calls, "pUpP");
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	go(m);
	KUNIT_EXPECT_STREQ(test, calls, "pUpPuU");

	/* While the patch waits to go it is still in force. */
	lpt_park_in(test, &parked, lpt_sleeper);
	KUNIT_EXPECT_EQ(test, lpt_disable(p), 0);
	KUNIT_EXPECT_EQ(test, come(m), 0);
	KUNIT_EXPECT_STREQ(test, calls, "pUpPuUp");
	KUNIT_EXPECT_EQ(test, lpt_one(3), 32);
	KUNIT_EXPECT_EQ(test, lpt_unpark(&parked), LPT_NEW);
	lpt_wait_transition();
	flush_work(&p->patch.free_work);
	KUNIT_EXPECT_STREQ(test, calls, "pUpPuUpU");
	KUNIT_EXPECT_EQ(test, lpt_one(3), 31);
	go(m);
	klp_wait = false;
	lpt_expect_gone(test, p);
}

static struct kunit_case module_cases[] = {
	KUNIT_CASE(module_comes_and_goes),
	KUNIT_CASE(module_unconcerned),
	KUNIT_CASE(module_stays),
	KUNIT_CASE(module_unknown),
	KUNIT_CASE(module_stacked),
	KUNIT_CASE(module_callbacks),
	KUNIT_CASE(module_post_unpatch),
	KUNIT_CASE(module_goes_without_memory),
	KUNIT_CASE(module_refused),
	KUNIT_CASE(module_lacks_function),
	KUNIT_CASE(module_is_still),
	KUNIT_CASE_SLOW(module_abandons_patch),
#ifdef CONFIG_KPROBES
	KUNIT_CASE(module_is_probed),
	KUNIT_CASE(module_remnant),
#endif
	KUNIT_CASE(module_waits),
	{}
};

static struct kunit_suite module_suite = {
	.name = "livepatch_module",
	.test_cases = module_cases,
};

kunit_test_suite(module_suite);

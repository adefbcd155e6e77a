// SPDX-License-Identifier: GPL-2.0
/*
 * What the patches in tests/klp are for: a function of each shape that a fix can
 * have to change. Each has a parameter that calls it.
 */

#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/cpufeature.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include "klp_subject.h"

noinline int subject_global(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 1;
}

SUBJECT_SHOW(global, subject_global(40));

static noinline int subject_static(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 2;
}

SUBJECT_SHOW(static, subject_static(40));

/* It counts, and goes on where it was. */
static noinline int subject_counts(void)
{
	static int count;

	count += 1;
	return count;
}

SUBJECT_SHOW(counts, subject_counts());

static noinline int subject_grows(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 3;
}

SUBJECT_SHOW(grows, subject_grows(40));

static noinline int subject_remembers(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 4;
}

SUBJECT_SHOW(remembers, subject_remembers(40));

static DEFINE_STATIC_KEY_FALSE(subject_key);

static noinline int subject_called(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x;
}

DEFINE_STATIC_CALL(subject_call, subject_called);

/*
 * A jump label, a static call, an alternative for a feature that is not taken for
 * granted, and entries in the tables of exceptions and bugs.
 */
static noinline int subject_special(int x)
{
	int sum = 0, value;

	if (static_branch_unlikely(&subject_key))
		sum += 1000;
	sum += static_call(subject_call)(x);
	if (cpu_feature_enabled(X86_FEATURE_XMM4_1))
		sum += 10;

	/* The last page is never there: the numbers of errors are. */
	__get_kernel_nofault(&value, (int *)-PAGE_SIZE, int, fault);
	return value;
fault:
	sum += 100;

	WARN_ONCE(x < 0, "the subject is below zero\n");
	return sum;
}

SUBJECT_SHOW(special, subject_special(1));
SUBJECT_SHOW(warns, subject_special(-1));

static int key_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	if (!ret && on)
		static_branch_enable(&subject_key);
	else if (!ret)
		static_branch_disable(&subject_key);
	return ret;
}

static const struct kernel_param_ops key_ops = { .set = key_set };
module_param_cb(key, &key_ops, NULL, 0200);

/* Not __cold, which says nothing to compilers that would not align it then. */
static noinline __attribute__((__cold__)) int subject_rare(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return -x;
}

/* The compiler moves the unlikely part elsewhere. */
static noinline int subject_cold(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	if (x < 0)
		return subject_rare(x) + subject_rare(x + 1) + 1;
	return x + 5;
}

SUBJECT_SHOW(cold, subject_cold(40));
SUBJECT_SHOW(cold_part, subject_cold(-40));

struct subject_pair {
	int first, second;
};

/* Of what is pointed to only a part is used: it becomes the parameter. */
static noinline int subject_isra(const struct subject_pair *pair)
{
	int x = pair->second;

	OPTIMIZER_HIDE_VAR(x);
	return x + 6;
}

static noinline int subject_isra_of(int x)
{
	struct subject_pair pair = { .second = x };

	return subject_isra(&pair);
}

SUBJECT_SHOW(isra, subject_isra_of(40));

/* All callers pass the same number: there is a copy for that. */
static noinline int subject_constprop(int x, int more)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + more;
}

SUBJECT_SHOW(constprop, subject_constprop(40, 7));

/* The callers ask for themselves whether there is a table, and call the rest. */
static int subject_part(const int *table, int x)
{
	int sum = 0, i;

	if (!table)
		return x;
	for (i = 0; i < 4; i++) {
		sum += subject_rare(table[i]) * x;
		if (sum < -1000)
			pr_info("entry %d makes it too small\n", i);
		else if (sum > 1000)
			pr_info("entry %d makes it too large\n", i);
	}
	return subject_rare(sum) + subject_rare(x);
}

static int subject_values[] = { 1, 2, 3, 4 };
static int *subject_table = subject_values;
static int *subject_no_table;

SUBJECT_SHOW(part, subject_part(READ_ONCE(subject_table), 8));
SUBJECT_SHOW(part_empty, subject_part(READ_ONCE(subject_no_table), 48));

noinline int subject_inlines(int x)
{
	return subject_inline(x) + 8;
}

SUBJECT_SHOW(inlines, subject_inlines(16));
SUBJECT_SHOW(inlines_too, subject_inline(20) + 9);

int subject_state;

static noinline int subject_shows_state(void)
{
	return READ_ONCE(subject_state);
}

SUBJECT_SHOW(state, subject_shows_state());

/* There is no room in it for what a fix wants to add. */
struct subject_object {
	int value;
};

static struct subject_object subject_object = { .value = 43 };

static noinline int subject_reads(struct subject_object *object)
{
	return READ_ONCE(object->value);
}

SUBJECT_SHOW(object, subject_reads(&subject_object));

/* Nothing fits between its begin and the next symbol. */
static noinline void subject_short(void)
{
	asm volatile("ud2\n"
		     "subject_short_next:\n\t"
		     "ud2");
	__builtin_unreachable();
}

static int short_set(const char *val, const struct kernel_param *kp)
{
	subject_short();
	return 0;
}

static const struct kernel_param_ops short_ops = { .set = short_set };
module_param_cb(short, &short_ops, NULL, 0200);

static int subject_at_init;

static int __init subject_init(void)
{
	subject_at_init = 44;
	return 0;
}
device_initcall(subject_init);
SUBJECT_SHOW(at_init, READ_ONCE(subject_at_init));

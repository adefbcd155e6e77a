// SPDX-License-Identifier: GPL-2.0
/*
 * The functions that the tests patch.
 *
 *   parameters/versions	which version of each of its functions runs, one
 *				character each, 0 for its own
 *   parameters/secret		what lpt_target_read() returns
 *   parameters/init		the versions as its init function saw them
 *   parameters/keys		what lpt_target_keys() writes
 *   parameters/call, branch	see lpt-own.h
 *   parameters/called		what the text of a static call of this module says
 *   parameters/hold		a reader stays until it gets a signal
 *   parameters/note		a reader stays until it is killed; then the text of
 *				lpt_target_note() is in noted
 *   parameters/spin		a reader gets such a text some time later, without sleeping
 */

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/wait_bit.h>
#include "lpt-target.h"

#define LPT_PREFIX	lpt_target_
#include "lpt-own.h"

#define DEFINE(i)					\
static noinline __used char lpt_target_##i(void)	\
{							\
	int x = i;					\
							\
	OPTIMIZER_HIDE_VAR(x);				\
	return x < LPT_NR ? '0' : '?';			\
}

#define ENTRY(i)	lpt_target_##i,

LPT_ALL(DEFINE)

static char (*const functions[])(void) = { LPT_ALL(ENTRY) };

/* Not exported, and called by nobody but a patch. */
static noinline __used int lpt_target_secret(int x)
{
	OPTIMIZER_HIDE_VAR(x);
	return x + 42;
}

static noinline int lpt_target_read(void)
{
	int x = 0;

	OPTIMIZER_HIDE_VAR(x);
	return x;
}

/* The machine cannot be stopped meanwhile, so this is what runs at one time. */
static void get_versions(char *buffer)
{
	unsigned int i;

	preempt_disable();
	for (i = 0; i < LPT_NR; i++)
		buffer[i] = functions[i]();
	preempt_enable();
	buffer[LPT_NR] = '\0';
}

static int versions_get(char *buffer, const struct kernel_param *kp)
{
	char versions[LPT_NR + 1];

	get_versions(versions);
	return sysfs_emit(buffer, "%s\n", versions);
}

static const struct kernel_param_ops versions_ops = { .get = versions_get };
module_param_cb(versions, &versions_ops, NULL, 0444);

static int secret_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", lpt_target_read());
}

static const struct kernel_param_ops secret_ops = { .get = secret_get };
module_param_cb(secret, &secret_ops, NULL, 0444);

/* Where the call in call_get() goes. */
static int called_get(char *buffer, const struct kernel_param *kp)
{
	const struct static_call_site *site = THIS_MODULE->static_call_sites;
	const struct static_call_site *end;
	s32 rel;

	for (end = site + THIS_MODULE->num_static_call_sites; site < end; site++) {
		const u8 *insn = (const u8 *)&site->addr + site->addr;

		if ((((unsigned long)&site->key + site->key) &
		     ~STATIC_CALL_SITE_FLAGS) !=
		    (unsigned long)&STATIC_CALL_KEY(lpt_target_call))
			continue;
		memcpy(&rel, insn + 1, sizeof(rel));
		return sysfs_emit(buffer, "%ps\n", insn + 5 + rel);
	}
	return -ENOENT;
}

static const struct kernel_param_ops called_ops = { .get = called_get };
module_param_cb(called, &called_ops, NULL, 0444);

static int hold_get(char *buffer, const struct kernel_param *kp)
{
	schedule_timeout_interruptible(MAX_SCHEDULE_TIMEOUT);
	return -EINTR;
}

static const struct kernel_param_ops hold_ops = { .get = hold_get };
module_param_cb(hold, &hold_ops, NULL, 0400);

static char noted[64];
module_param_string(noted, noted, sizeof(noted), 0444);

/* A patch calls these last, with text of its own. */
noinline int lpt_target_wait(char *buffer, const char *text)
{
	wait_var_event_killable(noted, false);
	strscpy(noted, text);
	return 0;
}
EXPORT_SYMBOL_GPL(lpt_target_wait);

noinline int lpt_target_spin(char *buffer, const char *text)
{
	unsigned int i;

	for (i = 0; i < 1000000; i++)
		barrier();
	return sysfs_emit(buffer, "%s\n", text);
}
EXPORT_SYMBOL_GPL(lpt_target_spin);

static noinline int lpt_target_note(char *buffer)
{
	return lpt_target_wait(buffer, "old");
}

static int note_get(char *buffer, const struct kernel_param *kp)
{
	return lpt_target_note(buffer);
}

static const struct kernel_param_ops note_ops = { .get = note_get };
module_param_cb(note, &note_ops, NULL, 0444);

static noinline int lpt_target_note_busy(char *buffer)
{
	return lpt_target_spin(buffer, "old");
}

static int spin_get(char *buffer, const struct kernel_param *kp)
{
	return lpt_target_note_busy(buffer);
}

static const struct kernel_param_ops spin_ops = { .get = spin_get };
module_param_cb(spin, &spin_ops, NULL, 0444);

/* A patch says here what its own static calls and keys do. */
static noinline int lpt_target_keys(char *buffer)
{
	return sysfs_emit(buffer, "old\n");
}

static int keys_get(char *buffer, const struct kernel_param *kp)
{
	return lpt_target_keys(buffer);
}

static const struct kernel_param_ops keys_ops = { .get = keys_get };
module_param_cb(keys, &keys_ops, NULL, 0444);

static char at_init[LPT_NR + 1];
module_param_string(init, at_init, sizeof(at_init), 0444);

static int __init lpt_target_init(void)
{
	get_versions(at_init);
	return 0;
}
module_init(lpt_target_init);

static void __exit lpt_target_exit(void)
{
}
module_exit(lpt_target_exit);

MODULE_DESCRIPTION("Functions to be patched by tests");
MODULE_LICENSE("GPL");

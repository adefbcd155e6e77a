/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_SWITCH_H
#define _LIVEPATCH_SWITCH_H

#include <linux/rcupdate.h>
#include <asm/livepatch.h>
#include "calls.h"
#include "ladder.h"
#include "look.h"

/**
 * enum klp_switch_mode - in which text no task may be for a switch
 * @KLP_SWITCH_IDLE:	the functions that are switched, in all versions concerned
 * @KLP_SWITCH_FORCED:	only the bytes that are written, as else the machine would crash
 * @KLP_SWITCH_MODULE:	none, as the functions are in a module that is being loaded or
 *			unloaded. No task is in a function that is redirected then. If
 *			one is in the original, the function is not redirected yet, and
 *			the module has not begun to run
 */
enum klp_switch_mode {
	KLP_SWITCH_IDLE,
	KLP_SWITCH_FORCED,
	KLP_SWITCH_MODULE,
};

/**
 * struct klp_switch_stats - what a switch cost, in all of its attempts
 * @nr_cpus:	how many CPUs were stopped the last time, 0 if they never were
 * @nr_tasks:	how many stacks were walked before, in the last attempt
 * @nr_attempts: how many attempts there were
 * @nr_stops:	how often the CPUs were stopped
 * @nr_bursts:	in how many attempts threads were held
 * @nr_held:	how often a thread was held
 * @held_ns:	for how long threads were held in all, in nanoseconds
 * @window_ns:	how long it took to stop the CPUs and to let them go the last time,
 *		in nanoseconds
 * @callback_ns: the longest that one of them was in klp_window() then
 * @total_ns:	how long the attempts took, without the pauses between them
 */
struct klp_switch_stats {
	unsigned int nr_cpus;
	unsigned int nr_tasks;
	unsigned int nr_attempts;
	unsigned int nr_stops;
	unsigned int nr_bursts;
	unsigned int nr_held;
	u64 held_ns;
	u64 window_ns;
	u64 callback_ns;
	u64 total_ns;
};

/**
 * struct klp_switch - a set of edits that are made together, or not at all
 * @name:	name of the patch
 * @op:		name of the operation, one word
 * @mode:	in which text no task may be
 * @edits:	the edits
 * @nr_edits:	how many there are
 * @max_edits:	how many there is room for
 * @nr_funcs:	how many of them are of the entry of a function
 * @moves:	where static calls of the functions have to go
 * @map:	writable mapping of the text that is edited, NULL while there is none
 * @look:	what tasks are looked at for
 * @unprobed:	text in which no kprobe may be
 * @probe:	the kprobe that blocked the last attempt, or 0
 * @changed:	a site that other code had changed at the last attempt, or 0
 * @pending:	a static call that was being updated at the last attempt, or 0
 * @stats:	what it cost
 * @rcu:	other CPUs can still use @look and @edits when the set is freed
 */
struct klp_switch {
	const char *name;
	const char *op;
	enum klp_switch_mode mode;
	struct klp_edit *edits;
	unsigned int nr_edits;
	unsigned int max_edits;
	unsigned int nr_funcs;
	struct klp_moves moves;
	void *map;
	struct klp_look look;
	struct klp_ranges unprobed;
	unsigned long probe;
	unsigned long changed;
	unsigned long pending;
	struct klp_switch_stats stats;
	struct rcu_head rcu;
};

struct klp_switch *klp_switch_alloc(const char *name, const char *op,
				    enum klp_switch_mode mode);
int __must_check klp_switch_add(struct klp_switch *sw, void *func,
				const struct klp_site *site,
				void *from, void *to);
int __must_check klp_switch_run(struct klp_switch *sw,
				const struct klp_rung *rung);
int __must_check klp_switch_look(struct klp_switch *sw);
void klp_switch_free(struct klp_switch *sw);

#endif /* _LIVEPATCH_SWITCH_H */

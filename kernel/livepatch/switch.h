/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_SWITCH_H
#define _LIVEPATCH_SWITCH_H

#include <asm/livepatch.h>
#include "calls.h"
#include "idle.h"

/*
 * How often a switch is tried. Who passes through a function is gone after the
 * first few attempts; who is still there after 1.4 seconds sleeps in it.
 */
#define KLP_ATTEMPTS		20
#define KLP_FEW_ATTEMPTS	5

/**
 * enum klp_switch_mode - what has to be idle for a switch
 * @KLP_SWITCH_IDLE:	all text that is added to it
 * @KLP_SWITCH_FORCED:	the same, of which there is only what the machine would
 *			not survive; a task whose stack cannot be walked does not
 *			count as there unless something on its stack looks like it
 * @KLP_SWITCH_STILL:	nothing, as nobody can be there
 */
enum klp_switch_mode {
	KLP_SWITCH_IDLE,
	KLP_SWITCH_FORCED,
	KLP_SWITCH_STILL,
};

/**
 * struct klp_switch_stats - what a switch cost
 * @nr_cpus:	how many CPUs were stopped the last time, 0 if they never were
 * @nr_tasks:	how many stacks were walked before that
 * @nr_rechecked: how many were walked while they were stopped
 * @window_ns:	how long it took to stop the CPUs and to let them go, in nanoseconds
 * @callback_ns: the longest that one of them was in klp_window() then
 * @total_ns:	how long klp_switch_run() took
 */
struct klp_switch_stats {
	unsigned int nr_cpus;
	unsigned int nr_tasks;
	unsigned int nr_rechecked;
	u64 window_ns;
	u64 callback_ns;
	u64 total_ns;
};

/**
 * struct klp_switch - a set of edits that are made together, or not at all
 * @name:	name of the patch
 * @op:		name of the operation, one word
 * @mode:	what has to be idle
 * @brief:	it is enough to know that somebody is in the way, not who else
 * @state:	what /proc/<pid>/patch_state is to say of who is in the way, if it is to
 * @edits:	the edits
 * @nr_edits:	how many there are
 * @max_edits:	how many there is room for
 * @nr_funcs:	how many of them are of the entry of a function
 * @moves:	what becomes of the functions, for who calls them directly
 * @map:	writable mapping of the text that is edited
 * @busy:	text that must be idle
 * @unprobed:	text that must not carry a kprobe
 * @idle:	who was in the way at the last attempt
 * @probe:	the kprobe that was in the way at the last attempt, or 0
 * @changed:	a site that somebody else had changed at the last attempt, or 0
 * @pending:	a static call that somebody was about to update then, or 0
 * @stats:	what it cost
 */
struct klp_switch {
	const char *name;
	const char *op;
	enum klp_switch_mode mode;
	bool brief;
	int state;
	struct klp_edit *edits;
	unsigned int nr_edits;
	unsigned int max_edits;
	unsigned int nr_funcs;
	struct klp_moves moves;
	void *map;
	struct klp_ranges busy;
	struct klp_ranges unprobed;
	struct klp_idle idle;
	unsigned long probe;
	unsigned long changed;
	unsigned long pending;
	struct klp_switch_stats stats;
};

struct klp_switch *klp_switch_alloc(const char *name, const char *op,
				    enum klp_switch_mode mode);
int __must_check klp_switch_add(struct klp_switch *sw, void *func,
				const struct klp_site *site,
				void *from, void *to);
int __must_check klp_switch_run(struct klp_switch *sw, unsigned int attempts);
unsigned int klp_switch_pause(void);
int __must_check klp_switch_look(struct klp_switch *sw);
void klp_switch_report(const struct klp_switch *sw);
void klp_switch_free(struct klp_switch *sw);

#endif /* _LIVEPATCH_SWITCH_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_TARGET_H
#define _LIVEPATCH_TARGET_H

#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/rcupdate.h>
#include <asm/livepatch.h>
#include "kprobe.h"
#include "ranges.h"

struct klp_switch;
struct module;

/**
 * struct klp_target - a function that patches replace
 * @node:	entry in the list of targets
 * @func_stack:	the klp_funcs that replace it, newest first
 * @func:	address of the function
 * @site:	the bytes where it is redirected
 * @text:	all its text, the entry first
 * @claim:	refuses kprobes while the function is redirected, or is about to be
 * @nr_funcs:	how many klp_funcs refer to this record
 * @rcu:	@claim can still have readers when the record is freed
 */
struct klp_target {
	struct list_head node;
	struct list_head func_stack;
	void *func;
	struct klp_site site;
	struct klp_ranges text;
	struct klp_claim claim;
	unsigned int nr_funcs;
	struct rcu_head rcu;
};

int __must_check klp_target_get(struct klp_func *func);
void klp_target_put(struct klp_func *func);
struct klp_target *klp_target_find(void *func);

int __must_check klp_target_enter(struct klp_func *func);
void klp_target_leave(struct klp_func *func);
int __must_check klp_targets_prepare(struct klp_switch *sw);
int __must_check klp_targets_restore_calls(struct klp_switch *sw,
					   const struct module *mod);
void klp_targets_finish(bool switched);

#endif /* _LIVEPATCH_TARGET_H */

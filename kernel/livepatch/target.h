/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_TARGET_H
#define _LIVEPATCH_TARGET_H

#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/rcupdate.h>
#include <asm/livepatch.h>
#include "guard.h"

struct klp_switch;

/**
 * struct klp_target - one function that patches replace
 * @node:	entry in the list of targets
 * @func_stack:	who wants to replace it, newest first
 * @func:	address of the function
 * @site:	where its redirection is written
 * @text:	all its text
 * @claim:	refuses probes while the function is redirected, or is about to be
 * @nr_funcs:	how many klp_funcs refer to this record
 * @rcu:	readers of @claim may be left when the record is freed
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
void klp_targets_finish(bool switched);

#endif /* _LIVEPATCH_TARGET_H */

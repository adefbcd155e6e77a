/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_SWITCH_H
#define _LIVEPATCH_SWITCH_H

#include <asm/livepatch.h>
#include "idle.h"

/**
 * struct klp_switch - a set of edits that are made together, or not at all
 * @name:	name of the patch, for the log
 * @edits:	the edits
 * @nr_edits:	how many there are
 * @max_edits:	how many there is room for
 * @busy:	text that must be idle
 * @unprobed:	text that must not carry a kprobe
 * @idle:	who was in the way at the last attempt
 * @probe:	the kprobe that was in the way at the last attempt, or 0
 */
struct klp_switch {
	const char *name;
	struct klp_edit *edits;
	unsigned int nr_edits;
	unsigned int max_edits;
	struct klp_ranges busy;
	struct klp_ranges unprobed;
	struct klp_idle idle;
	unsigned long probe;
};

struct klp_switch *klp_switch_alloc(const char *name);
int __must_check klp_switch_add(struct klp_switch *sw,
				const struct klp_site *site,
				void *from, void *to);
int __must_check klp_switch_run(struct klp_switch *sw);
void klp_switch_free(struct klp_switch *sw);

#endif /* _LIVEPATCH_SWITCH_H */

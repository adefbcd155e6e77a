/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_GUARD_H
#define _LIVEPATCH_GUARD_H

#include <linux/list.h>
#include <asm/livepatch.h>
#include "ranges.h"

struct module;

/**
 * struct klp_claim - text that must not be probed
 * @node:	entry in the list of claims
 * @ranges:	the text
 * @patch:	name of the patch that it is claimed for, NULL while it is not
 */
struct klp_claim {
	struct list_head node;
	struct klp_ranges ranges;
	const char *patch;
};

void klp_guard_add(struct klp_claim *claim);
void klp_guard_remove(struct klp_claim *claim);

int __must_check klp_guard_func(unsigned long addr, const char **why);
int __must_check klp_guard_replacement(const char *name, void *func,
				       void *new_func);
int __must_check klp_guard_site(const char *name, void *func,
				unsigned long size,
				const struct klp_ranges *text,
				struct klp_site *site, struct klp_claim *claim);
bool klp_guard_call(unsigned long addr);
bool klp_guard_reentered(const struct klp_site *site,
			 const struct klp_ranges *text);
unsigned long klp_guard_find_probe(const struct klp_ranges *ranges);
int __must_check klp_guard_add_registrars(struct klp_ranges *ranges);
bool __must_check klp_guard_settle(struct module *mod);
void klp_guard_settle_probes(void);

#endif /* _LIVEPATCH_GUARD_H */

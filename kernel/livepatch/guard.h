/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_GUARD_H
#define _LIVEPATCH_GUARD_H

#include <linux/compiler.h>
#include <linux/types.h>

struct klp_claim;
struct klp_ranges;
struct klp_site;

int __must_check klp_guard_func(unsigned long addr, const char **why);
int __must_check klp_guard_replacement(const char *name, void *func,
				       void *new_func);
int __must_check klp_guard_site(const char *name, void *func,
				unsigned long size,
				const struct klp_ranges *text,
				struct klp_site *site, struct klp_claim *claim);
bool klp_guard_call(unsigned long addr);

#endif /* _LIVEPATCH_GUARD_H */

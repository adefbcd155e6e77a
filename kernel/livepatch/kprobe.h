/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_KPROBE_H
#define _LIVEPATCH_KPROBE_H

#include <linux/list.h>
#include <linux/types.h>
#include "ranges.h"

struct klp_site;

/**
 * struct klp_claim - text in which no kprobe may be set
 * @node:	entry in the list of claims
 * @ranges:	the text
 * @patch:	name of the patch that claims it, NULL if none does
 */
struct klp_claim {
	struct list_head node;
	struct klp_ranges ranges;
	const char *patch;
};

int __must_check klp_claim_init(struct klp_claim *claim,
				const struct klp_site *site,
				const struct klp_ranges *text);
void klp_claim_add(struct klp_claim *claim);
void klp_claim_remove(struct klp_claim *claim);

#ifdef CONFIG_KPROBES
unsigned long klp_kprobe_find(const struct klp_ranges *ranges);
void klp_kprobe_settle(const struct klp_ranges *ranges);
bool klp_kprobe_blacklisted(unsigned long addr);
int __must_check klp_kprobe_add_registrars(struct klp_ranges *text);
bool klp_kprobe_registers(const void *func);
#else
static inline unsigned long klp_kprobe_find(const struct klp_ranges *ranges)
{
	return 0;
}

static inline void klp_kprobe_settle(const struct klp_ranges *ranges) {}

static inline bool klp_kprobe_blacklisted(unsigned long addr)
{
	return false;
}

static inline int klp_kprobe_add_registrars(struct klp_ranges *text)
{
	return 0;
}

static inline bool klp_kprobe_registers(const void *func)
{
	return false;
}
#endif

#endif /* _LIVEPATCH_KPROBE_H */

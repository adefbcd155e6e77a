/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_RANGES_H
#define _LIVEPATCH_RANGES_H

#include <linux/types.h>

/**
 * struct klp_range - a piece of text
 * @start:	address of the first byte
 * @end:	address behind the last byte
 */
struct klp_range {
	unsigned long start;
	unsigned long end;
};

/**
 * struct klp_ranges - a set of pieces of text
 * @range:	the pieces; sorted and disjoint after klp_ranges_sort()
 * @nr:		how many there are
 * @max:	how many there is room for
 */
struct klp_ranges {
	struct klp_range *range;
	unsigned int nr;
	unsigned int max;
};

int __must_check klp_ranges_add(struct klp_ranges *ranges, unsigned long start,
				unsigned long size);
int __must_check klp_ranges_add_all(struct klp_ranges *to,
				    const struct klp_ranges *from);
void klp_ranges_sort(struct klp_ranges *ranges);
bool klp_ranges_hit(const struct klp_ranges *ranges, unsigned long addr);
void klp_ranges_free(struct klp_ranges *ranges);

#endif /* _LIVEPATCH_RANGES_H */

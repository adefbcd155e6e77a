// SPDX-License-Identifier: GPL-2.0
/*
 * Keep sets of address ranges. A set is built, sorted once, and then searched.
 */

#include <kunit/static_stub.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include "grow.h"
#include "ranges.h"

/**
 * klp_ranges_add() - add a range
 * @ranges:	where to add it; zeroed before the first call
 * @start:	address of its first byte
 * @size:	its size in bytes
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int klp_ranges_add(struct klp_ranges *ranges, unsigned long start,
		   unsigned long size)
{
	struct klp_range *range;

	KUNIT_STATIC_STUB_REDIRECT(klp_ranges_add, ranges, start, size);

	range = klp_grow(ranges->range, ranges->nr, &ranges->max, sizeof(*range));
	if (!range)
		return -ENOMEM;

	ranges->range = range;
	ranges->range[ranges->nr++] = (struct klp_range){
		.start	= start,
		.end	= start + size,
	};
	return 0;
}

/**
 * klp_ranges_add_all() - add the ranges of one set to another
 * @to:		where to add them
 * @from:	what to add
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int klp_ranges_add_all(struct klp_ranges *to, const struct klp_ranges *from)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < from->nr && !ret; i++)
		ret = klp_ranges_add(to, from->range[i].start,
				     from->range[i].end - from->range[i].start);
	return ret;
}

static int klp_range_cmp(const void *a, const void *b)
{
	const struct klp_range *ra = a, *rb = b;

	if (ra->start == rb->start)
		return 0;

	return ra->start < rb->start ? -1 : 1;
}

/**
 * klp_ranges_sort() - make a set ready for klp_ranges_hit()
 * @ranges:	the set
 *
 * Ranges that touch or overlap are merged. So a search ends with at most one
 * candidate.
 *
 * Context: Process context.
 */
void klp_ranges_sort(struct klp_ranges *ranges)
{
	struct klp_range *range = ranges->range;
	unsigned int i, last = 0;

	if (!ranges->nr)
		return;

	sort(range, ranges->nr, sizeof(*range), klp_range_cmp, NULL);

	for (i = 1; i < ranges->nr; i++) {
		if (range[i].start <= range[last].end)
			range[last].end = max(range[last].end, range[i].end);
		else
			range[++last] = range[i];
	}
	ranges->nr = last + 1;
}

/**
 * klp_ranges_hit() - is an address that was found on a stack in the text?
 * @ranges:	the set, sorted
 * @addr:	the address
 *
 * Both ends of a range count. An address on a stack is where a task will continue.
 * If it is the first byte, the task was interrupted at the entry. If it is the
 * address behind the last byte, the last instruction is a call of a function that
 * does not return, and the task is in that function. Either address can also
 * belong to a neighbour. Such a false hit costs another attempt; a missed hit would
 * cost the machine.
 *
 * Context: Any.
 * Return: true if it is.
 */
bool klp_ranges_hit(const struct klp_ranges *ranges, unsigned long addr)
{
	unsigned int lo = 0, hi = ranges->nr;

	/* Most addresses on a stack are nowhere near. */
	if (!hi || addr < ranges->range[0].start || addr > ranges->range[hi - 1].end)
		return false;

	/* Look for the last range that starts at or before @addr. */
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (ranges->range[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}

	return addr <= ranges->range[lo - 1].end;
}

/**
 * klp_ranges_free() - free the memory of a set
 * @ranges:	the set; empty afterwards
 *
 * Context: As kvfree(): not in an NMI, and not with a raw spinlock held.
 */
void klp_ranges_free(struct klp_ranges *ranges)
{
	kvfree(ranges->range);
	*ranges = (struct klp_ranges){};
}

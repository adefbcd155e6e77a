/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_CALLS_H
#define _LIVEPATCH_CALLS_H

#include <linux/static_call.h>
#include <linux/types.h>
#include "ranges.h"

/**
 * struct klp_move - what becomes of those who call a version of a function
 * @from:	the version
 * @func:	the function
 * @to:		the version that they must call
 * @trap:	the one that they call in between
 */
struct klp_move {
	void *from;
	void *func;
	void *to;
	void *trap;
};

/**
 * struct klp_moves - such moves
 * @move:	the moves
 * @nr:		how many there are
 * @max:	how many there is room for
 * @gone:	text to which no call may lead afterwards
 */
struct klp_moves {
	struct klp_move *move;
	unsigned int nr;
	unsigned int max;
	struct klp_ranges gone;
};

/* By the linker: those of vmlinux. */
extern struct static_call_site __start_static_call_sites[];
extern struct static_call_site __stop_static_call_sites[];

/* Flags are in the lowest bits of the address. */
static inline struct static_call_key *
klp_call_key(const struct static_call_site *site)
{
	return (void *)(((unsigned long)&site->key + site->key) &
			~STATIC_CALL_SITE_FLAGS);
}

int __must_check klp_moves_add(struct klp_moves *moves, void *func, void *from,
			       void *to);
void klp_moves_free(struct klp_moves *moves);

/**
 * typedef klp_call_fn - called for a static call of a function that is switched
 * @data:	what was passed with it
 * @addr:	where the call is
 * @key:	its key
 * @move:	what becomes of it
 * @gone:	must it not stay as it is?
 *
 * Return: 0, or an error to stop.
 */
typedef int klp_call_fn(void *data, unsigned long addr,
			const struct static_call_key *key,
			const struct klp_move *move, bool gone);

int __must_check klp_calls_find(struct klp_moves *moves, klp_call_fn *found,
				void *data);

#endif /* _LIVEPATCH_CALLS_H */

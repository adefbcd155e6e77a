/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_CALLS_H
#define _LIVEPATCH_CALLS_H

#include <linux/static_call.h>
#include <linux/types.h>

struct klp_ranges;
struct module;

/**
 * struct klp_move - where the calls of one version of a function have to go
 * @from:	the version that they call
 * @func:	the original function
 * @to:		the version that they have to call
 * @trap:	the version that they call while they are being changed
 */
struct klp_move {
	void *from;
	void *func;
	void *to;
	void *trap;
};

/**
 * struct klp_moves - the moves of a switch
 * @move:	the moves
 * @nr:		how many there are
 * @max:	how many there is room for
 * @mod:	the module whose calls they are about, NULL for all calls
 * @pending:	a call that is being updated, or 0
 */
struct klp_moves {
	struct klp_move *move;
	unsigned int nr;
	unsigned int max;
	const struct module *mod;
	unsigned long pending;
};

/* The static calls of vmlinux. Defined by the linker. */
extern struct static_call_site __start_static_call_sites[];
extern struct static_call_site __stop_static_call_sites[];

/* The lowest bits of the address are flags. */
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
 * typedef klp_call_fn - called for a static call that has to be changed
 * @data:	what was passed with it
 * @addr:	address of the call instruction
 * @key:	the key of the static call
 * @move:	where it has to go
 *
 * Return: 0, or an error to stop.
 */
typedef int klp_call_fn(void *data, unsigned long addr,
			const struct static_call_key *key,
			const struct klp_move *move);

int __must_check klp_calls_find(struct klp_moves *moves,
				const struct klp_ranges *gone,
				klp_call_fn *found, void *data);

#endif /* _LIVEPATCH_CALLS_H */

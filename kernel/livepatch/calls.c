// SPDX-License-Identifier: GPL-2.0
/*
 * Let static calls of a patched function call its replacement directly.
 *
 * A static call is a direct call of the function in its key. If that function is patched,
 * the call is changed to call the replacement. The key is not changed, as it must not
 * point into a module that can be unloaded. A call that is not changed works as well: it
 * enters the function, and is redirected there.
 *
 * static_call_update() sets the key first. Then it takes text_mutex and writes all calls
 * of the key. So each call is compared with its key. There are three cases:
 *
 *   change    The key is set to the patched function, and the call goes to that function
 *             or to the replacement that runs now. The call is changed.
 *   pending   The key is set to another function, and the call still goes to a module
 *             that may be unloaded after the switch. So static_call_update() has not yet
 *             written the call. The attempt fails, and the next one finds the update done.
 *   leave     Anything else. The call is left alone.
 *
 * The calls of vmlinux and of all live modules are searched. So are the calls of a module
 * that is being unloaded, until klp_module_going() is called for it, because its exit
 * function may still run. klp_module_going() restores the calls of the module.
 */

#include <linux/bsearch.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/static_call.h>
#include <asm/livepatch.h>
#include <asm/sections.h>
#include "../module/internal.h"
#include "calls.h"
#include "grow.h"
#include "guard.h"
#include "patch.h"
#include "ranges.h"

static int klp_move_add(struct klp_moves *moves, const struct klp_move *move)
{
	struct klp_move *new;

	new = klp_grow(moves->move, moves->nr, &moves->max, sizeof(*new));
	if (!new)
		return -ENOMEM;

	moves->move = new;
	moves->move[moves->nr++] = *move;
	return 0;
}

/**
 * klp_moves_add() - add the moves that follow from the switch of a function
 * @moves:	where they are added
 * @func:	the original function
 * @from:	the replacement that runs now, NULL for the original function
 * @to:		the replacement that has to run, NULL for the original function
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int klp_moves_add(struct klp_moves *moves, void *func, void *from, void *to)
{
	struct klp_move move = {
		.from	= func,
		.func	= func,
		.to	= to ?: func,
		.trap	= to ?: from,
	};
	int ret = 0;

	/* A call that was updated since the last switch can go to the function. */
	if (to)
		ret = klp_move_add(moves, &move);
	if (!ret && from) {
		move.from = from;
		ret = klp_move_add(moves, &move);
	}

	return ret;
}

/**
 * klp_moves_free() - free the memory of moves
 * @moves:	the moves; empty afterwards
 *
 * Context: Process context, may sleep.
 */
void klp_moves_free(struct klp_moves *moves)
{
	kvfree(moves->move);
	*moves = (struct klp_moves){};
}

#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
/**
 * struct klp_calls - a search for calls
 * @moves:	the moves, sorted
 * @gone:	memory to which no call may lead afterwards, sorted
 * @found:	called for each call
 * @data:	passed on
 */
struct klp_calls {
	struct klp_moves *moves;
	const struct klp_ranges *gone;
	klp_call_fn *found;
	void *data;
};

static int klp_cmp(const void *a, const void *b)
{
	return a < b ? -1 : a > b;
}

static int klp_move_cmp_from(const void *a, const void *b)
{
	const struct klp_move *ma = a, *mb = b;

	return klp_cmp(ma->from, mb->from);
}

static int klp_move_cmp(const void *a, const void *b)
{
	const struct klp_move *ma = a, *mb = b;

	return klp_move_cmp_from(a, b) ?: klp_cmp(ma->func, mb->func);
}

static const struct klp_move *
klp_move_find(const struct klp_moves *moves, const struct klp_move *wanted,
	      int (*cmp)(const void *a, const void *b))
{
	return bsearch(wanted, moves->move, moves->nr, sizeof(*wanted), cmp);
}

/* Text that is freed after boot, or after the module's init function, is left alone. */
static bool klp_call_stays(unsigned long addr, const struct module *mod)
{
	if (mod)
		return within_module_core(addr, mod);

	return core_kernel_text(addr) && !is_kernel_inittext(addr);
}

static int klp_call_look(const struct klp_calls *calls,
			 const struct static_call_site *site,
			 const struct module *mod)
{
	unsigned long addr = (unsigned long)&site->addr + site->addr;
	const struct static_call_key *key = klp_call_key(site);
	struct klp_move wanted = { .from = klp_call_target(addr) };
	const struct klp_move *any, *move;
	bool gone;

	/* Nearly all calls are of other functions. */
	any = klp_move_find(calls->moves, &wanted, klp_move_cmp_from);
	gone = klp_ranges_hit(calls->gone, (unsigned long)wanted.from);
	if ((!any && !gone) || !klp_call_stays(addr, mod))
		return 0;
	if (klp_call_trapped(addr))
		goto pending;

	wanted.func = READ_ONCE(key->func);
	move = klp_move_find(calls->moves, &wanted, klp_move_cmp);
	if (!move && any && calls->moves->mod) {
		/* Updates do not reach the module any more. */
		wanted.to = wanted.func ?: any->to;
		wanted.trap = any->trap;
		move = &wanted;
	}
	if (move)
		return klp_guard_call(addr) ?
		       calls->found(calls->data, addr, key, move) : 0;

	/* A key can also be set to the replacement itself. */
	if (!gone || wanted.func == wanted.from)
		return 0;
pending:
	calls->moves->pending = addr;
	return -EBUSY;
}

static int klp_calls_look(const struct klp_calls *calls,
			  const struct static_call_site *start,
			  const struct static_call_site *stop,
			  const struct module *mod)
{
	const struct static_call_site *site;
	int ret;

	for (site = start; site < stop; site++) {
		ret = klp_call_look(calls, site, mod);
		if (ret)
			return ret;
	}
	cond_resched();

	return 0;
}

static int klp_calls_look_module(const struct klp_calls *calls,
				 const struct module *mod)
{
	return klp_calls_look(calls, mod->static_call_sites,
			      mod->static_call_sites + mod->num_static_call_sites,
			      mod);
}

/*
 * The next module whose calls may have been changed, or may be. Those of a module that is
 * being loaded are not set up yet, and none of them was changed. A module that is being
 * unloaded can still run its exit function.
 *
 * None of these modules is freed or taken from the list while klp_mutex is held. So the
 * list can be followed from one of them.
 */
static struct module *klp_next_module(struct module *mod)
{
	struct list_head *at = mod ? &mod->list : &modules;

	rcu_read_lock();
	mod = list_entry(at, struct module, list);
	list_for_each_entry_continue_rcu(mod, &modules, list) {
		enum module_state state = READ_ONCE(mod->state);

		if (mod->klp_alive && (state == MODULE_STATE_LIVE ||
				       state == MODULE_STATE_GOING))
			break;
	}
	rcu_read_unlock();

	return &mod->list == &modules ? NULL : mod;
}

/**
 * klp_calls_find() - find the static calls that have to be changed
 * @moves:	the moves
 * @gone:	memory to which no call may lead after the switch, sorted
 * @found:	called for each call; no error if it returns 0
 * @data:	passed on
 *
 * Calls and keys can change until text_mutex is held.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, -EBUSY if a call is being updated, or the error of @found.
 */
int klp_calls_find(struct klp_moves *moves, const struct klp_ranges *gone,
		   klp_call_fn *found, void *data)
{
	const struct klp_calls calls = {
		.moves	= moves,
		.gone	= gone,
		.found	= found,
		.data	= data,
	};
	struct module *mod = NULL;
	int ret;

	lockdep_assert_held(&klp_mutex);

	moves->pending = 0;
	if (!moves->nr && !gone->nr)
		return 0;

	sort(moves->move, moves->nr, sizeof(*moves->move), klp_move_cmp, NULL);

	if (moves->mod)
		return klp_calls_look_module(&calls, moves->mod);

	ret = klp_calls_look(&calls, __start_static_call_sites,
			     __stop_static_call_sites, NULL);
	while (!ret && (mod = klp_next_module(mod)))
		ret = klp_calls_look_module(&calls, mod);

	return ret;
}
#else
int klp_calls_find(struct klp_moves *moves, const struct klp_ranges *gone,
		   klp_call_fn *found, void *data)
{
	return 0;
}
#endif

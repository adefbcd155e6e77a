// SPDX-License-Identifier: GPL-2.0
/*
 * The static calls of functions that are switched, which need not go through the
 * function's entry.
 *
 * A static call is a direct call of the function that its key says. While that
 * function is patched its calls are made to go to the replacement at once. The key
 * is left alone: it must not point into a module that may go, and whoever asks it
 * gets the function that it was set to.
 *
 * Which calls these are is what key and text say together: the key, a function that
 * is switched, and the text, the version of it that runs now. So functions can have
 * the same replacement, or be the replacement of another. Where they say anything
 * else the key's owner wants something else, or is about to write what he wants:
 * who updates a key sets it, and writes then to all its calls, under text_mutex and
 * whatever they say. So an update wins at any time; if it is to a function that is
 * patched, the calls go through its entry until the next switch.
 *
 * When a patch goes no call may be left that leads into its module. What key and
 * text do not say together then, because the key is being updated, or because the
 * function went with its module, goes to what the key says. So all calls are looked
 * at that can still be run: those of modules of which klp_module_going() does not
 * know yet, which takes klp_mutex; the others are waited for, see patch.c.
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
 * klp_moves_add() - add what becomes of a function
 * @moves:	where it is added
 * @func:	the function
 * @from:	the replacement that runs now, NULL for the function itself
 * @to:		the one that must run, NULL for the function itself
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
 * @moves:	the moves, none afterwards
 *
 * Context: Process context, may sleep.
 */
void klp_moves_free(struct klp_moves *moves)
{
	klp_ranges_free(&moves->gone);
	kvfree(moves->move);
	*moves = (struct klp_moves){};
}

#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
/**
 * struct klp_calls - a search for calls
 * @moves:	what the calls may call, sorted
 * @found:	called for each call
 * @data:	passed on
 */
struct klp_calls {
	const struct klp_moves *moves;
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

/* Text that is gone after boot, or after the module's init function, is not ours. */
static bool klp_call_stays(unsigned long addr, const struct module *mod)
{
	if (mod)
		return within_module_core(addr, mod);

	return core_kernel_text(addr) && !is_kernel_inittext(addr);
}

/* Is it in the text of a module that goes? There are hardly ever more than one. */
static bool klp_call_is_gone(const struct klp_moves *moves, const void *target)
{
	const struct klp_range *range;
	unsigned int i;

	for (i = 0; i < moves->gone.nr; i++) {
		range = &moves->gone.range[i];
		if ((unsigned long)target >= range->start &&
		    (unsigned long)target < range->end)
			return true;
	}

	return false;
}

static int klp_call_look(const struct klp_calls *calls,
			 const struct static_call_site *site,
			 const struct module *mod)
{
	unsigned long addr = (unsigned long)&site->addr + site->addr;
	const struct static_call_key *key = klp_call_key(site);
	const struct klp_moves *moves = calls->moves;
	const struct klp_move *move;
	struct klp_move wanted;
	bool gone;

	if (!klp_call_stays(addr, mod))
		return 0;

	/* Nearly all calls are of something else. */
	wanted.from = klp_call_target(addr);
	gone = klp_call_is_gone(moves, wanted.from);
	if (!gone && !klp_move_find(moves, &wanted, klp_move_cmp_from))
		return 0;

	/* Its owner can change his mind until text_mutex is held. */
	wanted.func = READ_ONCE(key->func);
	move = klp_move_find(moves, &wanted, klp_move_cmp);
	if (!move && gone && wanted.func != wanted.from) {
		/* Who is about to make it call nothing must have done so. */
		if (!wanted.func)
			wanted.func = wanted.from;
		wanted.to = wanted.func;
		wanted.trap = wanted.func;
		move = &wanted;
	}
	if (!move || !klp_guard_call(addr))
		return 0;

	return calls->found(calls->data, addr, key, move, gone);
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

/*
 * The next module whose calls may have been redirected, or may be. One that comes
 * is none: it is still being prepared, with nothing in it redirected. One that goes
 * can still run its exit function.
 *
 * Of these none is freed as long as klp_mutex is held, nor taken from the list. So
 * it is known where to go on.
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
 * klp_calls_find() - find the static calls of functions that are switched
 * @moves:	what becomes of the functions
 * @found:	called for each of them; no error if it returns 0
 * @data:	passed on
 *
 * By what key and text say now, which can change until text_mutex is held.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or what @found has returned.
 */
int klp_calls_find(struct klp_moves *moves, klp_call_fn *found, void *data)
{
	const struct klp_calls calls = {
		.moves	= moves,
		.found	= found,
		.data	= data,
	};
	struct module *mod = NULL;
	int ret;

	lockdep_assert_held(&klp_mutex);

	sort(moves->move, moves->nr, sizeof(*moves->move), klp_move_cmp, NULL);

	ret = klp_calls_look(&calls, __start_static_call_sites,
			     __stop_static_call_sites, NULL);
	while (!ret && (mod = klp_next_module(mod)))
		ret = klp_calls_look(&calls, mod->static_call_sites,
				     mod->static_call_sites +
				     mod->num_static_call_sites, mod);

	return ret;
}
#else
int klp_calls_find(struct klp_moves *moves, klp_call_fn *found, void *data)
{
	return 0;
}
#endif

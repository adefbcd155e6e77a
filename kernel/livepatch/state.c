// SPDX-License-Identifier: GPL-2.0
/*
 * The states of the system that patches changed, and who may take them over.
 */

#include <linux/export.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include "patch.h"
#include "state.h"
#include "transition.h"

#define klp_for_each_state(patch, state) \
	for (state = (patch)->states; state && state->id; state++)

/**
 * klp_get_state() - does a patch change a state?
 * @patch:	the patch
 * @id:		the state
 *
 * Context: Any.
 * Return: what the patch says of the state, or NULL if it does not change it.
 */
struct klp_state *klp_get_state(struct klp_patch *patch, unsigned long id)
{
	struct klp_state *state;

	klp_for_each_state(patch, state) {
		if (state->id == id)
			return state;
	}

	return NULL;
}
EXPORT_SYMBOL_GPL(klp_get_state);

/**
 * klp_get_prev_state() - what did earlier patches make of a state?
 * @id:		the state
 *
 * Context: The callbacks of a patch that is being enabled or disabled.
 * Return: what the newest patch before this one says of the state, or NULL if
 *	   none of them changes it.
 */
struct klp_state *klp_get_prev_state(unsigned long id)
{
	struct klp_state *state, *prev = NULL;
	struct klp_patch *patch;

	if (WARN_ON_ONCE(!klp_transition_patch))
		return NULL;

	klp_for_each_patch(patch) {
		if (patch == klp_transition_patch)
			break;

		state = klp_get_state(patch, id);
		if (state)
			prev = state;
	}

	return prev;
}
EXPORT_SYMBOL_GPL(klp_get_prev_state);

/**
 * klp_state_compatible() - can a patch live with the states as they are?
 * @patch:	a patch that is not enabled
 *
 * It must not know an older version of a state than is there, and must know
 * every state if it replaces the patches that changed them.
 *
 * Context: Caller holds klp_mutex.
 * Return: true if it can.
 */
bool klp_state_compatible(struct klp_patch *patch)
{
	struct klp_state *old, *new;
	struct klp_patch *other;

	lockdep_assert_held(&klp_mutex);

	klp_for_each_patch(other) {
		klp_for_each_state(other, old) {
			new = klp_get_state(patch, old->id);
			if (new ? new->version < old->version : patch->replace)
				return false;
		}
	}

	return true;
}

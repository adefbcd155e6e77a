// SPDX-License-Identifier: GPL-2.0
/*
 * Keep track of the system states that patches have changed (struct klp_state), and
 * decide whether another patch fits them.
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
 * klp_get_state() - find a state of a patch
 * @patch:	the patch
 * @id:		the state
 *
 * Context: Any.
 * Return: the state, or NULL if the patch does not change it.
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
 * klp_get_prev_state() - find a state of earlier patches
 * @id:		the state
 *
 * Context: The callbacks of a patch that is being enabled or disabled.
 * Return: the state of the newest patch before this one that changes it, or NULL if
 *	   there is none.
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
 * klp_state_compatible() - does a patch fit the states that were changed?
 * @patch:	a patch that is not enabled
 *
 * It must not have an older version of a state than an enabled patch has. If it replaces
 * all patches it must have all their states.
 *
 * Context: Caller holds klp_mutex.
 * Return: true if it does.
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

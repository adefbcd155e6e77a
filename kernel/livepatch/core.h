/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_CORE_H
#define _LIVEPATCH_CORE_H

#include <linux/livepatch.h>
#include <linux/mutex.h>

/* Serialises all operations and protects all that is known of patches. */
extern struct mutex klp_mutex;

/* The enabled patches, oldest first, and the one that is being switched. */
extern struct list_head klp_patches;
extern struct klp_patch *klp_transition_patch;

#define klp_for_each_patch(patch) \
	list_for_each_entry(patch, &klp_patches, list)

int klp_disable_patch(struct klp_patch *patch);

#endif /* _LIVEPATCH_CORE_H */

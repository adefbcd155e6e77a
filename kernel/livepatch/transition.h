/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_TRANSITION_H
#define _LIVEPATCH_TRANSITION_H

#include <linux/livepatch.h>

/*
 * The patch that is being enabled or disabled, or NULL. Its @enabled says which.
 * Protected by klp_mutex.
 */
extern struct klp_patch *klp_transition_patch;

/* Continue in the background if tasks block a transition? */
extern bool klp_wait;

int __must_check klp_transition_enable(struct klp_patch *patch);
int __must_check klp_transition_disable(struct klp_patch *patch);
void klp_transition_reverse(void);
int __must_check klp_transition_force(void);

int __must_check klp_transition_coming(struct klp_patch *patch,
				       struct klp_object *obj);
void klp_transition_going(struct klp_patch *patch, struct klp_object *obj);
void klp_transition_restore_calls(struct module *mod);

#endif /* _LIVEPATCH_TRANSITION_H */

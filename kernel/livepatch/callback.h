/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_CALLBACK_H
#define _LIVEPATCH_CALLBACK_H

#include <linux/livepatch.h>

int __must_check klp_pre_patch(struct klp_object *obj);
void klp_post_patch(struct klp_object *obj);
void klp_pre_unpatch(struct klp_object *obj);
void klp_post_unpatch(struct klp_object *obj);

#endif /* _LIVEPATCH_CALLBACK_H */

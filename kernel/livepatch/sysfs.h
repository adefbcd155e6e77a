/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_SYSFS_H
#define _LIVEPATCH_SYSFS_H

#include <linux/livepatch.h>

int __init klp_sysfs_init(void);
bool klp_sysfs_ready(void);

int __must_check klp_sysfs_add(struct klp_patch *patch);
int __must_check klp_sysfs_add_patch(struct klp_patch *patch);
int __must_check klp_sysfs_add_object(struct klp_patch *patch,
				      struct klp_object *obj);
int __must_check klp_sysfs_add_func(struct klp_object *obj,
				    struct klp_func *func);

#endif /* _LIVEPATCH_SYSFS_H */

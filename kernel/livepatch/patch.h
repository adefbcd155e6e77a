/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_PATCH_H
#define _LIVEPATCH_PATCH_H

#include <linux/livepatch.h>
#include <linux/mutex.h>

/* Serialises all operations and protects all that is known of patches. */
extern struct mutex klp_mutex;

/* The accepted patches, oldest first. */
extern struct list_head klp_patches;

#define klp_for_each_patch(patch) \
	list_for_each_entry(patch, &klp_patches, list)

const char *klp_object_name(const struct klp_object *obj);
bool klp_object_loaded(const struct klp_object *obj);

int __must_check klp_patch_check(const struct klp_patch *patch);
int __must_check klp_patch_init(struct klp_patch *patch);
void klp_patch_unload(struct klp_patch *patch);
void klp_patch_free_start(struct klp_patch *patch);
void klp_patch_free_finish(struct klp_patch *patch);
void klp_patch_free_async(struct klp_patch *patch);
void klp_patch_free_wait(const struct module *mod);
bool klp_patch_is_listed(const struct klp_patch *patch);

int __must_check klp_object_init_loaded(struct klp_patch *patch,
					struct klp_object *obj);
void klp_object_free_loaded(struct klp_object *obj);

#endif /* _LIVEPATCH_PATCH_H */

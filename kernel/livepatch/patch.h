/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_PATCH_H
#define _LIVEPATCH_PATCH_H

#include <linux/livepatch.h>
#include <linux/mutex.h>
#include "ranges.h"

/* Serialises all operations, and protects all data about patches. */
extern struct mutex klp_mutex;

/* The accepted patches, oldest first. */
extern struct list_head klp_patches;

#define klp_for_each_patch(patch) \
	list_for_each_entry(patch, &klp_patches, list)

/**
 * klp_object_name() - the name of an object
 * @obj:	the object
 *
 * Context: Any.
 * Return: the name of the module, or "vmlinux".
 */
static inline const char *klp_object_name(const struct klp_object *obj)
{
	return obj->name ?: "vmlinux";
}

/**
 * klp_object_loaded() - is an object loaded, so that it can be patched?
 * @obj:	the object
 *
 * Context: Caller holds klp_mutex.
 * Return: true if it is.
 */
static inline bool klp_object_loaded(const struct klp_object *obj)
{
	return !obj->name || obj->mod;
}

void klp_patch_init(struct klp_patch *patch);
int __must_check klp_patch_load(struct klp_patch *patch);
void klp_patch_unload(struct klp_patch *patch);
void klp_patch_free_start(struct klp_patch *patch);
void klp_patch_free_finish(struct klp_patch *patch);
void klp_patch_free_async(struct klp_patch *patch);
void klp_patch_free_wait(const struct module *mod);
bool klp_patch_is_listed(const struct klp_patch *patch);
int __must_check klp_patches_freed_memory(struct klp_ranges *memory);

int __must_check klp_object_init_loaded(struct klp_patch *patch,
					struct klp_object *obj);
void klp_object_free_loaded(struct klp_object *obj);

#endif /* _LIVEPATCH_PATCH_H */

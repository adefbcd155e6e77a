/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the builder of patch modules and the kernel agree on: the names of livepatch
 * sections, symbols and callbacks, and how a module says what it replaces. For
 * kernels that do not have klp-build, and so not this.
 */
#ifndef _LINUX_LIVEPATCH_EXTERNAL_H_
#define _LINUX_LIVEPATCH_EXTERNAL_H_

#include <linux/types.h>

#define KLP_RELOC_SEC_PREFIX	".klp.rela."
#define KLP_SYM_PREFIX		".klp.sym."

/* Followed by the name of an object: a variable that points to its callback. */
#define __KLP_PRE_PATCH_PREFIX		__klp_pre_patch_callback_
#define __KLP_POST_PATCH_PREFIX		__klp_post_patch_callback_
#define __KLP_PRE_UNPATCH_PREFIX	__klp_pre_unpatch_callback_
#define __KLP_POST_UNPATCH_PREFIX	__klp_post_unpatch_callback_

#define KLP_PRE_PATCH_PREFIX		__stringify(__KLP_PRE_PATCH_PREFIX)
#define KLP_POST_PATCH_PREFIX		__stringify(__KLP_POST_PATCH_PREFIX)
#define KLP_PRE_UNPATCH_PREFIX		__stringify(__KLP_PRE_UNPATCH_PREFIX)
#define KLP_POST_UNPATCH_PREFIX		__stringify(__KLP_POST_UNPATCH_PREFIX)

struct klp_object;

typedef int (*klp_pre_patch_t)(struct klp_object *obj);
typedef void (*klp_post_patch_t)(struct klp_object *obj);
typedef void (*klp_pre_unpatch_t)(struct klp_object *obj);
typedef void (*klp_post_unpatch_t)(struct klp_object *obj);

/**
 * struct klp_callbacks - what a patch wants called around a switch
 * @pre_patch:		before the object is patched; an error stops it
 * @post_patch:		after the object was patched
 * @pre_unpatch:	before the object is unpatched
 * @post_unpatch:	after the object was unpatched
 * @post_unpatch_enabled: @pre_patch succeeded, so that @post_unpatch is due
 *
 * All are optional and run in process context, where they may sleep.
 */
struct klp_callbacks {
	klp_pre_patch_t pre_patch;
	klp_post_patch_t post_patch;
	klp_pre_unpatch_t pre_unpatch;
	klp_post_unpatch_t post_unpatch;
	bool post_unpatch_enabled;
};

/**
 * struct klp_func_ext - a function, as the builder writes it down
 * @old_name:	see struct klp_func
 * @new_func:	likewise
 * @sympos:	likewise, as @old_sympos
 */
struct klp_func_ext {
	const char *old_name;
	void *new_func;
	unsigned long sympos;
};

/**
 * struct klp_object_ext - an object, as the builder writes it down
 * @name:	see struct klp_object
 * @funcs:	its functions
 * @callbacks:	see struct klp_object
 * @nr_funcs:	how many functions there are
 */
struct klp_object_ext {
	const char *name;
	struct klp_func_ext *funcs;
	struct klp_callbacks callbacks;
	unsigned int nr_funcs;
};

#endif /* _LINUX_LIVEPATCH_EXTERNAL_H_ */

// SPDX-License-Identifier: GPL-2.0
/*
 * Call the callbacks of an object.
 *
 * No lock but klp_mutex is held. So a callback may sleep, and must not enable or disable
 * a patch.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/livepatch.h>
#include <linux/printk.h>
#include "callback.h"
#include "fault.h"
#include "patch.h"

/**
 * klp_pre_patch() - the object is about to be patched
 * @obj:	the object
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or the error of the callback, which is logged. Then the object must not
 *	   be patched, and klp_post_unpatch() does nothing.
 */
int klp_pre_patch(struct klp_object *obj)
{
	int ret = klp_fault(-ECANCELED);

	if (!ret && obj->callbacks.pre_patch)
		ret = obj->callbacks.pre_patch(obj);
	obj->callbacks.post_unpatch_enabled = !ret;

	if (ret)
		pr_warn("pre-patch callback failed for object '%s'\n",
			klp_object_name(obj));
	return ret;
}

/**
 * klp_post_patch() - the object was patched
 * @obj:	the object
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_post_patch(struct klp_object *obj)
{
	if (obj->callbacks.post_patch)
		obj->callbacks.post_patch(obj);
}

/**
 * klp_pre_unpatch() - the object is about to be unpatched
 * @obj:	the object
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_pre_unpatch(struct klp_object *obj)
{
	if (obj->callbacks.pre_unpatch)
		obj->callbacks.pre_unpatch(obj);
}

/**
 * klp_post_unpatch() - the object was unpatched, or was not patched after all
 * @obj:	the object
 *
 * Does nothing unless a successful klp_pre_patch() came before.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_post_unpatch(struct klp_object *obj)
{
	if (obj->callbacks.post_unpatch_enabled && obj->callbacks.post_unpatch)
		obj->callbacks.post_unpatch(obj);
	obj->callbacks.post_unpatch_enabled = false;
}

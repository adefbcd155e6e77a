// SPDX-License-Identifier: GPL-2.0
/*
 * Show patches in /sys/kernel/livepatch, and take commands there.
 *
 *   <patch>/enabled			rw	1; 0 while it is being disabled. Writing
 *						the other value disables the patch, or
 *						reverses its transition
 *   <patch>/transition			r	1 while it is being enabled or disabled
 *   <patch>/force			w	1 ends the transition though tasks block it
 *   <patch>/replace			r	1 if it replaces all other patches
 *   <patch>/stack_order		r	1 for the oldest patch, and so on
 *   <patch>/<object>/patched		r	1 if the object is patched
 *   <patch>/<object>/<function,sympos>		one of its functions
 */

#include <kunit/static_stub.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/livepatch.h>
#include <linux/sysfs.h>
#include "patch.h"
#include "sysfs.h"
#include "transition.h"

static struct kobject *klp_root;

static struct klp_patch *to_klp_patch(struct kobject *kobj)
{
	return container_of(kobj, struct klp_patch, kobj);
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	struct klp_patch *patch = to_klp_patch(kobj);
	bool enabled;
	int ret;

	ret = kstrtobool(buf, &enabled);
	if (ret)
		return ret;

	mutex_lock(&klp_mutex);
	if (patch->enabled == enabled)
		ret = -EINVAL;
	else if (patch == klp_transition_patch)
		klp_transition_reverse();
	else if (!enabled)
		ret = klp_transition_disable(patch);
	else
		/* A patch that was disabled cannot be enabled again. */
		ret = -EINVAL;
	mutex_unlock(&klp_mutex);

	return ret ?: count;
}

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", to_klp_patch(kobj)->enabled);
}

static ssize_t transition_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  to_klp_patch(kobj) == READ_ONCE(klp_transition_patch));
}

static ssize_t force_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t count)
{
	struct klp_patch *patch = to_klp_patch(kobj);
	bool force;
	int ret;

	ret = kstrtobool(buf, &force);
	if (ret)
		return ret;
	if (!force)
		return count;

	mutex_lock(&klp_mutex);
	if (patch == klp_transition_patch)
		ret = klp_transition_force();
	else
		ret = -EINVAL;
	mutex_unlock(&klp_mutex);

	return ret ?: count;
}

static ssize_t stack_order_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	struct klp_patch *patch = to_klp_patch(kobj), *other;
	unsigned int order = 0;

	mutex_lock(&klp_mutex);
	klp_for_each_patch(other) {
		order++;
		if (other == patch)
			break;
	}
	mutex_unlock(&klp_mutex);

	return sysfs_emit(buf, "%u\n", order);
}

static ssize_t replace_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", to_klp_patch(kobj)->replace);
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);
static struct kobj_attribute transition_attr = __ATTR_RO(transition);
static struct kobj_attribute force_attr = __ATTR_WO(force);
static struct kobj_attribute replace_attr = __ATTR_RO(replace);
static struct kobj_attribute stack_order_attr = __ATTR_RO(stack_order);

static struct attribute *klp_patch_attrs[] = {
	&enabled_attr.attr,
	&transition_attr.attr,
	&force_attr.attr,
	&replace_attr.attr,
	&stack_order_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(klp_patch);

static ssize_t patched_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct klp_object *obj = container_of(kobj, struct klp_object, kobj);

	return sysfs_emit(buf, "%d\n", obj->patched);
}

static struct kobj_attribute patched_attr = __ATTR_RO(patched);

static struct attribute *klp_object_attrs[] = {
	&patched_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(klp_object);

static void klp_patch_release(struct kobject *kobj)
{
	complete(&to_klp_patch(kobj)->finish);
}

/*
 * Objects and functions are part of the patch. Its kobject is the parent of theirs, and so
 * is released last: there is nothing to free, and nothing to wait for.
 */
static void klp_part_release(struct kobject *kobj)
{
}

static const struct kobj_type klp_patch_ktype = {
	.release	= klp_patch_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= klp_patch_groups,
};

static const struct kobj_type klp_object_ktype = {
	.release	= klp_part_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= klp_object_groups,
};

static const struct kobj_type klp_func_ktype = {
	.release	= klp_part_release,
	.sysfs_ops	= &kobj_sysfs_ops,
};

static void klp_sysfs_init_kobj(struct kobject *kobj, const struct kobj_type *type)
{
	/* An earlier attempt to enable the patch can have used it. */
	*kobj = (struct kobject){};
	kobject_init(kobj, type);
}

static void klp_sysfs_init_kobjs(struct klp_patch *patch)
{
	struct klp_object *obj;
	struct klp_func *func;

	init_completion(&patch->finish);
	klp_sysfs_init_kobj(&patch->kobj, &klp_patch_ktype);
	klp_for_each_object(patch, obj) {
		klp_sysfs_init_kobj(&obj->kobj, &klp_object_ktype);
		klp_for_each_func(obj, func)
			klp_sysfs_init_kobj(&func->kobj, &klp_func_ktype);
	}
}

/**
 * klp_sysfs_add_patch() - the part of klp_sysfs_add() that is about the patch
 * @patch:	the patch
 *
 * Context: Process context, may sleep.
 * Return: 0, or the error of kobject_add().
 */
int klp_sysfs_add_patch(struct klp_patch *patch)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_sysfs_add_patch, patch);

	return kobject_add(&patch->kobj, klp_root, "%s", patch->mod->name);
}

/**
 * klp_sysfs_add_object() - the part of klp_sysfs_add() that is about an object
 * @patch:	the patch
 * @obj:	the object
 *
 * Context: Process context, may sleep.
 * Return: 0, or the error of kobject_add().
 */
int klp_sysfs_add_object(struct klp_patch *patch, struct klp_object *obj)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_sysfs_add_object, patch, obj);

	return kobject_add(&obj->kobj, &patch->kobj, "%s",
			   klp_object_name(obj));
}

/**
 * klp_sysfs_add_func() - the part of klp_sysfs_add() that is about a function
 * @obj:	the object
 * @func:	the function
 *
 * If there is only one function of that name its position is 1.
 *
 * Context: Process context, may sleep.
 * Return: 0, or the error of kobject_add().
 */
int klp_sysfs_add_func(struct klp_object *obj, struct klp_func *func)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_sysfs_add_func, obj, func);

	return kobject_add(&func->kobj, &obj->kobj, "%s,%lu", func->old_name,
			   func->old_sympos ?: 1);
}

/**
 * klp_sysfs_add() - show a patch with its objects and functions
 * @patch:	the patch, after klp_patch_init()
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 * Return: 0, or the error of kobject_add(). Also after an error, kobject_put() must be
 *	   called for all.
 */
int klp_sysfs_add(struct klp_patch *patch)
{
	struct klp_object *obj;
	struct klp_func *func;
	int ret;

	klp_sysfs_init_kobjs(patch);

	ret = klp_sysfs_add_patch(patch);
	if (ret)
		return ret;

	klp_for_each_object(patch, obj) {
		ret = klp_sysfs_add_object(patch, obj);
		if (ret)
			return ret;
		klp_for_each_func(obj, func) {
			ret = klp_sysfs_add_func(obj, func);
			if (ret)
				return ret;
		}
	}

	return 0;
}

/**
 * klp_sysfs_ready() - does /sys/kernel/livepatch exist?
 *
 * Context: Any.
 * Return: true if there is.
 */
bool klp_sysfs_ready(void)
{
	return klp_root;
}

/**
 * klp_sysfs_init() - create /sys/kernel/livepatch
 *
 * Context: Initcall.
 * Return: 0, or -ENOMEM.
 */
int __init klp_sysfs_init(void)
{
	klp_root = kobject_create_and_add("livepatch", kernel_kobj);

	return klp_root ? 0 : -ENOMEM;
}

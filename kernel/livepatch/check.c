// SPDX-License-Identifier: GPL-2.0
/*
 * Check that the tables of a patch are well-formed, before anything else uses them.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/string.h>
#include "check.h"
#include "patch.h"

static bool klp_same_symbol(const struct klp_func *a, const struct klp_func *b)
{
	/* Position 0 means that there is one, and that is the first. */
	return !strcmp(a->old_name, b->old_name) &&
	       (a->old_sympos ?: 1) == (b->old_sympos ?: 1);
}

static int klp_check_func(const struct klp_object *obj,
			  const struct klp_func *func)
{
	const char *objname = klp_object_name(obj);
	const struct klp_func *other;

	if (!func->old_name || !*func->old_name) {
		pr_err("a function of object '%s' has no name\n", objname);
		return -EINVAL;
	}

	if (strlen(func->old_name) >= KSYM_NAME_LEN) {
		pr_err("a function name of object '%s' is too long\n", objname);
		return -EINVAL;
	}

	if (!func->new_func) {
		pr_err("function '%s' of object '%s' has no replacement\n",
		       func->old_name, objname);
		return -EINVAL;
	}

	for (other = obj->funcs; other != func; other++) {
		if (klp_same_symbol(other, func)) {
			pr_err("function '%s,%lu' of object '%s' is there twice\n",
			       func->old_name, func->old_sympos ?: 1, objname);
			return -EINVAL;
		}
	}

	return 0;
}

/* Without any functions, objects may share the end of a table. */
static bool klp_share_funcs(const struct klp_object *a,
			    const struct klp_object *b)
{
	const struct klp_func *end_a, *end_b;

	klp_for_each_func_static(a, end_a)
		;
	klp_for_each_func_static(b, end_b)
		;

	return a->funcs < end_b && b->funcs < end_a;
}

static int klp_check_object(const struct klp_patch *patch,
			    const struct klp_object *obj)
{
	const struct klp_object *other;
	const struct klp_func *func;
	int ret;

	if (obj->name && (!*obj->name || !strcmp(obj->name, "vmlinux"))) {
		pr_err("'%s' is not the name of a module\n", obj->name);
		return -EINVAL;
	}

	if (obj->name && strlen(obj->name) >= MODULE_NAME_LEN) {
		pr_err("an object name of patch '%s' is too long\n",
		       patch->mod->name);
		return -EINVAL;
	}

	if (!obj->funcs) {
		pr_err("object '%s' of patch '%s' has no functions\n",
		       obj->name, patch->mod->name);
		return -EINVAL;
	}

	for (other = patch->objs; other != obj; other++) {
		if (!strcmp(klp_object_name(other), klp_object_name(obj))) {
			pr_err("object '%s' is there twice\n",
			       klp_object_name(obj));
			return -EINVAL;
		}
		if (klp_share_funcs(other, obj)) {
			pr_err("objects '%s' and '%s' share their functions\n",
			       klp_object_name(other), klp_object_name(obj));
			return -EINVAL;
		}
	}

	klp_for_each_func_static(obj, func) {
		ret = klp_check_func(obj, func);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * klp_check_patch() - check the tables of a patch
 * @patch:	the patch, which is not changed
 *
 * Context: Process context.
 * Return: 0, or -EINVAL with a line in the log that says why not.
 */
int klp_check_patch(const struct klp_patch *patch)
{
	const struct klp_object *obj;
	int ret;

	if (!patch || !patch->mod || !patch->objs) {
		pr_err("a patch has no %s\n",
		       patch && patch->mod ? "objects" : "module");
		return -EINVAL;
	}

	if (!is_livepatch_module(patch->mod)) {
		pr_err("module %s is not marked as a livepatch module\n",
		       patch->mod->name);
		return -EINVAL;
	}

	klp_for_each_object_static(patch, obj) {
		ret = klp_check_object(patch, obj);
		if (ret)
			return ret;
	}

	return 0;
}

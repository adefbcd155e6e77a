// SPDX-License-Identifier: GPL-2.0
/*
 * Are the keys of a patch module's jump labels and static calls keys?
 *
 * As soon as a module comes the kernel follows the keys in its tables, and writes to
 * them. In a patch they come from livepatch relocations if they are in vmlinux, and
 * these can be damaged, or missing. So each relocation is looked at, and each entry
 * before anybody else does.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include "calls.h"
#include "keys.h"
#include "patch.h"

#define KLP_KEY_FLAGS	3L

static bool klp_keys_within(unsigned long addr, const void *table, size_t size)
{
	return addr - (unsigned long)table < size;
}

static bool klp_keys_in_tables(unsigned long addr, const struct module *mod)
{
#ifdef CONFIG_JUMP_LABEL
	if (klp_keys_within(addr, mod->jump_entries,
			    mod->num_jump_entries * sizeof(*mod->jump_entries)))
		return true;
#endif
#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
	if (klp_keys_within(addr, mod->static_call_sites,
			    mod->num_static_call_sites *
			    sizeof(*mod->static_call_sites)))
		return true;
#endif
	return false;
}

/*
 * The module's own keys are believed. Else it is data of vmlinux, or of a module that
 * the patch needs; of what kind nothing says.
 */
static bool klp_is_key(unsigned long addr, const struct module *mod)
{
	/* An entry that was not relocated leads to itself. */
	if (klp_keys_in_tables(addr, mod))
		return false;

	return within_module(addr, mod) ||
	       (!kernel_text_address(addr) &&
		kallsyms_lookup_size_offset(addr, NULL, NULL));
}

static bool klp_keys_check_jump_labels(const struct module *mod)
{
#ifdef CONFIG_JUMP_LABEL
	unsigned long key;
	unsigned int i;

	for (i = 0; i < mod->num_jump_entries; i++) {
		key = (unsigned long)jump_entry_key(&mod->jump_entries[i]);
		if (klp_is_key(key, mod))
			continue;
		pr_err("module '%s' has a jump label without a key\n",
		       mod->name);
		return false;
	}
#endif
	return true;
}

static bool klp_keys_check_static_calls(const struct module *mod)
{
#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
	unsigned long key;
	unsigned int i;

	for (i = 0; i < mod->num_static_call_sites; i++) {
		key = (unsigned long)klp_call_key(&mod->static_call_sites[i]);
		/* The kernel looks for the key of a trampoline itself. */
		if (klp_is_key(key, mod) || kernel_text_address(key))
			continue;
		pr_err("module '%s' has a static call without a key\n",
		       mod->name);
		return false;
	}
#endif
	return true;
}

/* So that nobody follows them until the module is refused. */
static void klp_keys_drop(struct module *mod)
{
#ifdef CONFIG_JUMP_LABEL
	mod->num_jump_entries = 0;
#endif
#ifdef CONFIG_HAVE_STATIC_CALL_INLINE
	mod->num_static_call_sites = 0;
#endif
}

static bool klp_is_of_static_call(const char *name)
{
	return str_has_prefix(name, STATIC_CALL_KEY_PREFIX_STR) ||
	       str_has_prefix(name, STATIC_CALL_TRAMP_PREFIX_STR);
}

/* Static keys have no names of their own, and can be a part of something. */
static bool klp_part_is_static_key(unsigned long addr, long offset)
{
	unsigned long size;

	return !kernel_text_address(addr) && offset >= 0 &&
	       kallsyms_lookup_size_offset(addr, &size, NULL) &&
	       size >= sizeof(struct static_key) &&
	       offset <= size - sizeof(struct static_key);
}

/**
 * klp_key_fits() - may a relocation be where it is, as far as keys go?
 * @section:	the section that it applies to
 * @name:	what it refers to in vmlinux
 * @addr:	where that is
 * @addend:	how far behind it, with what an entry says of the place in the
 *		lowest bits
 *
 * Context: Process context.
 * Return: false if the section is a table of keys, and there is none.
 */
bool klp_key_fits(const char *section, const char *name, unsigned long addr,
		  long addend)
{
	long offset = addend & ~KLP_KEY_FLAGS;

	if (!strcmp(section, "__jump_table"))
		return !klp_is_of_static_call(name) &&
		       klp_part_is_static_key(addr, offset);
	if (!strcmp(section, ".static_call_sites"))
		return !offset && klp_is_of_static_call(name);
	return true;
}

/**
 * klp_keys_check() - do all entries of a patch module's tables lead to something?
 * @mod:	the module, which is coming, and of which no notifier knows
 *
 * If not, the module has no jump labels and static calls any more.
 *
 * Context: Process context. Caller holds klp_mutex.
 * Return: 0, or -EINVAL with a line in the log.
 */
int klp_keys_check(struct module *mod)
{
	lockdep_assert_held(&klp_mutex);

	if (klp_keys_check_jump_labels(mod) && klp_keys_check_static_calls(mod))
		return 0;

	klp_keys_drop(mod);
	return -EINVAL;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Names to addresses, and addresses to all the text that goes by the name.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include "grow.h"
#include "ranges.h"
#include "symbol.h"

struct klp_find {
	const char *name;
	unsigned long pos;
	unsigned long addr;
	unsigned long count;
};

/* Stops when the question is settled: found by position, or ambiguous. */
static int klp_find_addr(void *data, unsigned long addr)
{
	struct klp_find *find = data;

	find->addr = addr;
	find->count++;

	return find->pos ? find->count == find->pos : find->count > 1;
}

static int klp_find_name(void *data, const char *name, unsigned long addr)
{
	struct klp_find *find = data;

	return strcmp(name, find->name) ? 0 : klp_find_addr(data, addr);
}

/**
 * klp_symbol_find() - look a symbol up
 * @objname:	module, NULL for vmlinux
 * @name:	the symbol
 * @sympos:	which of several of that name, from 1; 0 if there must be one
 * @addr:	set to its address
 *
 * Context: Process context, may sleep; takes module_mutex for a module.
 * Return: 0, or -EINVAL if there is no such symbol, if @sympos is 0 and there
 *	   are several, or if there are less than @sympos. Failure is logged.
 */
int klp_symbol_find(const char *objname, const char *name,
		    unsigned long sympos, unsigned long *addr)
{
	struct klp_find find = { .name = name, .pos = sympos };

	KUNIT_STATIC_STUB_REDIRECT(klp_symbol_find, objname, name, sympos, addr);

	if (objname)
		module_kallsyms_on_each_symbol(objname, klp_find_name, &find);
	else
		kallsyms_on_each_match_symbol(klp_find_addr, name, &find);

	if (!find.count) {
		pr_err("symbol '%s' not found in symbol table\n", name);
		return -EINVAL;
	}
	if (!sympos && find.count > 1) {
		pr_err("unresolvable ambiguity for symbol '%s' in object '%s'\n",
		       name, objname ?: "vmlinux");
		return -EINVAL;
	}
	if (sympos && find.count != sympos) {
		pr_err("symbol position %lu for symbol '%s' in object '%s' not found\n",
		       sympos, name, objname ?: "vmlinux");
		return -EINVAL;
	}

	*addr = find.addr;
	return 0;
}

/*
 * The compiler moves unlikely code of foo to foo.cold, and splits a part that
 * it does not inline off as foo.part.N. A task there is inside foo, though foo
 * itself may not be on its stack. Either name can go on: foo.part.0.isra.1.cold,
 * and what is left of foo can be foo.isra.0. So a split belongs to every
 * function that has the same name up to the first dot. That can be one too many,
 * but never one too few.
 */
static bool klp_is_split(const char *name)
{
	const char *dot;
	size_t len;

	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		len = str_has_prefix(dot, ".cold") ?:
		      str_has_prefix(dot, ".part");
		if (len && (!dot[len] || dot[len] == '.'))
			return true;
	}

	return false;
}

/* Names that collide make a range too many as well. */
static unsigned long klp_root_hash(const char *name)
{
	return full_name_hash(NULL, name, strcspn(name, "."));
}

struct klp_pair {
	unsigned long key;
	unsigned long addr;
};

struct klp_pairs {
	struct klp_pair *pair;
	unsigned int nr, max;
};

static int klp_pairs_add(struct klp_pairs *pairs, unsigned long key,
			 unsigned long addr)
{
	struct klp_pair *pair;

	pair = klp_grow(pairs->pair, pairs->nr, &pairs->max, sizeof(*pair));
	if (!pair)
		return -ENOMEM;

	pairs->pair = pair;
	pairs->pair[pairs->nr++] = (struct klp_pair){ key, addr };
	return 0;
}

static int klp_pair_cmp(const void *a, const void *b)
{
	const struct klp_pair *pa = a, *pb = b;

	if (pa->key == pb->key)
		return 0;

	return pa->key < pb->key ? -1 : 1;
}

static void klp_pairs_sort(struct klp_pairs *pairs)
{
	sort(pairs->pair, pairs->nr, sizeof(*pairs->pair), klp_pair_cmp, NULL);
}

/* The first pair with a key; the others follow. */
static unsigned int klp_pairs_find(const struct klp_pairs *pairs,
				   unsigned long key)
{
	unsigned int lo = 0, hi = pairs->nr;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (pairs->pair[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}

	return lo;
}

#define klp_for_each_pair(pairs, i, k)					\
	for (i = klp_pairs_find(pairs, k);				\
	     i < (pairs)->nr && (pairs)->pair[i].key == (k); i++)

static void klp_pairs_free(struct klp_pairs *pairs)
{
	kvfree(pairs->pair);
	*pairs = (struct klp_pairs){};
}

/**
 * struct klp_splits - what the compiler split from the functions of an object
 * @objname:	the module, empty for vmlinux
 * @valid:	the rest is filled in
 * @roots:	hash of a split's name up to the first dot, address of the split
 * @pairs:	address of a function, address of a split that belongs to it
 * @err:	why it could not be filled in
 */
struct klp_splits {
	char objname[MODULE_NAME_LEN];
	bool valid;
	struct klp_pairs roots;
	struct klp_pairs pairs;
	int err;
};

/*
 * Finding the splits means to read every symbol's name twice. vmlinux has too
 * many symbols, and a patch too many functions of one module, to do that for
 * each function. Protected by klp_mutex.
 */
static struct klp_splits klp_splits_vmlinux, klp_splits_module;

static int klp_splits_add_root(void *data, const char *name, unsigned long addr)
{
	struct klp_splits *splits = data;

	if (klp_is_split(name))
		splits->err = klp_pairs_add(&splits->roots, klp_root_hash(name),
					    addr);
	return splits->err;
}

static int klp_splits_add_pair(void *data, const char *name, unsigned long addr)
{
	struct klp_splits *splits = data;
	unsigned long hash = klp_root_hash(name);
	unsigned int i;

	klp_for_each_pair(&splits->roots, i, hash) {
		splits->err = klp_pairs_add(&splits->pairs, addr,
					    splits->roots.pair[i].addr);
		if (splits->err)
			break;
	}

	return splits->err;
}

static void klp_splits_each_symbol(struct klp_splits *splits,
				   int (*fn)(void *, const char *, unsigned long))
{
	if (*splits->objname)
		module_kallsyms_on_each_symbol(splits->objname, fn, splits);
	else
		kallsyms_on_each_symbol(fn, splits);
}

static void klp_splits_drop(struct klp_splits *splits)
{
	klp_pairs_free(&splits->roots);
	klp_pairs_free(&splits->pairs);
	*splits = (struct klp_splits){};
}

static struct klp_splits *klp_splits_get(const char *objname)
{
	struct klp_splits *splits = *objname ? &klp_splits_module :
					       &klp_splits_vmlinux;
	int err;

	if (splits->valid && !strcmp(splits->objname, objname))
		return splits;

	klp_splits_drop(splits);
	strscpy(splits->objname, objname, sizeof(splits->objname));
	klp_splits_each_symbol(splits, klp_splits_add_root);
	klp_pairs_sort(&splits->roots);
	if (!splits->err)
		klp_splits_each_symbol(splits, klp_splits_add_pair);
	klp_pairs_sort(&splits->pairs);

	err = splits->err;
	if (err) {
		klp_splits_drop(splits);
		return ERR_PTR(err);
	}

	splits->valid = true;
	return splits;
}

/**
 * klp_symbol_forget() - forget what is known of a module's symbols
 *
 * To be called at the end of each operation, as modules come and go.
 *
 * Context: Process context. Caller holds klp_mutex.
 */
void klp_symbol_forget(void)
{
	klp_splits_drop(&klp_splits_module);
}

static int klp_text_add(struct klp_ranges *ranges, unsigned long addr)
{
	unsigned long size, offset;

	if (!kallsyms_lookup_size_offset(addr, &size, &offset) || offset)
		return -ENOENT;

	return klp_ranges_add(ranges, addr, size);
}

/**
 * klp_symbol_text() - find all text of a function
 * @addr:	address of the function
 * @ranges:	where its text is added: itself, and what was split from it
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes
 *	    module_mutex for a module.
 * Return: 0, -ENOENT if no symbol starts at @addr, or -ENOMEM.
 */
int klp_symbol_text(unsigned long addr, struct klp_ranges *ranges)
{
	char objname[MODULE_NAME_LEN] = "";
	struct klp_splits *splits;
	struct module *mod;
	unsigned int i;
	int ret;

	/* The module cannot go before klp_mutex is released, but find it safely. */
	preempt_disable();
	mod = __module_text_address(addr);
	if (mod)
		strscpy(objname, mod->name, sizeof(objname));
	preempt_enable();

	ret = klp_text_add(ranges, addr);
	if (ret)
		return ret;

	splits = klp_splits_get(objname);
	if (IS_ERR(splits))
		return PTR_ERR(splits);

	klp_for_each_pair(&splits->pairs, i, addr) {
		ret = klp_text_add(ranges, splits->pairs.pair[i].addr);
		if (ret)
			return ret;
	}

	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Look up symbols: the address of a name, and all text that belongs to the function at an
 * address.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <linux/array_size.h>
#include <linux/kallsyms.h>
#include <linux/livepatch.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/module_symbol.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include "grow.h"
#include "ranges.h"
#include "symbol.h"

/* Arrays of pairs, which are built, sorted once, and then searched. */

struct klp_pair {
	unsigned long key;
	unsigned long value;
};

struct klp_pairs {
	struct klp_pair *pair;
	unsigned int nr, max;
};

static int klp_pairs_add(struct klp_pairs *pairs, unsigned long key,
			 unsigned long value)
{
	struct klp_pair *pair;

	pair = klp_grow(pairs->pair, pairs->nr, &pairs->max, sizeof(*pair));
	if (!pair)
		return -ENOMEM;

	pairs->pair = pair;
	pairs->pair[pairs->nr++] = (struct klp_pair){ key, value };
	return 0;
}

static int klp_cmp(unsigned long a, unsigned long b)
{
	return a < b ? -1 : a > b;
}

static int klp_pair_cmp(const void *a, const void *b)
{
	const struct klp_pair *pa = a, *pb = b;

	return klp_cmp(pa->key, pb->key) ?: klp_cmp(pa->value, pb->value);
}

static void klp_pairs_sort(struct klp_pairs *pairs)
{
	sort(pairs->pair, pairs->nr, sizeof(*pairs->pair), klp_pair_cmp, NULL);
}

/* The index of the first pair with a key, or with a greater one. */
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

/*
 * The compiler moves unlikely code of foo to foo.cold, or clusters of its basic blocks to
 * foo.__part.N, and splits off a part that it does not inline as foo.part.N. A task there
 * is inside foo, though foo itself may not be on its stack. Any of these names can
 * continue, as in foo.part.0.isra.1.cold, and what is left of foo can be foo.isra.0. So
 * such a split belongs to every function that has the same name up to the first dot. That
 * can be one too many, but never one too few.
 */
static bool klp_is_split(const char *name)
{
	const char *dot;
	size_t len;

	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		len = str_has_prefix(dot, ".cold") ?:
		      str_has_prefix(dot, ".part") ?:
		      str_has_prefix(dot, ".__part");
		if (len && (!dot[len] || dot[len] == '.'))
			return true;
	}

	return false;
}

/* Two names with the same hash add a range too many as well. */
static unsigned long klp_root_hash(const char *name)
{
	return full_name_hash(NULL, name, strcspn(name, "."));
}

/* A symbol of a module. The name is at this offset in klp_symbols.text. */
struct klp_symbol {
	unsigned int name;
	unsigned long addr;
};

/**
 * struct klp_symbols - what is known of the symbols of an object
 * @objname:	the module, empty for vmlinux
 * @valid:	the rest is filled in
 * @roots:	hash of the name of a split up to the first dot, address of the split
 * @splits:	address of a function, address of a split that belongs to it
 * @symbol:	all symbols, in the order of kallsyms; empty for vmlinux
 * @nr:		how many there are
 * @max:	how many there is room for
 * @text:	their names. Those of the module are freed when its init function is done
 * @len:	the length of @text
 * @size:	how much there is room for
 * @names:	hash of a name, index of the symbol; empty for vmlinux
 * @addrs:	address, 0; empty for vmlinux
 * @err:	why it could not be filled in
 */
struct klp_symbols {
	char objname[MODULE_NAME_LEN];
	bool valid;
	struct klp_pairs roots;
	struct klp_pairs splits;
	struct klp_symbol *symbol;
	unsigned int nr, max;
	char *text;
	unsigned int len, size;
	struct klp_pairs names;
	struct klp_pairs addrs;
	int err;
};

/*
 * The symbols of an object are read twice to find its splits, and for a module there is
 * no index in which a name or an address can be looked up. So that is done once for all
 * functions of a patch: for vmlinux, for the module that is patched, and for the patch
 * module. Protected by klp_mutex.
 */
static struct klp_symbols klp_vmlinux, klp_modules[2];
static unsigned int klp_next_module;

/* A name is shorter than what the room grows by. */
static int klp_symbols_add_name(struct klp_symbols *symbols, const char *name)
{
	unsigned int size = symbols->size;
	char *text = symbols->text;

	if (symbols->len + KSYM_NAME_LEN > size) {
		size += max(size, 16U * KSYM_NAME_LEN);
		text = kvrealloc(text, size, GFP_KERNEL);
		if (!text)
			return -ENOMEM;
		symbols->text = text;
		symbols->size = size;
	}

	symbols->len += strscpy(text + symbols->len, name, KSYM_NAME_LEN) + 1;
	return 0;
}

static int klp_symbols_add(struct klp_symbols *symbols, const char *name,
			   unsigned long addr)
{
	unsigned int offset = symbols->len;
	struct klp_symbol *symbol;

	/* A longer name cannot be asked for. */
	if (strlen(name) >= KSYM_NAME_LEN)
		return klp_pairs_add(&symbols->addrs, addr, 0);

	symbol = klp_grow(symbols->symbol, symbols->nr, &symbols->max, sizeof(*symbol));
	if (!symbol)
		return -ENOMEM;

	symbols->symbol = symbol;
	symbols->symbol[symbols->nr] = (struct klp_symbol){ offset, addr };
	if (klp_symbols_add_name(symbols, name))
		return -ENOMEM;

	return klp_pairs_add(&symbols->names,
			     full_name_hash(NULL, name, strlen(name)),
			     symbols->nr++) ?:
	       klp_pairs_add(&symbols->addrs, addr, 0);
}

static int klp_symbols_read(void *data, const char *name, unsigned long addr)
{
	struct klp_symbols *symbols = data;

	/* As for kallsyms, a label does not end a function. */
	if (is_mapping_symbol(name))
		return 0;
	if (klp_is_split(name))
		symbols->err = klp_pairs_add(&symbols->roots, klp_root_hash(name),
					     addr);
	if (!symbols->err && *symbols->objname && *name)
		symbols->err = klp_symbols_add(symbols, name, addr);
	return symbols->err;
}

static int klp_symbols_split(void *data, const char *name, unsigned long addr)
{
	struct klp_symbols *symbols = data;
	unsigned long hash = klp_root_hash(name);
	unsigned int i;

	klp_for_each_pair(&symbols->roots, i, hash) {
		symbols->err = klp_pairs_add(&symbols->splits, addr,
					     symbols->roots.pair[i].value);
		if (symbols->err)
			break;
	}

	return symbols->err;
}

static void klp_symbols_each(struct klp_symbols *symbols,
			     int (*fn)(void *, const char *, unsigned long))
{
	if (*symbols->objname)
		module_kallsyms_on_each_symbol(symbols->objname, fn, symbols);
	else
		kallsyms_on_each_symbol(fn, symbols);
}

static void klp_symbols_drop(struct klp_symbols *symbols)
{
	klp_pairs_free(&symbols->roots);
	klp_pairs_free(&symbols->splits);
	klp_pairs_free(&symbols->names);
	klp_pairs_free(&symbols->addrs);
	kvfree(symbols->symbol);
	kvfree(symbols->text);
	*symbols = (struct klp_symbols){};
}

static struct klp_symbols *klp_symbols_find(const char *objname)
{
	unsigned int i;

	if (!*objname)
		return &klp_vmlinux;

	for (i = 0; i < ARRAY_SIZE(klp_modules); i++) {
		if (!strcmp(klp_modules[i].objname, objname))
			return &klp_modules[i];
	}

	klp_next_module = (klp_next_module + 1) % ARRAY_SIZE(klp_modules);
	return &klp_modules[klp_next_module];
}

static struct klp_symbols *klp_symbols_get(const char *objname)
{
	struct klp_symbols *symbols = klp_symbols_find(objname);
	int err;

	if (symbols->valid && !strcmp(symbols->objname, objname))
		return symbols;

	klp_symbols_drop(symbols);
	strscpy(symbols->objname, objname, sizeof(symbols->objname));
	klp_symbols_each(symbols, klp_symbols_read);
	klp_pairs_sort(&symbols->roots);
	if (!symbols->err && symbols->roots.nr)
		klp_symbols_each(symbols, klp_symbols_split);
	klp_pairs_sort(&symbols->splits);
	klp_pairs_sort(&symbols->names);
	klp_pairs_sort(&symbols->addrs);

	err = symbols->err;
	if (err) {
		klp_symbols_drop(symbols);
		return ERR_PTR(err);
	}

	symbols->valid = true;
	return symbols;
}

/**
 * klp_symbol_forget() - forget what is known of the symbols of modules
 *
 * To be called at the end of each operation, as modules are loaded and unloaded.
 *
 * Context: Process context. Caller holds klp_mutex.
 */
void klp_symbol_forget(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(klp_modules); i++)
		klp_symbols_drop(&klp_modules[i]);
}

struct klp_find {
	unsigned long pos;
	unsigned long addr;
	unsigned long count;
};

/* Stops when the symbol was found by its position, or is ambiguous. */
static int klp_find_addr(void *data, unsigned long addr)
{
	struct klp_find *find = data;

	find->addr = addr;
	find->count++;

	return find->pos ? find->count == find->pos : find->count > 1;
}

/* Pairs of one name are in the order of kallsyms. */
static int klp_find_in_module(const char *objname, const char *name,
			      struct klp_find *find)
{
	const struct klp_symbols *symbols = klp_symbols_get(objname);
	unsigned long hash = full_name_hash(NULL, name, strlen(name));
	const struct klp_symbol *symbol;
	unsigned int i;

	if (IS_ERR(symbols))
		return PTR_ERR(symbols);

	klp_for_each_pair(&symbols->names, i, hash) {
		symbol = &symbols->symbol[symbols->names.pair[i].value];
		if (!strcmp(symbols->text + symbol->name, name) &&
		    klp_find_addr(find, symbol->addr))
			break;
	}

	return 0;
}

/**
 * klp_symbol_find() - look up the address of a symbol
 * @objname:	module, NULL for vmlinux
 * @name:	the symbol
 * @sympos:	which of several of that name, from 1; 0 if there must be one
 * @addr:	set to its address
 *
 * Context: Process context, may sleep. Takes module_mutex for a module. Caller holds
 *	    klp_mutex if it is for a module.
 * Return: 0, -ENOMEM, or -EINVAL if there is no such symbol, if @sympos is 0 and there
 *	   are several, or if there are less than @sympos. -EINVAL is logged.
 */
int klp_symbol_find(const char *objname, const char *name,
		    unsigned long sympos, unsigned long *addr)
{
	struct klp_find find = { .pos = sympos };
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(klp_symbol_find, objname, name, sympos, addr);

	if (objname) {
		ret = klp_find_in_module(objname, name, &find);
		if (ret)
			return ret;
	} else {
		kallsyms_on_each_match_symbol(klp_find_addr, name, &find);
	}

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

/* The name of the module that an address of text is in, empty for vmlinux. */
static void klp_module_at(unsigned long addr, char *objname, size_t size)
{
	const struct module *mod;

	*objname = '\0';
	/* The module cannot be freed while klp_mutex is held, but find it safely. */
	preempt_disable();
	mod = __module_text_address(addr);
	if (mod)
		strscpy(objname, mod->name, size);
	preempt_enable();
}

static unsigned long klp_module_text_end(unsigned long addr)
{
	const struct module *mod;
	unsigned long end = 0;

	preempt_disable();
	mod = __module_text_address(addr);
	if (mod && within_module_mem_type(addr, mod, MOD_TEXT))
		end = (unsigned long)mod->mem[MOD_TEXT].base + mod->mem[MOD_TEXT].size;
	preempt_enable();

	return end;
}

/**
 * klp_symbol_size() - find the size of a function
 * @addr:	address of the function
 * @size:	set to the distance to the next symbol, in bytes
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes module_mutex for a
 *	    module.
 * Return: 0, -ENOENT if no symbol begins at @addr, or -ENOMEM.
 */
int klp_symbol_size(unsigned long addr, unsigned long *size)
{
	unsigned long offset, end = klp_module_text_end(addr);
	char objname[MODULE_NAME_LEN];
	const struct klp_symbols *symbols;
	unsigned int i;

	/* kallsyms has an index for vmlinux. Init text of a module is refused anyway. */
	if (!end)
		return kallsyms_lookup_size_offset(addr, size, &offset) &&
		       !offset ? 0 : -ENOENT;

	klp_module_at(addr, objname, sizeof(objname));
	symbols = klp_symbols_get(objname);
	if (IS_ERR(symbols))
		return PTR_ERR(symbols);

	i = klp_pairs_find(&symbols->addrs, addr);
	if (i == symbols->addrs.nr || symbols->addrs.pair[i].key != addr)
		return -ENOENT;

	i = klp_pairs_find(&symbols->addrs, addr + 1);
	if (i < symbols->addrs.nr)
		end = min(end, symbols->addrs.pair[i].key);
	*size = end - addr;

	return 0;
}

static int klp_text_add(struct klp_ranges *ranges, unsigned long addr)
{
	unsigned long size;
	int ret;

	ret = klp_symbol_size(addr, &size);

	return ret ?: klp_ranges_add(ranges, addr, size);
}

/**
 * klp_symbol_text() - find all text of a function
 * @addr:	address of the function
 * @ranges:	set to which the function is added, and then what was split from it
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes
 *	    module_mutex for a module.
 * Return: 0, -ENOENT if no symbol begins at @addr, or -ENOMEM.
 */
int klp_symbol_text(unsigned long addr, struct klp_ranges *ranges)
{
	char objname[MODULE_NAME_LEN];
	const struct klp_symbols *symbols;
	unsigned int i;
	int ret;

	ret = klp_text_add(ranges, addr);
	if (ret)
		return ret;

	klp_module_at(addr, objname, sizeof(objname));
	symbols = klp_symbols_get(objname);
	if (IS_ERR(symbols))
		return PTR_ERR(symbols);

	klp_for_each_pair(&symbols->splits, i, addr) {
		ret = klp_text_add(ranges, symbols->splits.pair[i].value);
		if (ret)
			return ret;
	}

	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Write livepatch relocations, by which a patch refers to symbols that are not exported.
 *
 *   section   .klp.rela.<object>.<section>		what is written where
 *   symbol    .klp.sym.<object>.<symbol>,<sympos>	to which symbol it refers
 *
 * Relocations for vmlinux are written by the module loader, which calls
 * klp_apply_section_relocs(). Relocations for a module are written when both the patch
 * and the module are loaded. When the module is unloaded they stay: a task can still be
 * in a replacement that uses them. When the module is loaded again, they are cleared and
 * written again.
 *
 * The names, indices and offsets come from a file, and are not trusted. A section is
 * checked as a whole before anything is written. If writing it fails half way, what was
 * written is cleared.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/array_size.h>
#include <linux/ctype.h>
#include <linux/kallsyms.h>
#include <linux/kstrtox.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/string.h>
#include <asm/livepatch.h>
#include "fault.h"
#include "patch.h"
#include "reloc.h"
#include "symbol.h"

#define KLP_VMLINUX		"vmlinux"

/**
 * struct klp_reloc - one relocation section of a patch module
 * @mod:	the module
 * @sechdrs:	its section headers
 * @shstrtab:	names of its sections
 * @strtab:	names of its symbols
 * @symtab:	its symbols
 * @nr_syms:	how many there are
 * @symndx:	index of their section
 * @secndx:	index of the relocation section
 * @name:	name of the relocation section
 * @relas:	the relocations
 * @nr_relas:	how many there are
 */
struct klp_reloc {
	struct module *mod;
	Elf_Shdr *sechdrs;
	const char *shstrtab;
	const char *strtab;
	Elf_Sym *symtab;
	unsigned long nr_syms;
	unsigned int symndx;
	unsigned int secndx;
	const char *name;
	const Elf_Rela *relas;
	unsigned long nr_relas;
};

static void klp_reloc_init(struct klp_reloc *reloc, struct module *mod,
			   Elf_Shdr *sechdrs, const char *shstrtab,
			   const char *strtab, unsigned int symndx,
			   unsigned int secndx)
{
	const Elf_Shdr *sec = &sechdrs[secndx];

	*reloc = (struct klp_reloc){
		.mod		= mod,
		.sechdrs	= sechdrs,
		.shstrtab	= shstrtab,
		.strtab		= strtab,
		.symtab		= (Elf_Sym *)sechdrs[symndx].sh_addr,
		.nr_syms	= sechdrs[symndx].sh_size / sizeof(Elf_Sym),
		.symndx		= symndx,
		.secndx		= secndx,
		.name		= shstrtab + sec->sh_name,
		.relas		= (const Elf_Rela *)sec->sh_addr,
		.nr_relas	= sec->sh_size / sizeof(Elf_Rela),
	};
}

/* The section that a relocation section applies to, which must exist. */
static const Elf_Shdr *klp_reloc_target(const struct klp_reloc *reloc)
{
	return &reloc->sechdrs[reloc->sechdrs[reloc->secndx].sh_info];
}

static const char *klp_reloc_target_name(const struct klp_reloc *reloc)
{
	return reloc->shstrtab + klp_reloc_target(reloc)->sh_name;
}

/*
 * Copy what comes before a delimiter.
 * Return: what follows the delimiter, or NULL if there is no delimiter, nothing
 * before it, or more than fits.
 */
static const char *klp_take(const char *from, char delimiter, char *to,
			    size_t size)
{
	const char *end = strchr(from, delimiter);
	size_t len;

	if (!end || end == from)
		return NULL;

	len = end - from;
	if (len >= size)
		return NULL;

	memcpy(to, from, len);
	to[len] = '\0';
	return end + 1;
}

/* Which object is the section for? After that its name is known to be well-formed. */
static int klp_reloc_object(const struct klp_reloc *reloc, char *objname,
			    size_t size)
{
	const Elf_Shdr *sec = &reloc->sechdrs[reloc->secndx];
	size_t prefix;

	if (sec->sh_type != SHT_RELA || !(sec->sh_flags & SHF_ALLOC)) {
		pr_err("module %s: section %u is not an allocated relocation section\n",
		       reloc->mod->name, reloc->secndx);
		return -EINVAL;
	}

	prefix = str_has_prefix(reloc->name, KLP_RELOC_SEC_PREFIX);
	if (prefix && klp_take(reloc->name + prefix, '.', objname, size))
		return 0;

	pr_err("section %s has an incorrectly formatted name\n", reloc->name);
	return -EINVAL;
}

/* The name of a relocation section and its index must agree on what it applies to. */
static int klp_reloc_check_target(const struct klp_reloc *reloc)
{
	const char *target = klp_reloc_target_name(reloc);
	const char *name = strchr(reloc->name + strlen(KLP_RELOC_SEC_PREFIX), '.');

	if (!strcmp(name + 1, target))
		return 0;

	pr_err("section %s applies to section '%s'\n", reloc->name, target);
	return -EINVAL;
}

struct klp_symbol_name {
	char objname[MODULE_NAME_LEN];
	char name[KSYM_NAME_LEN];
	unsigned long pos;
};

static int klp_reloc_parse_symbol(const char *from, struct klp_symbol_name *symbol)
{
	size_t prefix = str_has_prefix(from, KLP_SYM_PREFIX);
	const char *rest = NULL;

	/* Whatever a module can be called fits, with its terminator. */
	BUILD_BUG_ON(sizeof(symbol->objname) < sizeof_field(struct module, name));

	if (prefix)
		rest = klp_take(from + prefix, '.', symbol->objname,
				sizeof(symbol->objname));
	if (rest)
		rest = klp_take(rest, ',', symbol->name, sizeof(symbol->name));
	if (rest && isdigit(*rest) && !kstrtoul(rest, 10, &symbol->pos))
		return 0;

	pr_err("symbol %s has an incorrectly formatted name\n", from);
	return -EINVAL;
}

static int klp_reloc_resolve(const struct klp_reloc *reloc,
			     const Elf_Rela *rela, bool for_vmlinux)
{
	Elf_Sym *sym = &reloc->symtab[ELF_R_SYM(rela->r_info)];
	const char *name = reloc->strtab + sym->st_name;
	struct klp_symbol_name symbol;
	unsigned long addr;
	bool in_vmlinux;
	int ret;

	if (sym->st_shndx != SHN_LIVEPATCH) {
		pr_err("symbol %s is not marked as a livepatch symbol\n", name);
		return -EINVAL;
	}

	ret = klp_reloc_parse_symbol(name, &symbol);
	if (ret)
		return ret;

	/*
	 * Symbols of vmlinux are resolved when the patch is loaded, before its jump
	 * labels, static calls and alternatives are set up, and not when a module is
	 * loaded later.
	 */
	in_vmlinux = !strcmp(symbol.objname, KLP_VMLINUX);
	if (in_vmlinux && !for_vmlinux) {
		pr_err("invalid access to vmlinux symbol '%s' from module-specific livepatch relocation section\n",
		       symbol.name);
		return -EINVAL;
	}
	/* A module can be unloaded before the patch is. */
	if (!in_vmlinux && for_vmlinux) {
		pr_err("invalid access to symbol '%s' of module '%s' from vmlinux-specific livepatch relocation section\n",
		       symbol.name, symbol.objname);
		return -EINVAL;
	}

	ret = klp_symbol_find(in_vmlinux ? NULL : symbol.objname, symbol.name,
			      symbol.pos, &addr);
	if (ret)
		return ret;

	sym->st_value = addr;
	return 0;
}

/*
 * Is the place that is written inside the section that the relocation applies to, and is
 * that section in memory? Relocations for a module are cleared later, so they must not be
 * in an init section, which is freed.
 */
static bool klp_reloc_fits(const struct klp_reloc *reloc, const Elf_Rela *rela,
			   bool for_vmlinux)
{
	bool (*within)(unsigned long addr, const struct module *mod) =
		for_vmlinux ? within_module : within_module_core;
	const Elf_Shdr *target = klp_reloc_target(reloc);
	unsigned long size = klp_rela_size(ELF_R_TYPE(rela->r_info));

	return size && size <= target->sh_size &&
	       rela->r_offset <= target->sh_size - size &&
	       within(target->sh_addr + rela->r_offset, reloc->mod) &&
	       within(target->sh_addr + rela->r_offset + size - 1, reloc->mod);
}

/* Check all relocations of a section, and resolve their symbols. */
static int klp_reloc_check(const struct klp_reloc *reloc, bool for_vmlinux)
{
	unsigned long i, symndx;
	int ret;

	ret = klp_reloc_check_target(reloc);
	if (ret)
		return ret;

	for (i = 0; i < reloc->nr_relas; i++) {
		symndx = ELF_R_SYM(reloc->relas[i].r_info);
		if (symndx >= reloc->nr_syms) {
			pr_err("section %s refers to symbol %lu of %lu\n",
			       reloc->name, symndx, reloc->nr_syms);
			return -EINVAL;
		}

		if (!klp_reloc_fits(reloc, &reloc->relas[i], for_vmlinux)) {
			pr_err("section %s has a bad relocation of type %lu at offset 0x%lx\n",
			       reloc->name,
			       (unsigned long)ELF_R_TYPE(reloc->relas[i].r_info),
			       (unsigned long)reloc->relas[i].r_offset);
			return -EINVAL;
		}

		ret = klp_reloc_resolve(reloc, &reloc->relas[i], for_vmlinux);
		if (ret)
			return ret;
	}

	return 0;
}

/*
 * Stops, with a line in the log, at the first place that does not contain what was to be
 * written there. So it also undoes a section that was written half way.
 */
static void klp_reloc_undo(const struct klp_reloc *reloc)
{
	clear_relocate_add(reloc->sechdrs, reloc->strtab, reloc->symndx,
			   reloc->secndx, reloc->mod);
}

/*
 * The contents are not compared, as the symbols can have got other addresses since, for
 * another section.
 */
static void klp_reloc_clear_written(const struct klp_reloc *reloc)
{
	unsigned long start = klp_reloc_target(reloc)->sh_addr;
	const Elf_Rela *rela;

	mutex_lock(&text_mutex);
	for (rela = reloc->relas; rela < reloc->relas + reloc->nr_relas; rela++)
		klp_rela_clear(start + rela->r_offset,
			       klp_rela_size(ELF_R_TYPE(rela->r_info)));
	mutex_unlock(&text_mutex);
}

static int klp_reloc_write(const struct klp_reloc *reloc, bool for_vmlinux)
{
	int ret;

	ret = klp_reloc_check(reloc, for_vmlinux);
	if (ret)
		return ret;

	ret = klp_fault(-ENOEXEC) ?:
	      apply_relocate_add(reloc->sechdrs, reloc->strtab, reloc->symndx,
				 reloc->secndx, reloc->mod);
	/* If a relocation for vmlinux fails, the module is not loaded. */
	if (ret && !for_vmlinux)
		klp_reloc_undo(reloc);
	return ret;
}

/*
 * Tables that are read when the patch is loaded, and in part sorted. A relocation that is
 * written later would come too late, or would change another entry.
 */
static const char * const klp_load_sections[] = {
	"__jump_table",
	".static_call_sites",
	"__ex_table",
	"__bug_table",
	"__tracepoints_ptrs",
	"__mcount_loc",
	"_kprobe_blacklist",
	"_error_injection_whitelist",
	"_ftrace_events",
	"_ftrace_eval_map",
	"___srcu_struct_ptrs",
	"__bpf_raw_tp_map",
	"__dyndbg",
	"__dyndbg_classes",
	"__trace_printk_fmt",
	".kunit_test_suites",
	".kunit_init_test_suites",
	".printk_index",
	".altinstructions",
	".parainstructions",
	".smp_locks",
	".retpoline_sites",
	".return_sites",
	".call_sites",
	".cfi_sites",
	".ibt_endbr_seal",
	".orc_unwind",
	".orc_unwind_ip",
	".ctors",
	".init_array",
	"__param",
	"__ksymtab",
	"__ksymtab_gpl",
	".gnu.linkonce.this_module",
};

/* May a section be written later, when a module is loaded? */
static int klp_reloc_can_wait(const struct klp_reloc *reloc)
{
	const char *target = klp_reloc_target_name(reloc);

	if (klp_reloc_check_target(reloc))
		return -EINVAL;

	if (match_string(klp_load_sections, ARRAY_SIZE(klp_load_sections),
			 target) < 0)
		return 0;

	pr_err("section %s comes too late, as %s is used when the patch is loaded\n",
	       reloc->name, target);
	return -EINVAL;
}

/**
 * klp_apply_section_relocs() - resolve the livepatch relocations of a section
 * @pmod:	the patch module
 * @sechdrs:	its section headers
 * @shstrtab:	its section names
 * @strtab:	its symbol names
 * @symndx:	index of its symbol table
 * @secndx:	index of the relocation section; what it applies to exists
 * @objname:	object to resolve for, NULL for vmlinux
 *
 * For the module loader. A section that is for another object is left alone.
 *
 * Context: Process context, may sleep. Takes module_mutex and text_mutex.
 * Return: 0, or, with a line in the log,
 *	   -EINVAL if a name is malformed, the section is no relocation section,
 *	   refers to a symbol that does not exist or is not a livepatch symbol,
 *	   or to a place outside its target, names a symbol that is not found or
 *	   is ambiguous, is for a module and names a symbol of vmlinux, or
 *	   applies to a table that is read when the patch is loaded, or to
 *	   another section than its name says;
 *	   -ENOEXEC if an address does not fit, or the place is not empty.
 */
int klp_apply_section_relocs(struct module *pmod, Elf_Shdr *sechdrs,
			     const char *shstrtab, const char *strtab,
			     unsigned int symndx, unsigned int secndx,
			     const char *objname)
{
	char sec_objname[MODULE_NAME_LEN];
	struct klp_reloc reloc;
	int ret;

	klp_reloc_init(&reloc, pmod, sechdrs, shstrtab, strtab, symndx, secndx);
	ret = klp_reloc_object(&reloc, sec_objname, sizeof(sec_objname));
	if (ret)
		return ret;
	if (!objname && strcmp(sec_objname, KLP_VMLINUX))
		return klp_reloc_can_wait(&reloc);
	if (objname && strcmp(sec_objname, objname))
		return 0;

	return klp_reloc_write(&reloc, !objname);
}

/* Is this a section for the object? */
static int klp_reloc_match(const struct klp_patch *patch,
			   const struct klp_object *obj, unsigned int secndx,
			   struct klp_reloc *reloc)
{
	struct module *mod = patch->mod;
	struct klp_modinfo *info = mod->klp_info;
	const Elf_Shdr *sec = &info->sechdrs[secndx];
	char objname[MODULE_NAME_LEN];
	int ret;

	if (!(sec->sh_flags & SHF_RELA_LIVEPATCH))
		return 0;

	klp_reloc_init(reloc, mod, info->sechdrs, info->secstrings,
		       mod->core_kallsyms.strtab, info->symndx, secndx);
	ret = klp_reloc_object(reloc, objname, sizeof(objname));
	if (ret)
		return ret;
	if (strcmp(objname, obj->name))
		return 0;

	if (sec->sh_info >= info->hdr.e_shnum) {
		pr_err("section %s applies to section %u of %u\n", reloc->name,
		       sec->sh_info, info->hdr.e_shnum);
		return -EINVAL;
	}

	return 1;
}

/* Clear the sections before an index, all of which were written. */
static void klp_reloc_clear_before(struct klp_patch *patch,
				   struct klp_object *obj, unsigned int end)
{
	struct klp_reloc reloc;
	unsigned int i;

	for (i = 1; i < end; i++) {
		if (klp_reloc_match(patch, obj, i, &reloc) > 0)
			klp_reloc_clear_written(&reloc);
	}
}

/**
 * klp_reloc_apply() - resolve the relocations of a patch for a module
 * @patch:	the patch
 * @obj:	one of its objects, which is loaded
 *
 * Nothing is done for vmlinux, whose relocations the module loader has resolved.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes
 *	    module_mutex and text_mutex.
 * Return: 0, or the errors of klp_apply_section_relocs(), with nothing written.
 */
int klp_reloc_apply(struct klp_patch *patch, struct klp_object *obj)
{
	struct klp_modinfo *info = patch->mod->klp_info;
	struct klp_reloc reloc;
	unsigned int i;
	int ret;

	lockdep_assert_held(&klp_mutex);

	if (!obj->name)
		return 0;

	klp_reloc_clear(patch, obj);
	for (i = 1; i < info->hdr.e_shnum; i++) {
		ret = klp_reloc_match(patch, obj, i, &reloc);
		if (ret > 0)
			ret = klp_reloc_write(&reloc, false);
		if (ret) {
			klp_reloc_clear_before(patch, obj, i);
			return ret;
		}
	}

	obj->relocated = true;
	return 0;
}

/**
 * klp_reloc_clear() - undo klp_reloc_apply(), if that was done
 * @patch:	the patch
 * @obj:	one of its objects
 *
 * Context: Process context, may sleep. Caller holds klp_mutex. Takes
 *	    text_mutex.
 */
void klp_reloc_clear(struct klp_patch *patch, struct klp_object *obj)
{
	lockdep_assert_held(&klp_mutex);

	if (obj->relocated)
		klp_reloc_clear_before(patch, obj,
				       patch->mod->klp_info->hdr.e_shnum);
	obj->relocated = false;
}

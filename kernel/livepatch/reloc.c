// SPDX-License-Identifier: GPL-2.0
/*
 * Livepatch relocations: how a patch reaches symbols that are not exported.
 *
 *   section   .klp.rela.<object>.<section>		what to write where
 *   symbol    .klp.sym.<object>.<symbol>,<sympos>	whose address
 *
 * Those of vmlinux are written by the module loader, through
 * klp_apply_section_relocs(). Those of a module are written when patch and
 * module are both there. When it comes back they are cleared and written again.
 *
 * The names, indices and offsets come from a file that somebody made. Nothing is
 * written before all of a section was looked at, and what fails half way is
 * cleared again.
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
#include "keys.h"
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

/* What the section applies to, which must exist. */
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

/* What object is the section for? Only then is its name known to be one. */
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

/* Does the section apply to what its name says? Another index is a mistake. */
static int klp_reloc_check_target(const struct klp_reloc *reloc)
{
	const char *target = klp_reloc_target_name(reloc);
	const char *name = strchr(reloc->name + strlen(KLP_RELOC_SEC_PREFIX), '.');

	if (!strcmp(name + 1, target))
		return 0;

	pr_err("section %s applies to section '%s'\n", reloc->name, target);
	return -EINVAL;
}

struct klp_symbol {
	char objname[MODULE_NAME_LEN];
	char name[KSYM_NAME_LEN];
	unsigned long pos;
};

static int klp_reloc_parse_symbol(const char *from, struct klp_symbol *symbol)
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
	const char *target = klp_reloc_target_name(reloc);
	struct klp_symbol symbol;
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
	 * What is in vmlinux is there when the patch is loaded, so it is written
	 * then, before the patch's jump labels, static calls and alternatives
	 * are set up, and not when some module comes.
	 */
	in_vmlinux = !strcmp(symbol.objname, KLP_VMLINUX);
	if (in_vmlinux && !for_vmlinux) {
		pr_err("invalid access to vmlinux symbol '%s' from module-specific livepatch relocation section\n",
		       symbol.name);
		return -EINVAL;
	}
	/* And what is in a module can go before the patch does. */
	if (!in_vmlinux && for_vmlinux) {
		pr_err("invalid access to symbol '%s' of module '%s' from vmlinux-specific livepatch relocation section\n",
		       symbol.name, symbol.objname);
		return -EINVAL;
	}

	ret = klp_symbol_find(in_vmlinux ? NULL : symbol.objname, symbol.name,
			      symbol.pos, &addr);
	if (ret)
		return ret;

	if (!klp_key_fits(target, symbol.name, addr, rela->r_addend)) {
		pr_err("section %s makes no keys of what is in %s\n",
		       reloc->name, target);
		return -EINVAL;
	}

	sym->st_value = addr;
	return 0;
}

/*
 * Is what is written in the section that it is meant for, and that in memory?
 * What is written when a module comes is cleared when it comes back, so it must still
 * be there then, which init sections are not.
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

/* Look at all of a section, and find its symbols. */
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
 * Stops, with a line in the log, at the first place that does not hold what was
 * to be written there. So it also undoes what was only begun.
 */
static void klp_reloc_undo(const struct klp_reloc *reloc)
{
	clear_relocate_add(reloc->sechdrs, reloc->strtab, reloc->symndx,
			   reloc->secndx, reloc->mod);
}

/*
 * Nothing is compared: the symbols may be used elsewhere, too, and have been given
 * other addresses since.
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
	/* Nothing is undone of what the module is not loaded without. */
	if (ret && !for_vmlinux)
		klp_reloc_undo(reloc);
	return ret;
}

/*
 * Tables that are read when the patch is loaded, and partly sorted. What a module
 * that may come later has to add to them would come too late, or elsewhere.
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

/* Is what a section applies to still what it was when the module is there? */
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
 *	   applies to what the loader uses, to another section than its name
 *	   says, or to a table of keys, and is none;
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

/* All sections before that one were written. */
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
 * @patch:	the patch, whose new functions nobody runs
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

// SPDX-License-Identifier: GPL-2.0
/* Livepatch relocations, of patch modules that are made by hand. */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/elf.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include "../patch.h"
#include "../reloc.h"
#include "../symbol.h"
#include "functions.h"

enum {
	SEC_NULL,
	SEC_TARGET,
	SEC_RELA,
	SEC_RELA_2,
	SEC_SYMTAB,
	NR_SECS
};

enum {
	SYM_NULL,
	SYM_ONE,
	SYM_TWO,
	NR_SYMS
};

#define NAME_SIZE	(KSYM_NAME_LEN + 64)

/**
 * struct lpt_reloc - a patch module with two relocation sections
 * @mod:	the module, still being loaded
 * @patch:	its patch
 * @obj:	an object of the patch, a module
 * @info:	what is kept of its file
 * @sechdrs:	its section headers
 * @symtab:	its symbols
 * @relas:	one relocation for each section
 * @target:	what they write to
 * @target_size: its size in bytes
 * @secnames:	names of its sections
 * @symnames:	names of its symbols
 */
struct lpt_reloc {
	struct module mod;
	struct klp_patch patch;
	struct klp_object obj;
	struct klp_modinfo info;
	Elf_Shdr sechdrs[NR_SECS];
	Elf_Sym symtab[NR_SYMS];
	Elf_Rela relas[2];
	u64 *target;
	size_t target_size;
	char secnames[NR_SECS][NAME_SIZE];
	char symnames[NR_SYMS][NAME_SIZE];
};

static void free_target(void *target)
{
	vfree(target);
}

static void init_rela(struct lpt_reloc *r, unsigned int sec, unsigned int i,
		      unsigned int sym)
{
	r->relas[i] = (Elf_Rela){
		.r_offset = i * sizeof(u64),
		.r_info = ((u64)sym << 32) + R_X86_64_64,
		.r_addend = 4,
	};
	r->sechdrs[sec] = (Elf_Shdr){
		.sh_name = sec * NAME_SIZE,
		.sh_type = SHT_RELA,
		.sh_flags = SHF_ALLOC | SHF_RELA_LIVEPATCH,
		.sh_addr = (unsigned long)&r->relas[i],
		.sh_size = sizeof(r->relas[i]),
		.sh_info = SEC_TARGET,
	};
}

static void init_sym(struct lpt_reloc *r, unsigned int i, const char *name)
{
	r->symtab[i] = (Elf_Sym){
		.st_name = i * NAME_SIZE,
		.st_shndx = SHN_LIVEPATCH,
	};
	strscpy(r->symnames[i], name, NAME_SIZE);
}

/* One that is good: both sections are for the object, with a symbol each. */
static struct lpt_reloc *make_reloc(struct kunit *test, const char *objname)
{
	struct lpt_reloc *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->target_size = 2 * sizeof(u64);
	r->target = vzalloc(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, r->target);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_target,
							r->target), 0);

	strscpy(r->mod.name, "lpt_patch", sizeof(r->mod.name));
	r->mod.state = MODULE_STATE_UNFORMED;
	r->mod.mem[MOD_DATA].base = r->target;
	r->mod.mem[MOD_DATA].size = PAGE_SIZE;
	r->mod.klp_info = &r->info;
	r->mod.core_kallsyms.strtab = (char *)r->symnames;
	r->info.hdr.e_shnum = NR_SECS;
	r->info.sechdrs = r->sechdrs;
	r->info.secstrings = (char *)r->secnames;
	r->info.symndx = SEC_SYMTAB;
	r->patch.mod = &r->mod;
	r->obj.name = objname;

	strscpy(r->secnames[SEC_TARGET], ".data", NAME_SIZE);
	r->sechdrs[SEC_TARGET] = (Elf_Shdr){
		.sh_name = SEC_TARGET * NAME_SIZE,
		.sh_type = SHT_PROGBITS,
		.sh_flags = SHF_ALLOC | SHF_WRITE,
		.sh_addr = (unsigned long)r->target,
		.sh_size = r->target_size,
	};
	r->sechdrs[SEC_SYMTAB] = (Elf_Shdr){
		.sh_type = SHT_SYMTAB,
		.sh_addr = (unsigned long)r->symtab,
		.sh_size = sizeof(r->symtab),
	};
	init_rela(r, SEC_RELA, 0, SYM_ONE);
	init_rela(r, SEC_RELA_2, 1, SYM_TWO);
	for (i = SEC_RELA; i <= SEC_RELA_2; i++)
		snprintf(r->secnames[i], NAME_SIZE, ".klp.rela.%s..data",
			 objname ?: "vmlinux");
	init_sym(r, SYM_ONE, objname ? ".klp.sym.lpt_module.lpt_one,0" :
				       ".klp.sym.vmlinux.lpt_one,0");
	init_sym(r, SYM_TWO, objname ? ".klp.sym.lpt_module.lpt_two,1" :
				       ".klp.sym.vmlinux.lpt_two,1");
	return r;
}

static int apply_for(struct lpt_reloc *r, unsigned int sec, const char *objname)
{
	return klp_apply_section_relocs(&r->mod, r->sechdrs,
					(char *)r->secnames,
					(char *)r->symnames, SEC_SYMTAB, sec,
					objname);
}

/* What the module loader does with a section. */
static int apply(struct lpt_reloc *r, unsigned int sec)
{
	return apply_for(r, sec, NULL);
}

static void expect_fails(struct kunit *test, struct lpt_reloc *r, int err)
{
	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA), err);
	KUNIT_EXPECT_EQ(test, r->target[0], 0);
	KUNIT_EXPECT_EQ(test, r->target[1], 0);
}

static u64 address(int (*func)(int))
{
	unsigned long addr = (unsigned long)func;

	/* Else objtool takes what is added for a jump somewhere else. */
	OPTIMIZER_HIDE_VAR(addr);
	return addr;
}

static void reloc_vmlinux(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);

	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA), 0);
	KUNIT_EXPECT_EQ(test, r->target[0], address(lpt_one) + 4);
	KUNIT_EXPECT_EQ(test, r->target[1], 0);
	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA_2), 0);
	KUNIT_EXPECT_EQ(test, r->target[1], address(lpt_two) + 4);
}

/* What is for a module is not looked at before the module is there. */
static void reloc_other_object(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);

	strscpy(r->secnames[SEC_RELA], ".klp.rela.lpt_module..data", NAME_SIZE);
	strscpy(r->symnames[SYM_ONE], "nonsense", NAME_SIZE);
	expect_fails(test, r, 0);
}

/* A name with one part as long as it may not be, and the longest that it may. */
static void put_long(char *name, const char *prefix, size_t len,
		     const char *suffix)
{
	size_t at = strscpy(name, prefix, NAME_SIZE);

	memset(name + at, 'x', len);
	strscpy(name + at + len, suffix, NAME_SIZE - at - len);
}

static void reloc_section_name(struct kunit *test)
{
	static const char * const bad[] = {
		"", ".rela.vmlinux..data", ".klp.rela", ".klp.rela.",
		".klp.rela..data", ".klp.rela.vmlinux", "klp.rela.vmlinux..data",
	};
	struct lpt_reloc *r = make_reloc(test, NULL);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		strscpy(r->secnames[SEC_RELA], bad[i], NAME_SIZE);
		expect_fails(test, r, -EINVAL);
	}

	put_long(r->secnames[SEC_RELA], ".klp.rela.", MODULE_NAME_LEN, "..data");
	expect_fails(test, r, -EINVAL);
	put_long(r->secnames[SEC_RELA], ".klp.rela.", MODULE_NAME_LEN - 1,
		 "..data");
	expect_fails(test, r, 0);
}

/* It applies to another section than its name says. */
static void reloc_target_name(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);

	strscpy(r->secnames[SEC_TARGET], ".rodata", NAME_SIZE);
	expect_fails(test, r, -EINVAL);
	strscpy(r->secnames[SEC_RELA], ".klp.rela.vmlinux..rodata", NAME_SIZE);
	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA), 0);
}

static int find_nothing(const char *objname, const char *name,
			unsigned long sympos, unsigned long *addr)
{
	return -ENOENT;
}

static void reloc_symbol_name(struct kunit *test)
{
	static const char * const bad[] = {
		"", "lpt_one", ".klp.sym.", ".klp.sym.vmlinux",
		".klp.sym.vmlinux.lpt_one", ".klp.sym.vmlinux.lpt_one,",
		".klp.sym.vmlinux.lpt_one,x", ".klp.sym.vmlinux.lpt_one,-1",
		".klp.sym.vmlinux.lpt_one,0x1", ".klp.sym.vmlinux.lpt_one,1,1",
		".klp.sym.vmlinux.lpt_one,99999999999999999999",
		".klp.sym.vmlinux.,0", ".klp.sym..lpt_one,0",
		".klp.rela.vmlinux.lpt_one,0",
	};
	struct lpt_reloc *r = make_reloc(test, NULL);
	char *name = r->symnames[SYM_ONE];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		strscpy(name, bad[i], NAME_SIZE);
		expect_fails(test, r, -EINVAL);
	}

	put_long(name, ".klp.sym.", MODULE_NAME_LEN, ".lpt_one,0");
	expect_fails(test, r, -EINVAL);
	put_long(name, ".klp.sym.vmlinux.", KSYM_NAME_LEN, ",0");
	expect_fails(test, r, -EINVAL);
	/* This one is of a module, which can go. */
	strscpy(name, ".klp.sym.lpt_module.lpt_one,0", NAME_SIZE);
	expect_fails(test, r, -EINVAL);
	/* These are well-formed, and looked for. */
	kunit_activate_static_stub(test, klp_symbol_find, find_nothing);
	put_long(name, ".klp.sym.vmlinux.", KSYM_NAME_LEN - 1, ",0");
	expect_fails(test, r, -ENOENT);
	r = make_reloc(test, "lpt_module");
	put_long(r->symnames[SYM_ONE], ".klp.sym.", MODULE_NAME_LEN - 1,
		 ".lpt_one,0");
	KUNIT_EXPECT_EQ(test, apply_for(r, SEC_RELA, "lpt_module"), -ENOENT);
	kunit_deactivate_static_stub(test, klp_symbol_find);
}

static void reloc_symbol_not_found(struct kunit *test)
{
	static const char * const bad[] = {
		".klp.sym.vmlinux.lpt_absent,0", ".klp.sym.vmlinux.lpt_one,2",
		".klp.sym.vmlinux.lpt_twice,0", ".klp.sym.vmlinux.lpt_twice,3",
		".klp.sym.lpt_module.lpt_one,0",
	};
	struct lpt_reloc *r = make_reloc(test, NULL);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		strscpy(r->symnames[SYM_ONE], bad[i], NAME_SIZE);
		expect_fails(test, r, -EINVAL);
	}

	strscpy(r->symnames[SYM_ONE], ".klp.sym.vmlinux.lpt_twice,2", NAME_SIZE);
	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA), 0);
}

static void reloc_symbol_unmarked(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);

	r->symtab[SYM_ONE].st_shndx = SHN_UNDEF;
	expect_fails(test, r, -EINVAL);
}

/* Indices and offsets that lead out of the file, or out of the module. */
static void reloc_out_of_bounds(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);
	Elf_Rela good = r->relas[0];

	r->relas[0].r_info = ((u64)NR_SYMS << 32) + R_X86_64_64;
	expect_fails(test, r, -EINVAL);
	r->relas[0].r_info = ((u64)U32_MAX << 32) + R_X86_64_64;
	expect_fails(test, r, -EINVAL);

	r->relas[0] = good;
	r->relas[0].r_offset = r->target_size - sizeof(u64) + 1;
	expect_fails(test, r, -EINVAL);
	r->relas[0].r_offset = r->target_size;
	expect_fails(test, r, -EINVAL);
	r->relas[0].r_offset = -8ULL;
	expect_fails(test, r, -EINVAL);

	r->relas[0] = good;
	r->sechdrs[SEC_TARGET].sh_size = 0;
	expect_fails(test, r, -EINVAL);
	r->sechdrs[SEC_TARGET].sh_size = r->target_size;

	/* As init text that has been freed. */
	r->mod.mem[MOD_DATA].base = NULL;
	expect_fails(test, r, -EINVAL);
	r->mod.mem[MOD_DATA].base = r->target;

	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA), 0);
}

static void reloc_wrong_section(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);

	r->sechdrs[SEC_RELA].sh_type = SHT_PROGBITS;
	expect_fails(test, r, -EINVAL);
	/* Of such a section nobody has checked where its name is. */
	r->sechdrs[SEC_RELA].sh_type = SHT_NULL;
	r->sechdrs[SEC_RELA].sh_name = U32_MAX;
	expect_fails(test, r, -EINVAL);
	r->sechdrs[SEC_RELA].sh_name = SEC_RELA * NAME_SIZE;
	r->sechdrs[SEC_RELA].sh_type = SHT_RELA;
	r->sechdrs[SEC_RELA].sh_flags &= ~(u64)SHF_ALLOC;
	expect_fails(test, r, -EINVAL);
}

/* What the architecture refuses. */
static void reloc_cannot_be_written(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, NULL);

	r->relas[0].r_info = ((u64)SYM_ONE << 32) + R_X86_64_GLOB_DAT;
	expect_fails(test, r, -EINVAL);

	/* The upper half of an address of the kernel is not 0. */
	r->relas[0].r_info = ((u64)SYM_ONE << 32) + R_X86_64_32;
	expect_fails(test, r, -ENOEXEC);

	r->relas[0].r_info = ((u64)SYM_ONE << 32) + R_X86_64_64;
	r->target[0] = 1;
	KUNIT_EXPECT_EQ(test, apply(r, SEC_RELA), -ENOEXEC);
	KUNIT_EXPECT_EQ(test, r->target[0], 1);
}

/* Stands in for a module's symbol table. */
static int find_in_module(const char *objname, const char *name,
			  unsigned long sympos, unsigned long *addr)
{
	struct kunit *test = kunit_get_current_test();

	KUNIT_EXPECT_STREQ(test, objname, "lpt_module");
	if (!strcmp(name, "lpt_one"))
		*addr = address(lpt_one);
	else if (!strcmp(name, "lpt_two"))
		*addr = address(lpt_two);
	else
		return -EINVAL;

	return 0;
}

static int apply_object(struct lpt_reloc *r)
{
	int ret;

	mutex_lock(&klp_mutex);
	ret = klp_reloc_apply(&r->patch, &r->obj);
	mutex_unlock(&klp_mutex);
	return ret;
}

static void clear_object(struct lpt_reloc *r)
{
	mutex_lock(&klp_mutex);
	klp_reloc_clear(&r->patch, &r->obj);
	mutex_unlock(&klp_mutex);
}

static struct lpt_reloc *make_object(struct kunit *test)
{
	struct lpt_reloc *r = make_reloc(test, "lpt_module");

	r->mod.state = MODULE_STATE_LIVE;
	kunit_activate_static_stub(test, klp_symbol_find, find_in_module);
	return r;
}

/* The module comes, goes, and comes back. */
static void reloc_module(struct kunit *test)
{
	struct lpt_reloc *r = make_object(test);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, apply_object(r), 0);
		KUNIT_EXPECT_EQ(test, r->target[0], address(lpt_one) + 4);
		KUNIT_EXPECT_EQ(test, r->target[1], address(lpt_two) + 4);
		/* Another section can have made it another address. */
		r->symtab[SYM_ONE].st_value += 16;
		clear_object(r);
		KUNIT_EXPECT_EQ(test, r->target[0], 0);
		KUNIT_EXPECT_EQ(test, r->target[1], 0);
	}

	/* A section of another object is not for it, and vmlinux has none. */
	strscpy(r->secnames[SEC_RELA], ".klp.rela.lpt_other..data", NAME_SIZE);
	KUNIT_EXPECT_EQ(test, apply_object(r), 0);
	KUNIT_EXPECT_EQ(test, r->target[0], 0);
	clear_object(r);
	KUNIT_EXPECT_EQ(test, r->target[1], 0);
	r->obj.name = NULL;
	KUNIT_EXPECT_EQ(test, apply_object(r), 0);
	KUNIT_EXPECT_EQ(test, r->target[1], 0);
}

static void expect_object_fails(struct kunit *test, struct lpt_reloc *r, int err)
{
	KUNIT_EXPECT_EQ(test, apply_object(r), err);
	KUNIT_EXPECT_EQ(test, r->target[0], 0);
	KUNIT_EXPECT_EQ(test, r->target[1], 0);
}

/* The second section is bad, so what the first has written is taken back. */
static void reloc_module_fails(struct kunit *test)
{
	struct lpt_reloc *r = make_object(test);
	Elf_Shdr good = r->sechdrs[SEC_RELA_2];

	strscpy(r->symnames[SYM_TWO], ".klp.sym.vmlinux.lpt_two,1", NAME_SIZE);
	expect_object_fails(test, r, -EINVAL);
	strscpy(r->symnames[SYM_TWO], ".klp.sym.lpt_module.lpt_absent,1",
		NAME_SIZE);
	expect_object_fails(test, r, -EINVAL);
	strscpy(r->symnames[SYM_TWO], ".klp.sym.lpt_module.lpt_two,1",
		NAME_SIZE);

	r->sechdrs[SEC_RELA_2].sh_info = NR_SECS;
	expect_object_fails(test, r, -EINVAL);
	r->sechdrs[SEC_RELA_2] = good;
	strscpy(r->secnames[SEC_RELA_2], ".klp.rela.", NAME_SIZE);
	expect_object_fails(test, r, -EINVAL);
	strscpy(r->secnames[SEC_RELA_2], ".klp.rela.lpt_module..data",
		NAME_SIZE);

	/* What it writes to is there now, but not for long. */
	r->mod.mem[MOD_INIT_DATA] = r->mod.mem[MOD_DATA];
	r->mod.mem[MOD_DATA] = (struct module_memory){};
	expect_object_fails(test, r, -EINVAL);
	r->mod.mem[MOD_DATA] = r->mod.mem[MOD_INIT_DATA];
	r->mod.mem[MOD_INIT_DATA] = (struct module_memory){};

	KUNIT_EXPECT_EQ(test, apply_object(r), 0);
}

/* It fails in the middle of a section, after its first relocation. */
static void reloc_module_fails_halfway(struct kunit *test)
{
	struct lpt_reloc *r = make_object(test);

	r->sechdrs[SEC_RELA].sh_size = 2 * sizeof(Elf_Rela);
	r->sechdrs[SEC_RELA_2].sh_flags = 0;
	r->target[1] = 1;
	KUNIT_EXPECT_EQ(test, apply_object(r), -ENOEXEC);
	KUNIT_EXPECT_EQ(test, r->target[0], 0);
	KUNIT_EXPECT_EQ(test, r->target[1], 1);

	r->target[1] = 0;
	KUNIT_EXPECT_EQ(test, apply_object(r), 0);
	KUNIT_EXPECT_EQ(test, r->target[1], address(lpt_two) + 4);
}

static struct kunit_case reloc_cases[] = {
	KUNIT_CASE(reloc_vmlinux),
	KUNIT_CASE(reloc_other_object),
	KUNIT_CASE(reloc_section_name),
	KUNIT_CASE(reloc_target_name),
	KUNIT_CASE(reloc_symbol_name),
	KUNIT_CASE(reloc_symbol_not_found),
	KUNIT_CASE(reloc_symbol_unmarked),
	KUNIT_CASE(reloc_out_of_bounds),
	KUNIT_CASE(reloc_wrong_section),
	KUNIT_CASE(reloc_cannot_be_written),
	KUNIT_CASE(reloc_module),
	KUNIT_CASE(reloc_module_fails),
	KUNIT_CASE(reloc_module_fails_halfway),
	{}
};

static struct kunit_suite reloc_suite = {
	.name = "livepatch_reloc",
	.test_cases = reloc_cases,
};

kunit_test_suite(reloc_suite);

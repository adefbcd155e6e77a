/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of live patching to patch modules and to the rest of the kernel.
 *
 * Names and external fields are those of the live patching of Linux, so a patch module
 * for that compiles and loads unchanged. The implementation needs no ftrace: a function
 * is redirected by a jump at its entry, for all tasks at once.
 */
#ifndef _LINUX_LIVEPATCH_H_
#define _LINUX_LIVEPATCH_H_

#include <linux/completion.h>
#include <linux/elf.h>
#include <linux/ftrace.h>	/* not used here, but patch modules may rely on it */
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/livepatch_external.h>
#include <linux/livepatch_sched.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#if IS_ENABLED(CONFIG_LIVEPATCH)

/*
 * Values of /proc/<pid>/patch_state. All tasks are switched at once, so a task reads
 * KLP_TRANSITION_IDLE, with two exceptions. A task that blocks a transition reads the state
 * that the transition leads away from. A thread that exits reads another negative value
 * for a while, see tasks.c.
 */
#define KLP_TRANSITION_IDLE		-1
#define KLP_TRANSITION_UNPATCHED	 0
#define KLP_TRANSITION_PATCHED		 1

struct klp_target;

/**
 * struct klp_func - a function and its replacement
 * @old_name:	name of the function to replace
 * @new_func:	its replacement, with the same signature
 * @old_sympos:	which of several symbols of that name is meant, counted from 1
 *		in the order of kallsyms within the object; 0 if there is one
 * @old_func:	address of the function to replace, while its object is loaded
 * @kobj:	/sys/kernel/livepatch/<patch>/<object>/<function,sympos>
 * @node:	entry in klp_object.func_list
 * @stack_node:	entry in klp_target.func_stack
 * @target:	the record of @old_func, while its object is loaded
 * @old_size:	size of @old_func in bytes, padding included
 * @new_size:	size of @new_func in bytes, padding included
 * @patched:	in effect, see target.c
 * @transition:	@patched changes with the switch that is under way
 */
struct klp_func {
	/* external */
	const char *old_name;
	void *new_func;
	unsigned long old_sympos;

	/* internal */
	void *old_func;
	struct kobject kobj;
	struct list_head node;
	struct list_head stack_node;
	struct klp_target *target;
	unsigned long old_size, new_size;
	bool patched;
	bool transition;
};

/**
 * struct klp_object - vmlinux or a module, and what is patched in it
 * @name:	name of the module, NULL for vmlinux
 * @funcs:	functions to replace, ended by an empty entry
 * @callbacks:	called around a switch of this object
 * @kobj:	/sys/kernel/livepatch/<patch>/<object>
 * @func_list:	the functions of @funcs
 * @node:	entry in klp_patch.obj_list
 * @mod:	the module while it is loaded, NULL for vmlinux
 * @patched:	its functions are on the stacks of their targets
 * @relocated:	the relocations for it are written; it may have been unloaded since
 */
struct klp_object {
	/* external */
	const char *name;
	struct klp_func *funcs;
	struct klp_callbacks callbacks;

	/* internal */
	struct kobject kobj;
	struct list_head func_list;
	struct list_head node;
	struct module *mod;
	bool patched;
	bool relocated;
};

/**
 * struct klp_state - a change that a patch made to the system's state
 * @id:		what was changed, not 0
 * @version:	version of the change
 * @data:	for the patch's own use
 */
struct klp_state {
	unsigned long id;
	unsigned int version;
	void *data;
};

/**
 * struct klp_patch - a set of functions that are switched together
 * @mod:	the patch module
 * @objs:	objects to patch, ended by an empty entry
 * @states:	system states that the patch changes, ended by an empty entry
 * @replace:	replaces all patches that are enabled
 * @list:	entry in the list of accepted patches, oldest first
 * @kobj:	/sys/kernel/livepatch/<patch>
 * @obj_list:	the objects of @objs
 * @enabled:	the patch is enabled, or is to be when its transition is over
 * @forced:	was forced out, so that its module stays loaded for good
 * @waiter:	the task that waits until the patch is freed, or NULL
 * @free_work:	frees the patch, and waits for users of sysfs and of the module's memory
 * @finish:	the last user of @kobj is gone
 */
struct klp_patch {
	/* external */
	struct module *mod;
	struct klp_object *objs;
	struct klp_state *states;
	bool replace;

	/* internal */
	struct list_head list;
	struct kobject kobj;
	struct list_head obj_list;
	bool enabled;
	bool forced;
	struct task_struct *waiter;
	struct work_struct free_work;
	struct completion finish;
};

#define klp_for_each_object_static(patch, obj) \
	for (obj = (patch)->objs; obj->funcs || obj->name; obj++)

#define klp_for_each_object_safe(patch, obj, tmp_obj) \
	list_for_each_entry_safe(obj, tmp_obj, &(patch)->obj_list, node)

#define klp_for_each_object(patch, obj) \
	list_for_each_entry(obj, &(patch)->obj_list, node)

#define klp_for_each_func_static(obj, func) \
	for (func = (obj)->funcs; \
	     func->old_name || func->new_func || func->old_sympos; \
	     func++)

#define klp_for_each_func_safe(obj, func, tmp_func) \
	list_for_each_entry_safe(func, tmp_func, &(obj)->func_list, node)

#define klp_for_each_func(obj, func) \
	list_for_each_entry(func, &(obj)->func_list, node)

int klp_enable_patch(struct klp_patch *patch);
void *klp_find_section_by_name(const struct module *mod, const char *name,
			       size_t *sec_size);

/* For the module loader. */
int klp_module_coming(struct module *mod);
void klp_module_going(struct module *mod);
int klp_apply_section_relocs(struct module *pmod, Elf_Shdr *sechdrs,
			     const char *shstrtab, const char *strtab,
			     unsigned int symindex, unsigned int secindex,
			     const char *objname);

static inline bool klp_have_reliable_stack(void)
{
	return IS_ENABLED(CONFIG_STACKTRACE) &&
	       IS_ENABLED(CONFIG_HAVE_RELIABLE_STACKTRACE);
}

typedef int (*klp_shadow_ctor_t)(void *obj, void *shadow_data, void *ctor_data);
typedef void (*klp_shadow_dtor_t)(void *obj, void *shadow_data);

void *klp_shadow_get(void *obj, unsigned long id);
void *klp_shadow_alloc(void *obj, unsigned long id, size_t size,
		       gfp_t gfp_flags, klp_shadow_ctor_t ctor,
		       void *ctor_data);
void *klp_shadow_get_or_alloc(void *obj, unsigned long id, size_t size,
			      gfp_t gfp_flags, klp_shadow_ctor_t ctor,
			      void *ctor_data);
void klp_shadow_free(void *obj, unsigned long id, klp_shadow_dtor_t dtor);
void klp_shadow_free_all(unsigned long id, klp_shadow_dtor_t dtor);

struct klp_state *klp_get_state(struct klp_patch *patch, unsigned long id);
struct klp_state *klp_get_prev_state(unsigned long id);

#else /* !CONFIG_LIVEPATCH */

static inline int klp_module_coming(struct module *mod)
{
	return 0;
}

static inline void klp_module_going(struct module *mod) {}

static inline
int klp_apply_section_relocs(struct module *pmod, Elf_Shdr *sechdrs,
			     const char *shstrtab, const char *strtab,
			     unsigned int symindex, unsigned int secindex,
			     const char *objname)
{
	return 0;
}

#endif /* CONFIG_LIVEPATCH */

/*
 * The hooks that other kernels use for a per-task transition. Here they hold threads at the
 * edge of user space, see kernel/livepatch/hold.c. Idle threads are never held, so
 * klp_patch_pending(), which the idle loop calls, is always false.
 */
#ifdef CONFIG_LIVEPATCH
void klp_copy_process(struct task_struct *child);
void klp_update_patch_state(struct task_struct *task);
#else
static inline void klp_copy_process(struct task_struct *child) {}
static inline void klp_update_patch_state(struct task_struct *task) {}
#endif

static inline bool klp_patch_pending(struct task_struct *task)
{
	return false;
}

#endif /* _LINUX_LIVEPATCH_H_ */

// SPDX-License-Identifier: GPL-2.0
/*
 * Patches that must be refused; the parameter says which, and for how=function
 * another one which function of vmlinux.
 */

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static char *how = "";
module_param(how, charp, 0444);

static char *function = "";
module_param(function, charp, 0444);

static noinline int lpt_bad_new(void)
{
	return 1;
}

#define GOOD { .old_name = "lpt_target_read", .new_func = lpt_bad_new }
#define NAMED(n) { .old_name = (n), .new_func = lpt_bad_new }
#define LONG "0123456789012345678901234567890123456789012345678901234567890123"

/**
 * struct bad - one bad patch
 * @how:	what is bad
 * @objs:	its objects
 * @funcs:	the functions of its first object, and behind them of its second
 */
struct bad {
	const char *how;
	struct klp_object objs[3];
	struct klp_func funcs[4];
};

static struct bad bads[] = {
	{ "no_functions", { { .name = "lpt_target" } } },
	{ "no_name", { { .name = "lpt_target" } }, { { .new_func = lpt_bad_new } } },
	{ "empty_name", { { .name = "lpt_target" } }, { NAMED("") } },
	{ "no_replacement", { { .name = "lpt_target" } },
	  { { .old_name = "lpt_target_read" } } },
	{ "duplicate_function", { { .name = "lpt_target" } }, { GOOD, GOOD } },
	{ "duplicate_object",
	  { { .name = "lpt_target" }, { .name = "lpt_target" } },
	  { GOOD, {}, GOOD } },
	{ "shared_functions",
	  { { .name = "lpt_target" }, { .name = "lpt_other" } }, { GOOD } },
	{ "long_object", { { .name = LONG } }, { GOOD } },
	{ "empty_object", { { .name = "" } }, { GOOD } },
	{ "vmlinux_object", { { .name = "vmlinux" } }, { GOOD } },
	{ "absent_function", { { .name = "lpt_target" } },
	  { NAMED("lpt_target_absent") } },
	{ "wrong_object", { {} }, { GOOD } },
	{ "wrong_position", { { .name = "lpt_target" } },
	  { { .old_name = "lpt_target_read", .new_func = lpt_bad_new,
	      .old_sympos = 2 } } },
	/* These are good, but the module is not. */
	{ "init_fails", { { .name = "lpt_target" } }, { GOOD } },
	{ "init_disables", { { .name = "lpt_target" } }, { GOOD } },
	{ "data", { { .name = "lpt_target" } }, { NAMED("at_init") } },
	{ "function", { {} }, { NAMED("") } },
	{ "own_replacement", { {} },
	  { { .old_name = "sysfs_streq", .new_func = sysfs_streq } } },
	{ "data_replacement", { { .name = "lpt_target" } },
	  { { .old_name = "lpt_target_read", .new_func = bads } } },
	{ "init_replacement", { { .name = "lpt_target" } }, { GOOD } },
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
};

/* As somebody in user space could meanwhile. */
static int disable_patch(void)
{
	const char *path = "/sys/kernel/livepatch/lpt_bad/enabled";
	struct file *file = filp_open(path, O_WRONLY, 0);
	ssize_t ret;

	if (IS_ERR(file))
		return PTR_ERR(file);

	ret = kernel_write(file, "0", 1, NULL);
	filp_close(file, NULL);
	return ret < 0 ? ret : 0;
}

static int __init lpt_bad_init(void)
{
	unsigned int i, j;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bads); i++) {
		struct bad *bad = &bads[i];

		if (strcmp(bad->how, how))
			continue;

		patch.objs = bad->objs;
		/* For vmlinux nothing but the functions says that it is there. */
		for (j = 0; j < 2 && (!j || bad->objs[j].name); j++) {
			if (!strcmp(how, "shared_functions"))
				bad->objs[j].funcs = bad->funcs;
			else if (strcmp(how, "no_functions"))
				bad->objs[j].funcs = &bad->funcs[2 * j];
		}
		if (!strcmp(how, "function"))
			bad->funcs[0].old_name = function;
		if (!strcmp(how, "init_replacement"))
			bad->funcs[0].new_func = lpt_bad_init;
		ret = klp_enable_patch(&patch);
		if (!ret && !strcmp(how, "init_disables"))
			ret = disable_patch();
		return ret ?: -EIO;
	}

	return -ENOENT;
}
module_init(lpt_bad_init);

static void __exit lpt_bad_exit(void)
{
}
module_exit(lpt_bad_exit);

MODULE_DESCRIPTION("Patches that must be refused");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

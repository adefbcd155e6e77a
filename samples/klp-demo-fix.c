// SPDX-License-Identifier: GPL-2.0
/*
 * The fix for klp-demo-driver: a request that goes beyond the name of the
 * record, into what is not for user space, is an error.
 */

#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/uaccess.h>

struct klp_demo_record {
	char name[16];
	char key[16];
};

static ssize_t klp_demo_show_fixed(const struct klp_demo_record *rec,
				   char __user *buf, size_t len)
{
	if (len > sizeof(rec->name))
		return -EINVAL;
	if (copy_to_user(buf, rec->name, len))
		return -EFAULT;

	return len;
}

static struct klp_func funcs[] = {
	{
		.old_name = "klp_demo_show",
		.new_func = klp_demo_show_fixed,
	}, { }
};

static struct klp_object objs[] = {
	{
		.name = "klp_demo_driver",
		.funcs = funcs,
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init klp_demo_fix_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit klp_demo_fix_exit(void)
{
}

module_init(klp_demo_fix_init);
module_exit(klp_demo_fix_exit);
MODULE_DESCRIPTION("The fix for klp-demo-driver");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

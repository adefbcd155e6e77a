// SPDX-License-Identifier: GPL-2.0
/*
 * A driver with a hole, to be fixed while it runs.
 *
 *   /proc/klp_demo/record	as many bytes of a record as were asked for by
 *				writing a number to it; nobody checks how many
 *   /proc/klp_demo/event	reading it waits until it is written to
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>

struct klp_demo_record {
	char name[16];
	char key[16];
};

static struct klp_demo_record record = {
	.name	= "sensor 0\n",
	.key	= "*SECRET*\n",
};

static unsigned int wanted = sizeof_field(struct klp_demo_record, name);
static DECLARE_COMPLETION(event);
static struct proc_dir_entry *dir;

/* Shown to user space: @len bytes of the record, though only the name is meant. */
static noinline ssize_t klp_demo_show(const struct klp_demo_record *rec,
				      char __user *buf, size_t len)
{
	len = min(len, sizeof(*rec));
	if (copy_to_user(buf, rec, len))
		return -EFAULT;

	return len;
}

static ssize_t record_read(struct file *file, char __user *buf, size_t count,
			   loff_t *pos)
{
	ssize_t ret;

	if (*pos)
		return 0;

	ret = klp_demo_show(pde_data(file_inode(file)), buf,
			    min_t(size_t, count, wanted));
	if (ret > 0)
		*pos += ret;
	return ret;
}

static ssize_t record_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	int ret = kstrtouint_from_user(buf, count, 0, &wanted);

	return ret ?: count;
}

static noinline int klp_demo_wait(void)
{
	int ret = wait_for_completion_interruptible(&event);

	if (!ret)
		pr_info("an event\n");
	return ret;
}

static ssize_t event_read(struct file *file, char __user *buf, size_t count,
			  loff_t *pos)
{
	return klp_demo_wait();
}

static ssize_t event_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos)
{
	complete(&event);
	return count;
}

static const struct proc_ops record_ops = {
	.proc_read	= record_read,
	.proc_write	= record_write,
};

static const struct proc_ops event_ops = {
	.proc_read	= event_read,
	.proc_write	= event_write,
};

static int __init klp_demo_init(void)
{
	dir = proc_mkdir("klp_demo", NULL);
	if (!dir || !proc_create_data("record", 0644, dir, &record_ops, &record) ||
	    !proc_create("event", 0644, dir, &event_ops)) {
		proc_remove(dir);
		return -ENOMEM;
	}

	return 0;
}

static void __exit klp_demo_exit(void)
{
	proc_remove(dir);
}

module_init(klp_demo_init);
module_exit(klp_demo_exit);
MODULE_DESCRIPTION("A driver with a hole, for the demo of live patching");
MODULE_LICENSE("GPL");

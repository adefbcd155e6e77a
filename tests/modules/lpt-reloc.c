// SPDX-License-Identifier: GPL-2.0
/*
 * A patch that calls functions which are not exported: one of vmlinux, and one
 * of the module that it patches. klp-relocs makes livepatch relocations for these
 * undefined symbols.
 */

#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include "lpt-target.h"

/* The first adds 42. The second is core_kernel_text(), so it returns 1. */
static int lpt_reloc_read(void)
{
	return lpt_secret_of_target(1) +
	       1000 * lpt_secret_of_vmlinux((unsigned long)_printk);
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpt_target_read",
		.new_func = lpt_reloc_read,
	},
	{ }
};

#include "lpt-frame.h"

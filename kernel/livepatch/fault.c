// SPDX-License-Identifier: GPL-2.0
/*
 * Failures on demand, where it is not memory that can be short:
 * /sys/kernel/debug/fail_livepatch, and /proc/<pid>/fail-nth.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include "fault.h"

static DECLARE_FAULT_ATTR(klp_fault_attr);

/**
 * klp_fault() - is something to fail?
 * @err:	the error that it can fail with
 *
 * Context: Process context, not while the machine is stopped: it may log.
 * Return: @err if it is to fail, else 0.
 */
int klp_fault(int err)
{
	return should_fail(&klp_fault_attr, 1) ? err : 0;
}

static int __init klp_fault_init(void)
{
	return PTR_ERR_OR_ZERO(fault_create_debugfs_attr("fail_livepatch", NULL,
							 &klp_fault_attr));
}
late_initcall(klp_fault_init);

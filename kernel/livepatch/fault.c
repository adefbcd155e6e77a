// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection for steps that do not allocate memory: by
 * /sys/kernel/debug/fail_livepatch, and by /proc/<pid>/fail-nth.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include "fault.h"

static DECLARE_FAULT_ATTR(klp_fault_attr);

/**
 * klp_fault() - inject a fault
 * @err:	the error
 *
 * Context: Process context, not while the CPUs are stopped, as it may log.
 * Return: @err if the caller has to fail, else 0.
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

// SPDX-License-Identifier: GPL-2.0
/* When this has been loaded, all that was given to RCU to be freed is freed. */

#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

static int __init lpt_settle_init(void)
{
	kvfree_rcu_barrier();
	rcu_barrier();
	return 0;
}
module_init(lpt_settle_init);

static void __exit lpt_settle_exit(void)
{
}
module_exit(lpt_settle_exit);

MODULE_DESCRIPTION("Wait for what RCU has to free");
MODULE_LICENSE("GPL");

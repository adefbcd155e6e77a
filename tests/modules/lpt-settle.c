// SPDX-License-Identifier: GPL-2.0
/* When this is loaded, all memory that RCU had to free has been freed. */

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

static int __init lpt_settle_init(void)
{
	struct kmem_cache *cache;

	/*
	 * Before a cache goes the kernel waits for what kvfree_rcu() has to free. Not
	 * in all kernels may modules ask for that by itself.
	 */
	cache = kmem_cache_create("lpt_settle", sizeof(long), 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	kmem_cache_destroy(cache);

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

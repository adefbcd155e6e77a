// SPDX-License-Identifier: GPL-2.0
/* A module without which lpt-keys cannot be loaded; see lpt-own.h. */

#include <linux/module.h>

#define LPT_PREFIX	lpt_base_
#include "lpt-own.h"

EXPORT_STATIC_CALL_GPL(lpt_base_call);
DECLARE_STATIC_KEY_FALSE(lpt_base_key);
EXPORT_SYMBOL_GPL(lpt_base_key);

MODULE_DESCRIPTION("A module that a patch needs");
MODULE_LICENSE("GPL");

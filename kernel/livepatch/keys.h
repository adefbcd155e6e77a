/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_KEYS_H
#define _LIVEPATCH_KEYS_H

#include <linux/types.h>

struct module;

bool klp_key_fits(const char *section, const char *name, unsigned long addr,
		  long addend);

int __must_check klp_keys_check(struct module *mod);

#endif /* _LIVEPATCH_KEYS_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_RELOC_H
#define _LIVEPATCH_RELOC_H

#include <linux/livepatch.h>

int __must_check klp_reloc_apply(struct klp_patch *patch,
				 struct klp_object *obj);
void klp_reloc_clear(struct klp_patch *patch, struct klp_object *obj);

#endif /* _LIVEPATCH_RELOC_H */

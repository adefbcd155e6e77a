/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_SITE_H
#define _LIVEPATCH_SITE_H

#include <linux/types.h>
#include <asm/livepatch.h>

struct klp_ranges;

const char *klp_site_labels(struct klp_site *site);
const char *klp_site_shared(const struct klp_site *site, const void *func);
bool klp_site_reentered(const struct klp_site *site,
			const struct klp_ranges *text);

#endif /* _LIVEPATCH_SITE_H */

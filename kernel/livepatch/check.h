/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_CHECK_H
#define _LIVEPATCH_CHECK_H

#include <linux/livepatch.h>

int __must_check klp_check_patch(const struct klp_patch *patch);

#endif /* _LIVEPATCH_CHECK_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_FAULT_H
#define _LIVEPATCH_FAULT_H

#ifdef CONFIG_LIVEPATCH_FAULT_INJECTION
int klp_fault(int err);
#else
static inline int klp_fault(int err)
{
	return 0;
}
#endif

#endif /* _LIVEPATCH_FAULT_H */

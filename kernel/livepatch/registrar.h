/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_REGISTRAR_H
#define _LIVEPATCH_REGISTRAR_H

#include <linux/types.h>

struct task_struct;

#ifdef CONFIG_KPROBES
void klp_registrar_asks(void);
void klp_registrars_begin(void);
bool klp_registrar_pending(const struct task_struct *task);
void klp_registrars_settled(void);
#else
static inline void klp_registrars_begin(void) {}
static inline bool klp_registrar_pending(const struct task_struct *task)
{
	return false;
}

static inline void klp_registrars_settled(void) {}
#endif

#endif /* _LIVEPATCH_REGISTRAR_H */

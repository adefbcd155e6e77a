/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The scheduler's hooks of a per-task transition, of which there is none.
 *
 * They are macros because kernels differ in the arguments that they pass.
 */
#ifndef _LINUX_LIVEPATCH_SCHED_H_
#define _LINUX_LIVEPATCH_SCHED_H_

#define klp_sched_try_switch(...)	do { } while (0)
#define __klp_sched_try_switch(...)	do { } while (0)

#endif /* _LINUX_LIVEPATCH_SCHED_H_ */

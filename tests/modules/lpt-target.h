/* SPDX-License-Identifier: GPL-2.0 */
/* Fifty functions, and macros that number them. */
#ifndef _LPT_TARGET_H
#define _LPT_TARGET_H

#include <linux/jump_label.h>

#define LPT_TEN(do, ten)					\
	do(ten##0) do(ten##1) do(ten##2) do(ten##3) do(ten##4)	\
	do(ten##5) do(ten##6) do(ten##7) do(ten##8) do(ten##9)

/* Not as tens, as 08 is no number in C. */
#define LPT_0_TO_9(do)						\
	do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9)
#define LPT_10_TO_19(do)	LPT_TEN(do, 1)
#define LPT_20_TO_29(do)	LPT_TEN(do, 2)
#define LPT_30_TO_39(do)	LPT_TEN(do, 3)
#define LPT_40_TO_49(do)	LPT_TEN(do, 4)

#define LPT_ALL(do)						\
	LPT_0_TO_9(do) LPT_10_TO_19(do) LPT_20_TO_29(do)	\
	LPT_30_TO_39(do) LPT_40_TO_49(do)

#define LPT_NR	50

/* What lpt-reloc calls, and nobody exports. */
int lpt_secret_of_target(int x);
int lpt_secret_of_vmlinux(unsigned long addr);

/* What lpt-sibling calls. */
int lpt_target_wait(char *buffer, const char *text);
int lpt_target_spin(char *buffer, const char *text);

/* What lpt-keys uses: of the KUnit tests, and a trampoline. */
extern struct static_key_false lpt_keys[2];
int lpt_two(int x);
int lpt_call_of_target(int x);

#endif /* _LPT_TARGET_H */

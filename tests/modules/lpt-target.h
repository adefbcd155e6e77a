/* SPDX-License-Identifier: GPL-2.0 */
/* Fifty functions, and what numbers them. */
#ifndef _LPT_TARGET_H
#define _LPT_TARGET_H

#define LPT_TEN(do, tens)						\
	do(tens##0) do(tens##1) do(tens##2) do(tens##3) do(tens##4)	\
	do(tens##5) do(tens##6) do(tens##7) do(tens##8) do(tens##9)

/* Tens as they are written, so that 0 is none: 08 is no number in C. */
#define LPT_0_TO_9(do)		LPT_TEN(do, )
#define LPT_10_TO_19(do)	LPT_TEN(do, 1)
#define LPT_20_TO_29(do)	LPT_TEN(do, 2)
#define LPT_30_TO_39(do)	LPT_TEN(do, 3)
#define LPT_40_TO_49(do)	LPT_TEN(do, 4)

#define LPT_ALL(do)							\
	LPT_0_TO_9(do) LPT_10_TO_19(do) LPT_20_TO_29(do)		\
	LPT_30_TO_39(do) LPT_40_TO_49(do)

#define LPT_NR	50

#endif /* _LPT_TARGET_H */

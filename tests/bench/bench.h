/* SPDX-License-Identifier: GPL-2.0 */
/* A thousand functions. */
#ifndef _BENCH_H
#define _BENCH_H

#define BENCH_NR	1000

#define BENCH_10(do, p)							\
	do(p##0) do(p##1) do(p##2) do(p##3) do(p##4)			\
	do(p##5) do(p##6) do(p##7) do(p##8) do(p##9)
#define BENCH_100(do, p)						\
	BENCH_10(do, p##0) BENCH_10(do, p##1) BENCH_10(do, p##2)	\
	BENCH_10(do, p##3) BENCH_10(do, p##4) BENCH_10(do, p##5)	\
	BENCH_10(do, p##6) BENCH_10(do, p##7) BENCH_10(do, p##8)	\
	BENCH_10(do, p##9)

/* do(000) do(001) ... do(999) */
#define BENCH_ALL(do)							\
	BENCH_100(do, 0) BENCH_100(do, 1) BENCH_100(do, 2)		\
	BENCH_100(do, 3) BENCH_100(do, 4) BENCH_100(do, 5)		\
	BENCH_100(do, 6) BENCH_100(do, 7) BENCH_100(do, 8)		\
	BENCH_100(do, 9)

/*
 * The same in all versions: a few instructions, as a short function has them, and
 * nothing that the compiler could see through, as it would drop the calls.
 */
#define BENCH_BODY(x)							\
do {									\
	(x) = 33 * (x) + 7;						\
	(x) ^= (x) << 13;						\
	(x) ^= (x) >> 17;						\
	asm volatile("" : "+r" (x));					\
} while (0)

#endif /* _BENCH_H */

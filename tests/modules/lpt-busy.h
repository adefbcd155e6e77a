/* SPDX-License-Identifier: GPL-2.0 */
/* The work of a function that tasks are in nearly all the time. */
#ifndef _LPT_BUSY_H
#define _LPT_BUSY_H

#include <linux/compiler.h>
#include <linux/sizes.h>
#include <linux/types.h>

#define LPT_BUSY_SIZE	SZ_64K

/*
 * Add up 64 KiB, of which each byte is its own index. Return the version, or '?' if the
 * sum is not what it must be.
 */
static __always_inline char lpt_busy_go(const u8 *bytes, char version)
{
	unsigned int sum = 0;
	size_t i;

	for (i = 0; i < LPT_BUSY_SIZE; i++) {
		sum += bytes[i];
		/* One byte at a time: the compiler must not make a short loop of it. */
		OPTIMIZER_HIDE_VAR(sum);
	}

	return sum == LPT_BUSY_SIZE / 256 * (255 * 256 / 2) ? version : '?';
}

#endif /* _LPT_BUSY_H */

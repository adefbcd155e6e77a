/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arrays that have room for one more.
 */
#ifndef _LIVEPATCH_GROW_H
#define _LIVEPATCH_GROW_H

#include <linux/overflow.h>
#include <linux/slab.h>

/**
 * klp_grow() - make room for one more element in an array
 * @array:	the array, NULL if there is none yet
 * @nr:		how many elements there are
 * @max:	how many there is room for; may change
 * @size:	the size of one, in bytes
 *
 * Context: Process context, may sleep.
 * Return: the array, which may be elsewhere now, or NULL if there is no memory; then
 *	   it is as it was.
 */
static inline void * __must_check klp_grow(void *array, unsigned int nr,
					   unsigned int *max, size_t size)
{
	unsigned int more = *max ? 2 * *max : 16;

	if (nr < *max)
		return array;

	array = kvrealloc(array, array_size(more, size), GFP_KERNEL);
	if (array)
		*max = more;

	return array;
}

#endif /* _LIVEPATCH_GROW_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_LADDER_H
#define _LIVEPATCH_LADDER_H

#include "hold.h"

/* The first attempts, in which no task is disturbed. */
#define KLP_PLAIN_RUNGS		5

/**
 * struct klp_rung - an attempt at a switch
 * @hold:	which threads are held meanwhile
 * @ms:		how long it may take, in milliseconds
 * @pause_ms:	how long to wait before the next attempt, in milliseconds
 */
struct klp_rung {
	enum klp_hold hold;
	unsigned int ms;
	unsigned int pause_ms;
};

unsigned int klp_ladder_length(void);
void klp_ladder_rung(unsigned int nr, struct klp_rung *rung);

#endif /* _LIVEPATCH_LADDER_H */

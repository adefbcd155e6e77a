// SPDX-License-Identifier: GPL-2.0
/*
 * Define the ladder: the sequence of attempts at a switch. A transition uses all of it. The
 * switch for a module that is loaded or unloaded makes plain attempts only.
 *
 *   plain        5 attempts with short pauses. No task is disturbed. A task that only
 *                passes through a function leaves it in the meantime
 *   bursts       10 attempts during which threads are held: first those that were seen
 *                inside, then all that are not real-time, then all
 *   background   with livepatch.wait=1 only: an attempt a second, each 16th with a burst,
 *                until one succeeds, or the transition is reversed
 *
 * If livepatch.hold_ms is 0, 20 plain attempts take the place of the first two stages. The
 * pause after a burst is at least as long as the burst.
 */

#include <kunit/static_stub.h>
#include <linux/minmax.h>
#include "hold.h"
#include "ladder.h"

/* For how long a plain attempt waits for the tasks that are inside to leave. */
#define KLP_PLAIN_MS		2

#define KLP_MAX_PLAIN_PAUSE_MS	100
#define KLP_PLAIN_ONLY_RUNGS	20

#define KLP_SEEN_BURSTS		3
#define KLP_FAIR_BURSTS		3
#define KLP_ALL_BURSTS		4
#define KLP_BURSTS		(KLP_SEEN_BURSTS + KLP_FAIR_BURSTS + KLP_ALL_BURSTS)

#define KLP_BACKGROUND_PAUSE_MS	1000
#define KLP_BACKGROUND_BURST	16

/**
 * klp_ladder_length() - how many attempts does a caller wait for?
 *
 * Context: Any.
 * Return: their number. The attempts after these are made in the background.
 */
unsigned int klp_ladder_length(void)
{
	KUNIT_STATIC_STUB_REDIRECT(klp_ladder_length);

	return klp_hold_max_ms() ? KLP_PLAIN_RUNGS + KLP_BURSTS :
				   KLP_PLAIN_ONLY_RUNGS;
}

static void klp_plain_rung(struct klp_rung *rung, unsigned int pause_ms)
{
	*rung = (struct klp_rung){
		.hold		= KLP_HOLD_NONE,
		.ms		= KLP_PLAIN_MS,
		.pause_ms	= pause_ms,
	};
}

static void klp_burst_rung(struct klp_rung *rung, enum klp_hold hold,
			   unsigned int ms)
{
	*rung = (struct klp_rung){ .hold = hold, .ms = ms, .pause_ms = ms };
}

static enum klp_hold klp_burst_hold(unsigned int burst)
{
	if (burst < KLP_SEEN_BURSTS)
		return KLP_HOLD_SEEN;

	return burst < KLP_SEEN_BURSTS + KLP_FAIR_BURSTS ? KLP_HOLD_FAIR :
							   KLP_HOLD_ALL;
}

/* In the background no thread is held that is real-time and not seen inside. */
static void klp_background_rung(unsigned int nr, struct klp_rung *rung,
				unsigned int hold_ms)
{
	if (hold_ms && nr % KLP_BACKGROUND_BURST == KLP_BACKGROUND_BURST - 1)
		klp_burst_rung(rung, KLP_HOLD_FAIR, hold_ms);
	else
		klp_plain_rung(rung, 0);
	rung->pause_ms = KLP_BACKGROUND_PAUSE_MS;
}

/**
 * klp_ladder_rung() - what is the next attempt?
 * @nr:		how many attempts there were
 * @rung:	filled in
 *
 * Context: Any.
 */
void klp_ladder_rung(unsigned int nr, struct klp_rung *rung)
{
	unsigned int hold_ms = klp_hold_max_ms(), length = klp_ladder_length();

	if (nr >= length)
		klp_background_rung(nr - length, rung, hold_ms);
	else if (hold_ms && nr >= KLP_PLAIN_RUNGS)
		klp_burst_rung(rung, klp_burst_hold(nr - KLP_PLAIN_RUNGS), hold_ms);
	else
		klp_plain_rung(rung, min(1U << nr, KLP_MAX_PLAIN_PAUSE_MS));
}

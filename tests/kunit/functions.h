/* SPDX-License-Identifier: GPL-2.0 */
/* Functions that the tests patch, and their replacements. */
#ifndef _LIVEPATCH_TESTS_FUNCTIONS_H
#define _LIVEPATCH_TESTS_FUNCTIONS_H

#include <linux/completion.h>
#include <linux/jump_label.h>
#include <linux/static_call.h>

/* A place to sleep in. */
struct lpt_park {
	struct completion parked;
	struct completion leave;
};

void lpt_park(struct lpt_park *park);

#define LPT_OLD		1
#define LPT_NEW		2
#define LPT_NEWER	3

int lpt_one(int x);
int lpt_one_new(int x);
int lpt_one_newer(int x);
long lpt_leaf_caller(int x, long b, long c, long d, long e, long f);
int lpt_leaf_new(int x);
int lpt_two(int x);
int lpt_two_new(int x);
int lpt_busy(int x);
int lpt_busy_new(int x);

int lpt_sleeper(struct lpt_park *park);
int lpt_sleeper_new(struct lpt_park *park);

int lpt_jump_label(void);
int lpt_late_label(void);
int lpt_edge_label(void);
int lpt_last_label(void);
int lpt_likely_label(void);
int lpt_two_labels(void);
int lpt_label_new(void);
int lpt_static_call(int x);
int lpt_late_call(int x);
extern unsigned int lpt_nr_returned;
int lpt_calls(int x);
int lpt_calls_two(int x);
int lpt_calls_noinstr(int x);

extern struct static_key_false lpt_keys[2];
DECLARE_STATIC_CALL(lpt_call, lpt_one);
DECLARE_STATIC_CALL(lpt_call_two, lpt_two);

/* In entries.S. */
int lpt_has_cold(struct lpt_park *park);
int lpt_has_cluster(struct lpt_park *park);
int lpt_has_part(struct lpt_park *park);
int lpt_has_part_caller(struct lpt_park *park);
int lpt_unreliable(struct lpt_park *park);
int lpt_loops(struct lpt_park *park);
int lpt_hides(void *x);
extern u8 * const lpt_hidden;
int lpt_shifts(void *x);
int lpt_calls_early_caller(struct lpt_park *park);
void lpt_short(void);
void lpt_plain(void);
void lpt_with_endbr(void);

extern int lpt_data;

#endif /* _LIVEPATCH_TESTS_FUNCTIONS_H */

// SPDX-License-Identifier: GPL-2.0
/* The first of three patches that overlap. */

#define LPT_FUNCTIONS(do)	LPT_0_TO_9(do) LPT_10_TO_19(do) LPT_20_TO_29(do)
#define LPT_VERSION		'1'
#define LPT_REPLACE		false

#include "lpt-patch.h"

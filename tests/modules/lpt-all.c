// SPDX-License-Identifier: GPL-2.0
/* A patch that replaces the three others, and drops functions of each. */

#define LPT_FUNCTIONS(do)	LPT_0_TO_9(do) LPT_20_TO_29(do)
#define LPT_VERSION		'4'
#define LPT_REPLACE		true

#include "lpt-patch.h"

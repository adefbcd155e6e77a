// SPDX-License-Identifier: GPL-2.0
/* The third of three patches that overlap. */

#define LPT_FUNCTIONS(do)	LPT_10_TO_19(do) LPT_20_TO_29(do) LPT_30_TO_39(do)
#define LPT_VERSION		'3'
#define LPT_REPLACE		false

#include "lpt-patch.h"

// SPDX-License-Identifier: GPL-2.0
/* The second of three patches that overlap. */

#define LPT_FUNCTIONS(do)	LPT_20_TO_29(do) LPT_30_TO_39(do) LPT_40_TO_49(do)
#define LPT_VERSION		'2'
#define LPT_REPLACE		false

#include "lpt-patch.h"

// SPDX-License-Identifier: GPL-2.0
/* A second patch, to be stacked on the first. */
#include "bench_patch.c"

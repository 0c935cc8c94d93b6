// How many output channels are computed together.

#pragma once

#include "vectors.h"

#if defined(__AVX512F__) || defined(__aarch64__)
#define TILES(f) f(4) f(8) f(10) f(12) f(13) f(14)  // 32 registers: 14 x 2 sums, 2 vectors, 1 weight
#else
#define TILES(f) f(3) f(4) f(5) f(6)  // 16 registers
#endif

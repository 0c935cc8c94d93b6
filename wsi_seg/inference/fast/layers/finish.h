// What follows a sum while it is in registers.

#pragma once

#include "steps.h"
#include "vectors.h"

// Normalise and activate a vector of sums, twice if there are two places to write to.
static inline void finish(Vec sum, const Layer& k, int64_t c, int64_t x, int64_t count, const Line& plus,
                          const Line& out, const Line& out2) {
    const int64_t all = k.branches * k.outputs;
    const float* f = k.finish + c;
    if (plus.start) {
        const float* p = plus.start + c * plus.plane + x;
        sum += load(p);
        fetch<1>(p + 2 * LANES, 1);
    }
    const Vec v = prelu(fused(sum, all_lanes(f[0]), all_lanes(f[all])), f[2 * all]);
    if (out.start) {
        float* p = out.start + c * out.plane + x;
        store(p, v, count);
        if (!plus.start) fetch<1>(p + 2 * LANES, 1);
    }
    if (!out2.start) return;
    float* p = out2.start + c * out2.plane + x;
    store(p, prelu(fused(v, all_lanes(f[3 * all]), all_lanes(f[4 * all])), f[5 * all]), count);
    fetch<1>(p + 2 * LANES, 1);
}

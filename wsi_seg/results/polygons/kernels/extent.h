// How far points reach, so that a bitmap has a bit for each place that one can have.

#pragma once

#include <algorithm>
#include <cstdint>

struct Extent {
    int32_t width = 0, height = 0, least = 0;

    Extent(const int32_t *xy, int64_t points) {
        for (int64_t i = 0; i < points; i++) {
            const int32_t x = xy[2 * i], y = xy[2 * i + 1];
            width = std::max(width, x), height = std::max(height, y), least = std::min(least, std::min(x, y));
        }
    }

    // Whether no point lies beyond the first row or column, and there are no more places than `MOST_PIXELS`.
    bool fits() const { return least >= 0 && (width + (int64_t)1) * (height + (int64_t)1) <= (int64_t)1 << 30; }
};

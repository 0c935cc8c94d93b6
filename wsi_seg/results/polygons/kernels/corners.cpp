// Corners of polygons that touch: what corners.py does with them, number for number.
//
// Points are those of closed rings, the last of each being its first again; `kept` tells of each point whether it
// stays, and of a last one nothing.

#include <algorithm>
#include <memory>
#include <new>

#include "extent.h"
#include "found.h"

// The area and the number of the corners of each polygon that are kept; all of them, without `kept`.
extern "C" void wsi_seg_areas(const int32_t *xy, const int64_t *ring_offsets, const int64_t *polygon_offsets,
                              int64_t polygons, const uint8_t *kept, double *areas, int64_t *counts) {
    for (int64_t polygon = 0; polygon < polygons; polygon++) {
        int64_t twice = 0, count = 0;
        for (int64_t ring = polygon_offsets[polygon]; ring < polygon_offsets[polygon + 1]; ring++) {
            const int64_t end = ring_offsets[ring + 1] - 1;
            int64_t first = ring_offsets[ring], enclosed = 0;
            while (kept && first < end && !kept[first]) first++;
            int64_t last = first;
            const auto step_to = [&](int64_t to) {
                enclosed += (int64_t)xy[2 * last] * xy[2 * to + 1] - (int64_t)xy[2 * to] * xy[2 * last + 1];
                last = to;
            };
            for (int64_t point = first; point < end; point++) {
                if (kept && !kept[point]) continue;
                step_to(point);
                count++;
            }
            if (first < end) step_to(first);
            enclosed = enclosed < 0 ? -enclosed : enclosed;  // either way round
            twice += ring == polygon_offsets[polygon] ? enclosed : -enclosed;
        }
        areas[polygon] = (double)twice / 2;
        counts[polygon] = count;
    }
}

// Keep what lies where chosen polygons have a corner. Returns 0, 1 for points that `Extent` refuses, and -1 if
// there is no memory.
extern "C" int64_t wsi_seg_hold(const int32_t *xy, const int64_t *ring_offsets, const int64_t *polygon_offsets,
                                int64_t polygons, const uint8_t *chosen, uint8_t *kept) {
    try {
        const auto point_of = [&](int64_t polygon) { return ring_offsets[polygon_offsets[polygon]]; };
        const Extent extent(xy, point_of(polygons));
        if (!extent.fits()) return 1;
        const int64_t across = extent.width + 1;
        std::vector<uint64_t> there(across * (extent.height + 1) / 64 + 1, 0);
        for (int64_t polygon = 0; polygon < polygons; polygon++) {
            if (!chosen[polygon]) continue;
            for (int64_t point = point_of(polygon); point < point_of(polygon + 1); point++) {
                const int64_t place = xy[2 * point + 1] * across + xy[2 * point];
                there[place / 64] |= (uint64_t)1 << place % 64;
            }
        }
        for (int64_t point = 0; point < point_of(polygons); point++) {
            const int64_t place = xy[2 * point + 1] * across + xy[2 * point];
            kept[point] |= there[place / 64] >> place % 64 & 1;
        }
        return 0;
    } catch (const std::bad_alloc &) {
        return -1;
    }
}

// Make chosen polygons of the corners kept, in their order; each ring begins at the first that is `first_xy`, of
// that ring among all, or else at its first. Parts: points, and ring offsets.
extern "C" Found *wsi_seg_build(const int32_t *xy, const int64_t *ring_offsets, const int64_t *polygon_offsets,
                                int64_t polygons, const uint8_t *kept, const uint8_t *chosen,
                                const int32_t *first_xy) {
    try {
        std::unique_ptr<Found> found(new Found);
        found->parts.resize(2);
        Numbers &out = found->parts[0], &offsets = found->parts[1];
        offsets.push_back(0);
        for (int64_t polygon = 0; polygon < polygons; polygon++) {
            if (!chosen[polygon]) continue;
            for (int64_t ring = polygon_offsets[polygon]; ring < polygon_offsets[polygon + 1]; ring++) {
                const size_t begin = out.size();
                size_t first = begin;
                bool met = false;
                for (int64_t point = ring_offsets[ring]; point < ring_offsets[ring + 1] - 1; point++) {
                    if (!kept[point]) continue;
                    const int32_t x = xy[2 * point], y = xy[2 * point + 1];
                    if (!met && x == first_xy[2 * ring] && y == first_xy[2 * ring + 1]) {
                        met = true;
                        first = out.size();
                    }
                    out.insert(out.end(), {x, y});
                }
                std::rotate(out.begin() + begin, out.begin() + first, out.end());
                if (out.size() > begin) out.insert(out.end(), {out[begin], out[begin + 1]});
                offsets.push_back((int32_t)(out.size() / 2));
            }
        }
        return found.release();
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

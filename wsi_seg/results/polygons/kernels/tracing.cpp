// Outlines of the components of an image: what tracing.py finds, number for number.

#include <cstring>
#include <memory>
#include <new>

#include "found.h"

static const int EAST = 0, STEP_X[4] = {1, 0, -1, 0}, STEP_Y[4] = {0, 1, 0, -1};

static const uint8_t CORNER = 1, LEFT_EAST = 3;
static const int64_t STRETCH = 16;  // pixels

// Mark where borders of both directions meet, beside what is marked already.
static void mark_corners(const int32_t *image, int64_t height, int64_t width, uint8_t *corners) {
    Numbers above(width + 2, -1), below(width + 2, -1);
    for (int64_t y = 0; y <= height; y++) {
        if (y < height)
            std::memcpy(&below[1], image + y * width, width * sizeof(int32_t));
        else
            below.assign(width + 2, -1);
        const int32_t *up = above.data(), *down = below.data();
        uint8_t *corner = corners + y * (width + 1);
        for (int64_t x = 0; x <= width; x++) {
            // Where a row is as the one above it there is no border, and so it mostly is.
            if (x + STRETCH <= width && !std::memcmp(up + x, down + x, (STRETCH + 1) * sizeof(int32_t))) {
                x += STRETCH - 1;
                continue;
            }
            const bool upright = (up[x] != up[x + 1]) | (down[x] != down[x + 1]);
            corner[x] |= upright & ((up[x] != down[x]) | (up[x + 1] != down[x + 1]));
        }
        above.swap(below);
    }
}

// Follow all outlines, component on the right hand, from corner to corner. `corners` has those that the caller
// wants on entry, and all on return.
static void trace(const int32_t *image, int64_t height, int64_t width, uint8_t *corners, Found &found) {
    const int64_t across = width + 1;
    mark_corners(image, height, width, corners);
    const auto pixel = [=](int64_t y, int64_t x) {
        return y < 0 || x < 0 || y >= height || x >= width ? -1 : image[y * width + x];
    };
    Numbers points, owner, hole;
    std::vector<int64_t> begins;
    int32_t owners = 0;
    uint8_t *const end = corners + (height + 1) * across;
    for (uint8_t *corner = corners; corner < end; corner++) {
        corner = (uint8_t *)std::memchr(corner, CORNER, end - corner);
        if (!corner) break;
        const int64_t y0 = (corner - corners) / across, x0 = (corner - corners) % across;
        const int32_t here = pixel(y0, x0);
        if (here < 0 || here == pixel(y0 - 1, x0)) continue;  // no outline leaves it to the east
        begins.push_back((int64_t)points.size());
        owner.push_back(here);
        owners = owners > here ? owners : here + 1;
        int64_t x = x0, y = y0, twice = 0;
        int d = EAST;
        do {
            if (d == EAST) corners[y * across + x] = LEFT_EAST;
            points.insert(points.end(), {(int32_t)x, (int32_t)y});
            const int64_t from_x = x, from_y = y;
            do x += STEP_X[d], y += STEP_Y[d];
            while (!corners[y * across + x]);
            twice += (from_x - x0) * (y - y0) - (x - x0) * (from_y - y0);
            // The component on the right hand of who leaves the corner east, south, west and north.
            const int32_t beside[4] = {pixel(y, x), pixel(y, x - 1), pixel(y - 1, x - 1), pixel(y - 1, x)};
            const int right = (d + 1) & 3, left = (d + 3) & 3;
            if (beside[right] != beside[d])  // where it meets itself, turning left keeps a hole apart
                d = beside[right] == beside[left] ? left : right;
            else if (beside[d] == beside[left])
                d = left;
        } while (x != x0 || y != y0 || d != EAST);
        points.insert(points.end(), {(int32_t)x0, (int32_t)y0});
        hole.push_back(twice < 0);
    }
    for (uint8_t *corner = corners; corner < end; corner++) *corner = *corner ? CORNER : 0;
    begins.push_back((int64_t)points.size());

    found.parts.resize(3);
    Numbers &xy = found.parts[0], &ring_offsets = found.parts[1], &polygon_offsets = found.parts[2];
    const size_t rings = owner.size();
    polygon_offsets.assign(owners + 1, 0);
    for (int32_t of : owner) polygon_offsets[of + 1]++;
    for (int32_t i = 0; i < owners; i++) polygon_offsets[i + 1] += polygon_offsets[i];
    Numbers order(rings), next(polygon_offsets.begin(), polygon_offsets.end() - 1);
    for (int32_t holes = 0; holes < 2; holes++)
        for (size_t ring = 0; ring < rings; ring++)
            if (hole[ring] == holes) order[next[owner[ring]]++] = (int32_t)ring;
    xy.reserve(points.size());
    ring_offsets.push_back(0);
    for (int32_t ring : order) {
        xy.insert(xy.end(), points.begin() + begins[ring], points.begin() + begins[ring + 1]);
        ring_offsets.push_back((int32_t)(xy.size() / 2));
    }
}

// Parts: points, ring offsets, polygon offsets.
extern "C" Found *wsi_seg_trace(const int32_t *image, int64_t height, int64_t width, uint8_t *corners) {
    try {
        std::unique_ptr<Found> found(new Found);
        trace(image, height, width, corners, *found);
        return found.release();
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

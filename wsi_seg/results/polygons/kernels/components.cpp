// Runs of equal pixels and 4-connected components of a label image: what components.py finds, number for number.

#include "components.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "found.h"

static int32_t root_of(Numbers &parent, int32_t run) {
    while (parent[run] != run) run = parent[run] = parent[parent[run]];
    return run;
}

static void unite(Numbers &parent, int32_t one, int32_t other) {
    one = root_of(parent, one), other = root_of(parent, other);
    if (one < other) parent[other] = one;
    if (other < one) parent[one] = other;
}

// Return the next pixel of a row, from x on, that differs from the one before it; the row's end without one.
static int64_t next_change(const uint8_t *row, int64_t x, int64_t width) {
    for (uint64_t here, before; x + 8 <= width; x += 8) {
        std::memcpy(&here, row + x, 8), std::memcpy(&before, row + x - 1, 8);
        if (here != before) break;
    }
    while (x < width && row[x] == row[x - 1]) x++;
    return x;
}

void find_components(const uint8_t *image, int64_t height, int64_t width, Components &all) {
    Numbers &start = all.start, &component = all.component, &value = all.value, &area = all.area;
    Numbers &neighbours = all.neighbours;
    Numbers parent;
    std::vector<int64_t> &first_of_row = all.first_of_row;
    for (int64_t y = 0; y < height; y++) {
        const uint8_t *row = image + y * width;
        first_of_row.push_back((int64_t)start.size());
        for (int64_t x = 0; x < width; x = next_change(row, x + 1, width)) {
            parent.push_back((int32_t)start.size());
            start.push_back((int32_t)(y * width + x));
        }
        if (y == 0) continue;
        size_t upper = first_of_row[y - 1], lower = first_of_row[y];
        for (int64_t x = 0; x < width;) {
            const bool last_above = (int64_t)upper + 1 == first_of_row[y], last = lower + 1 == start.size();
            const int64_t above = last_above ? width : start[upper + 1] - (y - 1) * width;
            const int64_t here = last ? width : start[lower + 1] - y * width;
            const int64_t end = above < here ? above : here;
            if (image[start[upper]] == image[start[lower]])
                unite(parent, (int32_t)upper, (int32_t)lower);
            else
                neighbours.insert(neighbours.end(), {(int32_t)upper, (int32_t)lower, (int32_t)(end - x)});
            upper += above == end, lower += here == end, x = end;
        }
    }
    const int64_t runs = (int64_t)start.size();
    first_of_row.push_back(runs);
    component.resize(runs);
    for (int64_t run = 0; run < runs; run++) {
        const int32_t root = root_of(parent, (int32_t)run);  // the first of its component
        if (root == run) {
            component[run] = (int32_t)value.size();
            value.push_back(image[start[run]]);
            area.push_back(0);
        } else {
            component[run] = component[root];
        }
        const int64_t end = run + 1 < runs ? start[run + 1] : height * width;
        area[component[run]] += (int32_t)(end - start[run]);
    }
    for (size_t i = 0; i < neighbours.size(); i += 3) {
        neighbours[i] = component[neighbours[i]];
        neighbours[i + 1] = component[neighbours[i + 1]];
    }
    for (int64_t run = 1; run < runs; run++)
        if (start[run] % width)
            neighbours.insert(neighbours.end(), {component[run - 1], component[run], 1});
}

// Write the value of each run to all of its pixels; values are of one or of four bytes.
extern "C" void wsi_seg_paint(const int64_t *start, const void *values, int64_t runs, int64_t pixels,
                              int64_t value_bytes, void *image) {
    for (int64_t run = 0; run < runs; run++) {
        const int64_t begin = start[run], end = run + 1 < runs ? start[run + 1] : pixels;
        if (value_bytes == 1)
            std::memset((uint8_t *)image + begin, ((const uint8_t *)values)[run], end - begin);
        else
            std::fill((int32_t *)image + begin, (int32_t *)image + end, ((const int32_t *)values)[run]);
    }
}

// Parts: first pixel and component of each run; value and area of each component; neighbours in threes.
extern "C" Found *wsi_seg_components(const uint8_t *image, int64_t height, int64_t width) {
    try {
        Components all;
        find_components(image, height, width, all);
        std::unique_ptr<Found> found(new Found);
        for (Numbers *part : {&all.start, &all.component, &all.value, &all.area, &all.neighbours})
            found->parts.push_back(std::move(*part));
        return found.release();
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

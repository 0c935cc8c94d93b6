// Outlines of the components of an image: what tracing.py finds, number for number.
//
// Runs of equal pixels say where corners are, and what lies around each, so that no image is looked at. From one
// corner an outline goes to the next of its row or of its column.

#include <memory>
#include <new>

#include "found.h"

static const int EAST = 0, SOUTH = 1, WEST = 2, NORTH = 3;
static const int32_t OUTSIDE = -1, NONE = -1;

namespace {  // each file its own: names may be those of another

struct Corner {
    int32_t x, y;
    int32_t around[4];  // the component on the right hand of who leaves it east, south, west and north
    int32_t above, below;  // the corners next to it in its column
};

// The runs of a row of pixels, from left to right; without any, the row lies outside of the image.
struct Row {
    const int64_t *start;
    const int32_t *component;
    int64_t run, end, begin, width;
    int32_t left, right;  // components on both sides of where it is

    int64_t ahead() const { return run < end ? start[run] - begin : width; }

    void go_to(int64_t x) {
        left = right;
        if (x == width)
            right = OUTSIDE;
        else if (run < end && x == ahead())
            right = component[run++];
    }
};

class Outlines {
    const int64_t *start;
    const int32_t *component;
    int64_t runs, components, height, width;
    std::vector<int64_t> first_of_row;
    std::vector<Corner> corners;

  public:
    Outlines(const int64_t *first_pixels, const int32_t *of_runs, int64_t run_count, int64_t component_count,
             int64_t rows, int64_t columns)
        : start(first_pixels), component(of_runs), runs(run_count), components(component_count), height(rows),
          width(columns) {}

    // Whether runs ascend, begin anew in every row and belong to components that there are.
    bool find_rows() {
        for (int64_t run = 0; run < runs; run++) {
            if (component[run] < 0 || component[run] >= components) return false;
            if (run && start[run] <= start[run - 1]) return false;
            const int64_t next = (int64_t)first_of_row.size() * width;
            if (start[run] > next || start[run] < 0) return false;
            if (start[run] == next) first_of_row.push_back(run);
        }
        const bool all = (int64_t)first_of_row.size() == height && start[runs - 1] < height * width;
        first_of_row.push_back(runs);
        return all;
    }

    Row row(int64_t y) const {
        const bool inside = y >= 0 && y < height;
        return {start, component, inside ? first_of_row[y] : 0, inside ? first_of_row[y + 1] : 0, y * width,
                width, OUTSIDE, OUTSIDE};
    }

    // A corner is where borders of both directions meet, and on the image's own border what the caller wants.
    void find_corners(const uint8_t *wanted, uint8_t *top, uint8_t *left) {
        Numbers last(width + 1, NONE);  // of each column
        for (int64_t y = 0; y <= height; y++) {
            Row up = row(y - 1), down = row(y);
            const bool every = y == 0 || y == height;
            for (int64_t x = 0;; x = every ? x + 1 : up.ahead() < down.ahead() ? up.ahead() : down.ahead()) {
                up.go_to(x), down.go_to(x);
                const bool upright = up.left != up.right || down.left != down.right;
                const bool level = up.left != down.left || up.right != down.right;
                const bool on_border = every || x == 0 || x == width;
                const bool corner = (upright && level) || (on_border && wanted[y * (width + 1) + x]);
                if (y == 0) top[x] = corner;
                if (x == 0) left[y] = corner;
                if (corner) {
                    const int32_t number = (int32_t)corners.size();
                    corners.push_back({(int32_t)x, (int32_t)y, {down.right, down.left, up.left, up.right},
                                       last[x], NONE});
                    if (last[x] != NONE) corners[last[x]].below = number;
                    last[x] = number;
                }
                if (x == width) break;
            }
        }
    }

    int64_t next_of(int64_t corner, int direction) const {
        switch (direction) {
        case EAST: return corner + 1;
        case WEST: return corner - 1;
        case SOUTH: return corners[corner].below;
        default: return corners[corner].above;
        }
    }

    // Follow all outlines, component on the right hand. A border goes on until it meets a corner, so that there is
    // one ahead.
    void follow(Found &found) const {
        Numbers points, owner, hole;
        std::vector<int64_t> begins;
        std::vector<uint8_t> left_east(corners.size(), 0);
        for (int64_t first = 0; first < (int64_t)corners.size(); first++) {
            const Corner &from = corners[first];
            const int32_t here = from.around[EAST];
            if (left_east[first] || here < 0 || here == from.around[NORTH]) continue;
            begins.push_back((int64_t)points.size());
            owner.push_back(here);
            int64_t at = first, twice = 0;
            int d = EAST;
            do {
                const Corner &corner = corners[at];
                if (d == EAST) left_east[at] = 1;
                points.insert(points.end(), {corner.x, corner.y});
                at = next_of(at, d);
                const Corner &next = corners[at];
                twice += (int64_t)(corner.x - from.x) * (next.y - from.y) -
                         (int64_t)(next.x - from.x) * (corner.y - from.y);
                const int32_t *beside = next.around;
                const int right = (d + 1) & 3, left = (d + 3) & 3;
                if (beside[right] != beside[d])  // where it meets itself, turning left keeps a hole apart
                    d = beside[right] == beside[left] ? left : right;
                else if (beside[d] == beside[left])
                    d = left;
            } while (at != first || d != EAST);
            points.insert(points.end(), {from.x, from.y});
            hole.push_back(twice < 0);
        }
        begins.push_back((int64_t)points.size());
        write(points, begins, owner, hole, found);
    }

    // Each component's shell before its holes.
    void write(const Numbers &points, const std::vector<int64_t> &begins, const Numbers &owner,
               const Numbers &hole, Found &found) const {
        Numbers &xy = found.parts[0], &ring_offsets = found.parts[1], &polygon_offsets = found.parts[2];
        const size_t rings = owner.size();
        polygon_offsets.assign(components + 1, 0);
        for (int32_t of : owner) polygon_offsets[of + 1]++;
        for (int64_t i = 0; i < components; i++) polygon_offsets[i + 1] += polygon_offsets[i];
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
};

}  // namespace

// `wanted` has a byte for each corner of a pixel; `top` and `left` become what of the first row and column are
// corners. Parts: points, ring offsets, polygon offsets; none for runs that are not those of an image.
extern "C" Found *wsi_seg_trace(const int64_t *start, const int32_t *component, int64_t runs, int64_t components,
                                int64_t height, int64_t width, const uint8_t *wanted, uint8_t *top,
                                uint8_t *left) {
    try {
        std::unique_ptr<Found> found(new Found);
        found->parts.resize(3);
        Outlines outlines(start, component, runs, components, height, width);
        if (!outlines.find_rows()) return found.release();
        outlines.find_corners(wanted, top, left);
        outlines.follow(*found);
        return found.release();
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

// Outlines that touch, simplified together: fewer corners, the same on both sides of every border.
//
// Borders go from node to node. Of a border, the corner whose triangle is the smallest goes first (of equal ones
// the first), unless another corner lies in the triangle. That is what GEOS's coverage simplification does, and
// in this order, so the outlines are the same; but all corners are whole numbers here, so that a bitmap tells
// what lies in a triangle.

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <queue>
#include <unordered_map>

#include "extent.h"
#include "found.h"

namespace {  // each file its own: names may be those of another

// A place where rings have corners. `before` and `ahead` are the neighbours on the first ring that passes.
struct Vertex {
    int32_t x, y, before, ahead, edge;
    uint8_t passages;
    bool node, removed;
};

// A border between two nodes, or all of a ring with one node or none, as the first ring that has it goes.
// `points` are vertices; of a closed one the last is the first again.
struct Edge {
    Numbers points;
    bool closed, without_node;
    int32_t rings, left;
};

static uint64_t pair_of(int32_t one, int32_t other) {
    return one < other ? (uint64_t)one << 32 | (uint32_t)other : (uint64_t)other << 32 | (uint32_t)one;
}

struct Corner {
    int64_t twice;  // the area of its triangle
    int32_t index, before, ahead;
    bool operator<(const Corner &other) const {  // the smallest is the top of a queue
        return twice != other.twice ? twice > other.twice : index > other.index;
    }
};

class Coverage {
    const int32_t *xy;
    const int32_t *ring_offsets;
    const uint8_t *active;
    int64_t rings, across;
    std::vector<Vertex> vertices;
    Numbers vertex_of;           // of each point of active rings
    std::vector<uint64_t> there;  // of each place, a bit: whether there is a corner
    std::vector<Edge> edges;
    std::vector<Numbers> edges_of;  // of each ring, in its order
    std::unordered_map<uint64_t, int32_t> straight;  // edges of two points that are left, by these points

  public:
    Coverage(const int32_t *points, const int32_t *offsets, const uint8_t *which, int64_t count, int64_t width,
             int64_t height)
        : xy(points), ring_offsets(offsets), active(which), rings(count), across(width + 1),
          vertex_of(offsets[count], -1), there((width + 1) * (height + 1) / 64 + 1, 0), edges_of(count) {
        for_active_points([this](int64_t i) { there[place(i) / 64] |= bit(place(i)); });
        // Vertices are numbered by place, so that a number takes counting bits, and no room for all places.
        Numbers ahead_of(there.size() + 1, 0);
        for (size_t word = 0; word < there.size(); word++)
            ahead_of[word + 1] = ahead_of[word] + __builtin_popcountll(there[word]);
        vertices.resize(ahead_of.back(), {0, 0, -1, -1, -1, 0, false, false});
        for_active_points([&](int64_t i) {
            const uint64_t before = there[place(i) / 64] & (bit(place(i)) - 1);
            vertex_of[i] = ahead_of[place(i) / 64] + __builtin_popcountll(before);
            vertices[vertex_of[i]].x = xy[2 * i], vertices[vertex_of[i]].y = xy[2 * i + 1];
        });
        for (int64_t ring = 0; ring < rings; ring++)
            if (active[ring]) note_nodes(ring);
        for (int64_t ring = 0; ring < rings; ring++)
            if (active[ring]) find_edges(ring);
    }

    template <typename Use> void for_active_points(const Use &use) const {
        for (int64_t ring = 0; ring < rings; ring++)
            if (active[ring])
                for (int64_t i = ring_offsets[ring]; i < ring_offsets[ring + 1]; i++) use(i);
    }

    int64_t place(int64_t point) const { return xy[2 * point + 1] * across + xy[2 * point]; }

    static uint64_t bit(int64_t place) { return (uint64_t)1 << (place % 64); }

    // A node is where more than two rings pass, or two that part.
    void note_nodes(int64_t ring) {
        const int64_t begin = ring_offsets[ring], last = ring_offsets[ring + 1] - 1;
        for (int64_t i = begin; i < last; i++) {
            Vertex &vertex = vertices[vertex_of[i]];
            const int32_t before = vertex_of[i == begin ? last - 1 : i - 1], ahead = vertex_of[i + 1];
            if (vertex.passages == 0)
                vertex.before = before, vertex.ahead = ahead;
            else
                vertex.node |= vertex.passages > 1 || pair_of(before, ahead) != pair_of(vertex.before, vertex.ahead);
            if (vertex.passages < 3) vertex.passages++;
        }
    }

    void find_edges(int64_t ring) {
        const int64_t begin = ring_offsets[ring], size = ring_offsets[ring + 1] - 1 - begin;
        const int32_t *points = &vertex_of[begin];
        int64_t first = 0;
        while (first < size && !vertices[points[first]].node) first++;
        if (first == size) {
            edges_of[ring].push_back(edge_of(points, 0, size, size));
            return;
        }
        int64_t start = first;
        do {
            int64_t length = 1;
            while (!vertices[points[(start + length) % size]].node) length++;
            edges_of[ring].push_back(edge_of(points, start, length, size));
            start = (start + length) % size;
        } while (start != first);
    }

    // Return the edge of `length` steps from a point of a ring on; the ring on its other side may have made it.
    int32_t edge_of(const int32_t *points, int64_t start, int64_t length, int64_t size) {
        const int32_t first = points[start], last = points[(start + length) % size];
        const bool without_node = !vertices[first].node;
        int32_t known = -1;
        if (length > 1) {
            known = vertices[without_node ? first : points[(start + 1) % size]].edge;
        } else {
            const auto found = straight.find(pair_of(first, last));
            if (found != straight.end()) known = found->second;
        }
        if (known >= 0) {
            edges[known].rings++;
            return known;
        }
        known = (int32_t)edges.size();
        edges.push_back({Numbers(), first == last, without_node, 1, 0});
        Edge &edge = edges.back();
        for (int64_t i = 0; i <= length; i++) {
            const int32_t point = points[(start + i) % size];
            edge.points.push_back(point);
            if (!vertices[point].node) vertices[point].edge = known;
        }
        edge.left = (int32_t)edge.points.size() - edge.closed;
        if (length == 1) straight[pair_of(first, last)] = known;
        return known;
    }

    bool is_sound() const {
        for (const Edge &edge : edges)
            if (edge.rings > 2) return false;
        return true;
    }

    void simplify(double largest) {
        for (Edge &edge : edges)
            if (edge.rings == 2) simplify(edge, largest);
    }

    void simplify(Edge &edge, double largest) {
        const int32_t ends = (int32_t)edge.points.size() - 1, count = edge.left;
        Numbers before(count), ahead(count);
        for (int32_t i = 0; i < count; i++) before[i] = i - 1, ahead[i] = i + 1;
        if (edge.closed) before[0] = count - 1, ahead[count - 1] = 0;
        std::priority_queue<Corner> queue;
        const auto add = [&](int32_t i) {
            if (!edge.without_node && (i == 0 || i == ends)) return;
            const int64_t twice = twice_the_area(edge.points[before[i]], edge.points[i], edge.points[ahead[i]]);
            if (twice / 2.0 <= largest) queue.push({twice, i, before[i], ahead[i]});
        };
        for (int32_t i = edge.without_node ? 0 : 1; i < ends; i++) add(i);
        while (!queue.empty() && edge.left > (edge.closed ? 3 : 2)) {
            const Corner corner = queue.top();
            queue.pop();
            const int32_t i = corner.index, previous = corner.before, next = corner.ahead;
            if (before[i] != previous || ahead[i] != next) continue;  // it has changed, or is gone
            if (!may_go(edge.points[previous], edge.points[i], edge.points[next])) continue;
            ahead[previous] = next, before[next] = previous;
            before[i] = ahead[i] = -2;
            Vertex &gone = vertices[edge.points[i]];
            gone.removed = true;
            const int64_t from = gone.y * across + gone.x;
            there[from / 64] &= ~bit(from);
            edge.left--;
            add(previous);
            add(next);
        }
        if (!edge.closed && edge.left == 2 && count > 2) straight[pair_of(edge.points[0], edge.points[ends])] = 0;
    }

    int64_t twice_the_area(int32_t a, int32_t b, int32_t c) const {
        const Vertex &p = vertices[a], &q = vertices[b], &r = vertices[c];
        return std::llabs((int64_t)(r.x - p.x) * (q.y - p.y) - (int64_t)(q.x - p.x) * (r.y - p.y));
    }

    // Whether no corner lies in a corner's triangle, and its base is no border already.
    bool may_go(int32_t a, int32_t b, int32_t c) const {
        const Vertex *const corner[3] = {&vertices[a], &vertices[b], &vertices[c]};
        int64_t top = corner[0]->y, bottom = top;
        for (const Vertex *v : corner) top = v->y < top ? v->y : top, bottom = v->y > bottom ? v->y : bottom;
        for (int64_t y = top; y <= bottom; y++) {
            int64_t left = INT32_MAX, right = -1;
            for (int k = 0; k < 3; k++) across_side(*corner[k], *corner[(k + 1) % 3], y, left, right);
            for (int64_t x = left; x <= right; x++) {
                if (!(there[(y * across + x) / 64] & bit(y * across + x))) continue;
                bool own = false;
                for (const Vertex *v : corner) own |= v->x == x && v->y == y;
                if (!own) return false;
            }
        }
        return !(vertices[a].node && vertices[c].node && straight.count(pair_of(a, c)));
    }

    // Widen the whole numbers of a row that lie within a triangle by where one of its sides crosses the row.
    static void across_side(const Vertex &p, const Vertex &q, int64_t y, int64_t &left, int64_t &right) {
        if (y < (p.y < q.y ? p.y : q.y) || y > (p.y < q.y ? q.y : p.y)) return;
        if (p.y == q.y) {
            left = std::min(left, (int64_t)std::min(p.x, q.x));
            right = std::max(right, (int64_t)std::max(p.x, q.x));
            return;
        }
        const int64_t height = std::llabs(q.y - p.y);
        const int64_t part = (q.y > p.y ? y - p.y : p.y - y) * (q.x - p.x);
        const int64_t below = part >= 0 ? part / height : -((-part + height - 1) / height);
        left = std::min(left, p.x + below + (below * height != part));
        right = std::max(right, p.x + below);
    }

    void write(Found &found) const {
        found.parts.resize(3);
        Numbers &out = found.parts[0], &offsets = found.parts[1], &kept = found.parts[2];
        offsets.push_back(0);
        for (int64_t ring = 0; ring < rings; ring++) {
            if (active[ring])
                write_ring(edges_of[ring], out);
            else
                out.insert(out.end(), xy + 2 * ring_offsets[ring], xy + 2 * ring_offsets[ring + 1]);
            offsets.push_back((int32_t)(out.size() / 2));
        }
        for (int32_t vertex : vertex_of) kept.push_back(vertex < 0 || !vertices[vertex].removed);
    }

    void write_ring(const Numbers &parts, Numbers &out) const {
        int32_t last = -1, first = -1;
        for (size_t k = 0; k < parts.size(); k++) {
            const Numbers &points = edges[parts[k]].points;
            bool forward = parts.size() == 1 || points.front() == last;
            if (k == 0 && parts.size() > 1) {
                const Numbers &second = edges[parts[1]].points;
                forward = parts.size() == 2 || points.back() == second.front() || points.back() == second.back();
            }
            for (size_t i = 0; i < points.size(); i++) {
                const int32_t point = points[forward ? i : points.size() - 1 - i];
                if (vertices[point].removed || point == last) continue;
                out.insert(out.end(), {vertices[point].x, vertices[point].y});
                last = point;
                if (first < 0) first = point;
            }
        }
        if (last != first) out.insert(out.end(), {vertices[first].x, vertices[first].y});
    }
};

}  // namespace

// Parts: points and ring offsets, and of each point that went in whether it was kept; no part, if a border has
// more than two sides or `Extent` refuses the points.
extern "C" Found *wsi_seg_simplify(const int32_t *xy, const int32_t *ring_offsets, const uint8_t *active,
                                   int64_t rings, double largest) {
    try {
        const Extent extent(xy, ring_offsets[rings]);
        std::unique_ptr<Found> found(new Found);
        found->parts.resize(3);
        if (!extent.fits()) return found.release();
        Coverage coverage(xy, ring_offsets, active, rings, extent.width, extent.height);
        if (coverage.is_sound()) {
            coverage.simplify(largest);
            coverage.write(*found);
        }
        return found.release();
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

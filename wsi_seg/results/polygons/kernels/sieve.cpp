// Components that are too small are given to their neighbours, as sieve.py does it, label for label.

#include <algorithm>
#include <cstring>
#include <new>

#include "components.h"

namespace {  // each file its own: names may be those of another

struct Window {
    int64_t height, width;
    bool up, down, left, right;  // where the image goes on
    int64_t y0, y1, x0, x1;      // the part that is asked for
};

struct Border {
    int32_t other, length;
};

class Sieve {
    const Components &all;
    std::vector<uint8_t> value, waiting, doubtful;
    std::vector<int64_t> row;  // where the borders of each component begin: only those that wait have any
    std::vector<Border> borders;
    std::vector<int64_t> votes;  // for each value that can be given

  public:
    Sieve(const Components &components, const Window &window, int64_t min_area, int64_t outside)
        : all(components), value(components.value.begin(), components.value.end()), waiting(value.size(), 0),
          doubtful(value.size(), 0) {
        mark_cut(window);
        bool any = false;
        int64_t values = 1;
        for (size_t i = 0; i < value.size(); i++) {
            if (value[i] < outside) values = std::max(values, (int64_t)value[i] + 1);
            const bool is_small = value[i] < outside && all.area[i] < min_area;
            waiting[i] = is_small && !doubtful[i];
            doubtful[i] &= is_small;
            any |= waiting[i];
        }
        if (!any) return;
        votes.assign(values, 0);
        note_borders(outside);
        give_away();
        untangle();
    }

    // Mark components that may go on beyond the window, for a while, in `doubtful`.
    void mark_cut(const Window &window) {
        const auto mark = [this](int64_t run) { doubtful[all.component[run]] = 1; };
        const std::vector<int64_t> &first = all.first_of_row;
        for (int64_t y = 0; y < window.height; y++) {
            if (window.left) mark(first[y]);
            if (window.right) mark(first[y + 1] - 1);
            if ((y == 0 && window.up) || (y == window.height - 1 && window.down))
                for (int64_t run = first[y]; run < first[y + 1]; run++) mark(run);
        }
    }

    template <typename Use> void for_borders(int64_t outside, const Use &use) const {
        for (size_t i = 0; i < all.neighbours.size(); i += 3) {
            const int32_t one = all.neighbours[i], other = all.neighbours[i + 1], length = all.neighbours[i + 2];
            if (value[one] >= outside || value[other] >= outside) continue;
            if (waiting[one]) use(one, Border{other, length});
            if (waiting[other]) use(other, Border{one, length});
        }
    }

    void note_borders(int64_t outside) {
        row.assign(value.size() + 1, 0);
        for_borders(outside, [this](int32_t of, Border) { row[of + 1]++; });
        for (size_t i = 1; i < row.size(); i++) row[i] += row[i - 1];
        borders.resize(row.back());
        std::vector<int64_t> next(row.begin(), row.end() - 1);
        for_borders(outside, [&](int32_t of, Border border) { borders[next[of]++] = border; });
    }

    // Round by round, those that touch one that was kept, or given away in the round before.
    void give_away() {
        Numbers giving, next;
        std::vector<uint8_t> reached(value.size(), 0);
        for (size_t i = 0; i < value.size(); i++)
            if (waiting[i] && touches_settled(i)) giving.push_back((int32_t)i);
        while (!giving.empty()) {
            for (int32_t i : giving) {
                for (int64_t k = row[i]; k < row[i + 1]; k++) {
                    const int32_t other = borders[k].other;
                    if (waiting[other]) continue;
                    votes[value[other]] += borders[k].length;
                    doubtful[i] |= doubtful[other];
                }
                value[i] = elected();
            }
            for (int32_t i : giving) waiting[i] = 0;
            next.clear();
            for (int32_t i : giving)
                for (int64_t k = row[i]; k < row[i + 1]; k++) {
                    const int32_t other = borders[k].other;
                    if (!waiting[other] || reached[other]) continue;
                    reached[other] = 1;
                    next.push_back(other);
                }
            giving.swap(next);
        }
    }

    bool touches_settled(size_t i) const {
        for (int64_t k = row[i]; k < row[i + 1]; k++)
            if (!waiting[borders[k].other]) return true;
        return false;
    }

    // The value of most votes, the lowest one in a tie. The votes are gone then.
    uint8_t elected() {
        const uint8_t most = (uint8_t)(std::max_element(votes.begin(), votes.end()) - votes.begin());
        std::fill(votes.begin(), votes.end(), 0);
        return most;
    }

    // Give each group of waiting neighbours its class of the largest area.
    void untangle() {
        Numbers group;
        for (size_t first = 0; first < value.size(); first++) {
            if (!waiting[first]) continue;
            group.assign(1, (int32_t)first);
            waiting[first] = 0;
            for (size_t at = 0; at < group.size(); at++) {
                const int32_t i = group[at];
                votes[value[i]] += all.area[i];
                for (int64_t k = row[i]; k < row[i + 1]; k++) {
                    const int32_t other = borders[k].other;
                    if (!waiting[other]) continue;
                    waiting[other] = 0;
                    group.push_back(other);
                }
            }
            const uint8_t of_all = elected();
            for (int32_t i : group) value[i] = of_all;
        }
    }

    // Paint the part that is asked for; return whether more of the image might change it.
    bool paint(const Window &window, uint8_t *labels) const {
        bool reaches = false;
        for (int64_t y = window.y0; y < window.y1; y++) {
            const int64_t begin = y * window.width, last = all.first_of_row[y + 1] - 1;
            for (int64_t run = all.first_of_row[y]; run <= last; run++) {
                const int64_t left = std::max(all.start[run] - begin, window.x0);
                const int64_t right = std::min(run < last ? all.start[run + 1] - begin : window.width, window.x1);
                if (left >= right) continue;
                const int32_t component = all.component[run];
                reaches |= doubtful[component];
                std::memset(labels, value[component], right - left);
                labels += right - left;
            }
        }
        return reaches;
    }
};

}  // namespace

// `goes_on` tells of the sides above, below, left and right; `inner` is a part of the image: y0, y1, x0, x1.
// Writes the labels of that part and the number of runs; returns whether more of the image might change the
// labels, and -1 if there is no memory.
extern "C" int64_t wsi_seg_sieve(const uint8_t *image, int64_t height, int64_t width, const uint8_t *goes_on,
                                 const int64_t *inner, int64_t min_area, int64_t outside, uint8_t *labels,
                                 int64_t *runs) {
    try {
        const Window window = {height,           width,    goes_on[0] != 0, goes_on[1] != 0, goes_on[2] != 0,
                               goes_on[3] != 0, inner[0], inner[1],        inner[2],        inner[3]};
        Components all;
        find_components(image, height, width, all);
        *runs = (int64_t)all.start.size();
        return Sieve(all, window, min_area, outside).paint(window, labels);
    } catch (const std::bad_alloc &) {
        return -1;
    }
}

// Transposed convolutions, which double the sides of a map, and the class of each pixel.

#include <vector>

#include "finish.h"
#include "tiles.h"

// One row of a 2 x 2 transposed convolution of stride 2: `y`, of the output, from row y / 2 of the input.
template <int TILE>
static void double_tile(const float* row, int64_t plane, const Line& out, const Line& out2, const Layer& k,
                        int64_t first, int64_t y, int64_t x, int64_t wanted, float* scratch) {
    Vec sum[TILE][2] = {};
    const float* w = k.weights + (first / TILE * 2 + y % 2) * k.inputs * 2 * TILE;
    const int64_t count = k.outputs - first < TILE ? k.outputs - first : TILE;
    const float* p = row + x;
    for (int64_t ci = 0; ci < k.inputs; ci++, w += 2 * TILE) {
        const Vec v = load(p + ci * plane);
#pragma GCC unroll 16
        for (int c = 0; c < TILE; c++) {
            sum[c][0] = fused(v, all_lanes(w[c]), sum[c][0]);
            sum[c][1] = fused(v, all_lanes(w[TILE + c]), sum[c][1]);
        }
    }
    const Line none = {nullptr, 0};
#pragma GCC unroll 16
    for (int c = 0; c < TILE; c++) {
        if (c >= count) break;
        const Vec low = pick(sum[c][0], sum[c][1], kLow), high = pick(sum[c][0], sum[c][1], kHigh);
        if (scratch) {
            store(scratch + (first + c) * 2 * LANES, low);
            store(scratch + (first + c) * 2 * LANES + LANES, high);
        } else {
            finish(low, k, first + c, 2 * x, wanted, none, out, out2);
            if (wanted > LANES) finish(high, k, first + c, 2 * x + LANES, wanted - LANES, none, out, out2);
        }
    }
}

typedef void (*Doubling)(const float*, int64_t, const Line&, const Line&, const Layer&, int64_t, int64_t, int64_t,
                         int64_t, float*);

static Doubling doubling(const Layer& k) {
#define CHOOSE(n) \
    if (k.tile == n) return double_tile<n>;
    TILES(CHOOSE)
#undef CHOOSE
    return nullptr;
}

void double_row(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const Doubling tile = doubling(k);
    const float* row = row_of(*s.in, y / 2);
    const Line out = line_of(s.out, y), out2 = line_of(s.out2, y);
    for (const Span* p = span; p < end; p++)
        for (int64_t x = p->x0 / 2; 2 * x < p->x1; x += LANES)
            for (int64_t c = 0; c < k.outputs; c += k.tile)
                tile(row, s.in->plane, out, out2, k, c, y, x, p->x1 - 2 * x, nullptr);
}

// Double a row, and decide each pixel: which channel is the largest, of equals the first, as `decide` in
// inference/network/pixels.py does.
void decide(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const Doubling tile = doubling(k);
    const float* row = row_of(*s.in, y / 2);
    const Line none = {nullptr, 0};
    std::vector<float> logits((k.outputs + k.tile) * 2 * LANES);
    uint8_t* best = s.bytes + y * s.bytes_row;
    for (const Span* p = span; p < end; p++)
        for (int64_t x = p->x0 / 2; 2 * x < p->x1; x += LANES) {
            for (int64_t c = 0; c < k.outputs; c += k.tile)
                tile(row, s.in->plane, none, none, k, c, y, x, 2 * LANES, logits.data());
            int32_t channels[2 * LANES];
            for (int half = 0; half < 2; half++) {
                Vec most = load(&logits[half * LANES]);
                Ints which = {};
                for (int64_t c = 1; c < k.outputs; c++) {
                    const Vec v = load(&logits[c * 2 * LANES + half * LANES]);
                    which = v > most ? Ints{} + int32_t(c) : which;
                    most = v > most ? v : most;
                }
                std::memcpy(channels + half * LANES, &which, sizeof which);
            }
            const int64_t stop = 2 * x + 2 * LANES > p->x1 ? p->x1 : 2 * x + 2 * LANES;
            for (int64_t i = 2 * x; i < stop; i++) best[i] = uint8_t(channels[i - 2 * x]);
        }
}

// Convolutions by vectors.

#include "finish.h"
#include "tiles.h"

// SIZE x SIZE convolutions of a map, each with its dilation; the sums run on from branch to branch, and each
// branch's are finished and written beside the last's. This is hierarchical feature fusion.
template <int SIZE, int STRIDE, int TILE, int WIDE>
static void convolve_tile(const float* const* rows, int64_t plane, const Line& plus, const Line& out,
                          const Line& out2, const Layer& k, int64_t first, int64_t x, int64_t wanted) {
    Vec sum[TILE][WIDE] = {};
    const float* w = k.weights + first / TILE * k.branches * k.inputs * SIZE * SIZE * TILE;
    const int64_t count = k.outputs - first < TILE ? k.outputs - first : TILE;
    for (int64_t b = 0; b < k.branches; b++, rows += SIZE) {
        const int64_t d = SIZE == 1 ? 0 : k.taps[b];
        for (int64_t ci = 0; ci < k.inputs; ci++) {
            for (int ky = 0; ky < SIZE; ky++, w += SIZE * TILE) {
                if (!rows[ky]) continue;  // zeros
                const float* p = rows[ky] + ci * plane + x * STRIDE;
                if (SIZE == 1 || STRIDE == 2 || ky == 2) fetch<0>(p + WIDE * LANES * STRIDE, WIDE * STRIDE);
#pragma GCC unroll 3
                for (int kx = 0; kx < SIZE; kx++) {
                    Vec v[WIDE];
                    for (int i = 0; i < WIDE; i++)
                        v[i] = gather<STRIDE>(p + (kx - SIZE / 2) * d + i * LANES * STRIDE);
#pragma GCC unroll 16
                    for (int c = 0; c < TILE; c++)
                        for (int i = 0; i < WIDE; i++) sum[c][i] = fused(v[i], all_lanes(w[kx * TILE + c]), sum[c][i]);
                }
            }
        }
#pragma GCC unroll 16
        for (int c = 0; c < TILE; c++)
            if (c < count)
                for (int i = 0; i < WIDE; i++)
                    finish(sum[c][i], k, b * k.outputs + first + c, x + i * LANES, wanted - i * LANES, plus, out,
                           out2);
    }
}

typedef void (*Tile)(const float* const*, int64_t, const Line&, const Line&, const Line&, const Layer&, int64_t,
                     int64_t, int64_t);

template <int WIDE>
static Tile convolution(const Layer& k) {
#define CHOOSE(n)                                                                                     \
    if (k.tile == n)                                                                                  \
        return k.size == 1 ? convolve_tile<1, 1, n, WIDE>                                             \
                           : (k.stride == 1 ? convolve_tile<3, 1, n, WIDE> : convolve_tile<3, 2, n, WIDE>);
    TILES(CHOOSE)
#undef CHOOSE
    return nullptr;
}

void convolve(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const Map& in = *s.in;
    const float* rows[3 * BRANCHES];
    for (int64_t b = 0; b < k.branches; b++)
        for (int64_t ky = 0; ky < k.size; ky++) {
            const int64_t row = y * k.stride + (k.size == 1 ? 0 : (ky - 1) * k.taps[b]);
            rows[b * k.size + ky] = row < 0 || row >= in.height ? nullptr : row_of(in, row);
        }
    const Line plus = line_of(s.plus, y), out = line_of(s.out, y), out2 = line_of(s.out2, y);
    const Tile two = convolution<2>(k), one = convolution<1>(k);
    for (int64_t c = 0; c < k.outputs; c += k.tile)
        for (const Span* p = span; p < end; p++)
            for (int64_t x = p->x0; x < p->x1; x += 2 * LANES)
                (p->x1 - x > LANES ? two : one)(rows, in.plane, plus, out, out2, k, c, x, p->x1 - x);
}

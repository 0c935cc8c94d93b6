// ESPNet's layers on a CPU, for inference: what they have in common is done in one pass over memory.
//
// Maps are planar: one padded plane of floats for each channel. Then a concatenation costs nothing (maps are
// written side by side), vectors lie along a row whatever the number of channels (12, 20, 25: none a multiple
// of a vector), and dilated convolutions read whole vectors, a few pixels to the side.
//
// Each output pixel is computed by itself, in an order of additions that is always the same: branch, input
// channel, row, column. Multiplications are fused with the additions that follow where the source says so and
// nowhere else (-ffp-contract=off), whatever the processor. So results are the same bytes for any number of
// threads, tiles and vector lengths, and on any processor. One that cannot fuse (no FMA) does it in software,
// to the same bytes but slowly: wsi_seg_fuses tells, and networks run by PyTorch there.
//
// A network is a list of steps, which run in turn on a few rows each: maps hold only the rows that are still
// needed, so they stay in the caches however large the image is (program.py, flow.py). Each step computes the
// pixels that it is asked for and nothing else, and sets those to 0 that later steps read as if they lay
// outside of the image (windows.py).
//
// Compiled for the machine it runs on by wsi_seg/compiled/build.py. Vectors are an extension of GCC and
// Clang to C++11: one of these is needed and nothing else, for any kind of processor. With OpenMP, if the
// compiler has it, rows are shared among threads.

#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#define INDICES(f) {f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)}
#elif defined(__AVX__)
#define LANES 8
#define INDICES(f) {f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)}
#else
#define LANES 4
#define INDICES(f) {f(0), f(1), f(2), f(3)}
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
#define TILES(f) f(4) f(8) f(10) f(12) f(13) f(14)  // 32 registers: 14 x 2 sums, 2 vectors, 1 weight
#else
#define TILES(f) f(3) f(4) f(5) f(6)  // 16 registers
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));

struct Map {  // see flow.py: Held
    float* origin;  // channel 0, row 0, column 0
    int64_t plane, row;  // floats from one channel to the next, from one row to the next
    int64_t rows;  // rows in memory: row y lies in the place of row y - rows
    int64_t height;
};

struct Layer {  // see kernels.py: Layer
    const float* weights;
    const float* finish;  // scale, shift, slope; then scale, shift, slope of a second step: one each a channel
    const int64_t* taps;  // the dilation of each branch; of the image: the byte of a pixel that a channel takes
    int64_t size, stride, branches, inputs, outputs, tile;
};

struct Span {  // pixels of a row: the first, and that after the last
    int32_t x0, x1;
};

struct Spans {  // see windows.py: Spans
    int64_t band;  // rows that have the same spans
    const int32_t* first;  // for each band, the number of its first span; one more at the end
    const Span* spans;
};

enum Kind { NORMALISE, CONVOLVE, DOUBLE, DECIDE };

struct Step {  // see flow.py
    int64_t kind;
    const Map *in, *plus, *out, *out2;
    const Layer* layer;
    Spans wanted, empty;  // pixels to compute; pixels to set to 0
    uint8_t* bytes;  // the image's pixels, or the classes
    int64_t bytes_row;  // from one row of them to the next
};

struct Slice {  // rows of a step
    int64_t step, y0, y1;
};

static const int BRANCHES = 16;  // at most

struct Line {  // a row of a map that is written or added
    float* start;  // null: there is no such map
    int64_t plane;
};

static inline Vec load(const float* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

// Have the next vectors on their way: more channels are read in turn than processors foresee by themselves.
template <int WRITE>
static inline void fetch(const float* p, int vectors) {
    for (int i = 0; i < vectors; i++) __builtin_prefetch(p + i * LANES, WRITE);
}

// a * b + c, rounded once. Where processors cannot do so it is right, but slow: see wsi_seg_fuses.
static inline Vec fused(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    for (int i = 0; i < LANES; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#endif
}

#define SAME(i) value
static inline Vec all_lanes(float value) { return Vec INDICES(SAME); }

static inline Vec pick(Vec a, Vec b, Ints which) {  // of the lanes of a and b side by side
#if defined(__clang__)
    Vec v;
    for (int i = 0; i < LANES; i++) v[i] = which[i] < LANES ? a[which[i]] : b[which[i] - LANES];
    return v;
#else
    return __builtin_shuffle(a, b, which);
#endif
}

#define EVEN(i) 2 * i
#define LOW(i) (i / 2 + (i % 2) * LANES)
#define HIGH(i) (LANES / 2 + i / 2 + (i % 2) * LANES)
static const Ints kEven = INDICES(EVEN), kLow = INDICES(LOW), kHigh = INDICES(HIGH);

template <int STRIDE>
static inline Vec gather(const float* p) {
    return STRIDE == 1 ? load(p) : pick(load(p), load(p + LANES), kEven);
}

static inline Vec prelu(Vec y, float slope) { return y > 0 ? y : y * slope; }

static inline float* row_of(const Map& m, int64_t y) { return m.origin + y % m.rows * m.row; }

static inline Line line_of(const Map* m, int64_t y) {
    return m ? Line{row_of(*m, y), m->plane} : Line{nullptr, 0};
}

// The first pixels of a vector alone: what lies behind belongs to others.
static inline void store(float* p, Vec v, int64_t count) {
    if (count >= LANES) return store(p, v);
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), (__m512)v);
#else
    for (int64_t i = 0; i < count; i++) p[i] = v[i];
#endif
}

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

static void convolve(const Step& s, int64_t y, const Span* span, const Span* end) {
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

static void double_row(const Step& s, int64_t y, const Span* span, const Span* end) {
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
static void decide(const Step& s, int64_t y, const Span* span, const Span* end) {
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

// Bytes, pixel by pixel, to three planes.
static void normalise(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const Line out = line_of(s.out, y);
    for (int64_t c = 0; c < k.outputs; c++) {
        const uint8_t* bytes = s.bytes + y * s.bytes_row + k.taps[c];
        for (const Span* p = span; p < end; p++)
            for (int64_t x = p->x0; x < p->x1; x++)
                out.start[c * out.plane + x] = __builtin_fmaf(bytes[3 * x], k.weights[c], k.finish[c]);
    }
}

static void clear(const Map* m, const Layer& k, int64_t y, const Span* span, const Span* end) {
    if (!m || span == end) return;
    for (int64_t c = 0; c < k.branches * k.outputs; c++)
        for (const Span* p = span; p < end; p++)
            std::memset(row_of(*m, y) + c * m->plane + p->x0, 0, (p->x1 - p->x0) * sizeof(float));
}

static void run_row(const Step& s, int64_t y) {
    const int32_t *empty = s.empty.first + y / s.empty.band, *wanted = s.wanted.first + y / s.wanted.band;
    clear(s.out, *s.layer, y, s.empty.spans + empty[0], s.empty.spans + empty[1]);
    clear(s.out2, *s.layer, y, s.empty.spans + empty[0], s.empty.spans + empty[1]);
    const Span *span = s.wanted.spans + wanted[0], *end = s.wanted.spans + wanted[1];
    if (span == end) return;
    switch (s.kind) {
        case NORMALISE: return normalise(s, y, span, end);
        case CONVOLVE: return convolve(s, y, span, end);
        case DOUBLE: return double_row(s, y, span, end);
        case DECIDE: return decide(s, y, span, end);
    }
}

extern "C" {

int wsi_seg_lanes() { return LANES; }

// Whether the processor this was compiled for multiplies and adds in one step.
int wsi_seg_fuses() {
#if defined(__AVX512F__) || defined(__FMA__) || defined(__aarch64__) || defined(__FP_FAST_FMAF)
    return 1;
#else
    return 0;
#endif
}

// The numbers of output channels that are computed together; returns how many there are.
int wsi_seg_tiles(int64_t* sizes) {
    int n = 0;
#define COUNT(s) sizes[n++] = s;
    TILES(COUNT)
#undef COUNT
    return n;
}

// Run rows of steps in the order that is given.
void wsi_seg_run(const Step* steps, const Slice* slices, int64_t count, int64_t threads) {
#pragma omp parallel num_threads(threads)
    for (int64_t i = 0; i < count; i++) {
#pragma omp for schedule(dynamic)
        for (int64_t y = slices[i].y0; y < slices[i].y1; y++) run_row(steps[slices[i].step], y);
    }
}
}

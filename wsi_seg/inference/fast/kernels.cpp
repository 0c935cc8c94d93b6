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

static const int WIDE = 2;  // vectors along a row that are computed together

struct Map {  // see kernels.py: Maps
    float* origin;  // channel 0, row 0, column 0
    int64_t plane, row;  // floats from one channel to the next, from one row to the next
    int64_t channels, height, width;
};

struct Layer {  // see kernels.py: Layer
    const float* weights;
    const float* finish;  // scale, shift, slope; then scale, shift, slope of a second step: one each a channel
    const int64_t* dilations;  // one for each branch
    int64_t size, stride, branches, inputs, outputs, tile;
};

struct Window {  // output pixels that are wanted
    int64_t y0, y1, x0, x1;
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

static inline float* at(const Map* m, int64_t c, int64_t y, int64_t x) {
    return m->origin + c * m->plane + y * m->row + x;
}

// Normalise and activate a vector of sums, twice if there are two places to write to.
static inline void finish(Vec sum, const Layer& k, int64_t c, int64_t y, int64_t x, const Map* plus,
                          const Map* out, const Map* out2) {
    const int64_t all = k.branches * k.outputs;
    const float* f = k.finish + c;
    if (plus) {
        const float* p = at(plus, c, y, x);
        sum += load(p);
        fetch<1>(p + WIDE * LANES, 1);
    }
    const Vec v = prelu(fused(sum, all_lanes(f[0]), all_lanes(f[all])), f[2 * all]);
    if (out) store(at(out, c, y, x), v);
    if (!out2) return;
    store(at(out2, c, y, x), prelu(fused(v, all_lanes(f[3 * all]), all_lanes(f[4 * all])), f[5 * all]));
}

// Zeros again beyond the width, where whole vectors were written.
static void trim(const Map* m, int64_t channels, int64_t y) {
    const int64_t step = WIDE * LANES, over = (m->width + step - 1) / step * step - m->width;
    if (over)
        for (int64_t c = 0; c < channels; c++)
            std::memset(m->origin + c * m->plane + y * m->row + m->width, 0, over * sizeof(float));
}

// SIZE x SIZE convolutions of a map, each with its dilation; the sums run on from branch to branch, and each
// branch's are finished and written beside the last's. This is hierarchical feature fusion.
template <int SIZE, int STRIDE, int TILE>
static void convolve_tile(const Map& in, const Map* plus, const Map* out, const Map* out2, const Layer& k,
                          int64_t first, int64_t y, int64_t x) {
    Vec sum[TILE][WIDE] = {};
    const float* w = k.weights + first / TILE * k.branches * k.inputs * SIZE * SIZE * TILE;
    const int64_t count = k.outputs - first < TILE ? k.outputs - first : TILE;
    for (int64_t b = 0; b < k.branches; b++) {
        const int64_t d = SIZE == 1 ? 0 : k.dilations[b];
        for (int64_t ci = 0; ci < k.inputs; ci++) {
            for (int ky = 0; ky < SIZE; ky++, w += SIZE * TILE) {
                const int64_t row = y * STRIDE + (ky - SIZE / 2) * d;
                if (row < 0 || row >= in.height) continue;  // zeros
                const float* p = in.origin + ci * in.plane + row * in.row + x * STRIDE;
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
                    finish(sum[c][i], k, b * k.outputs + first + c, y, x + i * LANES, plus, out, out2);
    }
}

typedef void (*Tile)(const Map&, const Map*, const Map*, const Map*, const Layer&, int64_t, int64_t, int64_t);

static Tile convolution(const Layer& k) {
#define CHOOSE(n)                                                                               \
    if (k.tile == n)                                                                            \
        return k.size == 1 ? convolve_tile<1, 1, n>                                             \
                           : (k.stride == 1 ? convolve_tile<3, 1, n> : convolve_tile<3, 2, n>);
    TILES(CHOOSE)
#undef CHOOSE
    return nullptr;
}

// One row of a 2 x 2 transposed convolution of stride 2: `y`, of the output, from row y / 2 of the input.
template <int TILE>
static void double_tile(const Map& in, const Map* out, const Map* out2, const Layer& k, int64_t first,
                        int64_t y, int64_t x, float* scratch) {
    Vec sum[TILE][2] = {};
    const float* w = k.weights + (first / TILE * 2 + y % 2) * k.inputs * 2 * TILE;
    const int64_t count = k.outputs - first < TILE ? k.outputs - first : TILE;
    const float* p = in.origin + y / 2 * in.row + x;
    for (int64_t ci = 0; ci < k.inputs; ci++, w += 2 * TILE) {
        const Vec v = load(p + ci * in.plane);
#pragma GCC unroll 16
        for (int c = 0; c < TILE; c++) {
            sum[c][0] = fused(v, all_lanes(w[c]), sum[c][0]);
            sum[c][1] = fused(v, all_lanes(w[TILE + c]), sum[c][1]);
        }
    }
#pragma GCC unroll 16
    for (int c = 0; c < TILE; c++) {
        if (c >= count) break;
        const Vec low = pick(sum[c][0], sum[c][1], kLow), high = pick(sum[c][0], sum[c][1], kHigh);
        if (scratch) {
            store(scratch + (first + c) * 2 * LANES, low);
            store(scratch + (first + c) * 2 * LANES + LANES, high);
        } else {
            finish(low, k, first + c, y, 2 * x, nullptr, out, out2);
            finish(high, k, first + c, y, 2 * x + LANES, nullptr, out, out2);
        }
    }
}

typedef void (*Doubling)(const Map&, const Map*, const Map*, const Layer&, int64_t, int64_t, int64_t, float*);

static Doubling doubling(const Layer& k) {
#define CHOOSE(n) \
    if (k.tile == n) return double_tile<n>;
    TILES(CHOOSE)
#undef CHOOSE
    return nullptr;
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

// RGB or BGR bytes, pixel by pixel, to three planes.
void wsi_seg_normalise(const uint8_t* pixels, int64_t flip, const float* factor, const float* shift,
                       const Map* out, int64_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t y = 0; y < out->height; y++)
        for (int64_t c = 0; c < 3; c++) {
            const uint8_t* p = pixels + y * out->width * 3 + (flip ? 2 - c : c);
            float* q = out->origin + c * out->plane + y * out->row;
            for (int64_t x = 0; x < out->width; x++) q[x] = __builtin_fmaf(p[3 * x], factor[c], shift[c]);
        }
}

void wsi_seg_convolve(const Map* in, const Map* plus, const Map* out, const Map* out2, const Layer* k,
                      const Window* window, int64_t threads) {
    const Tile tile = convolution(*k);
    const int64_t step = WIDE * LANES;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t y = window->y0; y < window->y1; y++) {
        for (int64_t c = 0; c < k->outputs; c += k->tile)
            for (int64_t x = window->x0 / step * step; x < window->x1; x += step)
                tile(*in, plus, out, out2, *k, c, y, x);
        if (out) trim(out, k->branches * k->outputs, y);
        if (out2) trim(out2, k->branches * k->outputs, y);
    }
}

void wsi_seg_double(const Map* in, const Map* out, const Map* out2, const Layer* k, const Window* window,
                    int64_t threads) {
    const Doubling tile = doubling(*k);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t y = window->y0; y < window->y1; y++) {
        for (int64_t x = window->x0 / 2 / LANES * LANES; 2 * x < window->x1; x += LANES)
            for (int64_t c = 0; c < k->outputs; c += k->tile) tile(*in, out, out2, *k, c, y, x, nullptr);
        if (out) trim(out, k->outputs, y);
        if (out2) trim(out2, k->outputs, y);
    }
}

// Double a map, and decide each pixel in the window: which channel is the largest, of equals the first, as
// `decide` in inference/network/pixels.py does. Bytes, row by row, of the window's shape.
void wsi_seg_double_argmax(const Map* in, const Layer* k, const Window* window, uint8_t* best, int64_t threads) {
    const Doubling tile = doubling(*k);
    const int64_t width = window->x1 - window->x0;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t y = window->y0; y < window->y1; y++) {
        std::vector<float> logits((k->outputs + k->tile) * 2 * LANES);
        uint8_t* row = best + (y - window->y0) * width;
        for (int64_t x = window->x0 / 2 / LANES * LANES; 2 * x < window->x1; x += LANES) {
            for (int64_t c = 0; c < k->outputs; c += k->tile)
                tile(*in, nullptr, nullptr, *k, c, y, x, logits.data());
            int32_t channels[2 * LANES];
            for (int half = 0; half < 2; half++) {
                Vec most = load(&logits[half * LANES]);
                Ints which = {};
                for (int64_t c = 1; c < k->outputs; c++) {
                    const Vec v = load(&logits[c * 2 * LANES + half * LANES]);
                    which = v > most ? Ints{} + int32_t(c) : which;
                    most = v > most ? v : most;
                }
                std::memcpy(channels + half * LANES, &which, sizeof which);
            }
            const int64_t begin = 2 * x < window->x0 ? window->x0 : 2 * x;
            const int64_t end = 2 * x + 2 * LANES > window->x1 ? window->x1 : 2 * x + 2 * LANES;
            for (int64_t i = begin; i < end; i++) row[i - window->x0] = uint8_t(channels[i - 2 * x]);
        }
    }
}
}

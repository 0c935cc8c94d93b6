// Convolutions by AMX, which multiplies tiles of bfloat16 at several times the rate of vectors of floats.
//
// A float is the sum of two bfloat16 and next to nothing: the nearest one, and what is missing, rounded
// likewise. So a product of floats is that of the two nearest and those of each with what the other misses;
// the fourth is as small as what was rounded away, and is left out. Sums are kept in floats. Such a
// convolution differs from one in floats by some 2^-16 of its terms.
//
// A map is split once (`split`) and multiplied by each weight (`multiply`). In a split map each pixel is some
// lines of the cache: its nearest values, channel by channel, then what is missing. So 16 pixels are a tile,
// a line each, whatever pixel is the first and however far apart they are. A tile that begins within lines
// takes six times as long to load: planes, as all other maps have them, would be slower than vectors.
//
// Each pixel's sum has one order, whatever tile it falls into, so results are the same bytes for any number of
// threads and any windows, on any processor that has AMX.

#include "finish.h"

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512F__) && defined(__linux__)
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

static const int64_t SIDE = 16;  // of a tile: rows, and words of 4 bytes in a row
static const int64_t TILE = SIDE * SIDE;  // floats, or pairs of bfloat16, in a tile

static inline Ints bits(Vec v) { return (Ints)v; }

// The nearest bfloat16, of two the even one, as a float.
static inline Vec nearest(Vec v) {
    const Ints b = bits(v);
    return (Vec)((b + 0x7fff + ((b >> 16) & 1)) & int32_t(0xffff0000));
}

// Two channels' bfloat16 for each pixel: the first in the lower half.
static inline Vec paired(Vec first, Vec second) {
    return (Vec)(((bits(first) >> 16) & 0xffff) | (bits(second) & int32_t(0xffff0000)));
}

// Turn a square of words over: word j of vector i becomes word i of vector j.
static inline void transpose(Vec* v) {
    static const Ints kFirst = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
    static const Ints kSecond = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    // Four times, vectors i and i + 8 are shuffled like cards.
    for (int turn = 0; turn < 4; turn++) {
        Vec next[SIDE];
#pragma GCC unroll 8
        for (int i = 0; i < SIDE / 2; i++) {
            next[2 * i] = pick(v[i], v[i + SIDE / 2], kFirst);
            next[2 * i + 1] = pick(v[i], v[i + SIDE / 2], kSecond);
        }
#pragma GCC unroll 16
        for (int i = 0; i < SIDE; i++) v[i] = next[i];
    }
}

// Split a row: of 16 pixels at a time, nearest values and what is missing, then zeros up to a whole line.
void split(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const int64_t plane = s.in->plane, pairs = k.outputs, pixel = s.out->plane;
    const float* row = row_of(*s.in, y);
    float* out = row_of(*s.out, y);
    std::vector<float> words(pixel * SIDE);  // for each word, 16 pixels
    for (; span < end; span++)
        for (int64_t x = span->x0; x < span->x1; x += SIDE) {
            const int64_t count = span->x1 - x < SIDE ? span->x1 - x : SIDE;
            for (int64_t c = 0; c < k.inputs; c += 2) {
                const float *p = row + c * plane + x, *q = c + 1 < k.inputs ? p + plane : nullptr;
                const Vec first = load(p), second = q ? load(q) : Vec{};
                const Vec a = nearest(first), b = nearest(second);
                store(&words[c / 2 * SIDE], paired(a, b));
                store(&words[(c / 2 + pairs) * SIDE], paired(nearest(first - a), nearest(second - b)));
                fetch<0>(p + 2 * LANES, 1);
                if (q) fetch<0>(q + 2 * LANES, 1);
            }
            for (int64_t word = 0; word < pixel; word += SIDE) {
                Vec v[SIDE];
                for (int i = 0; i < SIDE; i++) v[i] = load(&words[(word + i) * SIDE]);
                transpose(v);
                for (int64_t i = 0; i < count; i++) store(out + (x + i) * pixel + word, v[i]);
            }
        }
}

struct alignas(64) Shapes {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
};

static void set_shapes() {
    Shapes s = {};
    s.palette = 1;
    for (int i = 0; i < 8; i++) s.rows[i] = SIDE, s.bytes[i] = 4 * SIDE;
    __asm__ volatile("" : : "r"(&s) : "memory");  // GCC 12 believes that 8 bytes of it are read
    _tile_loadconfig(&s);
}

static const int64_t PIECE = 16;  // tiles of pixels of a row that are summed up together
static const int64_t NEAR_AT_HAND = 20 * 1024 / 4;  // floats of weights: so many stay in the first cache

struct Place {  // 16 channels of a piece of a row
    const float* const* rows;  // for each tap of all branches, its pixel for x = 0; null: zeros
    int64_t apart, lines, near;  // floats from pixel to pixel; lines of a pixel, and those with nearest values
    int64_t first, x, wanted;
    Line plus, out, out2;
};

// Add taps to N tiles of sums. Tiles 0 to 3 are sums, 4 and 5 pixels, 6 and 7 weights.
template <int N>
static void add_taps(float* sums, const float* const* tap, int64_t taps, const float* w, int64_t x, const Place& at) {
    const int64_t bytes = 4 * at.apart;
#define EACH(f) f(0, 4) f(1, 5) f(2, 4) f(3, 5)
#define TAKE(n, tile) \
    if (N > n) _tile_loadd(n, sums + n * TILE, 64);
    EACH(TAKE)
    for (; taps > 0; taps--, tap++) {
        if (!*tap) {
            w += (at.lines + at.near) * TILE;
            continue;
        }
        const float* p = *tap + x * at.apart;
        for (int64_t line = 0; line < at.lines; line++, p += SIDE, w += TILE) {
            _tile_loadd(6, w, 64);
            if (line < at.near) {
                _tile_loadd(7, w += TILE, 64);
#define TWICE(n, tile)                                  \
    if (N > n) {                                        \
        _tile_loadd(tile, p + n * SIDE * at.apart, bytes); \
        _tile_dpbf16ps(n, tile, 6);                     \
        _tile_dpbf16ps(n, tile, 7);                     \
    }
                EACH(TWICE)
            } else {
#define ONCE(n, tile)                                   \
    if (N > n) {                                        \
        _tile_loadd(tile, p + n * SIDE * at.apart, bytes); \
        _tile_dpbf16ps(n, tile, 6);                     \
    }
                EACH(ONCE)
            }
        }
    }
#define KEEP(n, tile) \
    if (N > n) _tile_stored(n, sums + n * TILE, 64);
    EACH(KEEP)
}

// Finish the sums of 16 channels, from `c` on, of 16 pixels, from `x` on.
static inline void finish_tile(const float* sums, const Layer& k, int64_t c, int64_t channels, int64_t x,
                               int64_t wanted, const Place& at) {
    Vec v[SIDE];
    for (int i = 0; i < SIDE; i++) v[i] = load(sums + i * SIDE);
    transpose(v);
    for (int64_t i = 0; i < channels; i++) finish(v[i], k, c + i, x, wanted, at.plus, at.out, at.out2);
}

static void multiply_piece(const Layer& k, const Place& at) {
    alignas(64) float sums[PIECE * TILE] = {};
    const int64_t tiles = (at.wanted + SIDE - 1) / SIDE, tap = (at.lines + at.near) * TILE;
    const int64_t channels = k.outputs - at.first < SIDE ? k.outputs - at.first : SIDE;
    const int64_t most = NEAR_AT_HAND / tap < 1 ? 1 : NEAR_AT_HAND / tap;
    const float* w = k.weights + at.first / SIDE * k.branches * k.size * tap;
    const float* const* rows = at.rows;
    for (int64_t b = 0; b < k.branches; b++) {
        for (int64_t t = 0; t < k.size; t += most) {
            const int64_t taps = k.size - t < most ? k.size - t : most;
            for (int64_t i = 0; i < tiles; i += 4) {
                float* these = sums + i * TILE;
                const int64_t x = at.x + i * SIDE;
                if (tiles - i > 3) add_taps<4>(these, rows, taps, w, x, at);
                else if (tiles - i > 2) add_taps<3>(these, rows, taps, w, x, at);
                else if (tiles - i > 1) add_taps<2>(these, rows, taps, w, x, at);
                else add_taps<1>(these, rows, taps, w, x, at);
            }
            w += taps * tap, rows += taps;
        }
        for (int64_t i = 0; i < tiles; i++)
            finish_tile(sums + i * TILE, k, b * k.outputs + at.first, channels, at.x + i * SIDE,
                        at.wanted - i * SIDE, at);
    }
}

void multiply(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const Map& in = *s.in;
    const int64_t side = k.size == 1 ? 1 : 3;
    const float* rows[9 * BRANCHES];
    for (int64_t b = 0; b < k.branches; b++)
        for (int64_t t = 0; t < k.size; t++) {
            const int64_t row = y * k.stride + (t / side - side / 2) * k.taps[b];
            const bool inside = row >= 0 && row < in.height;
            rows[k.size * b + t] = inside ? row_of(in, row) + (t % side - side / 2) * k.taps[b] * in.plane : nullptr;
        }
    Place at = {rows, k.stride * in.plane, in.plane / SIDE, (k.inputs + SIDE - 1) / SIDE, 0, 0, 0,
                line_of(s.plus, y), line_of(s.out, y), line_of(s.out2, y)};
    set_shapes();
    for (at.first = 0; at.first < k.outputs; at.first += SIDE)
        for (const Span* p = span; p < end; p++)
            for (at.x = p->x0; at.x < p->x1; at.x += PIECE * SIDE) {
                at.wanted = p->x1 - at.x < PIECE * SIDE ? p->x1 - at.x : PIECE * SIDE;
                multiply_piece(k, at);
            }
    _tile_release();
}

extern "C" int wsi_seg_multiplies() {
    // Linux lets a program use tiles when it asks: ARCH_REQ_XCOMP_PERM, for the state XTILEDATA.
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

#else

void split(const Step&, int64_t, const Span*, const Span*) {}
void multiply(const Step&, int64_t, const Span*, const Span*) {}

// Whether `split` and `multiply` can be asked for.
extern "C" int wsi_seg_multiplies() { return 0; }

#endif

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

// The words that split maps hold for 16 pixels: `pairs` of nearest values, then of what is missing; then zeros.
static inline Vec word_of(const float* p, int64_t plane, int64_t word, int64_t pairs, int64_t inputs) {
    if (word >= 2 * pairs) return Vec{};
    const int64_t c = 2 * (word % pairs);
    Vec a = load(p + c * plane), b = c + 1 < inputs ? load(p + (c + 1) * plane) : Vec{};
    if (word >= pairs) a -= nearest(a), b -= nearest(b);
    return paired(nearest(a), nearest(b));
}

void split(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const float* row = row_of(*s.in, y);
    float* out = row_of(*s.out, y);
    const int64_t pairs = k.outputs, pixel = s.out->plane;
    for (; span < end; span++)
        for (int64_t x = span->x0; x < span->x1; x += SIDE) {
            const int64_t count = span->x1 - x < SIDE ? span->x1 - x : SIDE;
            for (int64_t word = 0; word < pixel; word += SIDE) {
                Vec v[SIDE];
                for (int i = 0; i < SIDE; i++) v[i] = word_of(row + x, s.in->plane, word + i, pairs, k.inputs);
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

struct Place {  // of some outputs in a row
    const float* const* rows;  // for each tap, its pixel for the first output of the row; null: zeros
    int64_t pixel, lines, near;  // words of a pixel; its lines; those that hold nearest values
    int64_t first, x, wanted;
    Line plus, out, out2;
};

// Tiles 0 to 3 are sums, 4 and 5 pixels, 6 and 7 weights.
#define MULTIPLY(sum, pixels, weights) _tile_dpbf16ps(sum, pixels, weights)

// Add a tap to the sums of 32 channels of up to 32 pixels.
template <int PIXELS>
static inline const float* add_wide(const float* p, int64_t apart, const float* w, const Place& at) {
    for (int64_t line = 0; line < at.lines; line++, p += SIDE) {
        _tile_loadd(4, p, 4 * apart);
        if (PIXELS > 1) _tile_loadd(5, p + SIDE * apart, 4 * apart);
        for (int turn = 0; turn < (line < at.near ? 2 : 1); turn++, w += 2 * TILE) {
            _tile_loadd(6, w, 64);
            _tile_loadd(7, w + TILE, 64);
            MULTIPLY(0, 4, 6);
            MULTIPLY(1, 4, 7);
            if (PIXELS > 1) MULTIPLY(2, 5, 6);
            if (PIXELS > 1) MULTIPLY(3, 5, 7);
        }
    }
    return w;
}

// Add a tap to the sums of 16 channels of up to 64 pixels.
template <int PIXELS>
static inline const float* add_long(const float* p, int64_t apart, const float* w, const Place& at) {
    for (int64_t line = 0; line < at.lines; line++, p += SIDE) {
        const bool twice = line < at.near;
        _tile_loadd(6, w, 64);
        if (twice) _tile_loadd(7, w + TILE, 64);
#define ADD(n, tile)                                              \
    if (PIXELS > n) {                                             \
        _tile_loadd(tile, p + n * SIDE * apart, 4 * apart);       \
        MULTIPLY(n, tile, 6);                                     \
        if (twice) MULTIPLY(n, tile, 7);                          \
    }
        ADD(0, 4) ADD(1, 5) ADD(2, 4) ADD(3, 5)
#undef ADD
        w += twice ? 2 * TILE : TILE;
    }
    return w;
}

// Finish the sums of a tile: 16 channels from `c` on, of 16 pixels from `x` on.
static inline void finish_tile(const float* sums, const Layer& k, int64_t c, int64_t channels, int64_t x,
                               int64_t wanted, const Place& at) {
    Vec v[SIDE];
    for (int i = 0; i < SIDE; i++) v[i] = load(sums + i * SIDE);
    transpose(v);
    for (int64_t i = 0; i < channels; i++) finish(v[i], k, c + i, x, wanted, at.plus, at.out, at.out2);
}

template <int PIXELS, int WIDE>
static void multiply_tiles(const Layer& k, const Place& at) {
    alignas(64) float sums[4 * TILE];
    const float* w = k.weights + at.first * k.branches * k.size * (at.lines + at.near) * SIDE;
    const float* const* tap = at.rows;
    const int64_t apart = k.stride * at.pixel;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t b = 0; b < k.branches; b++) {
        for (int64_t t = 0; t < k.size; t++, tap++) {
            if (*tap) {
                const float* p = *tap + at.x * apart;
                w = WIDE > 1 ? add_wide<PIXELS>(p, apart, w, at) : add_long<PIXELS>(p, apart, w, at);
            } else {
                w += (at.lines + at.near) * WIDE * TILE;
            }
        }
        _tile_stored(0, sums, 64);
        _tile_stored(1, sums + TILE, 64);
        _tile_stored(2, sums + 2 * TILE, 64);
        _tile_stored(3, sums + 3 * TILE, 64);
        for (int p = 0; p < PIXELS; p++)
            for (int n = 0; n < WIDE; n++) {
                const int64_t left = k.outputs - at.first - n * SIDE;
                finish_tile(sums + (p * WIDE + n) * TILE, k, b * k.outputs + at.first + n * SIDE,
                            left < SIDE ? left : SIDE, at.x + p * SIDE, at.wanted - p * SIDE, at);
            }
    }
}

static void multiply_span(const Layer& k, Place& at, const Span& span) {
    const bool wide = k.outputs - at.first > SIDE;
    for (at.x = span.x0; at.x < span.x1; at.x += (wide ? 2 : 4) * SIDE) {
        at.wanted = span.x1 - at.x;
        const int64_t tiles = (at.wanted + SIDE - 1) / SIDE;
        if (wide) tiles > 1 ? multiply_tiles<2, 2>(k, at) : multiply_tiles<1, 2>(k, at);
        else if (tiles > 3) multiply_tiles<4, 1>(k, at);
        else if (tiles > 2) multiply_tiles<3, 1>(k, at);
        else tiles > 1 ? multiply_tiles<2, 1>(k, at) : multiply_tiles<1, 1>(k, at);
    }
}

void multiply(const Step& s, int64_t y, const Span* span, const Span* end) {
    const Layer& k = *s.layer;
    const Map& in = *s.in;
    const float* rows[9 * BRANCHES];
    for (int64_t b = 0; b < k.branches; b++)
        for (int64_t t = 0; t < 9; t++) {
            const int64_t row = y * k.stride + (t / 3 - 1) * k.taps[b];
            const bool inside = row >= 0 && row < in.height;
            rows[9 * b + t] = inside ? row_of(in, row) + (t % 3 - 1) * k.taps[b] * in.plane : nullptr;
        }
    Place at = {rows, in.plane, in.plane / SIDE, (k.inputs + SIDE - 1) / SIDE, 0, 0, 0,
                line_of(s.plus, y), line_of(s.out, y), line_of(s.out2, y)};
    set_shapes();
    for (at.first = 0; at.first < k.outputs; at.first += 2 * SIDE)
        for (const Span* p = span; p < end; p++) multiply_span(k, at, *p);
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

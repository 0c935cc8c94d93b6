// Vectors along a row, for any kind of processor.

#pragma once

#include <cstdint>
#include <cstring>

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

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(LANES * 4)));

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

// The first pixels of a vector alone: what lies behind belongs to others.
static inline void store(float* p, Vec v, int64_t count) {
    if (count >= LANES) return store(p, v);
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), (__m512)v);
#else
    for (int64_t i = 0; i < count; i++) p[i] = v[i];
#endif
}

// The numbers of an image: float, or bfloat16, which are the upper halves of floats. All is computed in float.
//
// Work is written once for vectors (V is Vec) and single numbers (V is float), of which some are left over.

#pragma once

#include <cstdint>
#include <cstring>

namespace {

const int64_t LANES = 16;

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef uint32_t Bits __attribute__((vector_size(LANES * 4)));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2)));

struct Bfloat {
  uint16_t bits;
};

template <class V>
V load(const float* from) {
  V value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class V>
void store(V value, float* to) {
  std::memcpy(to, &value, sizeof value);
}

template <class V>
struct Unsigned;
template <>
struct Unsigned<Vec> {
  typedef Bits Whole;
  typedef Halves Half;
  static Whole widened(Half half) { return __builtin_convertvector(half, Whole); }
  static Half narrowed(Whole whole) { return __builtin_convertvector(whole, Half); }
};
template <>
struct Unsigned<float> {
  typedef uint32_t Whole;
  typedef uint16_t Half;
  static Whole widened(Half half) { return half; }
  static Half narrowed(Whole whole) { return static_cast<Half>(whole); }
};

template <class V>
V load(const Bfloat* from) {
  typename Unsigned<V>::Half half;
  std::memcpy(&half, from, sizeof half);
  const typename Unsigned<V>::Whole bits = Unsigned<V>::widened(half) << 16;
  V value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// To the nearest, and of two that are equally near to the even one. What is not a number stays so.
template <class V>
void store(V value, Bfloat* to) {
  typedef typename Unsigned<V>::Whole Whole;
  Whole bits;
  std::memcpy(&bits, &value, sizeof bits);
  const Whole rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Whole nothing = rounded * 0u + 0x7fc0u;
  const typename Unsigned<V>::Half half = Unsigned<V>::narrowed(value == value ? rounded : nothing);
  std::memcpy(to, &half, sizeof half);
}

}  // namespace

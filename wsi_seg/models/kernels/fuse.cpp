// Hierarchical feature fusion for training: the sums of an ESP module's branches side by side, with its input
// added, and the gradients of the branches.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "numbers.h"

// Of a module: how many pixels and branches there are, how many channels each branch has, and their images.
// The first branch stands alone; all others are as wide as the second, and each is added to those before.
struct Fusion {
  int64_t pixels, branches, first, thin, threads;
  void* const* images;
};

namespace {

const int64_t ROW = 64;  // pixels that are worked on at a time: all of it lies in a first-level cache

// Vectors, and the numbers that are left over.
template <class Work>
void along(int64_t count, Work work) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) work.template at<Vec>(i);
  for (; i < count; ++i) work.template at<float>(i);
}

// to = from, of another type; plus the numbers of `add` if there are any.
template <class From, class Add, class To>
struct Moved {
  const From* from;
  const Add* add;
  To* to;

  template <class V>
  void at(int64_t i) const {
    store(add ? load<V>(from + i) + load<V>(add + i) : load<V>(from + i), to + i);
  }
};

// Whole vectors: up to LANES - 1 numbers behind the last are written as well, and must be free.
inline void copy(const float* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) store(load<Vec>(from + i), to + i);
}

inline void add(const float* one, const float* other, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) store(load<Vec>(one + i) + load<Vec>(other + i), to + i);
}

// A row of pixels as floats: each branch by itself, and all of a pixel's channels side by side.
class Row {
 public:
  explicit Row(const Fusion& fusion)
      : all(fusion.first + (fusion.branches - 1) * fusion.thin), wide(ROW * all + LANES) {
    for (int64_t branch = 0; branch < fusion.branches; ++branch)
      alone.emplace_back(ROW * width(fusion, branch) + LANES);
    none.resize(alone.back().size());
  }

  static int64_t width(const Fusion& fusion, int64_t branch) { return branch ? fusion.thin : fusion.first; }

  int64_t all;
  std::vector<float> wide, none;
  std::vector<std::vector<float>> alone;
};

template <class Number>
void fuse_row(const Fusion& fusion, Row& row, const Number* input, Number* fused, int64_t begin,
              int64_t pixels) {
  for (int64_t branch = 0; branch < fusion.branches; ++branch) {
    const int64_t width = Row::width(fusion, branch);
    const Number* from = static_cast<const Number*>(fusion.images[branch]) + begin * width;
    const float* before = branch > 1 ? row.alone[branch - 1].data() : nullptr;
    along(pixels * width, Moved<Number, float, float>{from, before, row.alone[branch].data()});
  }
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    float* to = &row.wide[pixel * row.all];  // in order: what is written too far is written again
    for (int64_t branch = 0; branch < fusion.branches; ++branch) {
      const int64_t width = Row::width(fusion, branch);
      copy(&row.alone[branch][pixel * width], to, width);
      to += width;
    }
  }
  const Number* more = input ? input + begin * row.all : nullptr;
  along(pixels * row.all, Moved<float, Number, Number>{row.wide.data(), more, fused + begin * row.all});
}

// The gradient of a branch is the sum of those of all sums that it is part of.
template <class Number>
void part_row(const Fusion& fusion, Row& row, const Number* grad, int64_t begin, int64_t pixels) {
  along(pixels * row.all, Moved<Number, float, float>{grad + begin * row.all, nullptr, row.wide.data()});
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const float* from = &row.wide[pixel * row.all];
    copy(from, &row.alone[0][pixel * fusion.first], fusion.first);
    for (int64_t branch = fusion.branches - 1; branch > 0; --branch) {
      const float* after = branch + 1 < fusion.branches ? row.alone[branch + 1].data() : row.none.data();
      const int64_t place = pixel * fusion.thin;
      add(from + fusion.first + (branch - 1) * fusion.thin, after + place, &row.alone[branch][place],
          fusion.thin);
    }
  }
  for (int64_t branch = 0; branch < fusion.branches; ++branch) {
    const int64_t width = Row::width(fusion, branch);
    Number* to = static_cast<Number*>(fusion.images[branch]) + begin * width;
    along(pixels * width, Moved<float, Number, Number>{row.alone[branch].data(), nullptr, to});
  }
}

template <class Number>
void fuse(const Fusion& fusion, const Number* input, Number* fused) {
  const int threads = static_cast<int>(fusion.threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    Row row(fusion);
#pragma omp for schedule(static)
    for (int64_t begin = 0; begin < fusion.pixels; begin += ROW)
      fuse_row(fusion, row, input, fused, begin, std::min(ROW, fusion.pixels - begin));
  }
}

template <class Number>
void part(const Fusion& fusion, const Number* grad) {
  const int threads = static_cast<int>(fusion.threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    Row row(fusion);
#pragma omp for schedule(static)
    for (int64_t begin = 0; begin < fusion.pixels; begin += ROW)
      part_row(fusion, row, grad, begin, std::min(ROW, fusion.pixels - begin));
  }
}

}  // namespace

extern "C" {

// `fused` becomes the sums; `input`, which may be null, is added to them.
void wsi_seg_fuse_float(const Fusion* fusion, const float* input, float* fused) { fuse(*fusion, input, fused); }

void wsi_seg_fuse_bfloat(const Fusion* fusion, const Bfloat* input, Bfloat* fused) {
  fuse(*fusion, input, fused);
}

// The images of `fusion` become the gradients of the branches.
void wsi_seg_fuse_back_float(const Fusion* fusion, const float* grad) { part(*fusion, grad); }

void wsi_seg_fuse_back_bfloat(const Fusion* fusion, const Bfloat* grad) { part(*fusion, grad); }
}

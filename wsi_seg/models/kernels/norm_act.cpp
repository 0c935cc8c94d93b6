// Batch normalisation and a PReLU in one, for training: values and gradients.
//
// An image is channels-last, so it is a row of pixels, each with all of its channels. A run of pixels whose
// length in numbers is a multiple of a vector's is a "period": what belongs to channels is repeated along it
// once, and then all work goes by vectors, whatever the number of channels is. A vector's place in the period
// decides what belongs to it, so that stays in registers for several periods.
//
// Sums are taken over blocks of pixels, which threads share, and the blocks' sums are added in their order, in
// double: so results do not depend on the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "numbers.h"

namespace {

const int64_t BLOCK = 2048;  // pixels
const int64_t TURN = 8192;  // numbers that a first-level cache holds, and their gradients

int64_t common(int64_t a, int64_t b) { return b ? common(b, a % b) : a; }

// The numbers of an image: how many pixels there are, and how long a period is.
struct Extent {
  Extent(int64_t pixels, int64_t channels)
      : pixels(pixels),
        channels(channels),
        period(channels * LANES / common(channels, LANES)),
        blocks((pixels + BLOCK - 1) / BLOCK) {}

  std::vector<float> repeated(const float* values) const {
    std::vector<float> all(period);
    for (int64_t i = 0; i < period; i += channels) std::copy(values, values + channels, &all[i]);
    return all;
  }

  // Do a pass's work on a block: `run` goes from a number on through some periods, at one place in them.
  template <class Pass>
  void sweep(int64_t block, Pass& pass) const {
    int64_t begin = block * BLOCK * channels;
    const int64_t end = std::min((block + 1) * BLOCK, pixels) * channels;
    const int64_t most = std::max<int64_t>(1, TURN / period);
    while (end - begin >= period) {
      const int64_t periods = std::min(most, (end - begin) / period);
      for (int64_t place = 0; place < period; place += LANES)
        pass.template run<Vec>(begin + place, place, periods);
      begin += periods * period;
    }
    for (int64_t place = 0; begin + place < end; ++place)
      pass.template run<float>(begin + place, place, 1);
  }

  int64_t pixels, channels, period, blocks;
};

// The sums that threads take over blocks: `kinds` of them, for each channel.
class Sums {
 public:
  Sums(const Extent& extent, int64_t kinds)
      : extent_(extent), kinds_(kinds), all_(extent.blocks * kinds * extent.channels) {}

  void keep(int64_t block, int64_t kind, const std::vector<float>& along) {
    double* sums = &all_[(block * kinds_ + kind) * extent_.channels];
    for (int64_t i = 0; i < extent_.period; i += extent_.channels)
      for (int64_t c = 0; c < extent_.channels; ++c) sums[c] += along[i + c];
  }

  double of(int64_t kind, int64_t channel) const {
    double sum = 0;
    for (int64_t block = 0; block < extent_.blocks; ++block)
      sum += all_[(block * kinds_ + kind) * extent_.channels + channel];
    return sum;
  }

 private:
  const Extent& extent_;
  int64_t kinds_;
  std::vector<double> all_;
};

// Moments about a value near the mean, so that little is lost where that is far from zero.
template <class Number>
struct Moments {
  const Number* x;
  int64_t period;
  const float* about;
  std::vector<float> first, second;

  template <class V>
  void run(int64_t at, int64_t place, int64_t periods) {
    const V from = load<V>(about + place);
    V one = load<V>(&first[place]), two = load<V>(&second[place]);
    for (int64_t i = 0; i < periods; ++i) {
      const V off = load<V>(x + at + i * period) - from;
      one += off;
      two += off * off;
    }
    store(one, &first[place]);
    store(two, &second[place]);
  }
};

// What belongs to channels, repeated along a period.
struct Along {
  std::vector<float> mean, scale, shift, slope;
};

template <class Number>
struct Activated {
  const Number* x;
  Number* y;
  int64_t period;
  const Along& along;

  template <class V>
  void run(int64_t at, int64_t place, int64_t periods) const {
    const V scale = load<V>(&along.scale[place]), shift = load<V>(&along.shift[place]),
            slope = load<V>(&along.slope[place]);
    for (int64_t i = 0; i < periods; ++i) {
      const V normal = load<V>(x + at + i * period) * scale + shift;
      store(normal > 0 ? normal : normal * slope, y + at + i * period);
    }
  }
};

// Sums of the gradients of the normalised values, of these times x less its mean, and of the slopes'.
template <class Number>
struct Gradients {
  const Number *x, *grad;
  int64_t period;
  const Along& along;
  std::vector<float> plain, times, slopes;

  template <class V>
  void run(int64_t at, int64_t place, int64_t periods) {
    const V mean = load<V>(&along.mean[place]), scale = load<V>(&along.scale[place]),
            shift = load<V>(&along.shift[place]), slope = load<V>(&along.slope[place]);
    V one = load<V>(&plain[place]), two = load<V>(&times[place]), three = load<V>(&slopes[place]);
    for (int64_t i = 0; i < periods; ++i) {
      const V value = load<V>(x + at + i * period), up = load<V>(grad + at + i * period);
      const V normal = value * scale + shift;
      const V of_normal = normal > 0 ? up : up * slope;
      one += of_normal;
      two += of_normal * (value - mean);
      three += normal > 0 ? up * 0 : up * normal;
    }
    store(one, &plain[place]);
    store(two, &times[place]);
    store(three, &slopes[place]);
  }
};

// The gradient of x is that of the normalised value times `scale`, plus `by_x` times x less its mean, plus
// `rest`.
template <class Number>
struct OfX {
  const Number *x, *grad;
  Number* of_x;
  int64_t period;
  const Along& along;
  const std::vector<float>&by_x, &rest;

  template <class V>
  void run(int64_t at, int64_t place, int64_t periods) const {
    const V mean = load<V>(&along.mean[place]), scale = load<V>(&along.scale[place]),
            shift = load<V>(&along.shift[place]), slope = load<V>(&along.slope[place]),
            by = load<V>(&by_x[place]), plus = load<V>(&rest[place]);
    for (int64_t i = 0; i < periods; ++i) {
      const V value = load<V>(x + at + i * period), up = load<V>(grad + at + i * period);
      const V of_normal = value * scale + shift > 0 ? up : up * slope;
      store(of_normal * scale + (value - mean) * by + plus, of_x + at + i * period);
    }
  }
};

}  // namespace

// One normalisation and its activation, channel by channel; all arrays have an entry for each channel.
struct NormAct {
  int64_t pixels, channels, threads;
  const float *weight, *bias, *slope;
  float *mean, *deviation;  // of this image: the second is one over the standard deviation
};

namespace {

Along along_of(const NormAct& norm, const Extent& extent) {
  std::vector<float> scale(norm.channels), shift(norm.channels);
  for (int64_t c = 0; c < norm.channels; ++c) {
    scale[c] = norm.weight[c] * norm.deviation[c];
    shift[c] = norm.bias[c] - norm.mean[c] * scale[c];
  }
  return {extent.repeated(norm.mean), extent.repeated(scale.data()), extent.repeated(shift.data()),
          extent.repeated(norm.slope)};
}

template <class Number>
void find_moments(const NormAct& norm, const Extent& extent, const Number* x, float* variance) {
  const int threads = static_cast<int>(norm.threads);
  std::vector<float> first_values(norm.channels);
  for (int64_t c = 0; c < norm.channels; ++c) first_values[c] = load<float>(x + c);
  const std::vector<float> about = extent.repeated(first_values.data());
  Sums sums(extent, 2);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t block = 0; block < extent.blocks; ++block) {
    const std::vector<float> none(extent.period);
    Moments<Number> pass = {x, extent.period, about.data(), none, none};
    extent.sweep(block, pass);
    sums.keep(block, 0, pass.first);
    sums.keep(block, 1, pass.second);
  }
  for (int64_t c = 0; c < norm.channels; ++c) {
    const double off = sums.of(0, c) / norm.pixels;
    norm.mean[c] = static_cast<float>(first_values[c] + off);
    variance[c] = static_cast<float>(std::max(0.0, sums.of(1, c) / norm.pixels - off * off));
  }
}

template <class Number>
void forward(const NormAct& norm, const Number* x, Number* y, float* variance, double epsilon) {
  const int threads = static_cast<int>(norm.threads);
  const Extent extent(norm.pixels, norm.channels);
  find_moments(norm, extent, x, variance);
  for (int64_t c = 0; c < norm.channels; ++c)
    norm.deviation[c] = static_cast<float>(1 / std::sqrt(variance[c] + epsilon));
  const Along along = along_of(norm, extent);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t block = 0; block < extent.blocks; ++block) {
    Activated<Number> pass = {x, y, extent.period, along};
    extent.sweep(block, pass);
  }
}

template <class Number>
void backward(const NormAct& norm, const Number* x, const Number* grad, Number* of_x, float* of_weight,
              float* of_bias, float* of_slope) {
  const int threads = static_cast<int>(norm.threads);
  const Extent extent(norm.pixels, norm.channels);
  const Along along = along_of(norm, extent);
  Sums sums(extent, 3);
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t block = 0; block < extent.blocks; ++block) {
    const std::vector<float> none(extent.period);
    Gradients<Number> pass = {x, grad, extent.period, along, none, none, none};
    extent.sweep(block, pass);
    sums.keep(block, 0, pass.plain);
    sums.keep(block, 1, pass.times);
    sums.keep(block, 2, pass.slopes);
  }
  std::vector<float> by_x(norm.channels), rest(norm.channels);
  for (int64_t c = 0; c < norm.channels; ++c) {
    const double plain = sums.of(0, c), times = sums.of(1, c), deviation = norm.deviation[c];
    const double scale = norm.weight[c] * deviation;
    of_weight[c] = static_cast<float>(times * deviation);
    of_bias[c] = static_cast<float>(plain);
    of_slope[c] = static_cast<float>(sums.of(2, c));
    by_x[c] = static_cast<float>(-scale * deviation * deviation * times / norm.pixels);
    rest[c] = static_cast<float>(-scale * plain / norm.pixels);
  }
  const std::vector<float> by = extent.repeated(by_x.data()), plus = extent.repeated(rest.data());
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t block = 0; block < extent.blocks; ++block) {
    OfX<Number> pass = {x, grad, of_x, extent.period, along, by, plus};
    extent.sweep(block, pass);
  }
}

}  // namespace

extern "C" {

// y becomes the activated values; of `norm`, mean and deviation are written, and `variance` (of the image).
void wsi_seg_norm_act_float(const NormAct* norm, const float* x, float* y, float* variance, double epsilon) {
  forward(*norm, x, y, variance, epsilon);
}

void wsi_seg_norm_act_bfloat(const NormAct* norm, const Bfloat* x, Bfloat* y, float* variance,
                             double epsilon) {
  forward(*norm, x, y, variance, epsilon);
}

void wsi_seg_norm_act_back_float(const NormAct* norm, const float* x, const float* grad, float* of_x,
                                 float* of_weight, float* of_bias, float* of_slope) {
  backward(*norm, x, grad, of_x, of_weight, of_bias, of_slope);
}

void wsi_seg_norm_act_back_bfloat(const NormAct* norm, const Bfloat* x, const Bfloat* grad, Bfloat* of_x,
                                  float* of_weight, float* of_bias, float* of_slope) {
  backward(*norm, x, grad, of_x, of_weight, of_bias, of_slope);
}
}

// Weighted cross-entropy plus soft Dice over the pixels whose class is known, and the gradient of the logits.
//
// Sums are taken over blocks of pixels, which threads share, and the blocks' sums are added in their order: so
// the loss does not depend on the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "numbers.h"

// What is compared: pixels and classes there are, the classes' weights, and how much the Dice loss counts.
struct Loss {
  int64_t pixels, classes, unknown, threads;
  const float* weights;
  double dice, least_weight, smoothing;
};

namespace {

const int64_t BLOCK = 4096;

struct Sums {
  explicit Sums(int64_t classes) : found(classes), true_ones(classes), both(classes) {}

  void add(const Sums& other) {
    entropy += other.entropy;
    weight += other.weight;
    strange |= other.strange;
    for (size_t c = 0; c < both.size(); ++c) {
      found[c] += other.found[c];
      true_ones[c] += other.true_ones[c];
      both[c] += other.both[c];
    }
  }

  double entropy = 0, weight = 0;
  bool strange = false;  // a class that there is not
  std::vector<double> found, true_ones, both;
};

// Turn a pixel's logits into probabilities; return the logarithm of that of its class, negative.
template <class Number>
float soften(const Number* logits, int64_t classes, int64_t truth, float* probability) {
  for (int64_t c = 0; c < classes; ++c) probability[c] = load<float>(logits + c);
  const float largest = *std::max_element(probability, probability + classes);
  const float own = probability[truth] - largest;
  float sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += probability[c] = std::exp(probability[c] - largest);
  for (int64_t c = 0; c < classes; ++c) probability[c] /= sum;
  return std::log(sum) - own;
}

template <class Number>
Sums compare(const Loss& loss, const Number* logits, const uint8_t* truth, float* probability, int64_t begin) {
  Sums sums(loss.classes);
  for (int64_t pixel = begin, end = std::min(begin + BLOCK, loss.pixels); pixel < end; ++pixel) {
    const int64_t own = truth[pixel];
    if (own == loss.unknown) continue;
    if (own >= loss.classes) {
      sums.strange = true;
      continue;
    }
    float* probable = probability + pixel * loss.classes;
    const float entropy = soften(logits + pixel * loss.classes, loss.classes, own, probable);
    sums.entropy += loss.weights[own] * static_cast<double>(entropy);
    sums.weight += loss.weights[own];
    sums.true_ones[own] += 1;
    sums.both[own] += probable[own];
    for (int64_t c = 0; c < loss.classes; ++c) sums.found[c] += probable[c];
  }
  return sums;
}

// How the loss changes with a pixel's probabilities: by `all` for each class, and by `own` more for its class;
// and, times `entropy`, with the logarithm of that.
struct Changes {
  std::vector<float> all, own, entropy;
};

template <class Number>
void derive(const Loss& loss, const Changes& changes, const uint8_t* truth, const float* probability,
            Number* grad, int64_t begin) {
  for (int64_t pixel = begin, end = std::min(begin + BLOCK, loss.pixels); pixel < end; ++pixel) {
    const int64_t own = truth[pixel];
    const float* probable = probability + pixel * loss.classes;
    Number* to = grad + pixel * loss.classes;
    if (own == loss.unknown) {
      for (int64_t c = 0; c < loss.classes; ++c) store(0.0f, to + c);
      continue;
    }
    float mean = probable[own] * changes.own[own];
    for (int64_t c = 0; c < loss.classes; ++c) mean += probable[c] * changes.all[c];
    const float entropy = changes.entropy[own];
    for (int64_t c = 0; c < loss.classes; ++c) {
      const float is_own = c == own ? 1.0f : 0.0f;
      const float by_dice = probable[c] * (changes.all[c] + is_own * changes.own[own] - mean);
      store(by_dice + entropy * (probable[c] - is_own), to + c);
    }
  }
}

template <class Number>
double find(const Loss& loss, const Number* logits, const uint8_t* truth, Number* grad) {
  const int threads = static_cast<int>(loss.threads);
  const int64_t blocks = (loss.pixels + BLOCK - 1) / BLOCK;
  std::vector<float> probability(loss.pixels * loss.classes);
  std::vector<Sums> parts(blocks, Sums(loss.classes));
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t block = 0; block < blocks; ++block)
    parts[block] = compare(loss, logits, truth, probability.data(), block * BLOCK);
  Sums sums(loss.classes);
  for (const Sums& part : parts) sums.add(part);
  if (sums.strange) return -1;

  const double weight = std::max(sums.weight, loss.least_weight);
  double dice = 0;
  Changes changes;
  for (int64_t c = 0; c < loss.classes; ++c) {
    const double size = sums.found[c] + sums.true_ones[c] + loss.smoothing;
    const double both = 2 * sums.both[c] + loss.smoothing;
    dice += both / size / loss.classes;
    changes.all.push_back(static_cast<float>(loss.dice / loss.classes * both / (size * size)));
    changes.own.push_back(static_cast<float>(-loss.dice / loss.classes * 2 / size));
    changes.entropy.push_back(static_cast<float>(loss.weights[c] / weight));
  }
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t block = 0; block < blocks; ++block)
    derive(loss, changes, truth, probability.data(), grad, block * BLOCK);
  return sums.entropy / weight + loss.dice * (1 - dice);
}

}  // namespace

extern "C" {

// Return the loss, and write its gradient; less than zero if `truth` has a class that there is not.
double wsi_seg_loss_float(const Loss* loss, const float* logits, const uint8_t* truth, float* grad) {
  return find(*loss, logits, truth, grad);
}

double wsi_seg_loss_bfloat(const Loss* loss, const Bfloat* logits, const uint8_t* truth, Bfloat* grad) {
  return find(*loss, logits, truth, grad);
}
}

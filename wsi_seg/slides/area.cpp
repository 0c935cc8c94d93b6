// Area resampling of RGBA pixels: the sums of wsi_seg/slides/resample.py, in the same order, to the same bytes.
//
// Multiplications and additions are rounded one by one (-ffp-contract=off), as numpy rounds them. Compiled for
// the machine that it runs on by wsi_seg/compiled/build.py; vectors are an extension of GCC and Clang to C++11.

#include <cstdint>
#include <vector>

typedef float Pixel __attribute__((vector_size(16), aligned(4)));

// Taps of the output pixels of one axis, tap by tap: places in the source, and weights.
struct Taps {
    const int64_t *index;
    const float *weight;
    int64_t taps, pixels;
};

// source: rows of `width` RGBA pixels. colour: rows of RGB pixels. present: whether alpha is half or more.
extern "C" void wsi_seg_area(const uint8_t *source, int64_t width, const Taps *y, const Taps *x, uint8_t *colour,
                             uint8_t *present) {
    std::vector<float> weighed(4 * width);
    float *row = weighed.data();
    for (int64_t k = 0; k < y->pixels; k++) {
        for (int64_t tap = 0; tap < y->taps; tap++) {
            const float weight = y->weight[tap * y->pixels + k];
            const uint8_t *from = source + 4 * width * y->index[tap * y->pixels + k];
            if (tap == 0)
                for (int64_t i = 0; i < 4 * width; i++) row[i] = from[i] * weight;
            else if (weight != 0)
                for (int64_t i = 0; i < 4 * width; i++) row[i] += from[i] * weight;
        }
        for (int64_t j = 0; j < x->pixels; j++) {
            Pixel sum = *(const Pixel *)(row + 4 * x->index[j]) * x->weight[j];
            for (int64_t tap = 1; tap < x->taps; tap++)
                sum += *(const Pixel *)(row + 4 * x->index[tap * x->pixels + j]) * x->weight[tap * x->pixels + j];
            sum += 0.5f;
            const int64_t at = k * x->pixels + j;
            for (int c = 0; c < 3; c++) colour[3 * at + c] = (uint8_t)(int)sum[c];
            present[at] = (uint8_t)(int)sum[3] >= 128;
        }
    }
}

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

#include <cstring>

#include "steps.h"
#include "tiles.h"
#include "vectors.h"

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

// Of a split map, each of whose pixels lies in one piece (products.cpp).
static void clear_pixels(const Map& m, int64_t y, const Span* span, const Span* end) {
    for (; span < end; span++)
        std::memset(row_of(m, y) + span->x0 * m.plane, 0, (span->x1 - span->x0) * m.plane * sizeof(float));
}

static void run_row(const Step& s, int64_t y) {
    const int32_t *empty = s.empty.first + y / s.empty.band, *wanted = s.wanted.first + y / s.wanted.band;
    if (s.kind == SPLIT) {
        clear_pixels(*s.out, y, s.empty.spans + empty[0], s.empty.spans + empty[1]);
    } else {
        clear(s.out, *s.layer, y, s.empty.spans + empty[0], s.empty.spans + empty[1]);
        clear(s.out2, *s.layer, y, s.empty.spans + empty[0], s.empty.spans + empty[1]);
    }
    const Span *span = s.wanted.spans + wanted[0], *end = s.wanted.spans + wanted[1];
    if (span == end) return;
    switch (s.kind) {
        case NORMALISE: return normalise(s, y, span, end);
        case CONVOLVE: return convolve(s, y, span, end);
        case DOUBLE: return double_row(s, y, span, end);
        case DECIDE: return decide(s, y, span, end);
        case SPLIT: return split(s, y, span, end);
        case MULTIPLY: return multiply(s, y, span, end);
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

// What a network is made of: maps, layers, and steps that run a few rows of a layer.

#pragma once

#include <cstdint>

struct Map {  // see flow.py: Held
    float* origin;  // channel 0, row 0, column 0
    int64_t plane, row;  // floats from one channel to the next (of split maps: pixel), from one row to the next
    int64_t rows;  // rows in memory: row y lies in the place of row y - rows
    int64_t height;
};

struct Layer {  // see kernels.py: Layer
    const float* weights;  // of products: blocks of bfloat16
    const float* finish;  // scale, shift, slope; then scale, shift, slope of a second step: one each a channel
    const int64_t* taps;  // the dilation of each branch; of the image: the byte of a pixel that a channel takes
    int64_t size, stride, branches, inputs, outputs, tile;
};

struct Span {  // pixels of a row: the first, and that after the last
    int32_t x0, x1;
};

struct Spans {  // see windows.py: Spans
    int64_t band;  // rows that have the same spans
    const int32_t* first;  // for each band, the number of its first span; one more at the end
    const Span* spans;
};

enum Kind { NORMALISE, CONVOLVE, DOUBLE, DECIDE, SPLIT, MULTIPLY };

struct Step {  // see flow.py
    int64_t kind;
    const Map *in, *plus, *out, *out2;
    const Layer* layer;
    Spans wanted, empty;  // pixels to compute; pixels to set to 0
    uint8_t* bytes;  // the image's pixels, or the classes
    int64_t bytes_row;  // from one row of them to the next
};

struct Slice {  // rows of a step
    int64_t step, y0, y1;
};

static const int BRANCHES = 16;  // at most

struct Line {  // a row of a map that is written or added
    float* start;  // null: there is no such map
    int64_t plane;
};

static inline float* row_of(const Map& m, int64_t y) { return m.origin + y % m.rows * m.row; }

static inline Line line_of(const Map* m, int64_t y) {
    return m ? Line{row_of(*m, y), m->plane} : Line{nullptr, 0};
}

// What each kind of step does to spans of one row of its result.
#pragma GCC visibility push(hidden)
void convolve(const Step& s, int64_t y, const Span* span, const Span* end);
void double_row(const Step& s, int64_t y, const Span* span, const Span* end);
void decide(const Step& s, int64_t y, const Span* span, const Span* end);
void split(const Step& s, int64_t y, const Span* span, const Span* end);
void multiply(const Step& s, int64_t y, const Span* span, const Span* end);
#pragma GCC visibility pop

// Runs of equal pixels and 4-connected components of a label image.

#pragma once

#include "found.h"

struct Components {
    Numbers start, component;           // of each run: its first pixel, and its component
    Numbers value, area;                // of each component
    Numbers neighbours;                 // in threes: two components, and a length of border that they share
    std::vector<int64_t> first_of_row;  // runs; and how many there are
};

void find_components(const uint8_t *image, int64_t height, int64_t width, Components &all);
